"""Figures of relations learned from a table: its graph, thresholds, methods side by side, agreement, columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import figures_graph, palette
from dashboard.edges import names_below, strongest_edges
from dashboard.graph_picture import Drawn
from dashboard.names import ALONG, BESIDE, one_line, plotly_text

_HOVERED = 600  # edges whose middles say what they are; of more nobody finds one
_WIDTH = 460  # pixels that a figure beside another has on most screens
_LETTER, _LINE = 6.4, 14.0  # pixels of a name beside a node
_AROUND = [(x, y) for x in (-2, 0, 2) for y in (-2, 0, 2)]  # pixels that a name keeps free of edges
_PANEL = 240  # pixels of one method's graph
_PANELS = 3  # of them in a row
_LARGEST_PANEL = 1500  # edges drawn of one method, the strongest
_ROWS = 40  # columns of the table that the figure of columns has room for


def graph(drawn: Drawn, words: Callable[[int, int], str], dark: bool = False, height: int = 520) -> go.Figure:
    """The node-link figure, with names only where they do not cover each other and with words on the edges.

    Args:
        drawn: what is drawn.
        words: the two ends of an edge -> what its middle says in the hover, as Plotly reads it.
        dark: the page is dark.
        height: in pixels.
    """
    figure = figures_graph.network_figure(**vars(drawn), dark=dark, height=height)
    thin_names(figure, drawn.positions, drawn.names, drawn.probabilities > drawn.threshold, dark)
    shown = strongest_edges(drawn.probabilities, drawn.threshold, _HOVERED + 1)
    if 0 < len(shown) <= _HOVERED:
        middles = np.asarray(drawn.positions)[shown].mean(1)
        figure.add_trace(go.Scatter(
            x=middles[:, 0], y=middles[:, 1], mode="markers", marker={"size": 12, "opacity": 0}, showlegend=False,
            hoverinfo="text", hovertext=[words(first, second) for first, second in shown.tolist()]))
    return figure


def thin_names(figure: go.Figure, positions: np.ndarray, names: Sequence[str], linked: np.ndarray,
               dark: bool = False) -> None:
    """Leave only those names beside the nodes of a node-link figure that do not cover each other in half a page, above
    or below where fewer of the edges (bool (N, N)) leave, and let them stand out from the edges behind them."""
    written, below = readable(positions, names, linked, (_WIDTH, figure.layout.height))
    shadow = ", ".join(f"{x}px {y}px 1px {palette.page(dark)}" for x, y in _AROUND)
    for trace in figure.data:
        if trace.mode == "markers+text" and trace.textposition != "middle center":
            trace.text = [text if written[node] else "" for text, node in zip(trace.text, trace.customdata)]
            trace.textposition = ["bottom center" if below[node] else "top center" for node in trace.customdata]
            trace.textfont.update(shadow=shadow, color=palette.ink(dark))
            figure.update_xaxes(range=_wide_enough(figure.layout.xaxis.range, np.asarray(positions)[written, 0], [
                _LETTER * len(one_line(name, BESIDE)) for name, shown in zip(names, written) if shown]))


def _wide_enough(span: Sequence[float], middles: np.ndarray, widths: Sequence[float]) -> tuple[float, float]:
    """A range of the horizontal axis in which names of these widths, in pixels, are not cut off in half a page."""
    start, end = low, high = [float(place) for place in span]
    half = np.minimum(np.array(widths), _WIDTH / 2) / 2
    for _ in range(4):  # a wider range has wider letters
        unit = (high - low) / _WIDTH
        low = min([start, *(middles - half * unit)])
        high = max([end, *(middles + half * unit)])
    return low, high


def readable(positions: np.ndarray, names: Sequence[str], linked: np.ndarray,
             size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Two bool (N,): whose names can be written beside their nodes in a figure of this (width, height) without
    covering one another, and which of them below. Where two would, the better connected node keeps its name."""
    positions = np.asarray(positions, dtype=float)
    extent = np.maximum(np.ptp(positions, axis=0), 1e-9) if len(positions) else np.ones(2)
    places = positions * float((0.86 * np.array(size) / extent).min())
    widths = np.array([_LETTER * len(one_line(name, BESIDE)) for name in names])
    written, below = np.zeros(len(names), dtype=bool), names_below(positions, linked)
    for node in np.argsort(-linked.sum(1), kind="stable").tolist():
        for side in (below[node], not below[node]):
            apart = np.abs(places[written] - places[node] - (0, -_LINE if side else _LINE))
            covers = (apart[:, 0] < (widths[written] + widths[node]) / 2) & (apart[:, 1] < _LINE)
            if not covers.any():
                written[node], below[node] = True, side
                places[node, 1] += -_LINE if side else _LINE
                break
    return written, below


def edge_curve(levels: np.ndarray, counts: np.ndarray, at: float, now: int, words: str, share: bool,
               dark: bool = False, height: int = 190) -> go.Figure:
    """How many edges are left at every threshold, with the chosen one marked.

    Args:
        levels, counts: (L,) from ``relation_numbers.curve``.
        at: the chosen threshold; beyond the last one it is drawn there.
        now: how many edges there are at it.
        words: what is compared with the threshold.
        share: thresholds are shares, written as per cents.
        dark: the page is dark.
        height: in pixels.
    """
    unit = 100.0 if share else 1.0
    levels = np.asarray(levels, dtype=float) * unit
    x = float(np.clip(at * unit, levels.min(), levels.max())) if len(levels) else 0.0
    low, high = (float(levels.min()), float(levels.max())) if len(levels) else (0.0, 1.0)
    logarithmic = bool(np.max(counts, initial=0) > 2000)
    sign = " %" if share else ""
    figure = go.Figure()
    figure.add_trace(go.Scatter(x=levels, y=np.where(counts > 0, counts, np.nan) if logarithmic else counts,
                                mode="lines", line={"color": palette.muted(dark), "width": 2, "shape": "vh"},
                                hovertemplate=f"at least %{{x:.4g}}{sign}: <b>%{{y}}</b> edges<extra></extra>",
                                showlegend=False))
    figure.add_vline(x=x, line={"color": palette.accent(dark), "width": 1.2, "dash": "dot"})
    figure.add_trace(go.Scatter(x=[x], y=[now if now or not logarithmic else None], mode="markers", hoverinfo="skip",
                                marker={"color": palette.accent(dark), "size": 9}, showlegend=False, cliponaxis=False))
    along = (x - low) / max(high - low, 1e-9)
    side = "left" if along < 0.1 else "right" if along > 0.9 else "center"
    figure.add_annotation(text=f"<b>{now:,} {'edge' if now == 1 else 'edges'}</b>", x=x, xanchor=side, yref="paper",
                          y=1, yanchor="bottom", showarrow=False, font={"color": palette.accent(dark)})
    figure.update_layout(palette.layout_defaults(dark), height=height, margin={"l": 0, "r": 12, "t": 24, "b": 0},
                         hovermode="closest")
    figure.update_xaxes(title={"text": words, "standoff": 8}, ticksuffix=sign, zeroline=False,
                        range=[0, 101] if share else None)
    figure.update_yaxes(rangemode="tozero", nticks=5, tickformat="~s")
    if logarithmic:
        figure.update_yaxes(type="log", dtick=1, rangemode="normal")
    return figure


def side_by_side(edges: Mapping[str, np.ndarray], positions: np.ndarray, names: Sequence[str],
                 dark: bool = False) -> go.Figure:
    """A small graph for each method with every column at the same place; what all of them chose is in the accent.

    Args:
        edges: title -> bool (N, N).
        positions: (N, 2).
        names: N labels, in the hover.
        dark: the page is dark.
    """
    positions = np.asarray(positions, dtype=float)
    titles = list(edges)
    columns = 2 if len(titles) == 4 else min(_PANELS, len(titles))
    rows = -(-len(titles) // columns)
    common = np.logical_and.reduce(list(edges.values())) if len(titles) > 1 else np.zeros_like(edges[titles[0]])
    figure = make_subplots(rows, columns, horizontal_spacing=0.02, vertical_spacing=0.28 / max(rows, 2),
                           subplot_titles=[f"{plotly_text(title, ALONG)}, {np.triu(chosen, 1).sum():,}"
                                           for title, chosen in edges.items()])
    figure.update_annotations(font={"size": 12}, yshift=2)
    labels = [plotly_text(name) for name in names]
    for number, chosen in enumerate(edges.values()):
        where = {"row": number // columns + 1, "col": number % columns + 1}
        for alike, color, width in ((False, palette.muted(dark), 0.9), (True, palette.accent(dark), 2.0)):
            drawn = strongest_edges(np.triu(chosen & (common == alike), 1).astype(float), 0.5, _LARGEST_PANEL)
            figure.add_trace(figures_graph.lines(positions, drawn, {"color": color, "width": width},
                                                 0.9 if alike else 0.55), **where)
        figure.add_trace(go.Scatter(
            x=positions[:, 0], y=positions[:, 1], mode="markers", showlegend=False, hoverinfo="text",
            hovertext=[f"<b>{label}</b><br>{degree} {'edge' if degree == 1 else 'edges'}"
                       for label, degree in zip(labels, chosen.sum(1).tolist())],
            marker={"size": float(np.clip(44 / np.sqrt(max(len(names), 1)), 3, 9)), "color": palette.ink(dark),
                    "line": {"color": palette.page(dark), "width": 0.8}}), **where)
        axis = figure.get_subplot(number // columns + 1, number % columns + 1).xaxis
        figure.update_yaxes(scaleanchor=axis.plotly_name.replace("axis", ""), **where)
    box = {"showline": True, "mirror": True, "linecolor": palette.hairline(dark), "linewidth": 1, "ticks": "",
           "showticklabels": False, "showgrid": False, "zeroline": False}
    low, high = (positions.min(0), positions.max(0)) if len(positions) else (np.zeros(2), np.ones(2))
    pad = 0.1 * max(float((high - low).max()), 1e-6)
    figure.update_xaxes(box | {"range": [low[0] - pad, high[0] + pad]})
    figure.update_yaxes(box | {"range": [low[1] - pad, high[1] + pad]})
    figure.update_layout(palette.layout_defaults(dark), height=_PANEL * rows + 24, hovermode="closest",
                         margin={"l": 2, "r": 2, "t": 26, "b": 2})
    return figure


def agreement(overlap: np.ndarray, correlation: np.ndarray, titles: Sequence[str], dark: bool = False) -> go.Figure:
    """Two squares of numbers: the overlap of the methods' edges and the correlation of their rankings.

    Args:
        overlap, correlation: (K, K) in [-1, 1], NaN where there is none.
        titles: K names.
        dark: the page is dark.
    """
    labels = [plotly_text(title, BESIDE) for title in titles]
    count = len(labels)
    figure = make_subplots(1, 2, horizontal_spacing=0.04, shared_yaxes=True,
                           subplot_titles=["overlap of edges", "correlation of ranks"])
    figure.update_annotations(font={"size": 12}, yshift=2)
    scale = [(0.0, palette.page(dark)), (1.0, palette.accent(dark))]
    for column, (values, what) in enumerate(((overlap, "overlap"), (correlation, "correlation")), 1):
        shown = np.where(np.eye(count, dtype=bool), np.nan, np.asarray(values, dtype=float))
        figure.add_trace(go.Heatmap(
            z=np.abs(shown), zmin=0, zmax=1.6, colorscale=scale, showscale=False, xgap=2, ygap=2, hoverongaps=False,
            customdata=shown, hovertemplate=f"%{{y}} – %{{x}}<br>{what} <b>%{{customdata:.3f}}</b><extra></extra>",
        ), row=1, col=column)
        for first, second in np.argwhere(np.isfinite(shown)).tolist():
            figure.add_annotation(x=second, y=first, text=f"{shown[first, second]:.2f}", showarrow=False,
                                  font={"size": 12, "color": palette.ink(dark)}, row=1, col=column)
    axis = {"tickmode": "array", "tickvals": list(range(count)), "ticktext": labels, "showgrid": False,
            "zeroline": False, "ticks": "", "tickfont": {"size": 12}}
    figure.update_xaxes(axis | {"range": [-0.5, count - 0.5], "tickangle": -40})
    figure.update_yaxes(axis | {"range": [count - 0.5, -0.5]})
    figure.update_layout(palette.layout_defaults(dark), height=120 + 40 * count, margin={"t": 26})
    return figure


def columns(names: Sequence[str], explained: np.ndarray | None, ranges: Mapping[str, np.ndarray],
            dark: bool = False) -> go.Figure:
    """A line for each column: a bar of how predictable it is, and each centrality as a dot in its range.

    Args:
        names: N labels.
        explained: (N,) in [0, 1], NaN where unknown; None leaves the bars out.
        ranges: centrality -> (3, N), now, lowest and highest.
        dark: the page is dark.

    Returns:
        At most 40 columns, the most predictable or else the best connected on top; ``figure.layout.meta`` says
        ``{"shown", "total"}``.
    """
    total = len(names)
    best = -np.nan_to_num(next(iter(ranges.values()))[0] if explained is None else explained, nan=-1.0)
    order = np.argsort(best, kind="stable")[:_ROWS]
    panels = ([] if explained is None else ["predictability"]) + list(ranges)
    figure = make_subplots(1, len(panels), shared_yaxes=True, horizontal_spacing=0.025, subplot_titles=panels)
    figure.update_annotations(font={"size": 12}, yshift=2)
    labels = [plotly_text(names[node], BESIDE) for node in order]
    whole = [plotly_text(names[node]) for node in order]
    rows = np.arange(len(order))
    if explained is not None:
        figure.add_trace(go.Bar(
            x=100 * explained[order], y=rows, orientation="h", marker={"color": palette.accent(dark)}, opacity=0.85,
            customdata=whole, showlegend=False,
            hovertemplate="<b>%{customdata}</b><br>%{x:.0f} % explained<extra></extra>"), row=1, col=1)
        figure.update_xaxes(range=[0, 103], ticksuffix=" %", tickvals=[0, 50, 100], row=1, col=1)
    for column, (name, values) in enumerate(ranges.items(), 1 if explained is None else 2):
        now, low, high = values[:, order]
        figure.add_trace(go.Scatter(
            x=now, y=rows, mode="markers", showlegend=False, marker={"color": palette.accent(dark), "size": 8},
            cliponaxis=False, error_x={"type": "data", "array": high - now, "arrayminus": now - low, "thickness": 2,
                                       "width": 0, "color": palette.faint(palette.accent(dark), 0.4)},
            hovertext=[f"<b>{label}</b><br>{name} {one:.3g} ({least:.3g} to {most:.3g})"
                       for label, one, least, most in zip(whole, now, low, high)], hoverinfo="text"), row=1, col=column)
        figure.update_xaxes(rangemode="tozero", nticks=4, row=1, col=column)
    figure.update_xaxes(showgrid=True, zeroline=False, tickfont={"size": 11})
    figure.update_yaxes(tickmode="array", tickvals=rows, ticktext=labels, range=[len(order) - 0.5, -0.5], ticks="",
                        zeroline=False, showgrid=True, tickfont={"size": 11})
    figure.update_layout(palette.layout_defaults(dark), height=64 + 20 * max(len(order), 3), bargap=0.35,
                         margin={"t": 26, "r": 8}, meta={"shown": len(order), "total": total}, hovermode="closest")
    return figure
