"""The record of `sagvae study images` -> what the Evidence page shows of it. Pure: dictionaries in, tables out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from dashboard import palette
from dashboard.evidence import OURS, REFERENCE, Line, Record, lines, tasks, text
from dashboard.evidence_tables import METHOD, RUNS, strong
from dashboard.names import cell

EDGES, TRAINING, UNDAMAGED = "learned edges", "during training", "undamaged"
_METRICS = {"mse_clean": ("MSE", "Mean squared error to the clean pictures, over held-out test pictures. Lower is "
                          "better.", 4, -1),
            "psnr": ("PSNR (dB)", "Peak signal-to-noise ratio to the clean pictures, mean over them; "
                     "100 for an exact copy. Higher is better.", 1, 1),
            "ssim": ("SSIM", "Structural similarity to the clean pictures. Higher is better.", 3, 1),
            "mse_perturbed": ("MSE to damaged", "Mean squared error to the pictures as they were given. 0 is a copy of "
                              "the damage.", 4, 0)}
IMAGES = "Images"
EXPLAINED = {title: words for title, words, _, _ in _METRICS.values()} | {
    IMAGES: "Test pictures behind each run.", RUNS: "Trainings, each with damage of its own."}
# What a task's models learn from if nothing else is asked for; other blocks go with the white one.
_USUAL = {"noise": "trained on noise", "less noise": "trained on noise", UNDAMAGED: "trained on clean images"}
_BY_TRAINING = ("SAG-VAE", "VAE (A = I)")
_TRIVIAL = ("Input unchanged", "Mean training image")
_CLEAN_TARGETS = ("Denoising autoencoder", "Convolutional DAE")
_PAPER = {
    ("MNIST digits", False): "Figure 4 of the paper shows ten noisy digits. It says that the VAE “falsely learned the "
                             "patterns of noise”, and that SAG-VAE shows next to no visible noise, close to a "
                             "denoising autoencoder. It gives no numbers.",
    ("MNIST digits", True): "Figure 5 of the paper shows ten masked digits. It says that the VAE learned the blocks, "
                            "and that with SAG-VAE “the edges of blocks are smoothed and mask sizes are reduced”. It "
                            "gives no numbers.",
    ("Fashion-MNIST", False): "Figure 7 of the paper shows ten noisy garments. It says that SAG-VAE “significantly "
                              "outperforms VAE” here too. It gives no numbers.",
    ("Fashion-MNIST", True): "Figure 8 of the paper shows ten masked garments. It says that SAG-VAE is “more resistant "
                             "to block-masking” on them than on digits. It gives no numbers.",
}


def titles(record: Record) -> list[str]:
    """The data sets, as they are called."""
    return list(dict.fromkeys(_split(task)[0] for task in tasks(record)))


def damages(record: Record, title: str) -> list[str]:
    """The kinds of damage measured on a data set."""
    return [what for name, what in map(_split, tasks(record)) if name == title and what not in (EDGES, TRAINING)]


def settings(record: Record, title: str, what: str) -> list[str]:
    """What the models of a task were trained on, the most usual for that damage first."""
    found = list(dict.fromkeys(row["setting"] for row in record["rows"]
                               if row["task"] == f"{title}, {what}" and row["setting"]))
    own = _USUAL.get(what, f"trained on {what}s")
    fallback = "trained on white blocks" if "block" in what else "trained on noise"
    return sorted(found, key=lambda name: (name != own, name != fallback))


def of_task(record: Record, title: str, what: str, setting: str | None) -> list[Line]:
    """All methods on one damage: those that were trained on ``setting``, then filters, then what anybody can do."""
    rows = [row | {"setting": ""} for row in record["rows"] if row["setting"] in ("", setting)]
    untrained = {row["method"] for row in record["rows"] if not row["setting"]}
    found = lines(record | {"rows": rows}, f"{title}, {what}")
    return sorted(found, key=lambda line: (line.kind == REFERENCE, line.method in _TRIVIAL, line.method in untrained))


def paper_says(title: str, what: str) -> str | None:
    """The paper's words on its own pictures of that kind."""
    return _PAPER.get((title, what != "noise")) if what in ("noise", "white block") else None


def detail(rows: Sequence[Line], dark: bool = False) -> Styler:
    """A line a method: mean ± sd of every metric, on how many pictures, in how many runs; the best stand out."""
    columns: dict[str, list] = {METHOD: [line.label for line in rows]}
    for metric, (title, _, digits, _) in _METRICS.items():
        if any(metric in line.values for line in rows):
            columns[title] = [text(line.values.get(metric), digits) for line in rows]
    columns[IMAGES] = [f"{line.values['test_images'][0]:,.0f}" if "test_images" in line.values else "" for line in rows]
    columns[RUNS] = [line.values["mse_clean"][2] if "mse_clean" in line.values else None for line in rows]
    frame = pd.DataFrame(columns).astype({RUNS: "Int64"})
    styles = pd.DataFrame("", frame.index, frame.columns)
    styles.loc[[line.kind == OURS for line in rows], METHOD] = strong(dark)
    for metric, (title, _, digits, direction) in _METRICS.items():
        means = np.array([line.values[metric][0] if metric in line.values and line.kind != REFERENCE else np.nan
                          for line in rows]).round(digits) * direction
        if direction and np.isfinite(means).any():
            styles.loc[means == np.nanmax(means), title] = strong(dark)
    styles.loc[[line.kind == REFERENCE for line in rows]] = f"color: {palette.muted(dark)}"
    return frame.style.apply(lambda _: styles, axis=None)


def transfer(record: Record, title: str, metric: str = "mse_clean", dark: bool = False) -> Styler | None:
    """SAG-VAE and the VAE by what they were trained on, and the others, on every damage; None without rows."""
    kept: dict[str, dict[str, float]] = {}
    for row in record["rows"]:
        name, what = _split(row["task"])
        if name == title and row["metric"] == metric and what not in (EDGES, TRAINING):
            method, setting = row["method"], row["setting"]
            if setting.startswith("trained on ") and (
                    method in _BY_TRAINING or (setting == "trained on noise" and method in _CLEAN_TARGETS)):
                label = f"{method}, {setting.removeprefix('trained on ')}"
            elif not setting:
                label = method
            else:
                continue
            kept.setdefault(cell(label), {})[what] = row["mean"]
    whats = damages(record, title)
    order = sorted(kept, key=lambda label: (not label.startswith("SAG-VAE"), not label.startswith(_BY_TRAINING),
                                            label != "Input unchanged"))
    if not any(label.startswith("SAG-VAE") for label in order):
        return None
    digits = _METRICS[metric][2]
    frame = pd.DataFrame({METHOD: order})
    styles = pd.DataFrame("", frame.index, [METHOD, *map(cell, whats)])
    styles.loc[[label.startswith("SAG-VAE") for label in order], METHOD] = strong(dark)
    for what in whats:
        values = np.array([kept[label].get(what, np.nan) for label in order])
        frame[cell(what)] = ["" if np.isnan(value) else f"{value:.{digits}f}" for value in values]
        shown = values.round(digits) * _METRICS[metric][3]
        if what != UNDAMAGED and np.isfinite(shown).any():  # whoever does nothing is the best there
            styles.loc[shown == np.nanmax(shown), cell(what)] = strong(dark)
    return frame.style.apply(lambda _: styles, axis=None)


def near_edges(record: Record) -> pd.DataFrame:
    """How near the pixels are that the learned edges join, beside chance: a line a graph."""
    table = []
    for task in tasks(record):
        title, what = _split(task)
        for line in lines(record, task) if what == EDGES else ():
            share = [text(line.values.get(f"within_{reach}")) for reach in (1, 2, 3)]
            chance = [f"{line.values[f'chance_within_{reach}'][0]:.3f}" if f"chance_within_{reach}" in line.values
                      else "" for reach in (1, 2, 3)]
            table.append([title, cell(line.method.removeprefix("tried: ")),
                          cell(line.setting.removeprefix("trained on ")),
                          *(f"{own} ({by_chance})" for own, by_chance in zip(share, chance, strict=True)),
                          line.values.get("active_edges", (np.nan,))[0]])
    return pd.DataFrame(table, columns=["Data set", METHOD, "Trained on", "1 apart", "2 apart", "3 apart", "Edges"])


@dataclass(frozen=True, eq=False)
class ErrorCurve:
    """An error along a training: ``seen`` pictures (P,), ``mean`` and ``sd`` (P,), sd 0 where there is one run."""

    method: str
    to_clean: bool
    seen: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def error_curves(record: Record, title: str) -> list[ErrorCurve]:
    """Figure 6: per method the errors to the clean and to the noisy pictures while it is trained."""
    found: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
    for row in record["rows"]:
        if row["task"] == f"{title}, {TRAINING}" and row["metric"] in ("mse_clean", "mse_perturbed"):
            seen = row["setting"].split(" ")[0]
            if seen.isdecimal():
                found.setdefault((row["method"], row["metric"]), []).append((int(seen), row["mean"], row["sd"] or 0.0))
    return [ErrorCurve(method, metric == "mse_clean", *np.array(sorted(points)).T)
            for (method, metric), points in found.items()]


def hidden_choice(record: Record, title: str, what: str = "noise") -> pd.DataFrame:
    """Settings of SAG-VAE by the criterion that needs no clean picture, beside the error that it is to foresee."""
    table = [[cell(line.label.removeprefix("Tried: ")), line.values["hidden_log_likelihood"][0],
              line.values["mse_clean"][0]]
             for line in of_task(record, title, what, _USUAL.get(what, f"trained on {what}s"))
             if "hidden_log_likelihood" in line.values and line.method.startswith(("SAG-VAE", "tried: "))]
    frame = pd.DataFrame(table, columns=["Setting", "log p(hidden | visible)", "MSE"])
    return frame.sort_values(frame.columns[1], ascending=False, ignore_index=True)


def _split(task: str) -> tuple[str, str]:
    title, _, what = task.partition(", ")
    return title, what

