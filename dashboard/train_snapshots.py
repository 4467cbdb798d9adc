"""The Train page's time slider: reconstructions and the graph after any epoch, one after the other where it plays."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import figures, parts, pictures, resources, state
from sagvae_core.data import DATASETS
from sagvae_core.runs import Run

NEWEST, CHOOSE, PLAY = "Newest", "Choose", "Play"
INTERVAL = 0.8  # seconds between two snapshots that play
_PICTURE = 52  # pixels a side


def mode_of(run: Run, active: bool) -> str:
    """How the epoch is found: the newest while it trains, then a slider, until somebody says otherwise."""
    return st.session_state.get(f"{state.MODE}_{run.name}") or (NEWEST if active else CHOOSE)


def snapshots(run: Run, mode_before: str) -> None:
    """The part of the page; drawn anew with another timer once another mode is chosen."""
    with parts.guard():
        epochs = run.snapshot_epochs
        if not epochs:
            return
        mode = parts.one_of("Snapshots", (NEWEST, CHOOSE, PLAY), f"{state.MODE}_{run.name}", mode_before,
                            label_visibility="collapsed")
        if mode != mode_before:
            st.session_state.pop(state.PLAYED, None)
            st.rerun()
        epoch = _epoch(epochs, mode)
        tensors = run.snapshot(epoch)
        if tensors is None:
            if epoch not in run.snapshot_epochs:
                st.rerun()  # the training has thinned it out since the epochs were listed
            return
        shape = DATASETS[run.config.data.name].image_shape if run.config.data.name in DATASETS else None
        if shape is not None:
            st.caption("Held-out images: as the model sees them, its reconstruction, the original")
            rows = [pictures.Row(label, tensors[name].flatten(1).numpy()) for label, name in
                    (("Input", "inputs"), ("Model", "reconstruction"), ("Original", "clean"))]
            st.html(pictures.comparison_grid(rows, shape, dark=parts.is_dark(), size=_PICTURE))
        if "edge_percent" in tensors:
            percent = tensors["edge_percent"].numpy().astype(np.float32)
            left, right = st.columns(2, gap="large")
            with left:
                st.caption("The graph: probability of each edge")
                st.plotly_chart(figures.adjacency_heatmap(percent / 100, dark=parts.is_dark()), key="live_matrix",
                                alt=f"Edge probabilities after epoch {epoch}")
            if shape is None:
                with right:
                    _network(run, percent / 100, epoch)


def _network(run: Run, probabilities: np.ndarray, epoch: int) -> None:
    """The same graph as nodes and links, which stay where they are from epoch to epoch."""
    key = f"{run.name}@made-{run.status.created}"  # a run of the same name made later may have other features
    nodes = resources.nodes(key)
    if nodes.truth is None:
        return  # the known graph says where nodes are, as long as there is no learned one
    st.caption("Links above ½, at the places of the known graph")
    st.plotly_chart(figures.network_figure(probabilities, 0.5, resources.layout(key), nodes.names, nodes.groups,
                                           nodes.group_names, dark=parts.is_dark(), height=420),
                    key="live_network", config={"displayModeBar": False}, alt=f"Links after epoch {epoch}")


def _epoch(epochs: list[int], mode: str) -> int:
    """The epoch that is shown.

    No slider has its value set from here: on a busy machine the browser would send the old one back, as if a person had
    chosen it.
    """
    if mode == CHOOSE:
        if st.session_state.get(state.FRAME, epochs[-1]) not in epochs:  # thinned out meanwhile
            del st.session_state[state.FRAME]
        return st.select_slider("Watch the graph grow: after epoch", epochs, epochs[-1], key=state.FRAME)
    if mode == PLAY:
        later = [epoch for epoch in epochs if epoch > st.session_state.get(state.PLAYED, 0)]
        epoch = st.session_state[state.PLAYED] = later[0] if later else epochs[-1]
        st.progress(epochs.index(epoch) / max(1, len(epochs) - 1), f"After epoch {epoch} of {epochs[-1]}")
        return epoch
    st.caption(f"After epoch {epochs[-1]}")
    return epochs[-1]
