"""Arrays -> Plotly figures. Pure: numpy in, a figure out; node-link figures are in ``figures_graph``.

Shared habits: probabilities are sent as whole per cents in uint8 (a 784 x 784 matrix is 0.8 MB instead of 12), the
page's fonts and grid colours come from Streamlit's chart theme, backgrounds are transparent, and ``dark`` is asked for
only where a colour has to differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import palette
from dashboard.edges import edge_count, square
from dashboard.figures_graph import figure_one, network_figure
from dashboard.figures_pixels import neighbourhood_map, pixel_picker
from dashboard.names import ALONG, NAME, plotly_text

__all__ = ["adjacency_heatmap", "edge_count_curve", "figure_one", "neighbourhood_map", "network_figure",
           "pixel_picker", "training_curves", "truth_heatmap"]

_NAMED = 60  # nodes up to which the names fit beside a heatmap
_GRID = 40  # nodes up to which a gap between the cells helps to follow a row
_KIND_CELLS = 250  # nodes up to which the comparison also carries the per cent for the hover

_TERMS = {
    "elbo": "ELBO", "log_likelihood": "fit to the data, log p(x | z, A)", "kl_z": "latent code, KL(z)",
    "kl_graph": "graph, KL(A)", "learning_rate": "learning rate", "temperature": "edge temperature",
    "density": "edge density",
}


def adjacency_heatmap(probabilities: np.ndarray, order: np.ndarray | None = None, names: Sequence[str] | None = None,
                      dark: bool = False, title: str | None = None, selected: int | None = None,
                      height: int = 520) -> go.Figure:
    """The edge probabilities as a square picture.

    Args:
        probabilities: (N, N) in [0, 1].
        order: (N,) node indices, the order of rows and columns.
        names: N labels; on the axes for N <= 60, in the hover always.
        dark: the page is dark.
        title: above the figure.
        selected: a node whose row and column are framed.
        height: in pixels.
    """
    probabilities = square(probabilities)
    order = np.arange(len(probabilities)) if order is None else np.asarray(order, dtype=int)
    percent = np.round(100 * np.clip(probabilities, 0, 1)).astype(np.uint8)[np.ix_(order, order)]
    figure = go.Figure(go.Heatmap(
        z=percent, zmin=0, zmax=100, colorscale=palette.scale(palette.CIVIDIS), **_gaps(len(order)),
        colorbar=palette.colorbar(ticksuffix=" %", tick0=0, dtick=25),
        hovertemplate="%{y} – %{x}<br><b>%{z} %</b> sure<extra></extra>",
    ))
    _square_axes(figure, order, names, dark, title, selected, height)
    figure.add_annotation(palette.colorbar_title("how sure"))
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


def training_curves(records: Sequence[dict[str, Any]], keys: Sequence[str] | None = None,
                    labels: dict[str, str] | None = None, held_out_prefix: str = "validation_", x: str = "epoch",
                    columns: int | None = None, dark: bool = False, height: int | None = None) -> go.Figure:
    """One small panel for every term, each with its own unit; training solid, held-out rows dashed.

    Args:
        records: one dictionary per epoch, as the trainer yields them; a missing or non-finite value leaves a gap.
        keys: the terms to draw; without it the ELBO and its parts as far as they occur.
        labels: key -> a person's words, over the built-in ones.
        held_out_prefix: a record's ``held_out_prefix + key`` is the same term on held-out rows.
        x: the key of the horizontal axis.
        columns: panels in a row, by default up to four.
        dark: the page is dark.
        height: in pixels, by default by the number of rows.
    """
    if keys is None:
        known = ("elbo", "log_likelihood", "kl_z", "kl_graph")
        keys = [key for key in known if any(key in record for record in records)] or ["elbo"]
    columns = columns or min(len(keys), 4)
    rows = -(-len(keys) // columns)
    words = _TERMS | (labels or {})
    figure = make_subplots(rows, columns, horizontal_spacing=0.22 / columns, vertical_spacing=0.3 / rows,
                           subplot_titles=[plotly_text(words.get(key, key)) for key in keys])
    figure.update_annotations(font={"size": 13}, yshift=4)
    steps = [_finite(record.get(x)) for record in records]
    lines = (("training", "", palette.accent(dark), "solid"), ("held out", held_out_prefix, palette.ink(dark), "dash"))
    legend_done: set[str] = set()
    for index, key in enumerate(keys):
        where = {"row": index // columns + 1, "col": index % columns + 1}
        for name, prefix, color, dash in lines:
            values = np.array([_finite(record.get(prefix + key)) for record in records], dtype=float)
            if np.isnan(values).all() and prefix:
                continue
            figure.add_trace(go.Scatter(
                x=steps, y=values, name=name, legendgroup=name, showlegend=name not in legend_done,
                mode="lines" if len(records) > 1 else "markers", line={"color": color, "width": 1.8, "dash": dash},
                connectgaps=True, hovertemplate=f"{name}, {x} %{{x}}: <b>%{{y:.4~g}}</b><extra></extra>"), **where)
            legend_done.add(name)
        for step in _stage_starts(records, x):
            figure.add_vline(x=step, line={"color": palette.hairline(dark), "width": 1}, **where)
    figure.update_layout(
        palette.layout_defaults(dark), height=height or 40 + 210 * rows, margin={"l": 0, "r": 8, "t": 32, "b": 0},
        hovermode="closest",
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": -0.22 / rows, "yanchor": "top"})
    figure.update_xaxes(nticks=5, tickformat="d", showgrid=False)
    figure.update_yaxes(nticks=5, showgrid=True, zeroline=False, tickformat="~s")
    for column in range(1, columns + 1):
        figure.update_xaxes(title={"text": x, "standoff": 6}, row=rows, col=column)
    return figure


def _stage_starts(records: Sequence[dict[str, Any]], x: str) -> list[float]:
    """Where a new stage of the recipe begins: a jump of the loss there is no accident."""
    return [step + 0.5 for before, after in pairwise(records)
            if before.get("stage", 0) != after.get("stage", 0) and np.isfinite(step := _finite(before.get(x)))]


def _finite(value: object) -> float:
    try:
        number = float(value) if isinstance(value, (int, float, np.number)) else np.nan
    except OverflowError:  # a whole number of a thousand digits, which JSON allows
        return np.nan
    return number if np.isfinite(number) else np.nan


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
