"""Learned relations -> what they say of single columns: how predictable each is, and how central. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dashboard.relation_numbers import ROUNDING, Cut, pairs, strength
from sagvae_core.graph_files import RelationGraph

SPREAD = tuple(percent / 100 for percent in range(50, 100, 5))
"""Thresholds over which a centrality is shown to be steady or not."""


def predictability(graph: RelationGraph) -> np.ndarray | None:
    """(N,) in [0, 1]: the share of each column's variance that its neighbours explain; None where nobody knows."""
    given = graph.node_attributes.get("predictability")
    if given is None:
        return None
    values = np.array([np.nan if value is None else float(value) for value in given])
    return np.clip(values, 0.0, 1.0) if np.isfinite(values).any() else None


def centralities(edges: np.ndarray, strong: np.ndarray) -> dict[str, np.ndarray]:
    """(N,) each: the number of a column's edges, the sum of their strengths, and the share of shortest paths between
    two others that lead through it."""
    edges = np.asarray(edges, dtype=bool)
    return {"degree": edges.sum(1).astype(float), "strength": np.where(edges, strong, 0.0).sum(1),
            "betweenness": betweenness(edges)}


def centrality_ranges(graph: RelationGraph, by: Cut, edges: np.ndarray) -> dict[str, np.ndarray]:
    """Centrality -> (3, N): of these edges, and the lowest and the highest over :data:`SPREAD`; without shares over
    half to twice as many edges as were selected."""
    strong = strength(graph)
    if by.is_share:
        levels: Sequence[float] = SPREAD
    else:
        count, ranked = int(pairs(graph.selected).sum()), np.sort(pairs(by.values))[::-1]
        wanted = np.unique(np.linspace(count / 2, 2 * count, 10).astype(int))
        levels = [float(ranked[size - 1]) for size in wanted if 0 < size <= len(ranked)]
    others = np.array([by.values >= level - ROUNDING for level in levels], dtype=bool).reshape(-1, *edges.shape)
    others &= ~np.eye(len(edges), dtype=bool)
    now = centralities(edges, strong)
    spread = [now, *(centralities(one, strong) for one in others)]
    return {name: np.stack([value, np.min([one[name] for one in spread], axis=0),
                            np.max([one[name] for one in spread], axis=0)]) for name, value in now.items()}


def betweenness(edges: np.ndarray) -> np.ndarray:
    """(N,) in [0, 1], by Brandes' algorithm from all nodes at once: a dense graph of 300 takes no seconds."""
    linked = np.asarray(edges, dtype=float)
    count = len(linked)
    fronts = [np.eye(count)]  # the number of shortest paths from each node to those at this distance
    seen = fronts[0] > 0
    while (ahead := np.where(seen, 0.0, fronts[-1] @ linked)).any():
        fronts.append(ahead)
        seen |= ahead > 0
    through = np.zeros((count, count))
    for before, after in list(pairwise(fronts))[::-1]:
        share = np.divide(1 + through, after, out=np.zeros_like(after), where=after > 0)
        through += before * (share @ linked)
    np.fill_diagonal(through, 0.0)
    return through.sum(0) / max((count - 1) * (count - 2), 1)
