"""Lines and grids of a study -> styled pandas tables: ours in bold, the best of a column marked, references (which are
never the best) in grey. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from dashboard import palette
from dashboard.evidence import OURS, PAPER, REFERENCE, Grid, Line, kind_of, text

TITLES = {
    "f1": ("F1", "Harmonic mean of precision and recall at the method's own threshold, or at the one that lets in as "
           "many edges as are known to be there."),
    "precision": ("Precision", "Share of the edges found that are true."),
    "recall": ("Recall", "Share of the true edges that were found."),
    "average_precision": ("AP", "Average precision: area under the precision-recall curve, every threshold at once."),
    "f1_top_k": ("F1, top K", "F1 of the K best scored pairs for K true edges."),
    "f1_best": ("F1, best", "F1 at the best threshold, which only who knows the truth can choose."),
    "mse_unseen": ("MSE, unseen", "Mean squared error of reconstructed rows of a pattern never seen in training."),
    "regret_ap": ("AP lost", "Average precision lost by choosing without labels."),
    "regret_f1": ("F1 lost", "F1 lost by choosing without labels."),
}
COLUMNS = ("f1", "precision", "recall", "average_precision", "f1_top_k", "f1_best")
"""What a table shows of a task, left to right; other metrics have their own place on the page."""

METHOD, MEAN, RUNS = "Method", "Mean", "Runs"
BEST = "font-weight: bold"


def title(metric: str) -> str:
    """The column's name of a metric, known or not."""
    return TITLES[metric][0] if metric in TITLES else metric.replace("_", " ")


def paper_title(metric: str) -> str:
    """The column's name of the paper's numbers."""
    return f"{title(metric)}, paper"


def detail(rows: Sequence[Line], dark: bool = False) -> Styler:
    """One task: a line a method, mean ± sd a metric, the paper's F1 beside ours, how many runs are behind it."""
    shown = [metric for metric in COLUMNS if any(metric in line.values or metric in line.paper for line in rows)]
    if all("mse_unseen" in line.values for line in rows):
        shown.append("mse_unseen")
    columns: dict[str, list] = {METHOD: [line.label for line in rows]}
    for metric in shown:
        columns[title(metric)] = [text(line.values.get(metric), 4 if metric.startswith("mse") else 3) for line in rows]
        if any(metric in line.paper for line in rows):
            columns[paper_title(metric)] = [f"{line.paper[metric]:.3f}" if metric in line.paper else ""
                                            for line in rows]
    columns[RUNS] = [next((value[2] for value in line.values.values()), None) for line in rows]
    frame = pd.DataFrame(columns).astype({RUNS: "Int64"})
    styles = pd.DataFrame("", frame.index, frame.columns)
    if len({line.kind for line in rows} - {PAPER}) > 1:
        styles.loc[[line.kind == OURS for line in rows], METHOD] = strong(dark)
    for metric in shown:
        means = np.array([line.values[metric][0] if metric in line.values and line.kind != REFERENCE else np.nan
                          for line in rows])
        if metric not in ("precision", "recall", "mse_unseen"):  # precision or recall alone is had for nothing
            styles.loc[_is_best(means), title(metric)] = strong(dark)
        if paper_title(metric) in frame:
            styles[paper_title(metric)] = f"color: {palette.muted(dark)}"
    styles.loc[[line.kind == REFERENCE for line in rows]] = f"color: {palette.muted(dark)}"
    return frame.style.apply(lambda _: styles, axis=None)


def beside_paper(rows_of_task: dict[str, Sequence[Line]], metric: str, dark: bool = False) -> Styler:
    """Several tasks at once: a line a method, mean ± sd a task, the paper's number in brackets behind it."""
    labels = list(dict.fromkeys(line.label for rows in rows_of_task.values() for line in rows))
    kinds = {line.label: line.kind for rows in rows_of_task.values() for line in rows}
    frame = pd.DataFrame({METHOD: labels})
    styles = pd.DataFrame("", frame.index, [METHOD])
    styles.loc[[kinds[label] == OURS for label in labels], METHOD] = strong(dark)
    for task, rows in rows_of_task.items():
        lines = {line.label: line for line in rows}
        values = [lines[label].values.get(metric) if label in lines else None for label in labels]
        paper = [lines[label].paper.get(metric) if label in lines else None for label in labels]
        frame[task] = [" ".join(filter(None, (text(value), "" if said is None else f"({said:.3f})")))
                       for value, said in zip(values, paper, strict=True)]
        best = _is_best(np.array([np.nan if value is None or kinds[label] == REFERENCE else value[0]
                                  for label, value in zip(labels, values, strict=True)]))
        styles[task] = np.where(best, strong(dark), "")
    styles.loc[[kinds[label] == REFERENCE for label in labels]] = f"color: {palette.muted(dark)}"
    return frame.style.apply(lambda _: styles, axis=None)


def heat(grid: Grid, dark: bool = False) -> Styler:
    """Methods x tasks as numbers on a tint, the mean first; the best of each column stands out."""
    frame = pd.DataFrame({METHOD: grid.labels, MEAN: grid.means})
    frame = pd.concat([frame, pd.DataFrame(grid.values, columns=grid.families)], axis=1)
    styles = pd.DataFrame("", frame.index, frame.columns)
    styles.loc[[kind_of(method) == OURS for method in grid.methods], METHOD] = strong(dark)
    for column in frame.columns[1:]:
        values = frame[column].to_numpy(dtype=float)
        best = _is_best(values)
        styles[column] = [f"background-color: {palette.tint(value, dark)}" + (f"; {BEST}" if first else "")
                          if np.isfinite(value) else "" for value, first in zip(values, best, strict=True)]
        frame[column] = ["" if not np.isfinite(value) else f"{value:.3f}" + (" ●" if first else "")
                         for value, first in zip(values, best, strict=True)]
    return frame.style.apply(lambda _: styles, axis=None)


def _is_best(values: np.ndarray) -> np.ndarray:
    """Which values equal the largest, as the three digits on the page have it."""
    shown = np.round(values, 3)
    return np.isfinite(shown) & (shown == np.max(shown[np.isfinite(shown)], initial=-np.inf))


def strong(dark: bool) -> str:
    """The style of what stands out in a table."""
    return f"{BEST}; color: {palette.accent(dark)}"
