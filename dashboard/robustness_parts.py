"""What stands around the pictures of the Robustness page: averages, files to take away, a sweep over strengths."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard import comparison_files, damage_controls, figures_robustness, parts, pictures, spoiled, waiting
from dashboard.listing import RunInfo
from dashboard.names import SENTENCE, plain
from sagvae_core.config import PerturbationConfig
from sagvae_core.metrics import PSNR_CAP
from sagvae_core.perturbations import with_strength

STEPS, DRAWS = 9, 3  # of a sweep
_SHOWN = {"mse_clean": "MSE", "psnr": "PSNR", "ssim": "SSIM"}


@dataclass(frozen=True, eq=False)
class Answer:
    """What one model makes of the shown pictures, or the damaged pictures themselves if nothing is ``repaired``."""

    title: str
    key: str
    pictures: spoiled.Pictures
    repaired: bool = False
    ours: bool = False

    def row(self, scores: bool, label: str | None = None) -> pictures.Row:
        """A row of the comparison, with or without its numbers."""
        named = [{_SHOWN[name]: score[name] for name in _SHOWN} for score in self.pictures.scores]
        return pictures.Row(label or self.title, self.pictures.images, scores=named if scores else None,
                            competes=self.repaired)


def compare(lead: RunInfo, chosen: Sequence[RunInfo], damage: PerturbationConfig, seed: int, shown: spoiled.Shown,
            show: Callable[[list[Answer | RunInfo]], None]) -> list[Answer]:
    """The damaged pictures, whose data are those of ``lead``, and what each of the ``chosen`` models makes of them.

    Where some take long, ``show`` gets the others' answers first, and these models in the place of theirs.
    """
    damaged = Answer("Perturbed, as it is", lead.key, spoiled.pictures(lead.key, damage, seed, shown, repair=False))
    found: dict[str, Answer | RunInfo] = {}
    for info in chosen:
        with parts.guard():  # a broken model must not take the others with it
            found[info.name] = info if spoiled.takes_long(info.key) else _ask(info, damage, seed, shown)
    slow = [info for info in found.values() if isinstance(info, RunInfo)]
    if slow:
        show([damaged, *found.values()])
    for info in slow:
        with parts.guard():
            found[info.name] = _ask(info, damage, seed, shown)
    return [damaged, *(answer for answer in found.values() if isinstance(answer, Answer))]


def _ask(info: RunInfo, damage: PerturbationConfig, seed: int, shown: spoiled.Shown) -> Answer:
    return Answer(info.short, info.key, spoiled.pictures(info.key, damage, seed, shown), repaired=True,
                  ours=info.role == "sagvae")


def rows(answers: Sequence[Answer | RunInfo], clean: np.ndarray, scores: bool, errors: bool) -> list[pictures.Row]:
    """The comparison, from the damaged to the ``clean`` pictures, with or without numbers and errors.

    A model among the ``answers`` is one whose answer is awaited.
    """
    unknown = [dict.fromkeys(_SHOWN.values(), math.nan)] * len(clean)
    drawn = []
    for answer in answers:
        if isinstance(answer, Answer):
            drawn.append(answer.row(scores, label=None if answer.repaired else "Perturbed"))
        else:
            drawn.append(pictures.Row(answer.short, clean, scores=unknown if scores else None, waiting=True))
        if errors and drawn[1:]:
            error = 0 * clean if drawn[-1].waiting else drawn[-1].images - clean
            drawn.append(pictures.Row("error", error, errors=True, waiting=drawn[-1].waiting))
    return [*drawn, pictures.Row("Original", clean)]


def means(answers: Sequence[Answer], damage: PerturbationConfig, seed: int, count: int,
          between: Callable[[], None] = lambda: None) -> list[dict[str, float]] | None:
    """Mean scores of each answer over ``count`` held-out images; None where ``between`` says that nobody waits."""
    try:
        return [spoiled.mean_scores(answer.key, damage, seed, count, answer.repaired, between) for answer in answers]
    except waiting.Overtaken:
        return None


def averages(answers: Sequence[Answer | RunInfo], means: Sequence[dict[str, float]] | None, count: int | None) -> None:
    """Mean scores over ``count`` held-out images, each beside the perturbed input's, which comes first.

    Without ``means`` their places, so that nothing jumps when they are there.
    """
    over = "…" if count is None else count
    for place, (answer, column) in enumerate(zip(answers, st.columns(len(answers)), strict=True)):
        value, delta, colour, words = _tile(answer, means[place], means[0]) if means else ("…", "…", "off", "…")
        label = plain(answer.title if isinstance(answer, Answer) else answer.short, SENTENCE)
        with column:
            st.metric(label, value, delta, delta_color=colour, delta_arrow="off" if colour == "off" else "auto",
                      help=f"PSNR averaged over the same {over} held-out images whatever is shown below, and "
                           "the difference to the perturbed input.")
            st.caption(words)
    st.caption(f"Means over {over} held-out images. Below, the best number of a picture is bold; the input "
               "does not compete.")


def _tile(answer: Answer, mean: dict[str, float], perturbed: dict[str, float]) -> tuple[str, str, str, str]:
    """A tile's number, the gain below it and its colour, and the line of the other scores."""
    untouched, gain = perturbed["psnr"] >= PSNR_CAP, mean["psnr"] - perturbed["psnr"]
    delta = "the input" if not answer.repaired else "nothing to repair" if untouched else f"{gain:+.1f} dB"
    quiet = not answer.repaired or untouched or abs(gain) < 0.05
    return ("unchanged" if mean["psnr"] >= PSNR_CAP else f"{mean['psnr']:.1f} dB", delta, "off" if quiet else "normal",
            f"MSE {mean['mse_clean']:.4f} · SSIM {mean['ssim']:.3f}")


def take_away(name: str, damage: PerturbationConfig, seed: int, rows: Sequence[pictures.Row],
              answers: Sequence[Answer], count: int, shape: tuple[int, int]) -> None:
    """The comparison as files, made when they are asked for."""
    strength = damage_controls.strength(damage)
    words = f"{name}, {damage.kind}, {damage_controls.strength_words(damage.kind)}: {strength:g}"
    file = f"{name}-{damage.kind}-{strength:g}-draw-{seed}"

    def numbers() -> str:
        table = [(answer.title, answer.pictures.scores, mean)
                 for answer, mean in zip(answers, means(answers, damage, seed, count), strict=True)]
        return comparison_files.csv_text(words, seed, table, count)

    with st.container(horizontal=True, gap="small"):
        st.download_button("Picture", lambda: comparison_files.png(rows, shape, f"{words}, draw {seed}"), f"{file}.png",
                           "image/png", icon=":material/image:", on_click="ignore", help="This comparison as a PNG.")
        st.download_button("Numbers", numbers, f"{file}.csv", "text/csv", icon=":material/table:", on_click="ignore",
                           help="Scores of every picture and their means as CSV.")


def sweep(damage: PerturbationConfig, answers: Sequence[Answer], count: int, shape: tuple[int, int]) -> None:
    """A metric against the strength of this kind of damage, for the same models."""
    if not st.toggle("Metric against strength", key="sweep", bind="query-params",
                     help=f"{STEPS} strengths of this kind of damage, {DRAWS} draws each, {count} held-out images. "
                          "Computed once, then kept: seconds, or a minute for a model that looks for damaged regions."):
        return
    metric = parts.one_of("Metric", list(_SHOWN), "swept", "psnr", format_func=_SHOWN.get, label_visibility="collapsed")
    words = damage_controls.strength_words(damage.kind)
    steps = [with_strength(damage, step / (STEPS - 1), shape[0] * shape[1], shape) for step in range(STEPS)]
    lines: list[figures_robustness.Line] = []
    with st.empty(), suppress(waiting.Overtaken):
        for answer in answers:
            values = []
            for step in steps:
                done = (len(lines) * STEPS + len(values)) / (len(answers) * STEPS)
                st.progress(done, f"{plain(answer.title)}: {words} {damage_controls.strength(step):g}")
                values.append([spoiled.mean_scores(answer.key, step, draw, count, answer.repaired,
                                                   waiting.give_way)[metric] for draw in range(DRAWS)])
            lines.append(figures_robustness.Line(answer.title, values, answer.ours, not answer.repaired))
        figure = figures_robustness.sweep([damage_controls.strength(step) for step in steps], lines, words,
                                          parts.METRICS[metric][0], damage_controls.strength(damage), parts.is_dark())
        st.plotly_chart(figure, key="sweep_chart", config={"displayModeBar": False})
    st.caption(f"Mean and range over {DRAWS} draws of the damage, {count} held-out images each; the dashed "
               "line is the strength above.")
