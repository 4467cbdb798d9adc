"""Table 2 of the paper: the edges of benchmark graphs from noisy copies of their nodes' features.

SAG-VAE's settings were compared with the true edges in sight on development graphs, none of which is reported:
PROTEINS of 60, 61, 67 and 68 nodes, ENZYMES of 17 and 19, COIL-RAG of 5, all farther down the list of sizes than the 20
nearest graphs that are.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.base import derived_seed
from ..data.images import data_folder
from ..data.tu import PAPER_SIZES, TUGraph, load_tu_graphs, noisy_copies
from ..model import SAGVAE
from ..presets import run_config
from ..training import Trainer
from .cells import Cell, Measured
from .graph_oracles import ORACLES, SHUFFLED, lessons_from, measure_oracle
from .karate import KNOWN, UNKNOWN, measured
from .record import pairs, run_study

FIRST_SEED = 1001
COPIES = 400
NEAREST = 20
MODEL, AS_KARATE, LEARNER = "SAG-VAE, per node", "SAG-VAE as on karate", "SAG-VAE learner, label-free"
OURS = (MODEL, AS_KARATE, LEARNER)
UNINFORMED_PRIOR = 0.2  # the edge prior of a model that is not told the density
# What differs from karate's recipe. Every node's code comes from its own features alone, so that what similar nodes
# share is left to the graph, and a light KL keeps the codes informative.
RECIPE = {"model.encoder": "node", "model.encoder_hidden": 32, "model.edge_logits": "free", "model.attention": [],
          "train.stages.0.epochs": 20, "train.stages.0.kl_z_weight": 0.1}
# KL(q(A) || p(A)) a row and feature. The copies of a graph are one observation and not 400: with a lighter weight the
# edge probabilities go to 0 and 1, far surer than the features allow.
GRAPH_KL = 1.5
NOTES = (
    "5 graphs of PROTEINS have 64 nodes, 18 of ENZYMES 18 and 10 of COIL-RAG 6: \"all\" are these, fewer than 20 of "
    "each. \"About\" adds those nearest in size up to 20. Each has one draw of its copies, 1001, so a spread is over "
    "graphs; the seeds are draws of the single graph, the first of its size, since the paper does not name its own.",
    "Why little can be had: rows are dropped and noise is added independently, so the copies' deviations from their "
    "mean hold no edge. \"Residual correlation\" is what they give: over the graphs of a size its AP is that of "
    "shuffled nodes, which is chance. Only the similarity of the clean features is left.",
    "How little that is: the oracle with the best threshold on the clean features, the true edges in sight, is little"
    " above the same oracle on shuffled nodes, where there is nothing to find.",
    "PROTEINS: the paper's .385 is more than twice the mean of the best oracle, so no threshold on similar features "
    "gives it. Calling nodes with consecutive numbers neighbours gives .370, but features do not hold the numbers.",
    "COIL-RAG and ENZYMES: the paper's .800 is the F1 of calling every pair an edge on COIL-RAG's graph 12, and its "
    ".423 that on ENZYMES' graph 239. Graphs this dense reward naming all pairs.",
    "A classifier that is taught the edges of other graphs finds more on COIL-RAG, whose graphs are views of the same"
    " 100 objects, and little or nothing more elsewhere. The paper's task has no such labels.",
    f"\"{KNOWN}\" is SAG-VAE's edge prior, and the number of edges that the others may name. Correlations, the lasso, "
    "the smooth-signal graph and the learner get every feature of every copy as a row: centring the copies themselves"
    " would remove the clean features. Their tests take these for independent rows, which they are not.",
    f"\"{MODEL}\" names the pairs with the largest expected F1 by its own probabilities, which needs no label: nearly "
    "all where it is unsure. The others name as many as there are, or those past a threshold of their own; AP and "
    "\"F1, top K\" do not depend on any of this. Its settings were chosen on graphs that are not reported, with their"
    " edges in sight.",
    f"Told the density, no baseline has a better mean F1 than \"{MODEL}\" over the graphs of a size; on COIL-RAG \"All"
    " edges\" has the same. That owes something to the rule by which pairs are named: on PROTEINS the smooth-signal "
    "graph, told nothing, is ahead of SAG-VAE told or not; on ENZYMES the VGAE that sees 10 % of the edges is, where "
    "neither is told. Both are by less than a standard deviation. In AP and \"F1, top K\" no baseline is ahead by "
    "more than that either; on single graphs some are.",
)
# Title -> learner, its options, and whether it is given :func:`signals`.
BASELINES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "All edges": ("all_edges", {}, False),
    "Pairwise product": ("pairwise_product", {"standardise": False}, False),
    "Pairwise product, uncentred": ("pairwise_product", {"standardise": False, "centre": False}, False),
    "VGAE, no input edge": ("vgae", {"standardise": False}, False),
    "VGAE, 10 % of the edges": ("vgae", {"standardise": False}, False),
    "Absolute correlation": ("correlation", {}, True),
    "Partial correlation, shrunk": ("partial_correlation", {}, True),
    "Graphical lasso, cross-validated": ("graphical_lasso", {}, True),
    "Smooth-signal graph (Kalofolias)": ("smooth_graph", {}, True),
    "Residual correlation": ("correlation", {}, False),
}
QUICK = (MODEL, "All edges", "Pairwise product, uncentred", "Smooth-signal graph (Kalofolias)", "Residual correlation")
PAPER = {  # Table 2, F1 alone: PROTEINS, ENZYMES, COIL-RAG
    "paper: pairwise product": (0.367, 0.410, 0.714),
    "paper: VGAE, no input edge": (0.276, 0.315, 0.620),
    "paper: VGAE, 10 % of the edges": (0.283, 0.319, 0.643),
    "paper: SAG-VAE (dimension-wise)": (0.385, 0.423, 0.800),
}


def graphs_study(out: Path, seeds: int = 5, copies: int = COPIES, quick: bool = False, workers: int = 1,
                 quiet: bool = False) -> Path:
    """Run the study and write its record to ``out``.

    Args:
        seeds: draws of the copies of the single graphs, from 1001 on; all other graphs have the draw 1001.
        copies: noisy copies of every graph.
        quick: ENZYMES' graph 53 and two more, 100 copies, few methods: does it run, and no more.
        workers: processes; changes the time and no number.

    Returns:
        The path of the record; the scores of all pairs of the single graphs' first draw lie beside it.

    Raises:
        SagvaeError: a collection's files are missing and cannot be downloaded.
    """
    if quick:
        seeds, copies = 1, min(copies, 100)
    chosen = [FIRST_SEED + index for index in range(seeds)]
    command = "sagvae study graphs" + (" --quick" if quick else f" --seeds {seeds}") + (
        "" if copies == (100 if quick else COPIES) else f" --copies {copies}")
    tasks = {task: members for name in (("ENZYMES",) if quick else PAPER_SIZES)
             for task, members in tasks_of(name, quick).items()}
    paper = [{"task": task, "method": method, "setting": setting, "metric": "f1", "mean": value}
             for task in tasks for method, values in PAPER.items()
             for setting in ((KNOWN,) if "SAG" in method else (KNOWN, UNKNOWN))
             for name, value in zip(PAPER_SIZES, values, strict=True) if task.startswith(name)]
    return run_study("graphs", list(_cells(tasks, chosen, quick)), functools.partial(measure, copies=copies), out=out,
                     command=command, seeds=chosen, paper_rows=paper, notes=NOTES, workers=workers, quiet=quiet,
                     keep_edges=lambda cell: (single_graph(cell.task) and cell.seed == FIRST_SEED
                                              and cell.method != SHUFFLED))


@functools.lru_cache(maxsize=3)
def _collection(name: str, folder: Path) -> tuple[TUGraph, ...]:
    """All graphs that have a pair with and a pair without an edge, the nearest to the paper's size first."""
    graphs = [graph for graph in load_tu_graphs(name)
              if (edges := pairs(graph.adjacency)).any() and not edges.all()]
    return tuple(sorted(graphs, key=lambda graph: (abs(graph.num_nodes - PAPER_SIZES[name]), graph.index)))


def tasks_of(name: str, quick: bool = False) -> dict[str, tuple[TUGraph, ...]]:
    """The tasks of a collection and the graphs each is measured on; ``quick``: three of the paper's size and the first.

    Raises:
        SagvaeError: the collection's files are missing and cannot be downloaded.
    """
    size, nearest = PAPER_SIZES[name], _collection(name, data_folder())
    exact = tuple(graph for graph in nearest if graph.num_nodes == size)
    single = {f"{name}, {size} nodes, graph {exact[0].index}": exact[:1]}
    if quick:
        return {f"{name}, {size} nodes, all": exact[:3]} | single
    return {f"{name}, {size} nodes, all": exact} | single | {
        f"{name}, about {size} nodes, {NEAREST} graphs": nearest[:NEAREST]}


def single_graph(task: str) -> bool:
    """Whether a task is one graph drawn several times, and not many graphs drawn once."""
    return task.split(", ")[-1].startswith("graph ")


def _cells(tasks: dict[str, tuple[TUGraph, ...]], seeds: list[int], quick: bool) -> Iterator[Cell]:
    for task, graphs in tasks.items():
        single = single_graph(task)
        for seed in seeds if single else [graph.index for graph in graphs]:
            for method in QUICK if quick else (MODEL, *BASELINES) if "about" in task else (*OURS, *BASELINES):
                for setting in (KNOWN,) if method == AS_KARATE else (KNOWN, UNKNOWN):
                    yield Cell(task, method, setting, seed, quick)
        for seed in seeds[:1] if single else [graph.index for graph in graphs]:
            for method in ORACLES[:3] if quick else ORACLES:  # they see no copies, so a second draw is the same
                yield Cell(task, method, "", seed, quick)


def measure(cell: Cell, copies: int = COPIES) -> Measured:
    """One method on the copies of one graph: ``cell.seed`` is the draw of a single graph, else the graph's index."""
    name, last = cell.task.split(", ")[0], cell.task.split(" ")[-1]
    index, draw = (int(last), cell.seed) if single_graph(cell.task) else (cell.seed, FIRST_SEED)
    nearest = _collection(name, data_folder())
    graph = next(graph for graph in nearest if graph.index == index)
    density = float(pairs(graph.adjacency).mean())
    if cell.method in ORACLES:
        others = [one for one in nearest[NEAREST:] if one.num_nodes != PAPER_SIZES[name]]
        return measure_oracle(cell.method, graph, density, lessons_from(others))
    scores, threshold = _fitted(graph, draw, cell.method, copies, density if cell.setting == KNOWN else None)
    return measured(scores, threshold, graph.adjacency)


@functools.cache
def _fitted(graph: TUGraph, draw: int, method: str, copies: int, density: float | None) -> tuple[np.ndarray, float]:
    """Scores (N, N) and threshold; kept, because a graph may belong to two tasks."""
    rows = noisy_copies(graph.features, copies, seed=derived_seed(draw, graph.index))
    rows = rows[:, :, rows.any(axis=(0, 1))]  # features that are the same for all nodes
    if method in (MODEL, AS_KARATE):
        prior = UNINFORMED_PRIOR if density is None else density
        posterior = _posterior(method, rows, prior, draw)
        if method == AS_KARATE:
            return posterior, 0.5
        return posterior, expected_f1_threshold(posterior, prior, 0.5 if density is None else density)
    if density is not None:
        from ..learners.base import density_threshold

        scores, _ = _fitted(graph, draw, method, copies, None)
        return scores, density_threshold(scores, density)
    learner = _learner(method, graph, draw)
    if method == LEARNER or BASELINES[method][2]:
        rows = signals(rows)
    learner.fit(rows)
    return learner.scores_, learner.threshold_


def _learner(method: str, graph: TUGraph, draw: int) -> Any:
    from .. import learners

    if method == LEARNER:
        return learners.SAGVAERelations(prior="fixed", seed=draw)  # copies are no rows to count on
    key, options, _ = BASELINES[method]
    if key == "vgae":
        options = options | {"seed": draw}
        if "10 %" in method:
            options["observed_edges"] = learners.edge_share(graph.adjacency, 0.1, draw)
    return learners.BASELINES[key](**options)


def signals(rows: np.ndarray) -> np.ndarray:
    """Copies (M, N, F) as M F rows (M F, N), one value a node: a node's mean over the copies is no longer its own mean.

    A table of copies loses the clean features with its columns' means, and with them all there is to find.
    """
    table = rows.transpose(0, 2, 1).reshape(-1, rows.shape[1])
    return table[table.any(axis=1)]


def _posterior(method: str, rows: np.ndarray, prior: float, seed: int) -> np.ndarray:
    """Edge probabilities (N, N) of karate's recipe, or of the one that was chosen on the development graphs."""
    _, nodes, channels = rows.shape
    changes = RECIPE | {"train.stages.0.kl_graph_weight": GRAPH_KL * channels} if method == MODEL else {}
    config = run_config("karate", seed=seed, overrides={"train.device": "cpu"} | changes)
    model = SAGVAE(dataclasses.replace(config.model, num_nodes=nodes, num_channels=channels, edge_prior=prior), seed)
    Trainer(model, config.train).fit(torch.from_numpy(rows))
    return model.edge_posterior.double().cpu().numpy()


def expected_f1_threshold(posterior: np.ndarray, prior: float, density: float) -> float:
    """The threshold with the largest expected F1 if the probabilities are right: no label is needed.

    Naming the k surest pairs of probabilities p finds about 2 sum(p_1..k) / (k + sum(p)) of F1. Where no pair is much
    surer than another, that asks for all of them.

    Args:
        posterior: (N, N), learned under the edge prior ``prior``.
        density: what is believed of the edges; the probabilities are moved from the prior's odds to these.
    """
    odds = (density / (1 - density)) / (prior / (1 - prior))
    levels, counts = np.unique(-pairs(posterior), return_counts=True)
    believed = -levels * odds / (1 + levels - levels * odds)
    named, hits = np.cumsum(counts), np.cumsum(believed * counts)
    best = int(np.argmax(2 * hits / (named + hits[-1])))
    return float(-levels[best + 1] if best + 1 < len(levels) else -levels[best] / 2)
