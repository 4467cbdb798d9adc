"""The scores that a study has kept of single cells -> curves, hits, misses and false edges. Pure: arrays in and out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.evidence import Line
from sagvae_core.graph_files import RelationGraph


@dataclass(frozen=True, eq=False)
class Found:
    """The scores a method gave all pairs of one task, with one seed.

    Attributes:
        scores: float (P,), P = N(N-1)/2 pairs i < j, row by row; any scale, higher is surer.
        truth: bool (P,).
        threshold: the method's own: a pair is an edge when its score is greater; None when it has none.
        seed: of the data and the method.
    """

    scores: np.ndarray
    truth: np.ndarray
    threshold: float | None
    seed: int


def precision_recall(found: Found) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision, (L,) each, wherever letting in more pairs finds more edges.

    Pairs of equal scores are let in together. Between two points the precision is that of the right one, so the area
    under the steps is the average precision.
    """
    levels, group = np.unique(-found.scores, return_inverse=True)
    size, hits = (np.cumsum(np.bincount(group, weights, len(levels))) for weights in (None, found.truth))
    grows = np.diff(hits, prepend=0) > 0
    return hits[grows] / max(hits[-1], 1), hits[grows] / size[grows]


def chosen_pairs(found: Found, top_k: bool = False) -> np.ndarray:
    """bool (P,): the pairs above the method's own threshold, or the K best for K true edges.

    Equal scores at the K-th place are taken in the order of the pairs.
    """
    if top_k or found.threshold is None:
        chosen = np.zeros(len(found.scores), dtype=bool)
        chosen[np.argsort(-found.scores, kind="stable")[:int(found.truth.sum())]] = True
        return chosen
    return found.scores > np.float32(found.threshold)  # as coarse as the kept scores: a score at it stays outside


def operating_point(found: Found) -> tuple[float, float] | None:
    """Recall and precision at the method's own threshold; None where it has none or finds nothing."""
    if found.threshold is None or not (chosen := chosen_pairs(found)).any():
        return None
    rates = hit_rates(chosen, found.truth)
    return rates["recall"], rates["precision"]


def hit_rates(chosen: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """``hits``, ``misses``, ``false``: how many pairs; ``precision``, ``recall``, ``f1`` in [0, 1]."""
    hits, false, missed = int((chosen & truth).sum()), int((chosen & ~truth).sum()), int((~chosen & truth).sum())
    return {"hits": hits, "misses": missed, "false": false, "precision": hits / max(hits + false, 1),
            "recall": hits / max(hits + missed, 1), "f1": 2 * hits / max(2 * hits + false + missed, 1)}


def square(pairs: np.ndarray) -> np.ndarray:
    """(P,) pairs i < j, row by row -> the symmetric (N, N) matrix with an empty diagonal."""
    nodes = round((1 + np.sqrt(1 + 8 * len(pairs))) / 2)
    matrix = np.zeros((nodes, nodes), dtype=np.asarray(pairs).dtype)
    matrix[np.triu_indices(nodes, 1)] = pairs
    return matrix + matrix.T


def as_probabilities(found: Found, chosen: np.ndarray) -> np.ndarray:
    """(N, N) in [0, 1] in the order of the scores, chosen pairs above ½ and all others below: what network figures
    draw, whatever the scale of a method's scores."""
    rank = np.empty(len(found.scores))
    rank[np.argsort(found.scores, kind="stable")] = np.arange(len(rank)) / max(len(rank), 1)
    return square(np.where(chosen, 0.55 + 0.45 * rank, 0.45 * rank))


def relation_graph(found: Found, chosen: np.ndarray, names: Sequence[str], about: Mapping[str, str]) -> RelationGraph:
    """The kept scores and the chosen pairs (bool, P) of N named nodes as they are written to files."""
    truth, edges = square(found.truth), square(chosen)
    return RelationGraph(
        tuple(names), square(found.scores), None, edges,
        node_attributes={"degree": edges.sum(1), "true degree": truth.sum(1)},
        graph_attributes={**about, "seed": found.seed}
        | ({} if found.threshold is None else {"own threshold": found.threshold}))


def stored(edges: dict[tuple[str, str, str], Found], task: str, rows: Iterable[Line]) -> dict[str, Found]:
    """Label -> the kept edges, for those lines of a task's table that have some."""
    return {line.label: edges[task, line.method, line.setting] for line in rows
            if (task, line.method, line.setting) in edges}
