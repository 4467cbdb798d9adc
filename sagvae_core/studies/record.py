"""What all studies share: the run over their cells, and the record it ends in; :mod:`.reading` reads it.

A cell is one method on one task with one seed. The record is JSON, ``{study, command, versions, seeds, seconds, rows,
notes}``, its rows in long form: ``task, method, setting, metric, mean, sd, n``, over the seeds. Beside it may lie a
safetensors file with the scores of single cells, for precision-recall curves and pictures of graphs.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..checkpoint import write_json
from ..errors import SagvaeError, expected
from ..metrics import edge_scores
from .cells import Cell, CellLog, Measured, measure_all
from .reading import ROW, check_row, read_record, scores_name


def run_study(name: str, cells: Iterable[Cell], measure: Callable[[Cell], Measured], *, out: Path, command: str,
              seeds: Iterable[int], paper_rows: Iterable[dict[str, Any]] = (), notes: str | Sequence[str] | None = None,
              workers: int = 1, quiet: bool = False, keep_edges: Callable[[Cell], bool] | None = None,
              worst: Sequence[str] = (), together: Callable[[Cell], Hashable] = lambda cell: cell,
              version: str = __version__, minutes: float | None = None) -> Path:
    """Measure all cells, write the record to ``out`` and return it.

    Every finished cell goes at once into ``<out>.partial.jsonl``; a run with the same name, command and ``version``
    goes on from there, any other starts over. Each cell computes on one thread, so ``workers`` changes the time and no
    number. A cell that raises SagvaeError is left out and named in the record's notes; any other error ends the study
    after what is finished has been saved.

    Args:
        measure: a function of a module (worker processes import it).
        paper_rows: rows for the record that nobody measured here; ``sd`` and ``n`` may be left out.
        notes: a sentence or several for the reader of the record.
        minutes: no cell is begun after so many. The record then holds what there is and says what it lacks, and the
            next run with the same command goes on, from first cells to last: put those that matter most first.
        keep_edges: the cells whose scores go to ``out`` with the suffix .safetensors, see :func:`read_edges`; for any
            task all of one seed.

    Raises:
        SagvaeError: a cell comes twice, edges of several seeds of a task are to be kept, ``out`` cannot be written or
            may not be overwritten (:func:`check_out`), every cell failed, or the time was too short for one.
    """
    cells, out = list(cells), Path(out)
    paper = [{"sd": None, "n": None} | row for row in paper_rows]
    kept = {cell for cell in cells if keep_edges is not None and keep_edges(cell)}
    _check_plan(cells, kept, out, workers, name)
    for row in paper:
        check_row(row, "paper_rows")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        log = CellLog(out, {"study": name, "command": command, "version": version}, kept)
    except OSError as error:
        raise expected("out", "a path in a folder that can be written", f"{out} ({error.strerror})",
                       "Choose another with --out.") from None
    failed: dict[Cell, str] = {}

    def finish(cell: Cell, entry: dict[str, Any]) -> None:
        if "failed" in entry:
            failed[cell] = entry["failed"]
        elif cell not in log.entries:
            log.append(cell, entry)

    todo = [cell for cell in cells if cell not in log.entries]
    until = math.inf if minutes is None else time.time() + 60 * minutes
    measure_all(measure, todo, kept, finish, workers, quiet, len(cells), together, until)
    problems = [f"Not measured: {cell}: {failed[cell]}" for cell in cells if cell in failed]
    for problem in problems:
        print(problem, file=sys.stderr)
    if len(failed) == len(cells):
        raise SagvaeError(f"No cell of the study {name!r} could be measured. {problems[0]}")
    entries = {cell: log.entries[cell] for cell in cells if cell in log.entries}
    if not entries:
        raise expected("minutes", "time enough for one cell", minutes)
    if missing := len(cells) - len(entries) - len(failed):
        problems.append(f"Not finished: {missing:,} of {len(cells):,} cells are still to be measured. The same command "
                        "goes on where it stopped.")
    _write_edges(out.with_suffix(".safetensors"), {cell: entry for cell, entry in entries.items() if cell in kept})
    record = {"study": name, "command": command, "versions": _versions(), "seeds": [int(seed) for seed in seeds],
              "seconds": round(sum(entry["seconds"] for entry in entries.values()), 1),
              "rows": aggregate({cell: entry["metrics"] for cell, entry in entries.items()}, worst)
              + [{key: row[key] for key in ROW} for row in paper]}
    if said := [*problems, *([notes] if isinstance(notes, str) else notes or ())]:
        record["notes"] = said
    write_json(out, record)
    if not missing:
        log.path.unlink()
    return out


def aggregate(metrics: dict[Cell, dict[str, float]], worst: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Long-form rows: mean and standard deviation (n - 1 in the denominator, None for n = 1) over the seeds.

    Of the metrics in ``worst`` a row ``METRIC_worst`` holds the largest value as its mean, without a deviation.
    """
    values: dict[tuple[str, str, str, str], list[float]] = {}
    for cell, named in metrics.items():
        for metric, value in named.items():
            values.setdefault((cell.task, cell.method, cell.setting, metric), []).append(value)
    rows = []
    for key, found in values.items():
        deviation = float(np.std(found, ddof=1)) if len(found) > 1 else None
        rows.append(dict(zip(ROW, (*key, float(np.mean(found)), deviation, len(found)), strict=True)))
        if key[3] in worst:
            rows.append(dict(zip(ROW, (*key[:3], f"{key[3]}_worst", max(found), None, len(found)), strict=True)))
    return rows


def pairs(matrix: np.ndarray) -> np.ndarray:
    """The entries above the diagonal of (N, N), row by row: (N(N-1)/2,)."""
    matrix = np.asarray(matrix)
    return matrix[np.triu_indices(len(matrix), k=1)]


def edge_metrics(scores: Any, threshold: float, truth: Any) -> dict[str, float]:
    """How well (N, N) ``scores`` find the (N, N) graph ``truth``, all in [0, 1].

    Returns:
        ``precision``, ``recall``, ``f1`` at ``threshold``; ``average_precision``; ``f1_top_k``, of the K best scored
        pairs for K true edges, expected over the order of equal scores; ``f1_best``, at the best threshold, which
        only who knows the truth can choose; ``all_edges_f1``, of calling every pair an edge.

    Raises:
        SagvaeError: as :func:`sagvae_core.metrics.edge_scores`.
    """
    found = edge_scores(scores, truth, threshold)
    values, true = pairs(np.asarray(scores)), pairs(np.asarray(truth)) != 0
    levels, group = np.unique(-values, return_inverse=True)  # equal scores are let in together, the highest first
    size, hits = (np.bincount(group, weights, len(levels)) for weights in (None, true))
    let_in, total = np.cumsum(size), true.sum()
    best = 2 * np.cumsum(hits) / (let_in + total)
    last = int(np.searchsorted(let_in, total))  # the group in which the K-th pair lies
    top = hits[:last].sum() + hits[last] * (total - size[:last].sum()) / size[last]
    names = ("precision", "recall", "f1", "average_precision")
    return {name: found[name] for name in names} | {
        "f1_top_k": float(top / total), "f1_best": float(best.max()), "all_edges_f1": found["all_edges_f1"]}


def check_out(out: Path, name: str, quick: bool = False) -> None:
    """Say before anything is computed whether the record of study ``name`` may be written to ``out``.

    Raises:
        SagvaeError: the path does not end in .json, or what lies there is no record, that of another study, or, for a
            quick one, that of a whole study.
    """
    if out.suffix != ".json":
        raise expected("out", "a path that ends in .json", out)
    if out.is_file():
        try:
            there = read_record(out)
        except (SagvaeError, ValueError):
            raise expected("out", "a new file or a study's record", f"{out}, which is neither",
                           "It would be overwritten: choose another with --out.") from None
        if there["study"] != name or (quick and "--quick" not in there["command"]):
            raise expected("out", f"a new file or the record of a {'quick ' if quick else ''}{name!r} study",
                           f"{out}, the record of `{there['command']}`",
                           "It would be overwritten: choose another with --out.")


def _check_plan(cells: list[Cell], kept: set[Cell], out: Path, workers: int, name: str) -> None:
    if not cells:
        raise expected("cells", "at least one", "none")
    if len(set(cells)) < len(cells):
        raise expected("cells", "all different", f"{next(cell for cell in cells if cells.count(cell) > 1)} twice")
    check_out(out, name, cells[0].quick)
    if workers < 1:
        raise expected("workers", "at least 1", workers)
    for task in {cell.task for cell in kept}:  # its graph is stored once, and may be another one with another seed
        found = sorted({cell.seed for cell in kept if cell.task == task})
        if len(found) > 1:
            raise expected(f"keep_edges on {task!r}", "of one seed", f"seeds {found}")


def _write_edges(path: Path, entries: dict[Cell, dict[str, Any]]) -> None:
    from safetensors.numpy import save

    if not entries:
        path.unlink(missing_ok=True)  # those of an earlier study belong to no record any more
        return
    tensors: dict[str, np.ndarray] = {}
    for cell, entry in entries.items():
        truth = np.array(entry["truth"], dtype=np.uint8)
        if not np.array_equal(tensors.setdefault(f"truth/{cell.task}", truth), truth):
            raise expected(f"the true graph of {cell.task!r}", "the same for all methods", f"another one for {cell}",
                           "Give the two graphs tasks of their own.")
        tensors[scores_name(cell)] = np.array(entry["scores"], dtype=np.float32)
    index = [{"cell": asdict(cell), "threshold": entry["threshold"]} for cell, entry in entries.items()]
    temporary = path.with_name(path.name + ".new")
    # Not by save_file: that makes a file which only its owner may read, and a record is there to be read.
    temporary.write_bytes(save(tensors, {"cells": json.dumps(index)}))
    os.replace(temporary, path)


def _versions() -> dict[str, str]:
    return {"sagvae_core": __version__, "torch": str(torch.__version__), "numpy": np.__version__,
            "sklearn": installed("scikit-learn"), "python": platform.python_version()}
