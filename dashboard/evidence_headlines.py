"""The few numbers above everything on the Evidence page, read from the records. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard.evidence import BASELINE, OURS, Record, grid, kind_of, knowledge, lines, losses, tasks, text


@dataclass(frozen=True)
class Headline:
    """One number above everything, and what it is measured by."""

    label: str
    value: float
    delta: float | None
    reference: str | None
    explained: str


def headlines(karate: Record | None, suite: Record | None) -> list[Headline]:
    """The numbers that sum up those records which are there."""
    found = [] if karate is None else _against_paper(karate)
    return found if suite is None else found + _against_baselines(suite) + _regrets(suite)


def _against_paper(record: Record) -> list[Headline]:
    for task in tasks(record):
        told = next(iter(knowledge(record, task)), None)
        for line in lines(record, task, told):
            if line.kind == OURS and "f1" in line.values and "f1" in line.paper:
                mean, paper = line.values["f1"][0], line.paper["f1"]
                return [Headline("Karate club, F1", mean, mean - paper, f"vs paper {paper:.3f}",
                                 f"{line.label} on “{task}”: {text(line.values['f1'])}"
                                 + (f" over {line.values['f1'][2]} fresh seeds." if line.values["f1"][2] else "."))]
    return []


def _against_baselines(record: Record) -> list[Headline]:
    told = next(iter(knowledge(record)), None)
    table = grid(record, "average_precision", told)
    kinds = np.array([kind_of(method) for method in table.methods])
    ours, others = table.means[kinds == OURS], table.means[kinds == BASELINE]
    if not len(ours) or not np.isfinite(ours[0]):
        return []
    delta = reference = None
    if np.isfinite(others).any():
        best = int(np.nanargmax(others))
        delta = ours[0] - others[best]
        reference = f"vs {[label for label, kind in zip(table.labels, kinds, strict=True) if kind == BASELINE][best]}"
    return [Headline("Suite, mean AP", float(ours[0]), delta, reference,
                     f"Average precision over {len(tasks(record))} tasks with a known graph, against the baseline "
                     "with the best mean over the same tasks.")]


def _regrets(record: Record) -> list[Headline]:
    told = next(iter(knowledge(record)), None)
    values = [dot.value for dot in losses(record, "regret_ap", told)]
    if not values:
        return []
    about = "Average precision lost by choosing without labels, against the best choice with the truth in sight"
    worst = [dot.value for dot in losses(record, "regret_ap_worst", told)] or values
    return [Headline("Without labels, AP lost", float(np.mean(values)), None, None,
                     f"{about}; mean over {len(values)} tasks."),
            Headline("… on the worst draw", float(np.max(worst)), None, None, f"{about}; the worst draw of any task.")]
