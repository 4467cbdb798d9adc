"""The README's tables of relations, read from the records in ``assets/studies``.

    python -m sagvae_core.studies.tables    write them between the README's markers
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..runs import shipped_folder
from .karate import GENERATORS, KNOWN
from .record import read_record, table
from .suite import BASELINES, OURS

START, END = "<!-- relations:", "<!-- /relations -->"


def relations(folder: Path) -> str:
    """The Markdown of every study that has a record in ``folder``."""
    parts = [text(read_record(path)) for name, text in (("karate", karate_text), ("suite", suite_text))
             if (path := folder / f"{name}.json").is_file()]
    return "\n\n".join(parts)


def karate_text(record: dict[str, Any]) -> str:
    """Table 1: F1 and average precision on both generators, where the density is known, beside the paper's F1."""
    metrics = {metric: table(record, metric) for metric in ("f1", "average_precision")}
    lines = [f"**Table 1, the karate club** (`{record['command']}`; mean ± sd over {len(record['seeds'])} fresh draws; "
             "density known to all; the paper's rows are its own data)", "",
             "| method | F1, symmetric | AP, symmetric | F1, row | AP, row |", "|---|---|---|---|---|"]
    methods = dict.fromkeys(key for task in GENERATORS for key in metrics["f1"].get(task, {}))
    for method, setting in methods:
        if setting != KNOWN:
            continue
        cells = [_cell(values.get(task, {}).get((method, setting))) for task in GENERATORS
                 for values in metrics.values()]
        lines.append("| " + " | ".join([_bold(method), *cells]) + " |")
    return "\n".join(lines)


def suite_text(record: dict[str, Any]) -> str:
    """Average precision of the one learner and the classical methods, a line a task, and the regret of its choice."""
    values, regret = table(record, "average_precision"), table(record, "regret_ap")
    methods = [OURS, *BASELINES]
    lines = [f"**Known graphs** (`{record['command']}`; average precision, mean ± sd over {len(record['seeds'])} fresh "
             "draws; nobody is told the density)", "",
             "| task | " + " | ".join(map(_bold, methods)) + " |", "|---" * (len(methods) + 1) + "|"]
    means: dict[str, list[float]] = {method: [] for method in methods}
    for task, cells in values.items():
        found = {method: cell for (method, _), cell in cells.items()}
        lines.append("| " + " | ".join([task, *(_cell(found.get(method)) for method in methods)]) + " |")
        if "(moral)" not in task:  # the same fit as its skeleton: a data set counts once
            for method in methods:
                means[method].append(found[method][0])
    averages = [f"{np.mean(means[method]):.3f}" for method in methods]
    lines.append("| " + " | ".join(["**mean, moral graphs left out**", *averages]) + " |")
    lost = [cell[0] for cells in regret.values() for cell in cells.values()]
    lines += ["", f"The choice among SAG-VAE's variants needs no labels; against the best variant with the truth in "
              f"sight it loses {np.mean(lost):.3f} AP on average and {max(lost):.3f} on the worst task (means over "
              "draws)."]
    behind = [f"{task} ({ours[0]:.3f} against {best[0]:.3f})" for task, ours, best in _ahead(values)
              if ours[0] + max(ours[1] or 0, best[1] or 0) < best[0]]
    lines += ["", "Behind the best classical method by more than one sd: " + ("; ".join(behind) or "nowhere") + "."]
    return "\n".join(lines)


def _ahead(values: dict[str, dict]) -> list[tuple[str, tuple, tuple]]:
    """Every task with our cell and the best baseline's."""
    return [(task, next(cell for (method, _), cell in cells.items() if method == OURS),
             max((cell for (method, _), cell in cells.items() if method != OURS), key=lambda cell: cell[0]))
            for task, cells in values.items()]


def write_readme(readme: Path, folder: Path) -> None:
    """Replace what stands between the README's markers."""
    text = readme.read_text(encoding="utf-8")
    start, end = text.index("\n", text.index(START)) + 1, text.index(END)
    readme.write_text(text[:start] + "\n" + relations(folder) + "\n\n" + text[end:], encoding="utf-8")


def _bold(method: str) -> str:
    return f"**{method}**" if method.startswith("SAG-VAE") else method


def _cell(value: tuple | None) -> str:
    if value is None:
        return ""
    mean, sd, _ = value
    return f"{mean:.3f}" + ("" if sd is None else f" ± {sd:.3f}")


if __name__ == "__main__":
    studies = shipped_folder().parent / "studies"
    write_readme(studies.parents[1] / "README.md", studies)
    print(relations(studies))
