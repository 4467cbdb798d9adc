"""The study of confidences on the Evidence page: is an edge called 90 % sure true nine times out of ten?"""

import streamlit as st

from dashboard import evidence_confidence as confidence
from dashboard import figures_confidence, parts, state
from dashboard.evidence import ALL_SIZES, Record
from dashboard.evidence_tables import METHOD
from dashboard.names import SENTENCE, plain

_EXPLAINED = {
    "Sure pairs": "Pairs with a confidence of at least 90 %, over all draws.",
    "Stated": "Mean confidence of these pairs.",
    "Right": "Share of these pairs that are edges of the true graph.",
    "Brier": "Mean squared error of the confidences of all pairs. Lower is better.",
    "Selected": "Edges that stability selection chose, mean over the tasks.",
    "False": "Those of them that are not in the true graph, mean over the tasks.",
    "Bound": "The bound on their expected number, mean over the tasks; one was allowed.",
    "Intervals, edges": "Share of the 95 % intervals of true edges that hold the mean score of fits to independent "
                        "tables.",
    "Intervals, others": "The same of all other pairs."}


def show(record: Record) -> None:
    """The whole study."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        options = confidence.sizes(record)
        state.fit_to(state.SIZE, options)
        size = (st.selectbox("Size", options, key=state.SIZE, bind="query-params", width=240) if len(options) > 1 else
                options[0])
        kinds = st.multiselect("Tasks", confidence.families(record), key="confidence_tasks", placeholder="all",
                               width=420)
    among = confidence.chosen(record, size, kinds)
    dark = parts.is_dark()
    curves = [confidence.reliability(record, method, among) for method in confidence.methods(record, among)]
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Stated and true", anchor=False)
        st.plotly_chart(figures_confidence.reliability(curves, dark), key="reliability",
                        config={"displayModeBar": False}, alt="Share of true edges against stated confidence")
        st.caption("On the dotted line a confidence is worth its number; above it there are more edges than it says. "
                   "The larger a mark, the more pairs. Bars: 90 % of what other tasks of this kind would give.")
    with right:
        st.subheader("How to read a confidence", anchor=False)
        for sentence in confidence.sentences(record, among):
            st.markdown(f"- {plain(sentence, SENTENCE)}")
    frame = confidence.summary(record, among)
    st.dataframe(confidence.as_text(frame), hide_index=True, height="content", key="table_confidence", column_config={
        METHOD: st.column_config.TextColumn(pinned=True, width=264)} | {
        name: st.column_config.Column(alignment="right", help=_EXPLAINED[name]) for name in frame.columns[1:]})
    st.caption(f"{len(among)} {'task' if len(among) == 1 else 'tasks'}"
               + (", all sizes" if size == ALL_SIZES else "") + ", each with a known graph and fresh draws.")
