"""Is a confidence worth its number: of the edges called 90 % sure, how many are there where the graph is known?

Three confidences of one learner: the posterior of the fit to all rows, and the shares of halves and of bootstraps that
chose a pair. The classical methods have no posterior; the share of halves stands beside it for the best two.

Nothing was tuned on these draws, and no confidence was changed to fit them: what they show is what a table gets.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..data import load_dataset
from ..data.synthetic import TASKS, make_task
from ..learners import BASELINES, RelationLearner, SAGVAERelations, StableRelations
from .cells import Cell, Measured
from .confidence_tables import LEVELS
from .record import pairs, run_study

FIRST_SEED = 1011  # the suite's draws end with 1010
POSTERIOR, HALVES, BOOTSTRAP = "SAG-VAE, posterior", "SAG-VAE, share of halves", "SAG-VAE, share of bootstraps"
CLASSICAL = {"Partial correlation, share of halves": "partial_correlation",
             "Graphical lasso, share of halves": "graphical_lasso"}
METHODS = (POSTERIOR, HALVES, BOOTSTRAP, *CLASSICAL)
ALLOWED = 1.0  # false edges, of the selection by halves
NOTES = (
    "A confidence counts as right if the pair is an edge of the true graph; of structural models that is the moral "
    "graph, which is what dependence given all other columns shows.",
    "Every method sees the rows alone. No confidence was recalibrated.",
    "The bound on false edges holds for pairs that a half of the rows chooses no more often than the average pair. A "
    "pair that the rows support without an edge in the graph, as of a function that no method can draw, is not of that "
    "kind.",
    "Intervals are those of a score at this number of rows. They hold if they cover the mean score of fits to other, "
    "independent tables of the same source, widened by what the mean of so few spreads itself.",
)


def confidence_study(out: Path, seeds: int = 3, nodes: int = 20, rows: Sequence[int] = (200, 1000), resamples: int = 20,
                     tables: int = 5, quick: bool = False, workers: int = 1, quiet: bool = False,
                     minutes: float | None = None) -> Path:
    """Run the study and write its record to ``out``.

    Args:
        seeds: fresh draws of every task. nodes: of each but the karate club. rows: of the tables.
        resamples: halves, and bootstrap samples, of every fit.
        tables: independent ones of the same source, whose mean score an interval should cover.
        quick: two tasks of 10 nodes and 200 rows, one seed, 4 resamples, 2 tables.
        minutes: nothing is begun after so many; the same command goes on, bootstraps last.
    """
    names = (*TASKS, "karate")
    if quick:
        names, seeds, nodes, rows, resamples, tables = ("gmrf-er-signed", "diffusion"), 1, 10, (200,), 4, 2
    chosen = [FIRST_SEED + index for index in range(seeds)]
    command = "sagvae study confidence" + (" --quick" if quick else (
        f" --seeds {seeds} --nodes {nodes}" + "".join(f" --rows {count}" for count in rows)
        + f" --resamples {resamples} --tables {tables}"))
    cells = list(_cells(names, nodes, rows, chosen, quick))
    return run_study("confidence", cells, functools.partial(measure, resamples=resamples, tables=tables), out=out,
                     command=command, seeds=chosen, notes=NOTES, workers=workers, quiet=quiet,
                     minutes=minutes, together=lambda cell: (cell.task, cell.seed, cell.method == BOOTSTRAP))


def _cells(names: Sequence[str], nodes: int, rows: Sequence[int], seeds: Sequence[int], quick: bool) -> Iterator[Cell]:
    tasks = [f"{name}, {34 if name == 'karate' else nodes} nodes, {length} rows" for length in rows for name in names
             if name != "karate" or length <= 1440]  # which are all there are
    for methods in ([method for method in METHODS if method != BOOTSTRAP], [BOOTSTRAP]):
        for seed in seeds:
            for task in tasks:
                yield from (Cell(task, method, "", seed, quick) for method in methods)


def measure(cell: Cell, resamples: int, tables: int) -> Measured:
    """One confidence on one draw of one task.

    The metrics are counts for each class of confidence (:func:`counted`); "brier", the mean squared error of the
    confidences; of halves "selected", "false_selected" and "false_bound", the pairs that stability selection chose,
    the wrong ones and the bound on these; of resampled SAG-VAE "coverage_edges" and "coverage_others", the shares of
    intervals, of true edges and of other pairs, that hold.
    """
    truth = _table(cell.task, cell.seed)[1]
    stable = _fitted(cell.task, cell.seed, cell.method, resamples)
    confidence = stable.edge_posterior_ if cell.method == POSTERIOR else stable.frequency_
    true = pairs(truth).astype(bool)
    metrics = counted(pairs(confidence), true) | {"brier": float(((pairs(confidence) - true) ** 2).mean())}
    if stable.resampling == "halves" and cell.method != POSTERIOR:
        chosen = pairs(stable.edges_).astype(bool)
        metrics |= {"selected": float(chosen.sum()), "false_selected": float((chosen & ~true).sum()),
                    "false_bound": float(stable.expected_false_)}
    if cell.method in (HALVES, BOOTSTRAP) and tables and not cell.task.startswith("karate"):
        apart = pairs(_mean_scores(cell.task, cell.seed, tables)) - pairs(stable.scores_)
        wider = math.sqrt(1 + 1 / tables)  # for the spread of a mean of so few
        holds = ((wider * pairs(stable.lower_ - stable.scores_) <= apart)
                 & (apart <= wider * pairs(stable.upper_ - stable.scores_)))
        metrics |= {"coverage_edges": float(holds[true].mean()), "coverage_others": float(holds[~true].mean())}
    return Measured(metrics)


def counted(confidence: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Of the pairs (P,) in each class of ``LEVELS``: how many, the sum of their confidences, and how many are edges."""
    place = np.clip(np.searchsorted(LEVELS, confidence, side="right") - 1, 0, len(LEVELS) - 2)
    sums = {"pairs": None, "claimed": confidence, "right": true.astype(float)}
    return {f"{name}_{number}": float(value) for name, weights in sums.items()
            for number, value in enumerate(np.bincount(place, weights, len(LEVELS) - 1))}


@functools.lru_cache(maxsize=4)
def _fitted(task: str, seed: int, method: str, resamples: int) -> StableRelations:
    if method == POSTERIOR:
        return _fitted(task, seed, HALVES, resamples)
    learner: RelationLearner = BASELINES[CLASSICAL[method]]() if method in CLASSICAL else _chosen(task, seed)
    resampling = "bootstrap" if method == BOOTSTRAP else "halves"
    return StableRelations(learner, resamples, resampling, ALLOWED, seed=seed).fit(_table(task, seed)[0])


@functools.lru_cache(maxsize=2)
def _chosen(task: str, seed: int) -> SAGVAERelations:
    """The learner with what it chose by itself for all rows, so that halves and bootstraps need not choose twice."""
    learner = SAGVAERelations(seed=seed)
    return learner.set_params(**learner.fit(_table(task, seed)[0]).settled())


@functools.lru_cache(maxsize=2)
def _table(task: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a task's draw, and its true graph."""
    name, nodes, rows = _parts(task)
    if name == "karate":
        data = load_dataset("karate", seed=seed, train_rows=rows)
        return data.train.inputs.numpy(), data.adjacency
    drawn = make_task(name, nodes, rows, seed)
    return drawn.x, drawn.truths.get("moral", drawn.truths.get("graph"))


@functools.lru_cache(maxsize=2)
def _mean_scores(task: str, seed: int, tables: int) -> np.ndarray:
    """Scores of every pair (N, N), mean over fits to independent tables: the rows after those of the draw itself."""
    name, nodes, rows = _parts(task)
    longer = make_task(name, nodes, rows * (1 + tables), seed).x
    settled = _chosen(task, seed).get_params()
    fits = [SAGVAERelations(**settled | {"seed": seed + number}).fit(longer[rows * number: rows * (number + 1)])
            for number in range(1, 1 + tables)]
    return np.mean([fit.scores_ for fit in fits], axis=0)


def _parts(task: str) -> tuple[str, int, int]:
    name, nodes, rows = task.split(", ")
    return name, int(nodes.split()[0]), int(rows.split()[0])
