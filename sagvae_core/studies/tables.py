"""The README's tables of relations, repaired images and noisy sampling, read from the records in ``assets/studies``.

    python -m sagvae_core.studies.tables    write them between the README's markers
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data import DATASETS
from ..presets import MODELS
from ..runs import shipped_folder
from .classifier import DATASET_NAMES
from .confidence_tables import confidence_text
from .image_tables import images_text
from .karate import GENERATORS, KNOWN
from .noisy_sampling import PAPER_COUNT, ROLES, SAMPLERS, task_name
from .reading import read_record, table
from .suite import BASELINES, OURS, TRIED, UNSTOPPED

REFERENCE_SIZE = "40 nodes, 1000 rows"  # the README's example; all others are in the record and on the Evidence page
START, END = "<!-- relations:", "<!-- /relations -->"
IMAGES_START, IMAGES_END = "<!-- images:", "<!-- /images -->"
SAMPLING_START, SAMPLING_END = "<!-- sampling:", "<!-- /sampling -->"
_PAPER_PLACE = 3  # of the paper's number among a model's settings, whatever the size of its code


def relations(folder: Path) -> str:
    """The Markdown of every study that has a record in ``folder``."""
    texts = (("karate", karate_text), ("graphs", graphs_text), ("suite", suite_text), ("confidence", confidence_text))
    parts = [text(read_record(path)) for name, text in texts if (path := folder / f"{name}.json").is_file()]
    return "\n\n".join(parts)


def images(folder: Path) -> str:
    """The Markdown of repaired images if they have a record in ``folder``."""
    path = folder / "images.json"
    return images_text(read_record(path)) if path.is_file() else ""


def sampling(folder: Path) -> str:
    """The Markdown of noisy sampling if it has a record in ``folder``."""
    path = folder / "sampling.json"
    return sampling_text(read_record(path)) if path.is_file() else ""


def sampling_text(record: dict[str, Any]) -> str:
    """Noisy sampling: classes recovered without and with the paper's share of corrupted dimensions."""
    metrics = [table(record, metric) for metric in ("classes_recovered", "classes_recovered_filtered")]
    lines = [f"Classes recovered without → with {PAPER_COUNT} of 784 dimensions corrupted, or the same share "
             f"(`{record['command']}`; mean of {len(record['seeds'])} seeds):", "",
             "| model | " + " | ".join(f"{sampler} | … median-filtered" for sampler in SAMPLERS) + " |",
             "|---" * (len(metrics) * len(SAMPLERS) + 1) + "|"]
    for name in DATASET_NAMES:
        tasks = [task_name(name, sampler) for sampler in SAMPLERS]
        for method in (MODELS[role] for role in ROLES):
            cells = [_arrow(values.get(task, {}), method) for task in tasks for values in metrics]
            if any(cells):
                lines.append(f"| {_bold(method)} on {DATASETS[name].title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _arrow(found: dict[tuple[str, str], tuple], method: str) -> str:
    """"10.0 → 9.7": a model without corruption and with the paper's."""
    values = [mean for (named, setting), (mean, _, _) in found.items() if named == method and "noise" not in setting]
    return f"{values[0]:.1f} → {values[_PAPER_PLACE]:.1f}" if len(values) > _PAPER_PLACE else ""


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


def graphs_text(record: dict[str, Any]) -> str:
    """Table 2: F1 and average precision over all graphs of the paper's sizes, and why there is no more to be had."""
    metrics = {metric: table(record, metric) for metric in ("f1", "average_precision")}
    tasks = [task for task in metrics["f1"] if task.endswith(", all")]
    counts = {task: max(cell[2] or 0 for cell in metrics["f1"][task].values()) for task in tasks}
    lines = [f"**Table 2, benchmark graphs** (`{record['command']}`; mean ± sd over all graphs of the paper's sizes: "
             + ", ".join(f"{counts[task]} of {task.split(',')[0]}" for task in tasks)
             + "; density known to all but oracles, which see the true edges)", "",
             "| method | " + " | ".join(f"F1, {name} | AP, {name}" for name in (task.split(",")[0] for task in tasks))
             + " |", "|---" * (2 * len(tasks) + 1) + "|"]
    for method, setting in dict.fromkeys(key for task in tasks for key in metrics["f1"][task]):
        if setting in (KNOWN, ""):
            cells = [_cell(values.get(task, {}).get((method, setting))) for task in tasks
                     for values in metrics.values()]
            lines.append("| " + " | ".join([_bold(method), *cells]) + " |")
    return "\n".join([*lines, "", *(f"- {note}" for note in record.get("notes", ()))])


def suite_text(record: dict[str, Any]) -> str:
    """Average precision of the one learner and the classical methods: every task of one size, the mean of every size,
    where ours is behind, what was tried there, and the regret of the choice."""
    values = table(record, "average_precision")
    methods = [OURS, *BASELINES]
    sizes = list(dict.fromkeys(_size(task) for task in values))
    shown = max(sizes, key=lambda size: (size == REFERENCE_SIZE, -sizes.index(size)))
    head = ["| task | " + " | ".join(map(_bold, methods)) + " |", "|---" * (len(methods) + 1) + "|"]
    lines = [f"**Known graphs** (`{record['command']}`; average precision, mean ± sd over {len(record['seeds'])} fresh "
             f"draws; nobody is told the density; {shown}, the karate club has 34)", "", *head]
    for task, found in values.items():
        if _size(task) == shown:
            cells = [_cell(_of(found, method)) for method in methods]
            lines.append("| " + " | ".join([task.split(", ")[0], *cells]) + " |")
    lines += ["", "Mean over the tasks of each size:", "", head[0].replace("task", "size", 1), head[1]]
    for size in (*sizes, "all"):
        tasks = [found for task, found in values.items() if size in (_size(task), "all")]
        means = [f"{np.mean([_of(found, method)[0] for found in tasks]):.3f}" for method in methods]
        lines.append("| " + " | ".join([size, *means]) + " |")
    return "\n".join([*lines, "", _behind(values), "", *_tried(values), _regret(record), *_stopping(values)])


def _behind(values: dict[str, dict]) -> str:
    behind = [f"{task} ({ours[0]:.3f} against {best[0]:.3f})" for task, ours, best in _ahead(values)
              if ours[0] + max(ours[1] or 0, best[1] or 0) < best[0]]
    return (f"Behind the best classical method by more than one sd, of {len(values)} tasks: "
            + ("; ".join(behind) or "nowhere") + ".")


def _tried(values: dict[str, dict]) -> list[str]:
    """A line for each task that changes were tried on."""
    lines = []
    for task, found in values.items():
        tried = [f"{method.removeprefix('tried: ')} {_cell(cell)}" for (method, _), cell in found.items()
                 if method in TRIED]
        if tried:
            lines.append(f"- {task}: SAG-VAE {_cell(_of(found, OURS))}; {'; '.join(tried)}.")
    words = "Changes to the model that were tried on the random fields where it is, or in earlier draws was, behind:"
    return [words, "", *lines, ""] if lines else []


def _regret(record: dict[str, Any]) -> str:
    said = []
    for metric, name in (("regret_ap", "AP against the best variant"), ("regret_f1", "F1 against the best threshold")):
        mean, worst = ([cell[0] for cells in table(record, key).values() for cell in cells.values()]
                       for key in (metric, f"{metric}_worst"))
        if mean and worst:
            said.append(f"{np.mean(mean):.3f} {name} on average and {max(worst):.3f} on the worst draw of all")
    return "What choosing without labels loses, with the truth in sight: " + "; ".join(said) + "."


def _stopping(values: dict[str, dict]) -> list[str]:
    """What training that stops by its own criterion loses, where the whole training was measured too."""
    both = [f"{task} {_cell(_of(found, OURS))}, with all steps {_cell(cell)}" for task, found in values.items()
            for (method, _), cell in found.items() if method == UNSTOPPED]
    return ["", "Stopping early, AP: " + "; ".join(both) + "."] if both else []


def _ahead(values: dict[str, dict]) -> list[tuple[str, tuple, tuple]]:
    """Every task with our cell and the best baseline's."""
    return [(task, _of(found, OURS), max((_of(found, method) for method in BASELINES), key=lambda cell: cell[0]))
            for task, found in values.items()]


def _of(found: dict[tuple[str, str], tuple], method: str) -> tuple:
    return next(cell for (name, _), cell in found.items() if name == method)


def _size(task: str) -> str:
    """"diffusion, 40 nodes, 200 rows" -> "40 nodes, 200 rows"; the karate club's 34 members count as 40."""
    _, _, size = task.partition(", ")
    return size.replace("34 nodes", "40 nodes")


def write_readme(readme: Path, folder: Path) -> None:
    """Replace what stands between the README's markers."""
    text = readme.read_text(encoding="utf-8")
    for first, last, table_text in ((START, END, relations(folder)), (IMAGES_START, IMAGES_END, images(folder)),
                                    (SAMPLING_START, SAMPLING_END, sampling(folder))):
        start, end = text.index("\n", text.index(first)) + 1, text.index(last)
        text = text[:start] + "\n" + table_text + "\n\n" + text[end:]
    readme.write_text(text, encoding="utf-8")


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
    print(relations(studies), images(studies), sampling(studies), sep="\n\n")
