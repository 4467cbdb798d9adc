"""The record of `sagvae study confidence` -> what the Evidence page shows of it. Pure: dictionaries in, tables out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard.evidence import Record, family_and_size, tasks
from dashboard.evidence_tables import METHOD
from sagvae_core.studies.confidence_tables import SURE, counts, mean, methods_of, sure

ALL_ROWS = "all sizes"
_DRAWS, _BAND = 1000, 0.9  # resamples of the tasks behind a band


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


def sizes(record: Record) -> list[str]:
    """The numbers of rows that were measured, behind "all sizes" if there are several."""
    found = list(dict.fromkeys(map(_rows, tasks(record))))
    return [ALL_ROWS, *found] if len(found) > 1 else found


def families(record: Record) -> list[str]:
    """The kinds of tasks, whatever their size."""
    return list(dict.fromkeys(family_and_size(task)[0] for task in tasks(record)))


def chosen(record: Record, size: str, kinds: Collection[str] = ()) -> list[str]:
    """The tasks of that size, of some kinds or of all."""
    return [task for task in tasks(record) if size in (ALL_ROWS, _rows(task))
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
    for method in methods_of(record):
        pairs, stated, right = sure(record, method, among)
        lines.append({METHOD: method, "Sure pairs": pairs, "Stated": stated, "Right": right} | {
            title: mean(record, method, among, metric) for title, metric in (
                ("Brier", "brier"), ("Selected", "selected"), ("False", "false_selected"), ("Bound", "false_bound"),
                ("Intervals, edges", "coverage_edges"), ("Intervals, others", "coverage_others"))})
    return pd.DataFrame(lines).dropna(axis=1, how="all")


def _rows(task: str) -> str:
    return task.rsplit(", ", 1)[-1]


def sentences(record: Record, among: Collection[str]) -> list[str]:
    """What the numbers come to, for a person who reads one confidence."""
    frame = summary(record, among)
    said = []
    for line in frame.to_dict("records"):
        if line["Sure pairs"]:
            said.append(f"{line[METHOD]}: {line['Sure pairs']:,.0f} pairs are called at least {SURE:.0%} sure, "
                        f"{line['Right']:.1%} of them are edges.")
    return said
