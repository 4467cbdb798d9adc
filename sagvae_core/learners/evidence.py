"""How sure is each edge when nobody knows the truth: closed forms in NumPy.

Training leaves most edge probabilities at 0 or 1, which decides but does not rank. Given the rest of the learned graph,
the optimal q(A_ij) has a closed form where each column is a regression on its neighbours: its log-odds are what the
edge adds to the log-likelihood, less its price. That is one coordinate step of the variational optimum of eq. 9.

Symbols: M rows, N nodes, C channels, Q features of a node that its neighbours may be regressed on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .bits import RIDGE, Bits
from .densities import products

_LARGEST_R2 = 1 - 1e-9


def edge_evidence(x: np.ndarray, features: np.ndarray, graph: np.ndarray,
                  prior_log_odds: float, binary: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Log-odds of every edge given the others, in nats, for both meanings of an edge.

    The two regressions of an edge (i on j, j on i) see the same dependence twice, and each can be given either end's
    neighbours; all four gains are averaged. The price is the BIC's: half a log M for each of the Q coefficients a
    channel. A binary node's regressions are logistic. Where values are missing, products are averaged over the rows
    that have both factors (which takes them to be missing at random), and a pair counts as many rows as have both.

    Args:
        x: (M, N, C) centred rows, NaN where missing.
        features: (M, N, Q) functions of each node's own value, NaN where missing.
        graph: bool (N, N), the learned graph; each pair is tested given the others.
        prior_log_odds: log-odds of an edge before any data.
        binary: int (T,), nodes of one channel whose values are above 0 or not.

    Returns:
        Two symmetric (N, N), with 0 as natural threshold. "conditional": two columns depend on each other given all
        others. "direct": and neither given none nor without any one neighbour less do they stop to, as two causes of
        one effect do once it is not held fixed (the idea of the PC algorithm, Spirtes and Glymour 1991).
    """
    nodes, channels = x.shape[1:]
    tests = _Tests(x, features, np.array([], dtype=int) if binary is None else np.asarray(binary))
    neighbours = [np.flatnonzero(line) for line in graph]
    observed = (~np.isnan(x).any(axis=2)).astype(float)
    counts = observed.T @ observed
    price = prior_log_odds - 0.5 * features.shape[2] * channels * np.log(np.maximum(counts, 1))
    own = np.stack([tests.gains(i, neighbours[i]) for i in range(nodes)])  # given i's own neighbours, by every j
    others = np.stack([tests.gained(j, neighbours[j]) for j in range(nodes)], axis=1)  # given those of j
    conditional = (own + own.T + others + others.T) / 4
    direct = conditional
    marginal = np.stack([tests.gains(i, neighbours[i][:0]) for i in range(nodes)])
    fewer = np.full((nodes, nodes), np.inf)
    for i in range(nodes):
        for left_out in neighbours[i]:
            fewer[i] = np.minimum(fewer[i], tests.gains(i, neighbours[i][neighbours[i] != left_out]))
    for least in (marginal, fewer):
        direct = np.minimum(direct, (least + least.T) / 2)
    return {"conditional": conditional + price, "direct": direct + price}


class _Tests:
    """What every node says of every other, by linear regressions, or logistic ones of binary nodes."""

    def __init__(self, x: np.ndarray, features: np.ndarray, binary: np.ndarray) -> None:
        self.moments = _Moments(x, features)
        self.bits = Bits(x[:, :, 0], self.moments.standardised, binary) if len(binary) else None
        self.binary = binary

    def gains(self, target: int, given: np.ndarray) -> np.ndarray:
        """Nats that each node adds to ``target``'s regression on the others of ``given``, (N,); 0 for itself."""
        if self.bits is not None and target in self.binary:
            return self.bits.gains(target, given)
        return self.moments.all_gains(target, given)

    def gained(self, candidate: int, given: np.ndarray) -> np.ndarray:
        """Nats that ``candidate`` adds to every node's regression on the others of ``given``, (N,); 0 to its own."""
        found = self.moments.all_gained(candidate, given)
        if self.bits is not None:
            found[self.binary] = self.bits.gained(candidate, given)
        return found


class _Moments:
    """Second moments of rows x (M, N, C) and features (M, N, Q), enough for every regression between nodes."""

    def __init__(self, x: np.ndarray, features: np.ndarray) -> None:
        self.rows, self.nodes, self.channels = x.shape
        self.count = features.shape[2]
        features = features - np.nanmean(features, axis=0)
        features = features / np.maximum(np.nanstd(features, axis=0), 1e-9)
        self.standardised = np.nan_to_num(features)
        flat = np.concatenate([x.reshape(self.rows, -1), features.reshape(self.rows, -1)], axis=1)
        self.moments, self.weights = products(flat), None
        missing = np.isnan(x).any(axis=2)
        if missing.any():
            observed = (~missing).astype(float)
            self.weights = observed.T @ observed / self.rows
        columns = np.arange(flat.shape[1])
        self.targets = columns[: self.nodes * self.channels].reshape(self.nodes, self.channels)
        self.features = columns[self.nodes * self.channels:].reshape(self.nodes, self.count)

    def _counted(self, gains: np.ndarray, node: int) -> np.ndarray:
        """Gains of the whole table's size in the size of the rows that ``node`` and each other one have."""
        return gains if self.weights is None else gains * self.weights[node]

    def gains(self, target: int, candidates: Sequence[int], given: np.ndarray) -> np.ndarray:
        """Nats that each candidate's features (J of them) add to a regression of ``target`` on the ``given``, (J,)."""
        columns, wanted = self.features[np.asarray(candidates)], self.targets[target]
        # Of each candidate alone: what candidates have to do with each other is most of the work, and not asked for.
        cross = self.moments[columns[:, :, None], wanted]
        gram = self.moments[columns[:, :, None], columns[:, None, :]]
        whole = self.moments[wanted, wanted]
        held = self.features[given].ravel()
        if len(held):
            inner = self.moments[np.ix_(held, held)]
            regular = inner + RIDGE * self.rows * np.eye(len(held))
            seen, aimed = self.moments[held[:, None, None], columns], self.moments[np.ix_(held, wanted)]
            by_seen = np.linalg.solve(regular, seen.reshape(len(held), -1))
            by_aimed = np.linalg.solve(regular, aimed)
            rest_seen = (inner @ by_seen).reshape(seen.shape) - seen
            by_seen, rest_aimed = by_seen.reshape(seen.shape), inner @ by_aimed - aimed
            cross = cross - np.einsum("hjq,hc->jqc", seen, by_aimed) + np.einsum("hjq,hc->jqc", by_seen, rest_aimed)
            gram = gram - np.einsum("hjq,hjr->jqr", seen, by_seen) + np.einsum("hjq,hjr->jqr", by_seen, rest_seen)
            whole = whole - (aimed * by_aimed).sum(axis=0) + (by_aimed * rest_aimed).sum(axis=0)
        gram = gram + RIDGE * self.rows * np.eye(self.count)
        explained = (cross * np.linalg.solve(gram, cross)).sum(axis=1)
        return self._nats(explained, whole).sum(axis=1)

    def all_gains(self, target: int, given: np.ndarray) -> np.ndarray:
        """:meth:`gains` of every node, each given the others of ``given``, (N,); 0 for ``target`` itself."""
        found = np.zeros(self.nodes)
        free = np.setdiff1d(np.arange(self.nodes), [*given, target])
        if len(free):
            found[free] = self.gains(target, free, given)
        for candidate in given:
            found[candidate] = self.gains(target, [candidate], given[given != candidate])[0]
        return self._counted(found, target)

    def all_gained(self, candidate: int, given: np.ndarray) -> np.ndarray:
        """Nats that ``candidate`` adds to every node's regression on the others of ``given``, (N,); 0 to its own."""
        found = np.zeros(self.nodes)
        free = np.setdiff1d(np.arange(self.nodes), [*given, candidate])
        size, count = self.channels, self.count
        if len(free):
            wanted = np.concatenate([self.targets[free].ravel(), self.features[candidate]])
            left = self._left(wanted, self.features[given].ravel())
            cross = left[-count:, :-count]
            gram = left[-count:, -count:] + RIDGE * self.rows * np.eye(count)
            explained = (cross * np.linalg.solve(gram, cross)).sum(axis=0)
            nats = self._nats(explained, left[:-count, :-count].diagonal())
            found[free] = nats.reshape(len(free), size).sum(axis=1)
        for target in given:
            found[target] = self.gains(target, [candidate], given[given != target])[0]
        return self._counted(found, candidate)

    def _nats(self, explained: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """What explaining so much of the squares of a column is worth."""
        return -0.5 * self.rows * np.log1p(-np.clip(explained / np.maximum(whole, 1e-12), 0, _LARGEST_R2))

    def _left(self, wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Second moments of what a ridge regression on ``given`` leaves of the ``wanted`` columns."""
        left = self.moments[np.ix_(wanted, wanted)]
        if len(given) == 0:
            return left
        inner, cross = self.moments[np.ix_(given, given)], self.moments[np.ix_(given, wanted)]
        slopes = np.linalg.solve(inner + RIDGE * self.rows * np.eye(len(given)), cross)
        fitted = cross.T @ slopes
        return left - fitted - fitted.T + slopes.T @ inner @ slopes
