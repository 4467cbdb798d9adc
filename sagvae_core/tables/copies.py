"""Columns that say the same as an earlier one: equal to it, or to it times a factor plus a shift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_CLOSE = 1e-9  # of the numbers: more than rounding adds, less than any measurement is exact


def find_copies(columns: Sequence[np.ndarray]) -> dict[int, tuple[int, bool]]:
    """Place of each copy -> (place of the earlier column, whether the two are equal cell by cell).

    A column in other units, or a binary one with 0 and 1 exchanged, is a copy too: the model scales its columns, and
    would join the two by an edge that says nothing of the data. Gaps must be at the same rows.

    Args:
        columns: (M,) float64 each, NaN = missing; not constant.
    """
    if not len(columns):
        return {}
    # Copies share this number: standardised, they are equal or opposite. It picks the few pairs to compare.
    weights = np.random.default_rng(0).standard_normal(len(columns[0]))
    marks = np.array([_mark(column, weights) for column in columns])
    found: dict[int, tuple[int, bool]] = {}
    for place, column in enumerate(columns):
        for other in np.flatnonzero(np.abs(marks[:place] - marks[place]) <= 1e-6 * (1 + marks[place])):
            if other not in found and _same(columns[other], column):
                found[place] = (int(other), bool(np.array_equal(columns[other], column, equal_nan=True)))
                break
    return found


def _mark(column: np.ndarray, weights: np.ndarray) -> float:
    """What is left of a column when scale, shift and sign are taken away, as one number."""
    there = ~np.isnan(column)
    values = column[there] / np.abs(column[there]).max()
    centred = values - values.mean()
    return abs(float(centred @ weights[there])) / max(float(np.linalg.norm(centred)), np.finfo(float).tiny)


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    there = ~np.isnan(first)
    if not np.array_equal(there, ~np.isnan(second)):
        return False
    first, second = first[there], second[there]
    low, high = first.argmin(), first.argmax()
    with np.errstate(over="ignore", invalid="ignore"):  # a factor beyond all numbers is no factor
        factor = (second[high] - second[low]) / (first[high] - first[low])
        shift = second[low] - factor * first[low]
        allowed = _CLOSE * np.maximum(np.abs(second), abs(shift))
        return bool((np.abs(factor * first + shift - second) <= allowed).all())
