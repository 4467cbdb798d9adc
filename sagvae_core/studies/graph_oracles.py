"""Rows of Table 2 that are no fair method: they see the true edges, other graphs' edges or the nodes' numbers.

They say how much there is to be found: nobody who is given a graph's noisy features alone can know more of its edges
than its clean features hold.
"""

from __future__ import annotations

import functools

import numpy as np

from ..data.tu import TUGraph, noisy_copies
from .cells import Measured
from .record import edge_metrics, pairs

PRODUCTS = "oracle: best threshold, clean products"
CORRELATIONS = "oracle: best threshold, clean correlations"
SHUFFLED = "oracle: best threshold, shuffled nodes"
TAUGHT = "oracle: taught by other graphs' edges"
NUMBERS = "reference: neighbours by number"
ORACLES = (PRODUCTS, CORRELATIONS, SHUFFLED, TAUGHT, NUMBERS)
SHUFFLES = 200
_TAUGHT_PAIRS = 200_000  # pairs of nodes a classifier is taught with, at most


def clean_features(graph: TUGraph) -> np.ndarray:
    """The graph's standardised features without any damage, float64 (N, F)."""
    return noisy_copies(graph.features, copies=1, drop=0, noise=0)[0].astype(np.float64)


def measure_oracle(method: str, graph: TUGraph, density: float, lessons: tuple[TUGraph, ...]) -> Measured:
    """What one of :data:`ORACLES` makes of a graph.

    Args:
        density: of the true edges; the taught classifier names as many.
        lessons: the graphs whose edges it is taught.
    """
    from ..learners.base import density_threshold

    clean, truth = clean_features(graph), graph.adjacency
    if method == SHUFFLED:
        return _shuffled(clean, truth)
    if method == PRODUCTS:
        scores = clean @ clean.T
    elif method == CORRELATIONS:
        scores = correlations(clean)
    elif method == NUMBERS:
        places = np.arange(len(clean), dtype=np.float64)
        scores = -np.abs(places[:, None] - places)
        return _measured(scores, -1.5, truth)
    else:
        values = _taught(lessons).predict_proba(_pair_features(clean))[:, 1]
        scores = np.zeros(truth.shape)
        scores[np.triu_indices(len(truth), k=1)] = values
        scores += scores.T
        return _measured(scores, density_threshold(scores, density), truth)
    return _measured(scores, best_threshold(scores, truth), truth)


def correlations(clean: np.ndarray) -> np.ndarray:
    """Correlation of the rows of ``clean`` (N, F) over its columns, (N, N); 0 with a row that never varies."""
    centred = clean - clean.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 1e-12)
    return unit @ unit.T


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """The threshold with the largest F1, with the (N, N) ``truth`` in sight."""
    values, true = pairs(scores), pairs(truth)
    levels = np.unique(values)
    below = np.append(levels[0] - 1, levels[:-1])  # letting in each level and all above it
    named = values[:, None] > below
    f1 = 2 * (named & true[:, None]).sum(axis=0) / (named.sum(axis=0) + true.sum())
    return float(below[f1.argmax()])


def _shuffled(clean: np.ndarray, truth: np.ndarray) -> Measured:
    """What the best threshold finds where there is nothing to find: means over random orders of the nodes' features."""
    random = np.random.RandomState(0)
    found = []
    for _ in range(SHUFFLES):
        scores = (shuffled := clean[random.permutation(len(clean))]) @ shuffled.T
        found.append(edge_metrics(scores, best_threshold(scores, truth), truth))
    return Measured({name: float(np.mean([one[name] for one in found])) for name in found[0]})


@functools.lru_cache(maxsize=3)
def _taught(lessons: tuple[TUGraph, ...]):
    """A classifier of pairs of nodes, fitted to the clean features and true edges of other graphs."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    features = [_pair_features(clean_features(graph)) for graph in lessons]
    edges = np.concatenate([pairs(graph.adjacency) for graph in lessons])
    return HistGradientBoostingClassifier(max_iter=150, learning_rate=0.06, random_state=0).fit(
        np.concatenate(features), edges)


def lessons_from(graphs: list[TUGraph]) -> tuple[TUGraph, ...]:
    """The first of ``graphs`` that have no more than 200,000 pairs of nodes together."""
    total = np.cumsum([graph.num_nodes * (graph.num_nodes - 1) // 2 for graph in graphs])
    return tuple(graphs[:int(np.searchsorted(total, _TAUGHT_PAIRS, side="right"))])


def _pair_features(clean: np.ndarray) -> np.ndarray:
    """What is known of every pair i < j whatever their order, (P, 3 F + 2)."""
    first, second = (clean[places] for places in np.triu_indices(len(clean), k=1))
    gap = np.abs(first - second)
    return np.column_stack([np.minimum(first, second), np.maximum(first, second), gap, (first * second).sum(axis=1),
                            (gap**2).sum(axis=1)])


def _measured(scores: np.ndarray, threshold: float, truth: np.ndarray) -> Measured:
    return Measured(edge_metrics(scores, threshold, truth), pairs(scores), pairs(truth), threshold)
