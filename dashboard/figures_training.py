"""Curves of a training, and of several in one picture. Pure: numbers in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import palette
from dashboard.curves import TERMS, WORDS
from dashboard.names import ALONG, plotly_text

_HEIGHT = 300


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
        keys = [key for key in TERMS if any(key in record for record in records)] or ["elbo"]
    columns = columns or min(len(keys), 4)
    rows = -(-len(keys) // columns)
    words = WORDS | (labels or {})
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
        figure.update_yaxes(tickformat=_tick_format(records, key), **where)
        for step in _stage_starts(records, x):
            figure.add_vline(x=step, line={"color": palette.hairline(dark), "width": 1}, **where)
    figure.update_layout(
        palette.layout_defaults(dark), height=height or 40 + 210 * rows, margin={"l": 0, "r": 8, "t": 32, "b": 0},
        hovermode="closest",
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": -0.22 / rows, "yanchor": "top"})
    figure.update_xaxes(nticks=5, tickformat="d", showgrid=False)
    figure.update_yaxes(nticks=5, showgrid=True, zeroline=False)
    for column in range(1, columns + 1):
        figure.update_xaxes(title={"text": x, "standoff": 6}, row=rows, col=column)
    return figure


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
        epochs = [_finite(record.get("epoch")) for record in records]
        for words, prefix, dash in (("training", "", "solid"), ("held out", held_out_prefix, "dash")):
            values = np.array([_finite(record.get(prefix + key)) for record in records], dtype=float)
            if np.isnan(values).all():
                continue
            figure.add_trace(go.Scatter(
                x=epochs, y=values, name=shown, legendgroup=str(index), showlegend=not prefix, connectgaps=True,
                mode="lines" if len(records) > 1 else "markers", line={"color": color, "width": 1.8, "dash": dash},
                hovertemplate=f"{shown}, {words}, epoch %{{x}}: <b>%{{y:.4~g}}</b><extra></extra>"))
    figure.update_layout(palette.layout_defaults(dark), height=_HEIGHT, margin={"l": 0, "r": 8, "t": 8, "b": 0},
                         hovermode="closest", legend={"orientation": "h", "x": 0, "y": -0.15, "yanchor": "top"})
    figure.update_xaxes(title="Epoch", tickformat="d", showgrid=False)
    figure.update_yaxes(title=plotly_text(label), zeroline=False)
    return figure


def _stage_starts(records: Sequence[dict[str, Any]], x: str) -> list[float]:
    """Where a new stage of the recipe begins: a jump of the loss there is no accident."""
    return [step + 0.5 for before, after in pairwise(records)
            if before.get("stage", 0) != after.get("stage", 0) and np.isfinite(step := _finite(before.get(x)))]


def _tick_format(records: Sequence[dict[str, Any]], key: str) -> str:
    """Thousands as "k"; but small numbers as they are, for nobody reads "400m" as .4."""
    values = np.abs([_finite(record.get(key)) for record in records])
    return "~s" if values.size and not np.isnan(values).all() and np.nanmax(values) >= 1000 else "~g"


def _finite(value: object) -> float:
    try:
        number = float(value) if isinstance(value, (int, float, np.number)) else np.nan
    except OverflowError:  # a whole number of a thousand digits, which JSON allows
        return np.nan
    return number if np.isfinite(number) else np.nan
