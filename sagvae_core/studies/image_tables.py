"""The README's tables of repaired images, from the record of `sagvae study images`."""

from __future__ import annotations

from typing import Any

from ..data import DATASETS
from ..presets import MODELS
from .image_methods import FILTERS, INPUT, MEAN_IMAGE, METHODS, OURS
from .images import EDGES, IMAGE_SETS, task_name
from .reading import table

_METRICS = {"mse_clean": ("MSE", 4), "psnr": ("PSNR", 1), "ssim": ("SSIM", 3)}
_PARTS = (("Uniform noise on 200 of 784 pixels, trained on such pictures", "noise", "trained on noise"),
          ("White 7 x 7 blocks, trained on such pictures", "white block", "trained on white blocks"),
          ("White 7 x 7 blocks, trained on clean pictures", "white block", "trained on clean images"),
          ("Black 7 x 7 blocks, trained on clean pictures", "black block", "trained on clean images"),
          ("7 x 7 blocks of noise, trained on clean pictures", "random block", "trained on clean images"))
_METHODS = (OURS, f"{OURS}, decoder alone", MODELS["identity"], MODELS["mlp_vae"], MODELS["dae"], MODELS["conv_dae"],
            *(method for method in METHODS if method.endswith("same rule")), *FILTERS, MEAN_IMAGE, INPUT)


def images_text(record: dict[str, Any]) -> str:
    """Markdown: who repairs noise and masks, in both readings, and how near the learned edges' pixels lie."""
    found = {metric: table(record, metric) for metric in _METRICS}
    names = [name for name in IMAGE_SETS if task_name(name, "noise") in found["mse_clean"]]
    lines = [f"(`{record['command']}`; mean ± sd over the runs, of which the last column says how many; errors to the "
             "clean test pictures, PSNR as the mean over the pictures, 100 dB for an exact copy)",
             *(f"\n{note}" for note in record.get("notes", ()) if note.startswith("Not finished"))]
    for title, what, setting in _PARTS:
        counts = table(record, "test_images")
        shown = [f"{counts[task][OURS, setting][0]:,.0f} of {DATASETS[name].title}" for name in names
                 for task in [task_name(name, what)] if (OURS, setting) in counts.get(task, {})]
        lines += ["", f"**{title}**" + (f" (test pictures: {', '.join(shown)})" if shown else ""), "",
                  "| method | " + " | ".join(f"{metric}, {DATASETS[name].title}" for name in names
                                             for metric, _ in _METRICS.values()) + " | runs |",
                  "|---" * (len(names) * len(_METRICS) + 2) + "|"]
        for method in _METHODS:
            cells = [found[metric].get(task_name(name, what), {}).get(key) for name in names for metric in _METRICS
                     for key in [(method, setting if method in METHODS or method == MEAN_IMAGE else "")]]
            if any(cells):
                texts = [_text(cell, digits) for cell, (_, digits) in
                         zip(cells, list(_METRICS.values()) * len(names), strict=True)]
                runs = sorted({str(cell[2]) for cell in cells if cell})
                lines.append("| " + " | ".join([_bold(method), *texts, ", ".join(runs)]) + " |")
    return "\n".join([*lines, "", _edges(record)])


def _edges(record: dict[str, Any]) -> str:
    near = [table(record, f"{kind}_{reach}") for reach in (1, 2, 3) for kind in ("within", "chance_within")]
    said = []
    for name in IMAGE_SETS:
        values = [found.get(task_name(name, EDGES), {}).get((OURS, "trained on noise")) for found in near]
        if all(values):
            one, by_chance, *rest = (f"{100 * value[0]:.1f}" for value in values)
            said.append(f"{DATASETS[name].title} {one} % within 1 (by chance {by_chance}), {rest[0]} % within 2 "
                        f"({rest[1]}), {rest[2]} % within 3 ({rest[3]})")
    return ("Edges above .5 between pixels that ever light up, learned from noisy pictures, by the distance of their "
            "pixels: " + "; ".join(said) + ".") if said else ""


def _text(cell: tuple | None, digits: int) -> str:
    if cell is None:
        return ""
    mean, sd, _ = cell
    return f"{mean:.{digits}f}" + ("" if sd is None else f" ± {sd:.{digits}f}")


def _bold(method: str) -> str:
    return f"**{method}**" if method.startswith(OURS) else method
