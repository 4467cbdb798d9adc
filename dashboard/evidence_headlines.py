"""The few numbers above everything on the Evidence page, read from the records. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard import evidence_images
from dashboard.evidence import BASELINE, OURS, Record, Value, applies, kind_of, knowledge, lines, losses, tasks, text


@dataclass(frozen=True)
class Headline:
    """One number above everything, what it is a mean of with which spread, and what it is measured by."""

    label: str
    value: float
    spread: str
    delta: float | None
    reference: str | None
    explained: str


def headlines(karate: Record | None, suite: Record | None, images: Record | None = None) -> list[Headline]:
    """The numbers that sum up those records which are there."""
    found = [] if karate is None else _against_paper(karate)
    if suite is not None:
        found += _against_baselines(suite) + _regrets(suite)
    return found if images is None else found + _on_noise(images)


def _on_noise(record: Record) -> list[Headline]:
    """Noisy pictures of the record's first data set that has them: SSIM beside the best of all others."""
    for title in evidence_images.titles(record):
        rows = [line for line in evidence_images.of_task(record, title, "noise", "trained on noise")
                if "ssim" in line.values]
        ours = next((line for line in rows if line.method == "SAG-VAE"), None)
        others = [line for line in rows if line.kind == BASELINE]
        if ours is not None and others:
            best = max(others, key=lambda line: line.values["ssim"][0])
            mean, reference = ours.values["ssim"][0], best.values["ssim"][0]
            return [Headline("Noisy images, SSIM", mean, _spread(ours.values["ssim"]), mean - reference,
                             f"vs {best.label}",
                             f"{title}: similarity to the clean pictures, which SAG-VAE never saw: "
                             f"{text(ours.values['ssim'])}. {best.label}: {text(best.values['ssim'])}.")]
    return []


def _against_paper(record: Record) -> list[Headline]:
    for task in tasks(record):
        told = next(iter(knowledge(record, task)), None)
        for line in lines(record, task, told):
            if line.kind == OURS and "f1" in line.values and "f1" in line.paper:
                mean, paper = line.values["f1"][0], line.paper["f1"]
                return [Headline("Karate club, F1", mean, _spread(line.values["f1"]), mean - paper,
                                 f"vs paper {paper:.3f}",
                                 f"{line.label} on “{task}”: {text(line.values['f1'])}"
                                 + (f" over {line.values['f1'][2]} fresh seeds." if line.values["f1"][2] else "."))]
    return []


def _against_baselines(record: Record) -> list[Headline]:
    told, count = next(iter(knowledge(record)), None), len(tasks(record))
    found: dict[str, list[float]] = {}
    for row in record["rows"]:
        if row["metric"] == "average_precision" and applies(row["setting"], told):
            found.setdefault(row["method"], []).append(row["mean"])
    means = {method: float(np.mean(values)) for method, values in found.items() if len(values) == count}
    ours = next((mean for method, mean in means.items() if kind_of(method) == OURS), None)
    if ours is None:
        return []
    others = {mean: method for method, mean in means.items() if kind_of(method) == BASELINE}
    best = max(others, default=None)
    return [Headline("Suite, mean AP", ours, f"mean over {count} tasks", None if best is None else ours - best,
                     None if best is None else f"vs {others[best]}",
                     "Average precision on tasks with a known graph, against the baseline with the best mean over the "
                     "same tasks.")]


def _regrets(record: Record) -> list[Headline]:
    told = next(iter(knowledge(record)), None)
    values = [dot.value for dot in losses(record, "regret_ap", told)]
    if not values:
        return []
    about = "Average precision lost by choosing without labels, against the best choice with the truth in sight"
    worst = [dot.value for dot in losses(record, "regret_ap_worst", told)] or values
    return [Headline("Without labels, AP lost", float(np.mean(values)), f"mean over {len(values)} tasks", None, None,
                     f"{about}."),
            Headline("… on the worst draw", float(np.max(worst)), f"of any of {len(worst)} tasks", None, None,
                     f"{about}; the worst draw of any task.")]


def _spread(value: Value) -> str:
    """In words: over how many trainings, and their standard deviation."""
    _, sd, runs = value
    return (f"± {sd:.3f} " if sd is not None else "") + (f"over {runs} seeds" if runs and runs > 1 else "one seed")
