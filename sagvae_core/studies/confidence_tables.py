"""What the record of ``sagvae study confidence`` comes to: sums over draws, and the README's table."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

LEVELS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Confidences are counted between neighbours in this row; the last class has both its ends."""
SURE = 0.9
"""From here on a pair is called sure; one of ``LEVELS``."""


class Stated(NamedTuple):
    """Pairs with a confidence in some range: how many, their mean confidence, and the share of edges."""

    pairs: float
    stated: float | None
    right: float | None


def tasks_of(record: dict[str, Any]) -> list[str]:
    """All tasks, in the record's order."""
    return list(dict.fromkeys(row["task"] for row in record["rows"]))


def methods_of(record: dict[str, Any]) -> list[str]:
    """All methods, in the record's order."""
    return list(dict.fromkeys(row["method"] for row in record["rows"]))


def counts(record: dict[str, Any], method: str, tasks: Collection[str], name: str) -> np.ndarray:
    """Of every task and each class of confidence the sum over the draws, (T, K); a record holds their means.

    Args:
        name: "pairs", "claimed" or "right"; see :func:`.confidence.counted`.
    """
    places = {task: place for place, task in enumerate(tasks)}
    found = np.zeros((len(places), len(LEVELS) - 1))
    for row in record["rows"]:
        stem, _, number = row["metric"].rpartition("_")
        if (row["method"] == method and row["task"] in places and stem == name and number.isdigit()
                and int(number) < found.shape[1]):
            found[places[row["task"]], int(number)] = row["mean"] * (row["n"] or 1)
    return found


def within(record: dict[str, Any], method: str, tasks: Collection[str], low: float, high: float) -> Stated:
    """How right a method's confidences from ``low`` to ``high`` are, over all draws of some tasks.

    Args:
        low, high: of ``LEVELS``; the lower one belongs to the range, the higher one only if it is 1.
    """
    classes = slice(LEVELS.index(low), LEVELS.index(high))
    pairs, claimed, right = (float(counts(record, method, tasks, name)[:, classes].sum())
                             for name in ("pairs", "claimed", "right"))
    return Stated(pairs, claimed / pairs, right / pairs) if pairs else Stated(0.0, None, None)


def mean(record: dict[str, Any], method: str, tasks: Collection[str], metric: str) -> float | None:
    """A metric's mean over some tasks; None where it was not measured."""
    values = [row["mean"] for row in record["rows"]
              if row["method"] == method and row["metric"] == metric and row["task"] in tasks]
    return float(np.mean(values)) if values else None


def confidence_text(record: dict[str, Any]) -> str:
    """Markdown: how right the sure pairs are, how many false edges were selected, and how many intervals hold."""
    lines = [f"**What a confidence is worth** (`{record['command']}`; all draws of all tasks, fresh seeds "
             f"{record['seeds'][0]} to {record['seeds'][-1]})",
             *(f"\n{note}" for note in record.get("notes", ()) if note.startswith("Not finished")), "",
             f"| confidence | rows | pairs at {SURE:.0%} or more | stated | true | Brier | selected | of these false | "
             "bound on these | 95 % intervals that hold: edges | others |", "|---" * 11 + "|"]
    every = tasks_of(record)
    for method in methods_of(record):
        for size in dict.fromkeys(task.rsplit(", ", 1)[-1] for task in every):
            tasks = [task for task in every if task.endswith(f", {size}")]
            if not counts(record, method, tasks, "pairs").any():
                continue  # not measured yet
            found = within(record, method, tasks, SURE, 1.0)
            means = [mean(record, method, tasks, metric) for metric in (
                "brier", "selected", "false_selected", "false_bound", "coverage_edges", "coverage_others")]
            forms = ("{:.3f}", "{:.1f}", "{:.2f}", "{:.2f}", "{:.0%}", "{:.0%}")
            cells = [f"{found.pairs:,.0f}", *("" if share is None else f"{share:.1%}" for share in found[1:]),
                     *("" if value is None else form.format(value) for form, value in zip(forms, means))]
            name = f"**{method}**" if method.startswith("SAG-VAE") else method
            lines.append("| " + " | ".join([name, size.removesuffix(" rows"), *cells]) + " |")
    return "\n".join(lines)
