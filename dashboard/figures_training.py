"""Curves of a training, and of several in one picture. Pure: numbers in, a figure out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import palette
from dashboard.curves import TERMS, WORDS
from dashboard.names import ALONG, plotly_text

_HEIGHT = 300
_FEW = 5  # epochs that all have their tick


def training_curves(records: Sequence[dict[str, Any]], keys: Sequence[str] | None = None,
                    labels: dict[str, str] | None = None, breaks: Mapping[str, Collection[int]] | None = None,
                    held_out_prefix: str = "validation_", x: str = "epoch", columns: int | None = None,
                    dark: bool = False, height: int | None = None) -> go.Figure:
    """One small panel for every term, each with its own unit; training solid, held-out rows dashed.

    Args:
        records: one dictionary per epoch, as the trainer yields them; a missing or non-finite value is left out.
        keys: the terms to draw; without it the ELBO and its parts as far as they occur.
        labels: key -> a person's words, over the built-in ones.
        breaks: key -> stages with which it becomes another quantity: its line ends before them and begins anew.
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
    lines = (("training", "", palette.accent(dark), "solid"), ("held out", held_out_prefix, palette.ink(dark), "dash"))
    legend_done: set[str] = set()
    for index, key in enumerate(keys):
        where = {"row": index // columns + 1, "col": index % columns + 1}
        for name, prefix, color, dash in lines:
            for piece in _pieces(records, x, prefix + key, (breaks or {}).get(key, ())):
                figure.add_trace(go.Scatter(
                    **piece, name=name, legendgroup=name, showlegend=name not in legend_done, connectgaps=True,
                    line={"color": color, "width": 1.8, "dash": dash}, marker={"color": color},
                    hovertemplate=f"{name}, {x} %{{x}}: <b>%{{y:.4~g}}</b><extra></extra>"), **where)
                legend_done.add(name)
        figure.update_yaxes(tickformat=_tick_format(records, key), **where)
        for step in _stage_starts(records, x):
            figure.add_vline(x=step - 0.5, line={"color": palette.faint(palette.muted(dark), 0.6), "width": 1}, **where)
    figure.update_layout(
        palette.layout_defaults(dark), height=height or 40 + 210 * rows, margin={"l": 0, "r": 8, "t": 32, "b": 0},
        hovermode="closest",
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": -0.22 / rows, "yanchor": "top"})
    figure.update_xaxes(**_whole_ticks(len(records)), showgrid=False)
    figure.update_yaxes(nticks=5, showgrid=True, zeroline=False)
    for column in range(1, columns + 1):
        figure.update_xaxes(title={"text": x, "standoff": 6}, row=rows, col=column)
    return figure


def compare_curves(runs: Mapping[str, Sequence[dict[str, Any]]], key: str, label: str, dark: bool = False,
                   breaks: Mapping[str, Collection[int]] | None = None,
                   held_out_prefix: str = "validation_") -> go.Figure:
    """One term of several trainings by epoch, a colour for every run; a second legend says what the line styles mean.

    Training is solid, held-out rows are dashed, a diamond stands where a stage of the run's recipe begins: recipes
    differ, so that lines across all runs would say whose they are no more.

    Args:
        runs: name -> records; a missing or non-finite value is left out.
        key: the term.
        label: the term in a person's words.
        breaks: name -> stages with which the term becomes another quantity: the run's line ends and begins anew.
    """
    figure, ink = go.Figure(), palette.ink(dark)
    meanings: dict[str, dict[str, Any]] = {}
    for index, (name, records) in enumerate(runs.items()):
        color, shown = palette.series_color(index, dark), plotly_text(name, ALONG)
        run = {"name": shown, "legendgroup": str(index)}
        named = False
        for words, prefix, dash in (("training", "", "solid"), ("held out", held_out_prefix, "dash")):
            for piece in _pieces(records, "epoch", prefix + key, (breaks or {}).get(name, ())):
                figure.add_trace(go.Scatter(
                    **piece, **run, showlegend=not named, connectgaps=True,
                    line={"color": color, "width": 1.8, "dash": dash}, marker={"color": color},
                    hovertemplate=f"{shown}, {words}, epoch %{{x}}: <b>%{{y:.4~g}}</b><extra></extra>"))
                meanings[words] = {"mode": "lines", "line": {"color": ink, "width": 1.8, "dash": dash}}
                named = True
        starts = [epoch for epoch in _stage_starts(records, "epoch") if np.isfinite(_value_at(records, epoch, key))]
        if starts:
            figure.add_trace(go.Scatter(
                x=starts, y=[_value_at(records, epoch, key) for epoch in starts], **run, showlegend=False,
                **_diamond(color, dark),
                hovertemplate=f"{shown}, a stage begins with epoch %{{x}}: <b>%{{y:.4~g}}</b><extra></extra>"))
            meanings["a stage begins"] = _diamond(ink, dark)
    for words, style in meanings.items():
        figure.add_trace(go.Scatter(x=[None], y=[None], name=words, legend="legend2", hoverinfo="skip", **style))
    figure.update_layout(
        palette.layout_defaults(dark), height=_HEIGHT, margin={"l": 0, "r": 8, "t": 30, "b": 0}, hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": -0.27, "yanchor": "top"},
        # It explains, and switches nothing on and off. Streamlit's chart theme leaves its letters grey.
        legend2={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom", "font": {"color": ink},
                 "itemclick": False, "itemdoubleclick": False})
    figure.update_xaxes(title={"text": "Epoch", "standoff": 6}, showgrid=False,
                        **_whole_ticks(max(map(len, runs.values()), default=0)))
    figure.update_yaxes(title=plotly_text(label), zeroline=False)
    return figure


def _pieces(records: Sequence[dict[str, Any]], x: str, key: str,
            breaks: Collection[int]) -> Iterator[dict[str, Any]]:
    """Coordinates of each stretch of a curve that is one quantity; a point alone is no line, so it gets a marker."""
    edges = [index for index, (before, after) in enumerate(pairwise(records), 1)
             if any(before.get("stage", 0) < stage <= after.get("stage", 0) for stage in breaks)]
    for start, end in pairwise((0, *edges, len(records))):
        values = [_finite(record.get(key)) for record in records[start:end]]
        there = int(np.isfinite(values).sum())
        if there:
            yield {"x": [_finite(record.get(x)) for record in records[start:end]], "y": values,
                   "mode": "lines" if there > 1 else "markers"}


def _stage_starts(records: Sequence[dict[str, Any]], x: str) -> list[float]:
    """The first step of every stage of the recipe but the first: a jump of the loss there is no accident."""
    return [step for before, after in pairwise(records)
            if before.get("stage", 0) != after.get("stage", 0) and np.isfinite(step := _finite(after.get(x)))]


def _diamond(color: str, dark: bool) -> dict[str, Any]:
    """A mark that is seen on a line of its own colour, on a light page and on a dark one."""
    return {"mode": "markers", "marker": {"symbol": "diamond", "size": 9, "color": palette.page(dark),
                                          "line": {"color": color, "width": 2}}}


def _value_at(records: Sequence[dict[str, Any]], epoch: float, key: str) -> float:
    return next(_finite(record.get(key)) for record in records if record.get("epoch") == epoch)


def _whole_ticks(count: int) -> dict[str, Any]:
    """Ticks at whole epochs only; Plotly's own of three epochs would be 1, 1.5, 2 and so on, rounded to "1 2 2"."""
    return {"tickformat": "d"} | ({"dtick": 1} if count <= _FEW else {"nticks": _FEW + 1})


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
