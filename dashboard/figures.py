"""Arrays -> Plotly figures. Pure: numpy in, a figure out; node-link figures are in ``figures_graph``.

Shared habits: probabilities are sent as whole per cents in uint8 (a 784 x 784 matrix is 0.8 MB instead of 12), the
page's fonts and grid colours come from Streamlit's chart theme, backgrounds are transparent, and ``dark`` is asked for
only where a colour has to differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard import palette
from dashboard.edges import edge_count, square
from dashboard.figures_graph import figure_one, network_figure
from dashboard.figures_pixels import neighbourhood_map, pixel_picker
from dashboard.figures_training import compare_curves, training_curves
from dashboard.names import ALONG, NAME, plotly_text

__all__ = ["adjacency_heatmap", "compare_curves", "edge_count_curve", "figure_one", "neighbourhood_map",
           "network_figure", "pixel_picker", "score_heatmap", "training_curves", "truth_heatmap"]

_NAMED = 60  # nodes up to which the names fit beside a heatmap
_GRID = 40  # nodes up to which a gap between the cells helps to follow a row
_KIND_CELLS = 250  # nodes up to which the comparison also carries the per cent for the hover


def adjacency_heatmap(probabilities: np.ndarray, order: np.ndarray | None = None, names: Sequence[str] | None = None,
                      dark: bool = False, title: str | None = None, selected: int | None = None,
                      height: int = 520, bar: str = "how sure", unit: str = "sure") -> go.Figure:
    """The edge probabilities as a square picture.

    Args:
        probabilities: (N, N) in [0, 1].
        order: (N,) node indices, the order of rows and columns.
        names: N labels; on the axes for N <= 60, in the hover always.
        dark: the page is dark.
        title: above the figure.
        selected: a node whose row and column are framed.
        height: in pixels.
        bar, unit: what the per cents are: beside their colours, and after each in the hover.
    """
    probabilities = square(probabilities)
    order = np.arange(len(probabilities)) if order is None else np.asarray(order, dtype=int)
    percent = np.round(100 * np.clip(probabilities, 0, 1)).astype(np.uint8)[np.ix_(order, order)]
    figure = go.Figure(go.Heatmap(
        z=percent, zmin=0, zmax=100, colorscale=palette.scale(palette.CIVIDIS), **_gaps(len(order)),
        colorbar=palette.colorbar(ticksuffix=" %", tick0=0, dtick=25),
        hovertemplate=f"%{{y}} – %{{x}}<br><b>%{{z}} %</b> {unit}<extra></extra>",
    ))
    _square_axes(figure, order, names, dark, title, selected, height)
    figure.add_annotation(palette.colorbar_title(bar))
    return figure


def score_heatmap(scores: np.ndarray, order: np.ndarray | None = None, names: Sequence[str] | None = None,
                  dark: bool = False, height: int = 520, signed: bool = False) -> go.Figure:
    """Scores of any scale as a square picture; its colours leave out the hundredth of the pairs at either end.

    Args:
        scores: (N, N); the diagonal stays empty.
        order, names, dark, height: as in ``adjacency_heatmap``.
        signed: they are partial correlations, from -1 to 1, and 0 is the page's own colour.
    """
    scores = square(scores).astype(np.float32)
    order = np.arange(len(scores)) if order is None else np.asarray(order, dtype=int)
    scores = np.where(np.eye(len(scores), dtype=bool) | ~np.isfinite(scores), np.nan, scores)[np.ix_(order, order)]
    known = scores[np.isfinite(scores)]
    low, high = (-1.0, 1.0) if signed else np.quantile(known, [0.01, 0.99]).tolist() if len(known) else (0.0, 1.0)
    words, form = ("partial correlation", "%{z:+.2f}") if signed else ("score", "%{z:.4g}")
    figure = go.Figure(go.Heatmap(
        z=scores, zmin=low, zmax=high if high > low else low + 1,
        colorscale=palette.scale(palette.diverging(dark) if signed else palette.CIVIDIS),
        **_gaps(len(order)), colorbar=palette.colorbar(nticks=4), hoverongaps=False,
        hovertemplate=f"%{{y}} – %{{x}}<br>{words} <b>{form}</b><extra></extra>",
    ))
    _square_axes(figure, order, names, dark, None, None, height)
    figure.add_annotation(palette.colorbar_title("partial" if signed else "score"))
    return figure


def truth_heatmap(probabilities: np.ndarray, truth: np.ndarray, threshold: float, order: np.ndarray | None = None,
                  names: Sequence[str] | None = None, dark: bool = False, title: str | None = None,
                  selected: int | None = None, height: int = 520) -> go.Figure:
    """The edges with p > threshold against the true ones: hits, misses and false edges in their three colours.

    Args:
        probabilities: (N, N) in [0, 1].
        truth: (N, N), nonzero where there is an edge.
        threshold: in [0, 1].
        order, names, dark, title, selected, height: as in ``adjacency_heatmap``.
    """
    probabilities = square(probabilities)
    found, actual = probabilities > threshold, np.asarray(truth) != 0
    order = np.arange(len(probabilities)) if order is None else np.asarray(order, dtype=int)
    codes = np.zeros(probabilities.shape, dtype=np.uint8)  # 0 no edge, then 1 + the place in EDGE_KINDS
    codes[found & actual], codes[~found & actual], codes[found & ~actual] = 1, 2, 3
    np.fill_diagonal(codes, 0)
    styles = palette.edge_styles(dark)
    colors = [palette.empty_cell(dark), *(styles[kind].color for kind in palette.EDGE_KINDS)]
    steps = [(place / 4, color) for index, color in enumerate(colors) for place in (index, index + 1)]
    hover: dict[str, Any] = {"hovertemplate": "%{y} – %{x}<extra></extra>"}
    if len(order) <= _KIND_CELLS:
        percent = np.round(100 * np.clip(probabilities, 0, 1)).astype(np.uint8)[np.ix_(order, order)]
        hover = {"customdata": percent, "hovertemplate": "%{y} – %{x}<br><b>%{customdata} %</b> sure<extra></extra>"}
    figure = go.Figure(go.Heatmap(z=codes[np.ix_(order, order)], zmin=-0.5, zmax=3.5, colorscale=steps, showscale=False,
                                  **_gaps(len(order)), **hover))
    for kind in palette.EDGE_KINDS:
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=styles[kind].label, hoverinfo="skip",
                                    marker={"symbol": "square", "size": 10, "color": styles[kind].color}))
    _square_axes(figure, order, names, dark, title, selected, height)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False,
                                 "itemdoubleclick": False})
    return figure


def edge_count_curve(probabilities: np.ndarray, threshold: float, dark: bool = False, height: int = 220) -> go.Figure:
    """How many edges are left at every threshold, with the current one marked; a long slope means a fuzzy graph.

    Args:
        probabilities: (N, N) in [0, 1].
        threshold: the current one.
        dark: the page is dark.
        height: in pixels.
    """
    probabilities = square(probabilities)
    upper = np.sort(probabilities[np.triu_indices(len(probabilities), 1)])
    percents = np.linspace(0, 100, 201)
    counts = len(upper) - np.searchsorted(upper, percents / 100, side="right")
    logarithmic = bool(counts.max(initial=0) > 2000)
    now = edge_count(probabilities, threshold)
    figure = go.Figure()
    figure.add_trace(go.Scatter(x=percents, y=np.where(counts > 0, counts, np.nan) if logarithmic else counts,
                                mode="lines", line={"color": palette.muted(dark), "width": 2, "shape": "hv"},
                                hovertemplate="surer than %{x} %: <b>%{y}</b> edges<extra></extra>", showlegend=False))
    figure.add_vline(x=100 * threshold, line={"color": palette.accent(dark), "width": 1.2, "dash": "dot"})
    figure.add_trace(go.Scatter(x=[100 * threshold], y=[now if now or not logarithmic else None], mode="markers",
                                marker={"color": palette.accent(dark), "size": 9}, hoverinfo="skip", showlegend=False,
                                cliponaxis=False))
    # Over the plot, where no part of the curve can run through the words.
    side = "left" if threshold < 0.1 else "right" if threshold > 0.9 else "center"
    figure.add_annotation(text=f"<b>{now:,} {'edge' if now == 1 else 'edges'}</b>", x=100 * threshold, xanchor=side,
                          yref="paper", y=1, yanchor="bottom", showarrow=False, font={"color": palette.accent(dark)})
    figure.update_layout(palette.layout_defaults(dark), height=height, margin={"l": 0, "r": 12, "t": 24, "b": 0},
                         hovermode="closest")
    figure.update_xaxes(title={"text": "edges surer than", "standoff": 8}, ticksuffix=" %", range=[0, 100.5])
    figure.update_yaxes(rangemode="tozero", nticks=5, tickformat="~s")
    if logarithmic:
        figure.update_yaxes(type="log", dtick=1, rangemode="normal")
    return figure


def _gaps(count: int) -> dict[str, int]:
    return {"xgap": 1, "ygap": 1} if count <= _GRID else {"xgap": 0, "ygap": 0}


def _square_axes(figure: go.Figure, order: np.ndarray, names: Sequence[str] | None, dark: bool, title: str | None,
                 selected: int | None, height: int) -> None:
    """Square cells, row 0 on top, names beside few nodes and in the hover of all."""
    count = len(order)
    limit = ALONG if count <= _NAMED else NAME  # where they are not written they are in the hover alone
    labels = [plotly_text(order[place] if names is None else names[order[place]], limit) for place in range(count)]
    axis = {"tickmode": "array", "tickvals": np.arange(count), "ticktext": labels, "showticklabels": count <= _NAMED,
            "showgrid": False, "zeroline": False, "ticks": "", "constrain": "domain",
            "tickfont": {"size": 11 if count <= 30 else 9}, "ticklabelstandoff": 3}
    figure.update_xaxes(axis | {"range": [-0.5, count - 0.5], "tickangle": 0 if max(map(len, labels), default=0) <= 2
                                else -90, "constraintoward": "left"})
    figure.update_yaxes(axis | {"range": [count - 0.5, -0.5], "scaleanchor": "x", "constraintoward": "top"})
    figure.update_layout(palette.layout_defaults(dark), height=height, hovermode="closest")
    if title:
        figure.update_layout(title={"text": plotly_text(title)}, margin={"t": 76})
    if selected is not None:
        place = int(np.flatnonzero(order == selected)[0])
        line = {"color": palette.MARK, "width": 1.8}
        figure.add_shape(type="rect", x0=-0.5, x1=count - 0.5, y0=place - 0.5, y1=place + 0.5, line=line)
        figure.add_shape(type="rect", y0=-0.5, y1=count - 0.5, x0=place - 0.5, x1=place + 0.5, line=line)
