"""Pieces of the Evidence page: the numbers above all, Figures 1 and 3 of the paper, and how a record was made."""

import streamlit as st

from dashboard import evidence, evidence_headlines, figures, figures_evidence, listing, parts, records, resources
from dashboard.evidence import Line, Record
from dashboard.names import SENTENCE, one_line, plain
from sagvae_core.errors import SagvaeError

SAMPLES = 4  # of each model in Figure 3
_TILE = 240  # CSS pixels of a headline: five in a row on a wide page, three on a small one


def headlines() -> None:
    """The numbers that sum up the records that are there; a damaged one is spoken of where it is looked at."""
    found: dict[str, Record | None] = {}
    for name in ("karate", "suite", "images"):
        try:
            found[name] = records.record(name)
        except SagvaeError:
            found[name] = None
    row = st.container(horizontal=True, gap="small")
    for item in evidence_headlines.headlines(found["karate"], found["suite"], found["images"]):
        with row.container(width=_TILE, gap=None):
            if item.delta is None:
                st.metric(item.label, f"{item.value:.3f}", item.spread, delta_color="off", delta_arrow="off",
                          help=plain(item.explained, SENTENCE))
            else:
                st.metric(item.label, f"{item.value:.3f}", f"{item.delta:+.3f}", help=plain(item.explained, SENTENCE),
                          delta_description=item.reference and plain(item.reference))
                st.caption(item.spread)


def paper_figures(rows: list[Line]) -> None:
    """Figures 1 and 3 of the paper, from the shipped karate models."""
    dark = parts.is_dark()
    infos = [info for info in listing.run_infos()[0]
             if info.shipped and info.has_model and info.has_graph and info.dataset == "karate"]
    if not infos:
        return
    codes = {info.name: resources.run_config(info.key).model.latent for info in infos}
    infos.sort(key=lambda info: codes[info.name] != "per_node")
    with st.skeleton(height=600):
        drawn, nodes = resources.positions(infos[0].key, 0), resources.nodes(infos[0].key)
        posterior = resources.edge_posterior(infos[0].key)
        samples = [(codes[info.name].replace("_", " "), resources.samples(info.key, SAMPLES),
                    resources.edge_posterior(info.key)) for info in infos]
    st.subheader("Figure 1: positions and links", anchor=False)
    shown = [0, 1, drawn.unseen]
    st.plotly_chart(
        figures.figure_one(drawn.truth[shown], drawn.reconstruction[shown], nodes.truth, posterior, 0.5, nodes.groups,
                           [drawn.titles[pattern] for pattern in shown], 2, dark=dark), key="figure_one",
        config={"displayModeBar": False}, alt="True and reconstructed positions of the club's members, by pattern")
    measured = [line for line in rows if {"mse_unseen", "mse_unseen_mean"} <= set(line.values)]
    errors = [f"{plain(line.label)} {evidence.text(line.values['mse_unseen'], 3)}" for line in measured]
    said = ["Three of the five patterns; the model never saw the one on the right. All 34 members, two clubs, one "
            "colour each."]
    if measured:
        variance = evidence.text(measured[0].values["mse_unseen_mean"], 2)
        said.append(f"Mean squared error on such a pattern, over all draws of the study: {'; '.join(errors)}. The "
                    f"variance of its rows is {variance}: draws differ, and this is one.")
    st.caption(" ".join(said))
    st.subheader("Figure 3: new positions, drawn from the models", anchor=False)
    st.plotly_chart(figures_evidence.figure_three(samples, nodes.groups, dark), key="figure_three",
                    config={"displayModeBar": False}, alt="Positions sampled from each karate model")
    st.caption("Rows nobody observed: z is drawn from the prior, the links are those the model has learned.")


def provenance(file: str, record: Record) -> None:
    """What does not hold, and how to make the record again."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("What to know, and what is not reproduced", anchor=False)
        notes = record.get("notes") or []
        for note in [notes] if isinstance(notes, str) else notes:
            st.markdown(f"- {plain(note, SENTENCE)}")
        if not notes:
            st.caption("The record says nothing of that kind.")
    with right:
        st.subheader("How it was made", anchor=False)
        st.code(one_line(record["command"], SENTENCE), language="sh")
        versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
        st.caption(plain(f"{evidence.seeds_text(record['seeds'])}. "
                               f"{parts.duration(record['seconds'])} of computing. {versions}.", SENTENCE))
        st.download_button("Download the record", records.path(file).read_bytes(), f"{file}.json", "application/json",
                           icon=":material/download:", on_click="ignore", key="download")
