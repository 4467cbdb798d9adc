"""Figures of the Robustness page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dashboard import palette
from dashboard.names import plotly_text


@dataclass(frozen=True, eq=False)
class Line:
    """One model in a sweep: ``values`` (S, R) of a metric at S strengths and R draws of the damage."""

    label: str
    values: np.ndarray
    ours: bool = False
    reference: bool = False  # the damaged input itself: grey


def sweep(strengths: Sequence[float], lines: Sequence[Line], strength_words: str, metric_words: str,
          current: float | None = None, dark: bool = False, height: int = 420) -> go.Figure:
    """A metric against the strength of the damage: mean over the draws, and a band from the lowest to the highest.

    Args:
        strengths: S, in the unit of ``strength_words``.
        lines: one a model.
        current: the strength the page shows, drawn as a vertical line.
        dark: the page is dark.
        height: in pixels.
    """
    figure = go.Figure()
    x = np.asarray(strengths, dtype=float)
    # Nothing is as good as a picture that is not damaged: its 100 dB would press all the rest into a line.
    seen = np.concatenate([np.asarray(line.values)[line.reference:].ravel() for line in lines])
    margin = 0.06 * max(float(np.ptp(seen)), 1e-6)
    colored = 0
    for line in sorted(lines, key=lambda line: (line.ours, not line.reference)):  # ours last: on top
        if line.ours:
            color = palette.accent(dark)
        elif line.reference:
            color = palette.muted(dark)
        else:
            color, colored = palette.series_color(colored, dark), colored + 1
        name = plotly_text(line.label)
        values = np.asarray(line.values)
        low, high, mean = values.min(1), values.max(1), values.mean(1)
        figure.add_trace(go.Scatter(x=np.concatenate([x, x[::-1]]), y=np.concatenate([high, low[::-1]]), fill="toself",
                                    mode="lines", fillcolor=palette.faint(color, 0.16), line={"width": 0},
                                    hoverinfo="skip", legendgroup=name, showlegend=False))
        figure.add_trace(go.Scatter(
            x=x, y=mean, mode="lines+markers", name=name, legendgroup=name, marker={"size": 5, "color": color},
            line={"color": color, "width": 2.8 if line.ours else 1.8, "dash": "dot" if line.reference else "solid"},
            hovertemplate=f"<b>{name}</b><br>{strength_words} %{{x:g}}<br>{metric_words} %{{y:.4g}}<extra></extra>"))
    if current is not None:
        figure.add_vline(x=current, line={"color": palette.muted(dark), "width": 1, "dash": "dash"})
    figure.update_layout(palette.layout_defaults(dark), height=height, hovermode="closest",
                         margin={"l": 64, "r": 12, "t": 8, "b": 0},
                         legend={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"})
    figure.update_xaxes(title={"text": strength_words, "standoff": 6}, range=[x.min(), x.max()], zeroline=False,
                        showgrid=False)
    figure.update_yaxes(title={"text": metric_words, "standoff": 6}, zeroline=False, showgrid=True,
                        range=[seen.min() - margin, seen.max() + margin])
    return figure
