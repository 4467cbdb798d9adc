"""What stands around the pictures of the Robustness page: averages, files to take away, a sweep over strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard import comparison_files, damage_controls, figures_robustness, parts, pictures, spoiled
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


def averages(answers: Sequence[Answer], means: Sequence[dict[str, float]], count: int) -> None:
    """Mean scores over ``count`` held-out images, each beside the perturbed input's, which comes first."""
    untouched = means[0]["psnr"] >= PSNR_CAP
    for answer, column, mean in zip(answers, st.columns(len(answers)), means, strict=True):
        gain = mean["psnr"] - means[0]["psnr"]
        quiet = not answer.repaired or untouched or abs(gain) < 0.05
        delta = ("the input" if not answer.repaired else "nothing to repair" if untouched else f"{gain:+.1f} dB")
        with column:
            st.metric(answer.title, "unchanged" if mean["psnr"] >= PSNR_CAP else f"{mean['psnr']:.1f} dB", delta,
                      delta_color="off" if quiet else "normal", delta_arrow="off" if quiet else "auto",
                      help=f"PSNR averaged over the same {count} held-out images whatever is shown below, and "
                           "the difference to the perturbed input.")
            st.caption(f"MSE {mean['mse_clean']:.4f} · SSIM {mean['ssim']:.3f}")
    st.caption(f"Means over {count} held-out images. Below, the best number of a picture is bold; the input "
               "does not compete.")


def take_away(name: str, damage: PerturbationConfig, seed: int, rows: Sequence[pictures.Row],
              answers: Sequence[Answer], means: Sequence[dict[str, float]], count: int,
              shape: tuple[int, int]) -> None:
    """The comparison as files, made when they are asked for."""
    table = [(answer.title, answer.pictures.scores, mean) for answer, mean in zip(answers, means, strict=True)]
    strength = damage_controls.strength(damage)
    words = f"{name}, {damage.kind}, {damage_controls.strength_words(damage.kind)}: {strength:g}"
    file = f"{name}-{damage.kind}-{strength:g}-draw-{seed}"
    with st.container(horizontal=True, gap="small"):
        st.download_button("Picture", lambda: comparison_files.png(rows, shape, f"{words}, draw {seed}"), f"{file}.png",
                           "image/png", icon=":material/image:", on_click="ignore", help="This comparison as a PNG.")
        st.download_button("Numbers", lambda: comparison_files.csv_text(words, seed, table, count),
                           f"{file}.csv", "text/csv", icon=":material/table:", on_click="ignore",
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
    with st.empty():
        for answer in answers:
            values = []
            for step in steps:
                done = (len(lines) * STEPS + len(values)) / (len(answers) * STEPS)
                st.progress(done, f"{answer.title}: {words} {damage_controls.strength(step):g}")
                values.append([spoiled.mean_scores(answer.key, step, draw, count, answer.repaired)[metric]
                               for draw in range(DRAWS)])
            lines.append(figures_robustness.Line(answer.title, values, answer.ours, not answer.repaired))
        figure = figures_robustness.sweep([damage_controls.strength(step) for step in steps], lines, words,
                                          parts.METRICS[metric][0], damage_controls.strength(damage), parts.is_dark())
        st.plotly_chart(figure, key="sweep_chart", config={"displayModeBar": False})
    st.caption(f"Mean and range over {DRAWS} draws of the damage, {count} held-out images each; the dashed "
               "line is the strength above.")
