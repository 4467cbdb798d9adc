"""Figures of the Evidence page: precision-recall curves, dots of many tasks, and the paper's Figures 3 and 6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import palette
from dashboard.edges import strongest_edges
from dashboard.evidence import Dot
from dashboard.evidence_images import ErrorCurve
from dashboard.names import BESIDE, plotly_text

_DASHES = ("solid", "dash", "dot")
_REFERENCE_DASHES = ("dot", "dashdot", "dash", "longdash")


@dataclass(frozen=True, eq=False)
class Curve:
    """One method in a precision-recall figure.

    Attributes:
        label: its name.
        recall, precision: (L,) from ``evidence.precision_recall``.
        at: recall and precision at the method's own threshold, or None.
        ours: it is drawn in the accent colour, over the others.
        color: number of a baseline, which keeps its colour from task to task.
        reference: it is no competitor: drawn grey, behind all others.
    """

    label: str
    recall: np.ndarray
    precision: np.ndarray
    at: tuple[float, float] | None = None
    ours: bool = False
    color: int = 0
    reference: bool = False


def precision_recall(curves: Sequence[Curve], paper: Sequence[tuple[str, float, float]] = (),
                     selected: str | None = None, dark: bool = False, height: int = 540) -> go.Figure:
    """How many of the pairs let in are edges, against how many of the edges are in.

    Args:
        curves: one for each method.
        paper: (method, recall, precision) of the paper's numbers, drawn as diamonds.
        selected: the label of the curve that is drawn boldest.
        dark: the page is dark.
        height: in pixels.
    """
    figure = go.Figure()
    ours = 0
    for curve in sorted(curves, key=lambda curve: (curve.ours, not curve.reference)):  # ours last: on top
        color = (palette.accent(dark) if curve.ours else palette.muted(dark) if curve.reference
                 else palette.series_color(curve.color, dark))
        dash = (_DASHES[ours % 3] if curve.ours else _REFERENCE_DASHES[curve.color % 4] if curve.reference
                else _DASHES[curve.color // len(palette.SERIES) % 3])
        ours += curve.ours
        width = (2.6 if curve.ours else 1.3) + (1.4 if curve.label == selected else 0)
        name = plotly_text(curve.label)
        rank = 1 if curve.ours else 3 if curve.reference else 2
        figure.add_trace(go.Scatter(
            x=np.concatenate([[0], curve.recall]), y=np.concatenate([curve.precision[:1], curve.precision]),
            mode="lines", line={"color": color, "width": width, "dash": dash, "shape": "vh"}, name=name,
            legendgroup=name, legendrank=rank, opacity=1.0 if curve.ours or curve.label == selected else 0.85,
            hovertemplate=f"<b>{name}</b><br>recall %{{x:.3f}}, precision %{{y:.3f}}<extra></extra>"))
        if curve.at is not None:
            figure.add_trace(go.Scatter(
                x=[curve.at[0]], y=[curve.at[1]], mode="markers", name=name, legendgroup=name, showlegend=False,
                cliponaxis=False,
                marker={"color": palette.page(dark), "size": 8, "line": {"color": color, "width": 2}},
                hovertemplate=f"<b>{name}</b>, own threshold<br>recall %{{x:.3f}}, precision %{{y:.3f}}"
                              "<extra></extra>"))
    if paper:
        figure.add_trace(go.Scatter(
            x=[recall for _, recall, _ in paper], y=[precision for _, _, precision in paper], mode="markers",
            name="the paper's numbers", legendrank=4, cliponaxis=False,
            customdata=[plotly_text(name) for name, _, _ in paper],
            marker={"symbol": "diamond", "size": 10, "color": palette.ink(dark),
                    "line": {"color": palette.page(dark), "width": 1.2}},
            hovertemplate="<b>the paper: %{customdata}</b><br>recall %{x:.3f}, precision %{y:.3f}<extra></extra>"))
    figure.update_layout(palette.layout_defaults(dark), height=height, hovermode="closest",
                         margin={"l": 56, "r": 8, "t": 8, "b": 0},
                         # A long legend in a narrow window scrolls: it must not squeeze the curves.
                         legend={"orientation": "h", "x": 0, "y": -0.13, "yanchor": "top", "font": {"size": 12},
                                 "maxheight": 0.34})
    axis = {"range": [0, 1.02], "tickvals": [0, 0.25, 0.5, 0.75, 1], "zeroline": False, "showgrid": True}
    figure.update_xaxes(axis, title={"text": "recall: share of the true edges found", "standoff": 6}, showgrid=False)
    figure.update_yaxes(axis, title={"text": "precision: share found that is true", "standoff": 6})
    return figure


def dots(points: Sequence[Dot], axis: str, mean: float | None = None, worst: bool = False, dark: bool = False) -> \
        go.Figure:
    """Values of many tasks, a line for each task, a colour for each of its sizes, nought marked.

    Args:
        points: from ``evidence.gains`` or ``evidence.losses``.
        axis: what the values are.
        mean: marked with a line across all tasks.
        worst: the largest value is named.
        dark: the page is dark.
    """
    families = list(dict.fromkeys(point.family for point in points))
    sizes = list(dict.fromkeys(point.size for point in points))
    step = 0.62 / max(len(sizes), 1)
    figure = go.Figure()
    for index, size in enumerate(sizes):
        own = [point for point in points if point.size == size]
        color = palette.accent(dark) if len(sizes) == 1 else palette.series_color(index, dark)
        offset = (index - (len(sizes) - 1) / 2) * step
        name = plotly_text(size or "all")
        hover = [f"<b>{plotly_text(', '.join(filter(None, (point.family, point.size))))}</b><br>"
                 f"{point.value:+.3f}" + (f" ± {point.sd:.3f}" if point.sd is not None else "")
                 + "".join(f"<br>{plotly_text(words)}" for words in point.words) for point in own]
        figure.add_trace(go.Scatter(
            x=[point.value for point in own], y=[families.index(point.family) + offset for point in own],
            mode="markers", name=name, showlegend=len(sizes) > 1, hovertext=hover, hoverinfo="text",
            marker={"color": color, "size": 8, "symbol": ("circle", "diamond", "square")[index // 3 % 3]},
            error_x={"type": "data", "array": [point.sd or 0 for point in own], "thickness": 1.2, "width": 0,
                     "color": color if len(sizes) == 1 else palette.faint(color)}))
    figure.add_vline(x=0, line={"color": palette.muted(dark), "width": 1})
    if mean is not None:
        figure.add_vline(x=mean, line={"color": palette.accent(dark), "width": 1.4, "dash": "dot"})
        figure.add_annotation(text=f"mean {mean:.3f}", x=mean, xanchor="left", xshift=4, yref="paper", y=1,
                              yanchor="bottom", showarrow=False, font={"color": palette.accent(dark), "size": 12})
    if worst and points:
        last = max(points, key=lambda point: point.value)
        place = families.index(last.family) + (sizes.index(last.size) - (len(sizes) - 1) / 2) * step
        figure.add_annotation(text=f"worst {last.value:.3f}", x=last.value, y=place, xanchor="left", xshift=8,
                              showarrow=False, bgcolor=palette.page(dark),
                              font={"size": 12, "color": palette.ink(dark)})
    row = max(26, 9 * len(sizes))
    figure.update_layout(palette.layout_defaults(dark), height=90 + row * len(families), hovermode="closest",
                         margin={"l": 0, "r": 64 if worst else 12, "t": 24, "b": 0},
                         legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False,
                                 "itemdoubleclick": False})
    if mean is not None:  # its words stand over the plot too
        figure.update_layout(legend={"y": -60 / (row * max(len(families), 1)), "yanchor": "top"},
                             height=130 + row * len(families))
    figure.update_xaxes(title={"text": axis, "standoff": 12}, showgrid=True, zeroline=False, nticks=7)
    figure.update_yaxes(tickvals=list(range(len(families))), ticktext=[plotly_text(name) for name in families],
                        range=[len(families) - 0.5, -0.5], ticklabelstandoff=10, showgrid=False, zeroline=False)
    return figure


def figure_three(samples: Sequence[tuple[str, np.ndarray, np.ndarray]], groups: Sequence[int] | None = None,
                 dark: bool = False) -> go.Figure:
    """The paper's Figure 3: positions drawn from models, with the links each has learned.

    Args:
        samples: for each model its name, (S, N, 2) positions and (N, N) edge probabilities; S the same for all.
        groups: N group numbers for the colours.
        dark: the page is dark.
    """
    columns = len(samples[0][1])
    figure = make_subplots(len(samples), columns, horizontal_spacing=0.015, vertical_spacing=0.03)
    for row, (name, places, probabilities) in enumerate(samples):
        links = strongest_edges(probabilities, 0.5)
        for column in range(columns):
            points = np.full((len(links), 3, 2), np.nan)  # a row of NaN lifts the pen
            points[:, :2] = places[column][links]
            where = {"row": row + 1, "col": column + 1}
            figure.add_trace(go.Scatter(x=points[..., 0].ravel(), y=points[..., 1].ravel(), mode="lines",
                                        opacity=0.55, line={"color": palette.muted(dark), "width": 0.8},
                                        hoverinfo="skip", showlegend=False), **where)
            colors = palette.accent(dark) if groups is None else [palette.group_color(int(group)) for group in groups]
            figure.add_trace(go.Scatter(
                x=places[column, :, 0], y=places[column, :, 1], mode="markers", showlegend=False,
                customdata=np.arange(places.shape[1]), hovertemplate="node %{customdata}<extra></extra>",
                marker={"size": 7, "color": colors, "line": {"color": palette.page(dark), "width": 0.8}}), **where)
        axis = figure.get_subplot(row + 1, 1).yaxis
        figure.add_annotation(text=plotly_text(name, BESIDE), xref="paper", yref="paper", x=0, xanchor="right",
                              xshift=-10, y=float(np.mean(axis.domain)), yanchor="middle", showarrow=False,
                              align="right", font={"size": 12})
    box = {"showline": True, "mirror": True, "linecolor": palette.hairline(dark), "linewidth": 1, "ticks": "",
           "showticklabels": False, "showgrid": False, "zeroline": False}
    figure.update_xaxes(box)
    figure.update_yaxes(box)
    figure.update_layout(palette.layout_defaults(dark), height=200 * len(samples),
                         margin={"l": 104, "r": 4, "t": 8, "b": 8}, hovermode="closest")
    return figure


def figure_six(curves: Sequence[ErrorCurve], dark: bool = False, height: int = 400) -> go.Figure:
    """The paper's Figure 6: what a model gives for noisy pictures, against the clean and the noisy ones, in training.

    Args:
        curves: errors of ours and of whom it is compared with; a band is one standard deviation over the runs.
        dark: the page is dark.
        height: in pixels.
    """
    figure = go.Figure()
    methods = list(dict.fromkeys(curve.method for curve in curves))
    for curve in curves:
        ours = curve.method.startswith("SAG-VAE")
        color = palette.accent(dark) if ours else palette.series_color(methods.index(curve.method), dark)
        name = f"{plotly_text(curve.method)}, to the {'clean' if curve.to_clean else 'noisy'} pictures"
        if curve.sd.any():
            figure.add_trace(go.Scatter(
                x=np.concatenate([curve.seen, curve.seen[::-1]]), fill="toself", mode="lines", line={"width": 0},
                y=np.concatenate([curve.mean + curve.sd, (curve.mean - curve.sd)[::-1]]), hoverinfo="skip",
                fillcolor=palette.faint(color, 0.16), legendgroup=name, showlegend=False))
        figure.add_trace(go.Scatter(
            x=curve.seen, y=curve.mean, mode="lines+markers", name=name, legendgroup=name,
            marker={"size": 5, "color": color},
            line={"color": color, "width": 2.6 if ours else 1.8, "dash": "solid" if curve.to_clean else "dot"},
            hovertemplate=f"<b>{name}</b><br>%{{x:,}} pictures seen<br>MSE %{{y:.4f}}<extra></extra>"))
    figure.update_layout(palette.layout_defaults(dark), height=height, hovermode="closest",
                         margin={"l": 64, "r": 12, "t": 8, "b": 0},
                         legend={"orientation": "h", "x": 0, "y": -0.18, "yanchor": "top"})
    figure.update_xaxes(title={"text": "pictures seen in training", "standoff": 6}, type="log", showgrid=False,
                        zeroline=False)
    figure.update_yaxes(title={"text": "MSE of held-out pictures", "standoff": 6}, rangemode="tozero", showgrid=True,
                        zeroline=False)
    return figure
