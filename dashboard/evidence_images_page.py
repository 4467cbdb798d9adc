"""The Images study on the Evidence page: tables by damage, the paper's figures from the shipped models, transfer."""

import streamlit as st

from dashboard import evidence_images as images
from dashboard import evidence_tables, figures, figures_evidence, listing, parts, pictures, resources, spoiled, state
from dashboard.evidence import REFERENCE, Record
from dashboard.listing import RunInfo
from dashboard.names import plain
from dashboard.spoiled import Shown
from sagvae_core.data import DATASETS
from sagvae_core.studies.image_methods import DAMAGES, damage

SHOWN = Shown(0, 10)
FAMILIES = {"trained on noise": "{}", "trained on white blocks": "{}-block", "trained on clean images": "{}-none"}


def show(record: Record) -> None:
    """The whole study: what was asked for on top, what holds for the data set below."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        title = parts.one_of("Data set", images.titles(record), state.PICTURES_OF, format_func=plain,
                              bind="query-params")
        whats = images.damages(record, title)
        if not whats:
            st.info("Nothing was measured on these pictures yet.", icon=":material/science:")
            return

        def follow() -> None:  # whoever asks about masks first wants to see those who learned from masks
            found = images.settings(record, title, st.session_state[state.DAMAGED_BY])
            state.put(state.TRAINED_ON, found[0] if found else None)

        what = _select("Damage", whats, state.DAMAGED_BY, on_change=follow)
        found = images.settings(record, title, what)
        setting = _select("Models were", found, state.TRAINED_ON) if found else None
    rows = images.of_task(record, title, what, setting)
    styled = images.detail(rows, parts.is_dark())
    st.dataframe(styled, hide_index=True, height="content", key="table_images", column_config={
        evidence_tables.METHOD: st.column_config.TextColumn(pinned=True, width=264)} | {
        column: st.column_config.Column(alignment="right", help=images.EXPLAINED.get(column))
        for column in styled.columns[1:]})
    st.caption("Mean ± standard deviation over the runs, on held-out test pictures; the best of each column stands "
               "out. Denoising autoencoders have learned from clean targets, and filters are tuned on clean pictures "
               "with this very damage; all others are trained on what is said above and nothing else."
               + (" Grey lines change one thing in SAG-VAE." if any(line.kind == REFERENCE for line in rows) else ""))
    with parts.guard():
        _drawn(title, what, setting)
    st.subheader("Every kind of damage, trained on or not", anchor=False)
    shown = images.transfer(record, title, dark=parts.is_dark())
    if shown is not None:
        st.dataframe(shown, hide_index=True, height="content", key="table_transfer", column_config={
            evidence_tables.METHOD: st.column_config.TextColumn(pinned=True, width=264)} | {
            column: st.column_config.Column(alignment="right") for column in shown.columns[1:]})
        st.caption("Mean squared error to the clean pictures: SAG-VAE and the VAE by what they were trained on, "
                   "autoencoders that were shown clean targets for noise, filters tuned on each damage. Models that "
                   "look for damaged regions were shown the first 300 noisy pictures, the others more.")
    left, right = st.columns(2, gap="large")
    with left:
        _curves(record, title)
        _choice(record, title)
    with right:
        _graph(record, title)


def _select(label: str, options: list[str], key: str, **settings) -> str:
    state.fit_to(key, options)
    return st.selectbox(label, options, key=key, bind="query-params", width=220, **settings)


def _drawn(title: str, what: str, setting: str | None) -> None:
    """Figures 4, 5, 7 and 8: held-out pictures, damaged and repaired by the shipped VAE and SAG-VAE."""
    name = next((key for key, info in DATASETS.items() if info.title == title), None)
    models = _shipped(name, setting)
    says = images.paper_says(title, what)
    if name is None or what not in DAMAGES or len(models) < 2:
        if says:
            st.caption(says)
        return
    if not resources.available(name):
        st.caption(f"{says or ''} Pictures are drawn here where {DATASETS[name].title} is on this machine.".strip())
        return
    st.subheader("What it looks like", anchor=False)
    if says:
        st.markdown(says)
    with st.skeleton(height=380):
        lead, spoil = models[0].key, damage(what, name)
        given = spoiled.pictures(lead, spoil, 0, SHOWN, repair=False)
        rows = [pictures.Row("Damaged", given.images)]
        rows += [pictures.Row(info.short, spoiled.pictures(info.key, spoil, 0, SHOWN).images) for info in models]
        rows.append(pictures.Row("Original", spoiled.clean(lead, SHOWN)))
        html = pictures.comparison_grid(rows, DATASETS[name].image_shape, dark=parts.is_dark(), size=100)
    st.html(html)
    st.caption("The first ten test pictures and the shipped models, as they come. The Robustness page has all damage, "
               "live.")


def _shipped(name: str | None, setting: str | None) -> list[RunInfo]:
    family = FAMILIES.get(setting or "", "").format(name)
    found = {info.role: info for info in listing.run_infos()[0]
             if info.shipped and info.has_model and info.dataset == name and info.family == family}
    return [found[role] for role in ("identity", "sagvae") if role in found]


def _curves(record: Record, title: str) -> None:
    curves = images.error_curves(record, title)
    if not curves:
        return
    st.subheader("Figure 6: what training does", anchor=False)
    st.plotly_chart(figures_evidence.figure_six(curves, parts.is_dark()), key="figure_six",
                    config={"displayModeBar": False}, alt="Errors to clean and to noisy pictures during training")
    st.caption("The decoder's output for held-out noisy pictures while the lower bound is maximised. Where the "
               "dotted line falls to zero, the noise is learned.")


def _choice(record: Record, title: str) -> None:
    table = images.hidden_choice(record, title)
    if len(table) < 2:
        return
    st.subheader("Choosing without clean pictures", anchor=False)
    st.dataframe(table, hide_index=True, height="content", key="table_choice", column_config={
        column: st.column_config.NumberColumn(format="%.3f" if place == 1 else "%.4f")
        for place, column in enumerate(table.columns) if place})
    st.caption("How well hidden values of held-out noisy pictures are foretold, in nats a pixel, beside the error to "
               "clean ones, which nobody would know.")


def _graph(record: Record, title: str) -> None:
    near = images.near_edges(record)
    near = near[near["Data set"] == title].drop(columns="Data set")
    name = next((key for key, info in DATASETS.items() if info.title == title), None)
    models = [info for info in _shipped(name, "trained on noise") if info.has_graph]
    if near.empty and not models:
        return
    st.subheader("Figure 9: the learned adjacency", anchor=False)
    if models:
        with st.skeleton(height=440):
            heatmap = figures.adjacency_heatmap(resources.edge_posterior(models[0].key), dark=parts.is_dark())
        st.plotly_chart(heatmap, key="figure_nine", config={"displayModeBar": False},
                        alt="Probability of every edge between two pixels, in the order of the pixels")
    if not near.empty:
        st.dataframe(near, hide_index=True, height="content", key="table_near")
        st.caption("Of the edges above .5 between pixels that ever light up: the share that joins pixels at most so "
                   "far apart, in brackets the share of all pairs. Nobody tells the model which pixels are neighbours.")
