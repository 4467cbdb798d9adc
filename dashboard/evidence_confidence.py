"""The record of `sagvae study confidence` -> what the Evidence page shows of it. Pure: dictionaries in, tables out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard.evidence import ALL_SIZES, Record, family_and_size, tasks
from dashboard.evidence_tables import METHOD
from sagvae_core.studies.confidence_tables import SURE, counts, mean, methods_of, within

_DRAWS, _BAND = 1000, 0.9  # resamples of the tasks behind a band
_DOUBTFUL = (0.2, 0.8)  # of the levels
_FORMS = {"Sure pairs": "{:,.0f}", "Stated": "{:.1%}", "Right": "{:.1%}", "Brier": "{:.4f}", "Selected": "{:.1f}",
          "False": "{:.2f}", "Bound": "{:.2f}", "Intervals, edges": "{:.0%}", "Intervals, others": "{:.0%}"}


@dataclass(frozen=True, eq=False)
class Reliability:
    """How right one method's confidences are.

    Attributes:
        method: its name.
        claimed, right: (K,), mean confidence and share of true edges of each class that has pairs.
        low, high: (K,), where 90 % of the shares lie if the tasks had been others (drawn with replacement).
        pairs: (K,), how many.
    """

    method: str
    claimed: np.ndarray
    right: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pairs: np.ndarray


def methods(record: Record, among: Collection[str]) -> list[str]:
    """The methods that were measured on some of these tasks, in the record's order."""
    return [method for method in methods_of(record) if counts(record, method, among, "pairs").any()]


def sizes(record: Record) -> list[str]:
    """The numbers of rows that were measured, behind "all sizes" if there are several."""
    found = list(dict.fromkeys(map(_rows, tasks(record))))
    return [ALL_SIZES, *found] if len(found) > 1 else found


def families(record: Record) -> list[str]:
    """The kinds of tasks, whatever their size."""
    return list(dict.fromkeys(family_and_size(task)[0] for task in tasks(record)))


def chosen(record: Record, size: str, kinds: Collection[str] = ()) -> list[str]:
    """The tasks of that size, of some kinds or of all."""
    return [task for task in tasks(record) if size in (ALL_SIZES, _rows(task))
            and (not kinds or family_and_size(task)[0] in kinds)]


def reliability(record: Record, method: str, among: Collection[str]) -> Reliability:
    """Of the pairs in each class of confidence how many are edges, over all draws of the tasks ``among``."""
    pairs, claimed, right = (counts(record, method, among, name) for name in ("pairs", "claimed", "right"))
    shown = pairs.sum(axis=0) > 0
    draws = np.random.default_rng(0).integers(len(pairs), size=(_DRAWS, len(pairs)))
    again, true = pairs[draws].sum(axis=1)[:, shown], right[draws].sum(axis=1)[:, shown]
    shares = np.where(again > 0, true / np.maximum(again, 1), np.nan)
    low, high = np.nanquantile(shares, [(1 - _BAND) / 2, (1 + _BAND) / 2], axis=0)
    total = pairs.sum(axis=0)[shown]
    return Reliability(method, claimed.sum(axis=0)[shown] / total, right.sum(axis=0)[shown] / total, low, high, total)


def summary(record: Record, among: Collection[str]) -> pd.DataFrame:
    """A line a method: how right its sure pairs are, how many false edges it selected, how many intervals hold."""
    lines = []
    for method in methods(record, among):
        pairs, stated, right = within(record, method, among, SURE, 1.0)
        lines.append({METHOD: method, "Sure pairs": pairs, "Stated": stated, "Right": right} | {
            title: mean(record, method, among, metric) for title, metric in (
                ("Brier", "brier"), ("Selected", "selected"), ("False", "false_selected"), ("Bound", "false_bound"),
                ("Intervals, edges", "coverage_edges"), ("Intervals, others", "coverage_others"))})
    return pd.DataFrame(lines).dropna(axis=1, how="all")


def _rows(task: str) -> str:
    return task.rsplit(", ", 1)[-1]


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """:func:`summary` as a page shows it; what was not measured is left empty, which numbers cannot be there."""
    return pd.DataFrame({name: column if name == METHOD else [
        "" if pd.isna(value) else _FORMS[name].format(value) for value in column] for name, column in frame.items()})


def sentences(record: Record, among: Collection[str]) -> list[str]:
    """What the numbers come to, for a person who reads one confidence."""
    said = []
    for method in methods(record, among):
        surest = within(record, method, among, SURE, 1.0)
        doubtful = within(record, method, among, *_DOUBTFUL)
        if surest.pairs:
            said.append(f"{method}: of {surest.pairs:,.0f} pairs called at least {SURE:.0%} sure, {surest.right:.1%} "
                        "are edges" + (f"; of {doubtful.pairs:,.0f} called {_DOUBTFUL[0]:.0%} to {_DOUBTFUL[1]:.0%} "
                                       f"sure, {doubtful.stated:.0%} on average, {doubtful.right:.0%} are."
                                       if doubtful.pairs else "."))
    return said
