"""Curves of several trainings in one picture. Pure: numbers in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard import palette
from dashboard.figures import _finite as finite
from dashboard.names import ALONG, plotly_text

_HEIGHT = 300


def compare_curves(runs: Mapping[str, Sequence[dict[str, Any]]], key: str, label: str, dark: bool = False,
                   held_out_prefix: str = "validation_") -> go.Figure:
    """One term of several trainings by epoch; training solid, held-out rows dashed, a colour for every run.

    Args:
        runs: name -> records; a missing or non-finite value leaves a gap.
        key: the term.
        label: the term in a person's words.
    """
    figure = go.Figure()
    for index, (name, records) in enumerate(runs.items()):
        color, shown = palette.series_color(index, dark), plotly_text(name, ALONG)
        epochs = [finite(record.get("epoch")) for record in records]
        for words, prefix, dash in (("training", "", "solid"), ("held out", held_out_prefix, "dash")):
            values = np.array([finite(record.get(prefix + key)) for record in records], dtype=float)
            if np.isnan(values).all():
                continue
            figure.add_trace(go.Scatter(
                x=epochs, y=values, name=shown, legendgroup=str(index), showlegend=not prefix, connectgaps=True,
                mode="lines" if len(records) > 1 else "markers", line={"color": color, "width": 1.8, "dash": dash},
                hovertemplate=f"{shown}, {words}, epoch %{{x}}: <b>%{{y:.4~g}}</b><extra></extra>"))
    figure.update_layout(palette.layout_defaults(dark), height=_HEIGHT, margin={"l": 0, "r": 8, "t": 8, "b": 0},
                         hovermode="closest", legend={"orientation": "h", "x": 0, "y": -0.15, "yanchor": "top"})
    figure.update_xaxes(title="Epoch", tickformat="d", showgrid=False)
    figure.update_yaxes(title=plotly_text(label), zeroline=False, tickformat="~s")
    return figure
