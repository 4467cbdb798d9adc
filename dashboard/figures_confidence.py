"""The figure of stated confidences against what is true of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard import palette
from dashboard.evidence_confidence import Reliability
from dashboard.names import plotly_text

_SMALLEST, _LARGEST = 6.0, 20.0  # CSS pixels of a mark
_MANY = 10_000  # pairs of the largest mark
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")


def reliability(curves: Sequence[Reliability], dark: bool = False, height: int = 480) -> go.Figure:
    """The share of true edges against the stated confidence, a line for each method; the first stands out.

    Args:
        curves: one for each method.
        dark: the page is dark.
        height: in pixels.
    """
    figure = go.Figure()
    figure.add_trace(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip", showlegend=False,
                                line={"color": palette.muted(dark), "width": 1.2, "dash": "dot"}))
    for number, curve in reversed(list(enumerate(curves))):  # the first on top
        first = number == 0
        color = palette.accent(dark) if first else palette.series_color(number - 1, dark)
        name = plotly_text(curve.method)
        size = np.clip(np.log10(curve.pairs) / np.log10(_MANY), 0, 1) * (_LARGEST - _SMALLEST) + _SMALLEST
        figure.add_trace(go.Scatter(
            x=curve.claimed, y=curve.right, mode="lines+markers", name=name, legendrank=number, cliponaxis=False,
            customdata=np.stack([curve.pairs, curve.low, curve.high], axis=1),
            line={"color": color, "width": 2.6 if first else 1.4, "dash": "solid" if first else "dash"},
            marker={"color": color, "size": size, "symbol": _SYMBOLS[number % len(_SYMBOLS)],
                    "line": {"color": palette.page(dark), "width": 1}},
            error_y={"type": "data", "symmetric": False, "array": curve.high - curve.right,
                     "arrayminus": curve.right - curve.low, "thickness": 1.2, "width": 0,
                     "color": color if first else palette.faint(color)},
            hovertemplate=f"<b>{name}</b><br>stated %{{x:.1%}}, true %{{y:.1%}}<br>%{{customdata[0]:,.0f}} pairs, "
                          "%{customdata[1]:.1%} to %{customdata[2]:.1%}<extra></extra>"))
    axis = {"range": [-0.02, 1.02], "tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%", "zeroline": False}
    figure.update_layout(palette.layout_defaults(dark), height=height, hovermode="closest",
                         margin={"l": 64, "r": 12, "t": 8, "b": 0},
                         legend={"orientation": "h", "x": 0, "y": -0.15, "yanchor": "top", "font": {"size": 12}})
    figure.update_xaxes(axis, title={"text": "stated confidence of a pair", "standoff": 6}, showgrid=False)
    figure.update_yaxes(axis, title={"text": "share of these pairs that are edges", "standoff": 6}, showgrid=True)
    return figure
