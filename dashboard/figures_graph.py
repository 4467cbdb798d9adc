"""Node-link figures whose positions come from the server: large networks, pixel grids, and the paper's Figure 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import palette
from dashboard.edges import STEADY, edge_kinds, shown_edges, steady_bands
from dashboard.names import ALONG, BESIDE, one_line, plotly_text

_BANDS = 4  # widths of lines: Plotly draws one path per band, however many edges it has
_MANY_NODES = 2000  # above it nodes go to WebGL
_ACCENTED = 200  # without groups more nodes than this are grey: a field of accents has none
_FEW_NODES = 60  # up to which every name is written


def network_figure(probabilities: np.ndarray, threshold: float, positions: np.ndarray,
                   names: Sequence[str] | None = None, groups: Sequence[int] | None = None,
                   group_names: Sequence[str] | None = None, truth: np.ndarray | None = None, max_edges: int = 4000,
                   dark: bool = False, highlight: int | None = None, height: int = 560,
                   steadiness: np.ndarray | None = None, negative: np.ndarray | None = None) -> go.Figure:
    """Nodes at fixed places and the edges with p > threshold, wider and stronger the surer they are.

    Args:
        probabilities: (N, N).
        threshold: in [0, 1].
        positions: (N, 2) from ``network.layout``, y upwards (an image's row 0 on top).
        names: N labels.
        groups: N group numbers for the colours.
        group_names: a name for each group number; without it there is no legend of groups.
        truth: (N, N); if given, edges are coloured and dashed as hit, miss and false edge.
        max_edges: only so many are drawn, the most probable; ``figure.layout.meta`` says ``{"shown", "total"}``.
        dark: the page is dark.
        highlight: a node whose own edges stand out while the others step back.
        height: in pixels.
        steadiness: (N, N) in [0, 1], how opaque the edges are where that is not how sure they are; not with ``truth``.
        negative: bool (N, N), the pairs that go in opposite directions, in a colour and dashes of their own.

    Returns:
        A figure whose node traces carry the node's index as ``customdata`` (for ``on_select``).
    """
    probabilities = np.asarray(probabilities, dtype=float)
    positions = np.asarray(positions, dtype=float)
    count = len(probabilities)
    names = [str(node) for node in range(count)] if names is None else [one_line(name) for name in names]
    figure = go.Figure()
    shown, total = _add_edges(figure, probabilities, threshold, positions, truth, max_edges, dark, highlight,
                              steadiness, negative)
    _add_nodes(figure, probabilities, threshold, positions, names, groups, group_names, dark, highlight)
    hidden = {"visible": False, "fixedrange": False}
    # Stretching the axis' range to the page would only add empty page: keep the graph's own shape.
    margin = 0.08 if count <= _FEW_NODES else 0.04
    low, high = (positions.min(0), positions.max(0)) if count else (np.zeros(2), np.ones(2))
    pad = margin * max(float((high - low).max()), 1e-6)
    figure.update_layout(
        palette.layout_defaults(dark), height=height, meta={"shown": shown, "total": total}, hovermode="closest",
        dragmode="pan", xaxis=hidden | {"range": [low[0] - pad, high[0] + pad]},
        yaxis=hidden | {"range": [low[1] - pad, high[1] + pad], "scaleanchor": "x", "scaleratio": 1},
        legend={"orientation": "h", "x": 0, "y": -0.01, "yanchor": "top", "itemclick": False, "itemdoubleclick": False},
    )
    return figure


def figure_one(truth_positions: np.ndarray, reconstructed_positions: np.ndarray, true_edges: np.ndarray,
               learned_probabilities: np.ndarray, threshold: float, groups: Sequence[int] | None = None,
               titles: Sequence[str] | None = None, unseen: int | None = None, dark: bool = False) -> go.Figure:
    """The paper's Figure 1: where the nodes are, where the model puts them, and the links it learned.

    Args:
        truth_positions: (P, N, 2), one placement of the nodes for each pattern.
        reconstructed_positions: (P, N, 2), the model's.
        true_edges: the links behind the data, as pairs (E, 2) or as an adjacency (N, N).
        learned_probabilities: (N, N).
        threshold: a learned link has p > threshold.
        groups: N group numbers for the colours.
        titles: a title for each of the P columns.
        unseen: the column that training has not seen; it is boxed and says so.
        dark: the page is dark.

    Returns:
        Three rows (the truth; reconstructed with the true links; reconstructed with the learned links, hit and false
        edges told apart) and P columns. The three panels of a column share their axes.
    """
    truth_positions = np.asarray(truth_positions, dtype=float)
    reconstructed_positions = np.asarray(reconstructed_positions, dtype=float)
    columns, count = truth_positions.shape[:2]
    truth = _adjacency(np.asarray(true_edges), count)
    true_edges = np.argwhere(np.triu(truth, 1))
    kinds = edge_kinds(learned_probabilities, truth, threshold)
    styles = palette.edge_styles(dark)
    labels = ("data,<br>true links", "reconstructed,<br>true links", "reconstructed,<br>learned links")
    titles = [f"Pattern {column + 1}" for column in range(columns)] if titles is None else list(titles)
    figure = make_subplots(3, columns, horizontal_spacing=0.02, vertical_spacing=0.025)
    plain = {"color": palette.muted(dark), "width": 0.9}
    for column in range(columns):
        actual, rebuilt = truth_positions[column], reconstructed_positions[column]
        for row, places in enumerate((actual, rebuilt, rebuilt)):
            where = {"row": row + 1, "col": column + 1}
            if row < 2:
                figure.add_trace(lines(places, true_edges, plain, opacity=0.6), **where)
            else:
                for kind in ("hit", "false"):  # a false edge over a hit: the rare kind stays visible
                    line = {"color": styles[kind].color, "width": 1.0, "dash": styles[kind].dash}
                    figure.add_trace(lines(places, kinds[kind], line, opacity=0.85, name=styles[kind].label,
                                            legend=column == 0), **where)
            figure.add_trace(_dots(places, groups, dark), **where)
        low, high = _column_range(np.concatenate([actual, rebuilt]))
        box = {"showline": True, "mirror": True, "linecolor": palette.hairline(dark), "linewidth": 1, "ticks": "",
               "showticklabels": False, "showgrid": False, "zeroline": False}
        if column == unseen:
            box |= {"linecolor": palette.accent(dark), "linewidth": 1.6}
        figure.update_xaxes(box | {"range": [low[0], high[0]]}, col=column + 1)
        figure.update_yaxes(box | {"range": [low[1], high[1]]}, col=column + 1)
        _column_title(figure, titles[column], column, columns, column == unseen, dark)
    for row, label in enumerate(labels):
        axis = figure.get_subplot(row + 1, 1).yaxis
        figure.add_annotation(text=label, xref="paper", yref="paper", x=0, xanchor="right", xshift=-10, showarrow=False,
                              y=float(np.mean(axis.domain)), yanchor="middle", align="right", font={"size": 12})
    figure.update_layout(
        palette.layout_defaults(dark), height=600, margin={"l": 104, "r": 4, "t": 46, "b": 34}, hovermode="closest",
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": -0.015, "yanchor": "top"},
    )
    return figure


def _add_edges(figure: go.Figure, probabilities: np.ndarray, threshold: float, positions: np.ndarray,
               truth: np.ndarray | None, limit: int, dark: bool, highlight: int | None,
               steadiness: np.ndarray | None, negative: np.ndarray | None) -> tuple[int, int]:
    """Add a trace for every band (or kind) of edges; returns how many are drawn of how many."""
    pairs, kinds, total = shown_edges(probabilities, threshold, truth, limit, negative)
    sure = probabilities[pairs[:, 0], pairs[:, 1]]
    own = np.zeros(len(pairs), dtype=bool) if highlight is None else (pairs == highlight).any(1)
    fade = 1.0 if highlight is None else 0.45
    scale = 1.0 if len(pairs) <= 400 else 0.7 if len(pairs) <= 1500 else 0.5  # many lines must not become a blot
    styles = palette.edge_styles(dark)
    if truth is None:
        band = np.clip(((sure - threshold) / max(1 - threshold, 1e-9) * _BANDS).astype(int), 0, _BANDS - 1)
        steady = band if steadiness is None else steady_bands(steadiness[pairs[:, 0], pairs[:, 1]])
        opacities = 0.3 + 0.15 * np.arange(_BANDS) if steadiness is None else STEADY
        for level in range(_BANDS):  # the surest last, on top
            for step in np.unique(steady[band == level]) if steadiness is not None else [level]:
                these = (band == level) & (steady == step) & ~own
                for kind in ("", *np.unique(kinds[these & (kinds != "")]).tolist()):
                    line = {"color": styles[kind].color, "dash": styles[kind].dash} if kind else {
                        "color": palette.muted(dark)}
                    figure.add_trace(lines(positions, pairs[these & (kinds == kind)],
                                           line | {"width": scale * (0.7 + 0.75 * level)},
                                           opacity=fade * float(opacities[step])))
        if (kinds == "negative").any():  # in the legend once, whatever the bands
            line = {"color": styles["negative"].color, "width": 1.5, "dash": styles["negative"].dash}
            figure.add_trace(lines(positions, pairs[:0], line, name=styles["negative"].label, legend=True, empty=True))
    else:
        for kind in palette.EDGE_KINDS:
            line = {"color": styles[kind].color, "width": max(scale, 0.7) * 1.5, "dash": styles[kind].dash}
            drawn = pairs[(kinds == kind) & ~own]
            figure.add_trace(lines(positions, drawn, line, opacity=fade * 0.85, name=styles[kind].label,
                                    legend=bool((kinds == kind).any()), empty=highlight is not None))
    if highlight is not None:
        for kind in np.unique(kinds[own]).tolist():
            line = {"color": palette.accent(dark)} if truth is None else {"color": styles[kind].color,
                                                                           "dash": styles[kind].dash}
            figure.add_trace(lines(positions, pairs[own & (kinds == kind)], line | {"width": 2.2}))
    return len(pairs), total


def _add_nodes(figure: go.Figure, probabilities: np.ndarray, threshold: float, positions: np.ndarray, names: list[str],
               groups: Sequence[int] | None, group_names: Sequence[str] | None, dark: bool,
               highlight: int | None) -> None:
    """Add a trace of dots for every group."""
    count = len(names)
    linked = probabilities > threshold
    np.fill_diagonal(linked, False)
    degrees = linked.sum(1)
    numbers = np.zeros(count, dtype=int) if groups is None else np.asarray(groups, dtype=int)
    inside = count <= _FEW_NODES and max(map(len, names), default=0) <= 3
    size = float(np.clip(24 if inside else 110 / np.sqrt(max(count, 1)), 4, 24 if inside else 13))
    trace = go.Scattergl if count > _MANY_NODES else go.Scatter
    for group in np.unique(numbers).tolist():
        members = np.flatnonzero(numbers == group)
        color = palette.group_color(group) if groups is not None else (
            palette.accent(dark) if count <= _ACCENTED else palette.muted(dark))
        named = group_names is not None and 0 <= group < len(group_names)
        figure.add_trace(trace(
            x=positions[members, 0], y=positions[members, 1], customdata=members, showlegend=named,
            name=plotly_text(group_names[group], ALONG) if named else "",
            mode="markers+text" if count <= _FEW_NODES else "markers",
            text=[plotly_text(names[node], BESIDE) for node in members],
            textposition="middle center" if inside else "top center",
            textfont={"size": 11, "color": palette.ink_on(color)} if inside else {"size": 11},
            marker={"color": color, "size": size, "opacity": 1.0,
                    "line": {"color": palette.page(dark), "width": 1.5 if size > 8 else 0.5}},
            selected={"marker": {"opacity": 1.0}}, unselected={"marker": {"opacity": 1.0}},
            hovertext=[f"<b>{plotly_text(names[node])}</b><br>{degrees[node]} "
                       f"{'edge' if degrees[node] == 1 else 'edges'}" for node in members],
            hoverinfo="text",
        ))
    if highlight is not None:
        figure.add_trace(trace(
            x=positions[[highlight], 0], y=positions[[highlight], 1], mode="markers", showlegend=False,
            hoverinfo="skip", marker={"size": size + 7, "color": "rgba(0,0,0,0)",
                                      "line": {"color": palette.accent(dark), "width": 2.5}}))


def lines(positions: np.ndarray, pairs: np.ndarray, line: dict[str, Any], opacity: float = 1.0, name: str = "",
           legend: bool = False, empty: bool = False) -> go.Scatter:
    """All given edges as one path, lifted between them."""
    points = np.full((len(pairs), 3, 2), np.nan, dtype=np.float32)  # a row of NaN lifts the pen
    points[:, :2] = positions[pairs]
    points = points.reshape(-1, 2)
    if empty and not len(points):
        points = np.full((1, 2), np.nan, dtype=np.float32)  # keeps its legend entry
    return go.Scatter(x=points[:, 0], y=points[:, 1], mode="lines", line=line | {"simplify": False}, opacity=opacity,
                      name=name, showlegend=legend, hoverinfo="skip")


def _dots(positions: np.ndarray, groups: Sequence[int] | None, dark: bool) -> go.Scatter:
    """The nodes of a small panel, one trace with a colour for each node."""
    colors = (palette.accent(dark) if groups is None else [palette.group_color(int(group)) for group in groups])
    return go.Scatter(x=positions[:, 0], y=positions[:, 1], mode="markers", showlegend=False,
                      customdata=np.arange(len(positions)), hovertemplate="node %{customdata}<extra></extra>",
                      marker={"size": 7, "color": colors, "line": {"color": palette.page(dark), "width": 0.8}})


def _adjacency(edges: np.ndarray, count: int) -> np.ndarray:
    """Pairs (E, 2) or an adjacency (N, N) -> a symmetric bool (N, N)."""
    if edges.shape == (count, count) and count != 2:
        return (edges != 0) | (edges.T != 0)
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(f"true_edges must have shape (E, 2) or ({count}, {count}), got {edges.shape}.")
    adjacency = np.zeros((count, count), dtype=bool)
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = True
    return adjacency


def _column_range(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A frame that holds the truth and the reconstruction, so that a shrunken reconstruction looks shrunken."""
    low, high = points.min(0), points.max(0)
    pad = 0.08 * np.maximum(high - low, 1e-9)
    return low - pad, high + pad


def _column_title(figure: go.Figure, title: str, column: int, columns: int, unseen: bool, dark: bool) -> None:
    axis = figure.get_subplot(1, column + 1).xaxis
    text = plotly_text(title, ALONG) + ("<br><b>never seen in training</b>" if unseen else "")
    figure.add_annotation(text=text, xref="paper", yref="paper", x=float(np.mean(axis.domain)), xanchor="center",
                          y=1, yanchor="bottom", yshift=4, showarrow=False,
                          font={"size": 12} | ({"color": palette.accent(dark)} if unseen else {}))
