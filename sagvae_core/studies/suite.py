"""Tasks whose graph is known and whose relations carry signal: one SAG-VAE learner against the classical methods.

The learner chooses among its three variants by itself, without labels; what that choice loses against the best variant
with the truth in sight is its regret. Its settings were chosen on the data seeds 101-103.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..data import load_dataset
from ..data.synthetic import TASKS, make_task
from ..learners.classical import least_partial_correlation
from .cells import Cell, Measured
from .karate import measured
from .record import edge_metrics, run_study

FIRST_SEED = 1006  # earlier runs on 1001 to 1005 showed where the learner was behind, and so what to work on
OURS = "SAG-VAE"
# Title -> learner and whether it is given normal scores (ranks), as SAG-VAE gives itself.
BASELINES = {
    "Absolute correlation": ("correlation", False),
    "Partial correlation, shrunk": ("partial_correlation", False),
    "Partial correlation, of ranks": ("partial_correlation", True),
    "Graphical lasso, cross-validated": ("graphical_lasso", False),
    "Graphical lasso, of ranks": ("graphical_lasso", True),
    "Smooth-signal graph (Kalofolias)": ("smooth_graph", False),
}
TRUTHS = {"sem-linear": ("skeleton", "moral"), "sem-nonlinear": ("skeleton", "moral"),
          "sem-nonlinear-heavy": ("skeleton", "moral")}
# Changes to the linear variant, tried where it is behind. Its own normalisation is the learned scale.
TRIED: dict[str, dict[str, Any]] = {
    "tried: symmetric normalisation": {"settings": {"normalisation": "symmetric"}},
    "tried: row normalisation": {"settings": {"normalisation": "row"}},
    "tried: no learned scale of columns": {"settings": {"node_scale": False}},
    "tried: second-order edge encoder": {"settings": {"edge_logits": "moments"}},
}
TRIED_ON = ("gmrf-grid-positive", "gmrf-ba-positive")  # the smaller size, up to 1,000 rows
TRIED_ON_LARGE = ("gmrf-grid-positive", "gmrf-grid-signed")  # the other sizes, up to 200 rows
# What stopping early loses, on one task of each variant.
UNSTOPPED = "tried: no early stopping"
UNSTOPPED_ON = ("gmrf-er-signed", "sem-nonlinear", "diffusion")
NOTES = (
    "Every method is told nothing but the rows. The best two classical ones are also given ranks (normal scores), as "
    "SAG-VAE gives them to itself.",
    "A structural model has two graphs. Its moral graph is what dependence given all other columns shows; for its "
    "skeleton every method is asked for direct relations instead: the smallest of its score given the others, given "
    "none, and given the others but one (partial correlation and lasso from their precision matrix, the smooth-signal "
    "graph only with the absolute correlation). It is one fit, read twice.",
    "\"Tried\" are one change each to SAG-VAE's linear variant, where it is behind; and the whole learner with all its "
    "steps for every variant instead of stopping early.",
    "Where SAG-VAE is behind, on random fields of 200 rows, training keeps too few edges, so that what is left out is "
    "ranked by evidence that holds too little fixed.",
    "The worst draw of the choice between variants is a positive scale-free field of 100 nodes and 200 rows: its "
    "smoothing graph is nearer the truth although it describes the rows worse. A lower margin and averaged scores lose "
    "more on the development draws.",
)


def suite_study(out: Path, seeds: int = 5, nodes: tuple[int, ...] = (40, 100),
                rows: tuple[int, ...] = (200, 1000, 5000), quick: bool = False, workers: int = 1,
                quiet: bool = False, minutes: float | None = None) -> Path:
    """Run the suite and write its record to ``out``; ``quick``: two tasks of 15 nodes and 200 rows, one seed;
    ``minutes``: as in :func:`.record.run_study`."""
    if quick:
        seeds, nodes, rows = 1, (15,), (200,)
    chosen = [FIRST_SEED + index for index in range(seeds)]
    command = "sagvae study suite" + (" --quick" if quick else f" --seeds {seeds}" + "".join(
        f" --nodes {count}" for count in nodes) + "".join(f" --rows {count}" for count in rows))
    names = ("gmrf-er-signed", "sem-nonlinear") if quick else (*TASKS, "karate")
    return run_study("suite", list(_cells(names, nodes, rows, chosen, quick)), measure, out=out, command=command,
                     seeds=chosen, notes=NOTES, workers=workers, quiet=quiet, minutes=minutes,
                     worst=("regret_ap", "regret_f1"),
                     together=lambda cell: (_draw(cell), cell.method),
                     keep_edges=lambda cell: cell.seed == FIRST_SEED and ("1000 rows" in cell.task or cell.quick))


def _cells(names: tuple[str, ...], nodes: tuple[int, ...], rows: tuple[int, ...], seeds: list[int],
           quick: bool) -> Iterator[Cell]:
    for seed in seeds:
        for count in nodes:
            for length in rows:
                for name in names:
                    if name == "karate" and (count != nodes[0] or length > 1440):
                        continue  # 34 members and 1,440 training rows are all there are
                    shown = 34 if name == "karate" else count
                    tried = () if quick else _tried(name, count == nodes[0], length)
                    for method in (OURS, *tried, *BASELINES):
                        for truth in TRUTHS.get(name, ("",)):
                            label = f"{name} ({truth})" if truth else name
                            yield Cell(f"{label}, {shown} nodes, {length} rows", method, "density unknown", seed, quick)


def _tried(name: str, smallest: bool, rows: int) -> list[str]:
    """The changes that are tried on a task."""
    behind = name in TRIED_ON and rows <= 1000 if smallest else name in TRIED_ON_LARGE and rows <= 200
    unstopped = smallest and rows == 1000 and name in UNSTOPPED_ON
    return [*(TRIED if behind else ()), *([UNSTOPPED] if unstopped else ())]


def measure(cell: Cell) -> Measured:
    """One method on one draw of one task."""
    truth = cell.task.split(", ")[0].partition(" (")[2].rstrip(")") or "graph"
    draw = _draw(cell)
    learner = _fitted(*draw, cell.method)
    adjacency = _task(*draw)[1][truth]
    relation = "direct" if truth == "skeleton" else "conditional"
    if cell.method in BASELINES:
        scores = learner.scores_
        if relation == "direct":
            scores = np.minimum(scores, _fitted(*draw, "Absolute correlation").scores_)
            if hasattr(learner, "precision_"):
                scores = np.minimum(scores, least_partial_correlation(learner.precision_))
        return measured(scores, learner.threshold_, adjacency)
    learner = learner.read_as(relation)
    result = measured(learner.scores_, learner.threshold_, adjacency)
    if cell.method == OURS:
        scored = {variant: edge_metrics(scores, 0.0, adjacency)["average_precision"]
                  for variant, scores in learner.variant_scores_.items()}
        result.metrics |= {f"average_precision_{variant}": value for variant, value in scored.items()}
        result.metrics |= {"regret_ap": max(scored.values()) - scored[learner.variant_],
                           "regret_f1": result.metrics["f1_best"] - result.metrics["f1"]}
    return result


def _draw(cell: Cell) -> tuple[str, int, int, int]:
    """Name, nodes, rows and seed of the data that a cell's task was drawn from."""
    label, nodes, rows = cell.task.split(", ")
    return label.partition(" (")[0], int(nodes.split()[0]), int(rows.split()[0]), cell.seed


@functools.lru_cache(maxsize=2)
def _task(name: str, nodes: int, rows: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if name == "karate":
        data = load_dataset("karate", seed=seed, train_rows=rows)
        return data.train.inputs.numpy(), {"graph": data.adjacency}
    task = make_task(name, nodes, rows, seed)
    return task.x, task.truths


@functools.lru_cache(maxsize=4)  # skeleton and moral graph are two readings of one fit
def _fitted(name: str, nodes: int, rows: int, seed: int, method: str):
    from ..learners import BASELINES as classes
    from ..learners import SAGVAERelations, normal_scores

    x = _task(name, nodes, rows, seed)[0]
    if method not in BASELINES:
        changed = {"variant": "linear"} | TRIED[method] if method in TRIED else {"early_stopping": method != UNSTOPPED}
        return SAGVAERelations(seed=seed, **changed).fit(x)
    key, ranked = BASELINES[method]
    return classes[key]().fit(normal_scores(x) if ranked else x)
