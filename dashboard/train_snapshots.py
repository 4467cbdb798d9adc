"""The Train page's time slider: reconstructions and the graph after any epoch, one after the other where it plays."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import figures, parts, pictures, resources, state
from sagvae_core.data import DATASETS
from sagvae_core.runs import Run

PLAY = 0.7  # seconds between two snapshots that play
_PICTURE = 52  # pixels a side


def snapshots(run: Run) -> None:
    with parts.guard():
        epochs = run.snapshot_epochs
        epoch = _epoch(epochs)
        tensors = run.snapshot(epoch)
        if tensors is None:
            return
        shape = DATASETS[run.config.data.name].image_shape if run.config.data.name in DATASETS else None
        left, right = st.columns(2, gap="large")
        if shape is None:
            if "edge_percent" in tensors:
                with right:
                    _network(run, tensors["edge_percent"].numpy().astype(np.float32) / 100, epoch)
        else:
            with left:
                st.caption("Held-out images: as the model sees them, its reconstruction, the original")
                rows = [pictures.Row(label, tensors[name].flatten(1).numpy()) for label, name in
                        (("Input", "inputs"), ("Model", "reconstruction"), ("Original", "clean"))]
                st.html(pictures.comparison_grid(rows, shape, dark=parts.is_dark(), size=_PICTURE))
        if "edge_percent" in tensors:
            with right if shape is not None else left:
                st.caption("The graph: probability of each edge")
                percent = tensors["edge_percent"].numpy().astype(np.float32)
                st.plotly_chart(figures.adjacency_heatmap(percent / 100, dark=parts.is_dark()), key="live_matrix",
                                alt=f"Edge probabilities after epoch {epoch}")


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


def _epoch(epochs: list[int]) -> int:
    """The epoch that is shown: the last one until somebody moves the slider, or the next where they play."""
    if len(epochs) == 1:
        st.caption(f"After epoch {epochs[0]}")
        return epochs[0]
    columns = st.columns([5, 1], vertical_alignment="bottom")
    plays = columns[1].toggle("Play", key=state.PLAYS, help="One snapshot after the other, from the first to the last.",
                              on_change=_play, args=(epochs,))
    if plays:
        later = [epoch for epoch in epochs if epoch > st.session_state.get(state.FRAME, 0)]
        st.session_state[state.FRAME] = later[0] if later else epochs[-1]
    elif st.session_state.get(state.FOLLOWS, True) or state.FRAME not in st.session_state:
        st.session_state[state.FRAME] = epochs[-1]
    elif st.session_state[state.FRAME] not in epochs:  # thinned out meanwhile
        st.session_state[state.FRAME] = min(epochs, key=lambda epoch: abs(epoch - st.session_state[state.FRAME]))
    return columns[0].select_slider("Watch the graph grow: after epoch", epochs, key=state.FRAME,
                                    on_change=_follow, args=(epochs[-1],))


def _follow(last: int) -> None:
    st.session_state[state.FOLLOWS] = st.session_state[state.FRAME] == last
    st.session_state[state.PLAYS] = False


def _play(epochs: list[int]) -> None:
    if st.session_state[state.PLAYS] and st.session_state.get(state.FRAME, epochs[-1]) == epochs[-1]:
        st.session_state[state.FRAME] = 0  # from the start
