"""The cells of a study: measured one by one or by several processes, and saved as they finish."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import SagvaeError, expected


@dataclass(frozen=True)
class Cell:
    """One measurement: a method with a setting (may be "") on a task, drawn with ``seed``; ``quick`` for smoke runs."""

    task: str
    method: str
    setting: str
    seed: int
    quick: bool = False

    def __str__(self) -> str:
        return " · ".join(filter(None, (self.task, self.method, self.setting, f"seed {self.seed}")))


@dataclass
class Measured:
    """What a cell gave: finite ``metrics`` by name and, if its edges may be kept, what they came from.

    ``scores`` float (P,) and ``truth`` bool (P,) hold the P = N(N-1)/2 pairs in the order of :func:`record.pairs`;
    ``threshold``: a pair is an edge when its score is greater.
    """

    metrics: dict[str, float]
    scores: np.ndarray | None = None
    truth: np.ndarray | None = None
    threshold: float | None = None


def measure_all(measure: Callable[[Cell], Measured], todo: list[Cell], kept: set[Cell],
                finish: Callable[[Cell, dict[str, Any]], None], workers: int, quiet: bool, total: int,
                together: Callable[[Cell], Hashable], until: float = math.inf) -> None:
    """Measure ``todo`` and hand every cell's line to ``finish``; on any error but SagvaeError what is done first.

    Cells with the same ``together`` share a fit that ``measure`` remembers: one process measures them all. No cell is
    begun after ``until``, in seconds since the epoch.
    """
    from tqdm import tqdm

    with tqdm(total=total, initial=total - len(todo), unit="cell", disable=quiet, file=sys.stderr) as bar:
        if workers == 1:
            for cell in todo:
                if time.time() >= until:
                    return
                bar.set_description(f"{cell.task} · {cell.method}")
                finish(cell, _measure_one(measure, cell, cell in kept))
                bar.update()
            return
        from concurrent.futures import ProcessPoolExecutor, as_completed
        from multiprocessing import get_context

        groups: dict[Hashable, list[Cell]] = {}
        for cell in todo:
            groups.setdefault(together(cell), []).append(cell)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(_measure_several, measure, cells, [cell in kept for cell in cells], until): cells
                       for cells in groups.values()}

            def take(future: Future) -> None:
                for cell, entry in zip(futures[future], future.result(), strict=False):  # the last may be postponed
                    finish(cell, entry)

            try:
                for future in as_completed(futures):
                    take(future)
                    bar.set_description(f"{futures[future][-1].task} · {futures[future][-1].method}")
                    bar.update(len(futures[future]))
            except BaseException:
                pool.shutdown(cancel_futures=True)  # waits for the cells that are being measured
                for future in futures:
                    if not future.cancelled() and future.exception() is None:
                        take(future)
                raise


def _measure_several(measure: Callable[[Cell], Measured], cells: list[Cell], keep: list[bool],
                     until: float) -> list[dict[str, Any]]:
    """The lines of ``cells``, without those that were not begun before ``until``."""
    entries = []
    for cell, kept in zip(cells, keep, strict=True):
        if time.time() >= until:
            break
        entries.append(_measure_one(measure, cell, kept))
    return entries


def _measure_one(measure: Callable[[Cell], Measured], cell: Cell, keep: bool) -> dict[str, Any]:
    """The line of one cell: its seconds with its metrics and what is to be kept, or with why it failed."""
    started = time.perf_counter()
    entry: dict[str, Any] = {}
    try:
        with _one_thread():
            result = measure(cell)
        entry["metrics"] = {name: float(value) for name, value in result.metrics.items()}
        if bad := [name for name, value in entry["metrics"].items() if not np.isfinite(value)]:
            raise expected(bad[0], "finite", entry["metrics"][bad[0]])
        if keep:
            if result.scores is None or result.truth is None or np.shape(result.scores) != np.shape(result.truth):
                raise expected("scores and truth of a cell whose edges are kept", "arrays of one shape (P,)",
                               f"{np.shape(result.scores)} and {np.shape(result.truth)}")
            entry |= {"scores": np.asarray(result.scores, dtype=np.float32).tolist(),
                      "truth": np.asarray(result.truth, dtype=np.uint8).tolist(),
                      "threshold": None if result.threshold is None else float(result.threshold)}
    except SagvaeError as error:
        entry = {"failed": str(error)}
    return entry | {"seconds": round(time.perf_counter() - started, 3)}


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for PyTorch and for the BLAS under numpy: sums in another order are other numbers."""
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    threads = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


class CellLog:
    """``<out>.partial.jsonl``: a line that says whose cells these are, then one for each finished cell."""

    def __init__(self, out: Path, header: dict[str, str], kept: set[Cell]) -> None:
        self.path = out.with_name(out.name + ".partial.jsonl")
        self.entries: dict[Cell, dict[str, Any]] = {}
        lines = list(self._lines())
        if lines and lines[0] != header:
            print(f"{self.path.name} holds cells of another command or version: starting over.", file=sys.stderr)
        elif lines:
            found = ((Cell(**line.pop("cell")), line) for line in lines[1:])
            self.entries = {cell: entry for cell, entry in found if cell not in kept or "scores" in entry}
        # Written anew, because the last line of an interrupted run may be half a line.
        fresh = [header, *({"cell": asdict(cell)} | entry for cell, entry in self.entries.items())]
        temporary = self.path.with_name(self.path.name + ".new")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in fresh), encoding="utf-8")
        os.replace(temporary, self.path)

    def append(self, cell: Cell, entry: dict[str, Any]) -> None:
        """Save one finished cell."""
        self.entries[cell] = entry
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"cell": asdict(cell)} | entry) + "\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    return
