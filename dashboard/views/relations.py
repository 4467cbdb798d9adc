"""Relations: the learned graph as heatmap and network, against a threshold and a known truth; for images by pixel."""

import numpy as np
import streamlit as st

from dashboard import exports, figures, network, parts, resources, state
from dashboard.graph_picture import Drawn
from dashboard.listing import RunInfo
from dashboard.names import plain

DARK = parts.is_dark()
SMALL = 150  # nodes up to which the draggable network is quick
# A trained model is often very sure: the ends are where its doubts show.
THRESHOLDS = (1e-4, 1e-3, 0.01, *(percent / 100 for percent in range(5, 100, 5)), 0.99, 0.999, 0.9999)
ORDERS = {"original": "as given", "community": "by community", "degree": "by degree"}


def controls(info: RunInfo, has_truth: bool) -> tuple[float, str, str, bool]:
    """Threshold, order of the matrix, colour of the nodes, whether to compare with the truth."""
    groups = {"label": "known groups", "community": "communities found"}
    known = resources.nodes(info.key).groups is not None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        threshold = st.select_slider(
            "How sure must a relation be?", THRESHOLDS, 0.5, format_func=lambda value: f"{100 * value:g} %",
            key="threshold", bind="query-params", width=340,
            help="Pairs whose learned probability q(A_ij = 1) is above it are edges (eqs. 5-7). ½ is the natural one.")
        by = st.selectbox("Order of the matrix", list(ORDERS), format_func=ORDERS.get, key="order", width=170,
                          bind="query-params")
        colour = st.selectbox("Colour of the nodes", list(groups) if known else ["community"], key="colour", width=210,
                              format_func=groups.get,
                              help="Groups that are known, or communities in the learned graph (Louvain).")
        truth = has_truth and st.toggle("Compare with the truth", key="truth", bind="query-params",
                                        help="Edges found and true, missed, and found but not true.")
    return threshold, by, colour, truth


def numbers(info: RunInfo, posterior: np.ndarray, threshold: float, has_truth: bool) -> None:
    """How many edges there are now and, where a truth is known, how right they are."""
    scores = resources.scores(info.key, threshold) if has_truth else {}
    columns = st.columns(2 + 4 * has_truth)
    with columns[0]:
        st.metric("Edges", f"{network.edge_count(posterior, threshold):,}",
                  help=f"Of {len(posterior) * (len(posterior) - 1) // 2:,} possible pairs.")
    with columns[1]:
        st.metric("Density", f"{network.density(posterior, threshold):.1%}", help="Share of all pairs that are edges.")
    for column, name in zip(columns[2:], ("precision", "recall", "f1", "average_precision"), strict=False):
        with column:
            parts.metric(name, scores[name])


def matrix(info: RunInfo, posterior: np.ndarray, threshold: float, by: str, truth: np.ndarray | None) -> None:
    """The adjacency as a heatmap."""
    st.subheader("Adjacency", anchor=False)
    names = resources.nodes(info.key).names
    order = resources.order(info.key, by)
    if truth is None:
        figure = figures.adjacency_heatmap(posterior, order, names, dark=DARK)
    else:
        figure = figures.truth_heatmap(posterior, truth, threshold, order, names, dark=DARK)
    st.plotly_chart(figure, key="matrix", alt="Matrix of the learned edge probabilities")


def graph(info: RunInfo, posterior: np.ndarray, threshold: float, colour: str, truth: np.ndarray | None) -> None:
    """The node-link graph: draggable when small, at fixed places when large; and the way to take it along."""
    nodes = resources.nodes(info.key)
    if colour == "label":
        groups, names = nodes.groups, nodes.group_names
    else:
        groups = resources.communities(info.key)
        names = [f"community {group + 1}" for group in range(int(groups.max()) + 1)]
    drawn = Drawn(posterior, threshold, resources.layout(info.key), nodes.names, groups, names, truth)
    with exports.heading("Graph"):
        exports.model_menu(info, drawn)
    if len(posterior) <= SMALL and nodes.image_shape is None:
        st.iframe(network.pyvis_html(**vars(drawn), dark=DARK, height=500), height=520,
                  alt="Learned graph, nodes can be dragged")
        return
    figure = figures.network_figure(**vars(drawn), dark=DARK)
    st.plotly_chart(figure, key="network", alt="Learned graph on the pixel grid")
    meta = figure.layout.meta or {}
    if meta.get("total", 0) > meta.get("shown", 0):
        st.caption(f"The {meta['shown']:,} surest of {meta['total']:,} edges are drawn.")


@st.fragment
@parts.guard()
def explore(info: RunInfo) -> None:
    """Everything that follows the threshold; moving it redraws this part alone."""
    with st.skeleton(height=640):  # the first look at a model loads it and lays its graph out
        nodes = resources.nodes(info.key)
        posterior = resources.edge_posterior(info.key)
        resources.layout(info.key)
    has_truth = nodes.truth is not None
    threshold, by, colour, compare = controls(info, has_truth)
    truth = nodes.truth if compare else None
    numbers(info, posterior, threshold, has_truth)
    if nodes.image_shape is not None:
        pixels(posterior, threshold, nodes.image_shape)
    left, right = st.columns(2, gap="large")
    with left:
        matrix(info, posterior, threshold, by, truth)
    with right:
        graph(info, posterior, threshold, colour, truth)
    if info.dataset == "karate":
        positions(info, posterior, threshold)
    with st.expander("How many edges at which threshold?"):
        st.plotly_chart(figures.edge_count_curve(posterior, threshold, dark=DARK), key="edge_curve",
                        alt="Number of edges against the threshold")


def pixels(posterior: np.ndarray, threshold: float, image_shape: tuple[int, int]) -> None:
    """Pick a pixel on the degree map; see which pixels the model relates to it."""
    width = image_shape[1]
    degrees = (posterior > threshold).sum(1)
    left, right = st.columns(2, gap="large")
    with left:
        title, *steps = st.columns([3, 1.4, 1.4], vertical_alignment="bottom")
        title.subheader("Pick a pixel", anchor=False)
        row, column = (_step(place, label, key, limit) for place, label, key, limit in
                       zip(steps, ("Row", "Column"), (state.PIXEL_ROW, state.PIXEL_COLUMN), image_shape, strict=True))
        st.plotly_chart(
            figures.pixel_picker(degrees.reshape(image_shape), (row, column), dark=DARK), key="picker",
            on_select=lambda: _picked(width), selection_mode="points", config={"displayModeBar": False},
            alt="Degree map: number of relations of each pixel")
        st.caption("Brightness: how many relations above the threshold a pixel has (its degree). Click one, or step.")
    with right:
        st.subheader("What belongs to it", anchor=False)
        node = row * width + column
        st.plotly_chart(figures.neighbourhood_map(posterior[node], image_shape, (row, column), dark=DARK),
                        key="neighbourhood", config={"displayModeBar": False},
                        alt=f"Edge probabilities of pixel {row}, {column}")
        strongest = np.argsort(-posterior[node])[:3]
        st.caption(f"Pixel ({row}, {column}). Surest relations: " + ", ".join(
            f"({other // width}, {other % width}) with {posterior[node, other]:.0%}" for other in strongest) + ".")


def _step(place, label: str, key: str, limit: int) -> int:
    """One coordinate of the pixel; kept inside when the model changes to one of smaller images."""
    if st.session_state.get(key, 0) > limit - 1:
        st.session_state[key] = limit - 1
    return place.number_input(label, 0, limit - 1, limit // 2, key=key, bind="query-params")


def _picked(width: int) -> None:
    points = st.session_state["picker"]["selection"]["points"]
    if points:
        node = int(np.ravel(points[0]["customdata"])[0])
        row, column = divmod(node, width)
        st.session_state[state.PIXEL_ROW], st.session_state[state.PIXEL_COLUMN] = row, column


def positions(info: RunInfo, posterior: np.ndarray, threshold: float) -> None:
    """Figure 1 of the paper."""
    st.subheader("Positions, link by link", anchor=False)
    data = resources.dataset(info.key)
    place = st.columns([1, 5], vertical_alignment="bottom")
    number = place[0].number_input("Held-out row", 0, 39, 0, key="figure_one_row", help="One draw of every pattern.")
    drawn = resources.positions(info.key, number)
    st.plotly_chart(
        figures.figure_one(drawn.truth, drawn.reconstruction, data.adjacency, posterior, threshold, data.node_labels,
                           drawn.titles, drawn.unseen, dark=DARK), key="figure_one", config={"displayModeBar": False},
        alt="Ground truth, reconstructed positions, and reconstructed positions with learned links, by pattern")
    st.caption("Figure 1 of the paper. Top: the truth. Middle: positions reconstructed, true links. Bottom: both "
               f"from the model. {plain(drawn.titles[drawn.unseen].capitalize())} was never seen in training.")


parts.heading("Relations", "What belongs together, and how sure the model is. Move the threshold; every view follows.")
with parts.guard():
    chosen = parts.pick_run(lambda info: info.has_graph)
    if chosen is not None:
        explore(chosen)
