"""The record of `sagvae study confidence` -> what the Evidence page shows of it. Pure: dictionaries in, tables out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard.evidence import Record, family_and_size, tasks
from dashboard.evidence_tables import METHOD
from sagvae_core.studies.confidence import LEVELS, SURE

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


def methods(record: Record) -> list[str]:
    """All methods, in the record's order."""
    return list(dict.fromkeys(row["method"] for row in record["rows"]))


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
    pairs, claimed, right = (_counts(record, method, among, name) for name in ("pairs", "claimed", "right"))
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
    sure = LEVELS.index(SURE)
    for method in methods(record):
        pairs, claimed, right = (_counts(record, method, among, name)[:, sure:].sum()
                                 for name in ("pairs", "claimed", "right"))
        lines.append({METHOD: method, "Sure pairs": pairs, "Stated": claimed / pairs if pairs else None,
                      "Right": right / pairs if pairs else None, "Brier": _mean(record, method, among, "brier"),
                      "Selected": _mean(record, method, among, "selected"),
                      "False": _mean(record, method, among, "false_selected"),
                      "Bound": _mean(record, method, among, "false_bound"),
                      "Intervals, edges": _mean(record, method, among, "coverage_edges"),
                      "Intervals, others": _mean(record, method, among, "coverage_others")})
    return pd.DataFrame(lines).dropna(axis=1, how="all")


def _rows(task: str) -> str:
    return task.rsplit(", ", 1)[-1]


def _counts(record: Record, method: str, among: Collection[str], name: str) -> np.ndarray:
    """Sums over the draws of each task, (T, K): a record holds their means."""
    places = {task: place for place, task in enumerate(among)}
    counts = np.zeros((len(places), len(LEVELS) - 1))
    for row in record["rows"]:
        stem, _, number = row["metric"].rpartition("_")
        if row["method"] == method and row["task"] in places and stem == name and number.isdigit() and int(
                number) < counts.shape[1]:
            counts[places[row["task"]], int(number)] = row["mean"] * (row["n"] or 1)
    return counts


def _mean(record: Record, method: str, among: Collection[str], metric: str) -> float | None:
    values = [row["mean"] for row in record["rows"]
              if row["method"] == method and row["metric"] == metric and row["task"] in among]
    return float(np.mean(values)) if values else None


def sentences(record: Record, among: Collection[str]) -> list[str]:
    """What the numbers come to, for a person who reads one confidence."""
    frame = summary(record, among)
    said = []
    for line in frame.to_dict("records"):
        if line["Sure pairs"]:
            said.append(f"{line[METHOD]}: {line['Sure pairs']:,.0f} pairs are called at least {SURE:.0%} sure, "
                        f"{line['Right']:.1%} of them are edges.")
    return said
