"""Probabilities and a threshold -> edges, counted and compared; every pair once, as i < j."""

from __future__ import annotations

import math

import numpy as np

STEADY = (0.2, 0.4, 0.65, 0.95)
"""Opacities of edges that less than ½ of the resamples chose, less than ⅔, less than ⅚, and more."""

_FLAT = 0.2  # an edge that rises less for its length passes beside a name


def square(values: np.ndarray) -> np.ndarray:
    """A float (N, N) array, or an error that says what came."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ValueError(f"expected a square matrix of shape (N, N), got {values.shape}.")
    return values


def edge_count(probabilities: np.ndarray, threshold: float) -> int:
    """How many pairs of different nodes have p > threshold."""
    return int(np.count_nonzero(np.triu(square(probabilities) > threshold, 1)))


def density(probabilities: np.ndarray, threshold: float) -> float:
    """The share of all N(N-1)/2 pairs that are edges, in [0, 1]."""
    pairs = math.comb(len(probabilities), 2)
    return edge_count(probabilities, threshold) / pairs if pairs else 0.0


def strongest_edges(probabilities: np.ndarray, threshold: float, limit: int | None = None) -> np.ndarray:
    """Pairs i < j with p > threshold, the most probable first.

    Args:
        probabilities: (N, N).
        threshold: in [0, 1].
        limit: keep no more than this many.

    Returns:
        (E, 2) int.
    """
    probabilities = np.asarray(probabilities)
    rows, columns = np.nonzero(np.triu(probabilities > threshold, 1))
    surest = np.argsort(-probabilities[rows, columns], kind="stable")[:limit]
    return np.stack([rows[surest], columns[surest]], axis=1)


def edge_kinds(probabilities: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
    """Compare the edges with p > threshold with the true ones, every pair once (i < j).

    Args:
        probabilities: (N, N).
        truth: (N, N), nonzero where there is an edge.
        threshold: in [0, 1].

    Returns:
        ``"hit"`` (found and true), ``"miss"`` (true, not found), ``"false"`` (found, not true): each (E, 2) int, the
        most probable first.
    """
    probabilities, truth = np.asarray(probabilities), np.asarray(truth) != 0
    if truth.shape != probabilities.shape:
        raise ValueError(f"truth must have shape {probabilities.shape}, got {truth.shape}.")
    found = strongest_edges(probabilities, threshold)
    is_true = truth[found[:, 0], found[:, 1]]
    missed = strongest_edges(np.where(truth & (probabilities <= threshold), probabilities, -1.0), -0.5)
    return {"hit": found[is_true], "miss": missed, "false": found[~is_true]}


def shown_edges(probabilities: np.ndarray, threshold: float, truth: np.ndarray | None, limit: int,
                negative: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, int]:
    """The edges that a node-link figure draws, the most probable first.

    Args:
        probabilities: (N, N).
        threshold: in [0, 1].
        truth: (N, N) or None; if given, the missed edges are drawn too.
        limit: of all of these, keep no more than this many.
        negative: bool (N, N), the pairs that go in opposite directions; not with ``truth``.

    Returns:
        pairs (E, 2) int; kinds (E,) of "hit", "miss" and "false" as in :func:`edge_kinds`, without a truth "negative"
        and ""; how many there would be without the limit.
    """
    probabilities = np.asarray(probabilities)
    if truth is None:
        found = strongest_edges(probabilities, threshold)
        below = np.zeros(len(found), dtype=bool) if negative is None else negative[found[:, 0], found[:, 1]]
        by_kind = {"": found[~below], "negative": found[below]}
    else:
        by_kind = edge_kinds(probabilities, truth, threshold)
    pairs = np.concatenate(list(by_kind.values()))
    kinds = np.repeat(list(by_kind), list(map(len, by_kind.values())))
    surest = np.argsort(-probabilities[pairs[:, 0], pairs[:, 1]], kind="stable")[:limit]
    return pairs[surest], kinds[surest], len(pairs)


def steady_bands(shares: np.ndarray) -> np.ndarray:
    """Shares of resamples -> the number of their opacity in :data:`STEADY`; edges are mostly above ½, and so are the
    steps between them."""
    return np.clip(np.floor(6 * np.asarray(shares, dtype=float) - 2 + 1e-9), 0, len(STEADY) - 1).astype(int)


def names_below(positions: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """bool (N,): whose names stand better below their nodes than above, because fewer edges leave there.

    Args:
        positions: (N, 2), y upwards.
        linked: bool (N, N), the edges that are drawn.
    """
    positions = np.asarray(positions, dtype=float).reshape(len(linked), 2)
    apart = positions[None] - positions[:, None]  # from each node to every other
    rise = apart[..., 1] / np.maximum(np.linalg.norm(apart, axis=-1), 1e-12)
    return (linked & (rise < -_FLAT)).sum(1) < (linked & (rise > _FLAT)).sum(1)
