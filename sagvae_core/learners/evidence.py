"""How sure is each edge, and how good is a graph, when nobody knows the truth: closed forms in NumPy.

Training leaves most edge probabilities at 0 or 1, which decides but does not rank. Given the rest of the learned graph,
the optimal q(A_ij) has a closed form where each column is a regression on its neighbours: its log-odds are what the
edge adds to the log-likelihood, less its price. That is one coordinate step of the variational optimum of eq. 9.

Symbols: M rows, N nodes, C channels, Q features of a node that its neighbours may be regressed on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_RIDGE = 0.03  # of each feature's variance: what codes of finite precision (the KL of eq. 4) do to a regression
_LARGEST_R2 = 1 - 1e-9


def edge_evidence(x: np.ndarray, features: np.ndarray, graph: np.ndarray,
                  prior_log_odds: float) -> dict[str, np.ndarray]:
    """Log-odds of every edge given the others, in nats, for both meanings of an edge.

    The two regressions of an edge (i on j, j on i) see the same dependence twice, and each can be given either end's
    neighbours; all four gains are averaged. The price is the BIC's: half a log M for each of the Q coefficients a
    channel.

    Args:
        x: (M, N, C) centred rows.
        features: (M, N, Q) functions of each node's own value.
        graph: bool (N, N), the learned graph; each pair is tested given the others.
        prior_log_odds: log-odds of an edge before any data.

    Returns:
        Two symmetric (N, N), with 0 as natural threshold. "conditional": two columns depend on each other given all
        others. "direct": and neither given none nor without any one neighbour less do they stop to, as two causes of
        one effect do once it is not held fixed (the idea of the PC algorithm, Spirtes and Glymour 1991).
    """
    rows, nodes, channels = x.shape
    moments = _Moments(x, features)
    neighbours = [np.flatnonzero(line) for line in graph]
    price = prior_log_odds - 0.5 * features.shape[2] * channels * np.log(rows)
    own = np.stack([moments.all_gains(i, neighbours[i]) for i in range(nodes)])  # given i's own neighbours, by every j
    others = np.stack([moments.all_gained(j, neighbours[j]) for j in range(nodes)], axis=1)  # given those of j
    conditional = (own + own.T + others + others.T) / 4
    direct = conditional
    marginal = np.stack([moments.all_gains(i, neighbours[i][:0]) for i in range(nodes)])
    fewer = np.full((nodes, nodes), np.inf)
    for i in range(nodes):
        for left_out in neighbours[i]:
            fewer[i] = np.minimum(fewer[i], moments.all_gains(i, neighbours[i][neighbours[i] != left_out]))
    for least in (marginal, fewer):
        direct = np.minimum(direct, (least + least.T) / 2)
    return {"conditional": conditional + price, "direct": direct + price}


class _Moments:
    """Second moments of rows x (M, N, C) and features (M, N, Q), enough for every regression between nodes."""

    def __init__(self, x: np.ndarray, features: np.ndarray) -> None:
        self.rows, self.nodes, self.channels = x.shape
        self.count = features.shape[2]
        features = features - features.mean(axis=0)
        features = features / np.maximum(features.std(axis=0), 1e-9)
        flat = np.concatenate([x.reshape(self.rows, -1), features.reshape(self.rows, -1)], axis=1)
        self.moments = flat.T @ flat
        columns = np.arange(flat.shape[1])
        self.targets = columns[: self.nodes * self.channels].reshape(self.nodes, self.channels)
        self.features = columns[self.nodes * self.channels:].reshape(self.nodes, self.count)

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
            regular = inner + _RIDGE * self.rows * np.eye(len(held))
            seen, aimed = self.moments[held[:, None, None], columns], self.moments[np.ix_(held, wanted)]
            by_seen = np.linalg.solve(regular, seen.reshape(len(held), -1))
            by_aimed = np.linalg.solve(regular, aimed)
            rest_seen = (inner @ by_seen).reshape(seen.shape) - seen
            by_seen, rest_aimed = by_seen.reshape(seen.shape), inner @ by_aimed - aimed
            cross = cross - np.einsum("hjq,hc->jqc", seen, by_aimed) + np.einsum("hjq,hc->jqc", by_seen, rest_aimed)
            gram = gram - np.einsum("hjq,hjr->jqr", seen, by_seen) + np.einsum("hjq,hjr->jqr", by_seen, rest_seen)
            whole = whole - (aimed * by_aimed).sum(axis=0) + (by_aimed * rest_aimed).sum(axis=0)
        gram = gram + _RIDGE * self.rows * np.eye(self.count)
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
        return found

    def all_gained(self, candidate: int, given: np.ndarray) -> np.ndarray:
        """Nats that ``candidate`` adds to every node's regression on the others of ``given``, (N,); 0 to its own."""
        found = np.zeros(self.nodes)
        free = np.setdiff1d(np.arange(self.nodes), [*given, candidate])
        size, count = self.channels, self.count
        if len(free):
            wanted = np.concatenate([self.targets[free].ravel(), self.features[candidate]])
            left = self._left(wanted, self.features[given].ravel())
            cross = left[-count:, :-count]
            gram = left[-count:, -count:] + _RIDGE * self.rows * np.eye(count)
            explained = (cross * np.linalg.solve(gram, cross)).sum(axis=0)
            nats = self._nats(explained, left[:-count, :-count].diagonal())
            found[free] = nats.reshape(len(free), size).sum(axis=1)
        for target in given:
            found[target] = self.gains(target, [candidate], given[given != target])[0]
        return found

    def _nats(self, explained: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """What explaining so much of the squares of a column is worth."""
        return -0.5 * self.rows * np.log1p(-np.clip(explained / np.maximum(whole, 1e-12), 0, _LARGEST_R2))

    def _left(self, wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Second moments of what a ridge regression on ``given`` leaves of the ``wanted`` columns."""
        left = self.moments[np.ix_(wanted, wanted)]
        if len(given) == 0:
            return left
        inner, cross = self.moments[np.ix_(given, given)], self.moments[np.ix_(given, wanted)]
        slopes = np.linalg.solve(inner + _RIDGE * self.rows * np.eye(len(given)), cross)
        fitted = cross.T @ slopes
        return left - fitted - fitted.T + slopes.T @ inner @ slopes


def predictive_density(x: np.ndarray, features: np.ndarray, graph: np.ndarray, folds: int = 5) -> float:
    """Mean log p(value | all other columns) on rows left out of the fit, nats a value, for regressions on ``graph``.

    Args: as for :func:`edge_evidence`; every fold's coefficients and scales come from the other folds' rows alone.
    """
    total = 0.0
    for train, test in _folds(len(x), folds):
        centre, spread = features[train].mean(axis=0), np.maximum(features[train].std(axis=0), 1e-9)
        scaled, mean = (features - centre) / spread, x[train].mean(axis=0)
        for i in range(x.shape[1]):
            design = scaled[:, np.flatnonzero(graph[i])].reshape(len(x), -1)
            fitted = _predict(design[train], x[train, i] - mean[i], design) + mean[i]
            error = x[:, i] - fitted
            variance = np.maximum((error[train] ** 2).mean(axis=0), 1e-6)
            total += float((-0.5 * (error[test] ** 2 / variance + np.log(2 * np.pi * variance))).sum())
    return total / x.size


def covariance_selection(covariance: np.ndarray, graph: np.ndarray, sweeps: int = 30) -> np.ndarray:
    """The maximum-likelihood covariance whose inverse is zero off ``graph`` (Dempster 1972).

    By the modified regressions of Hastie, Tibshirani and Friedman (2009), algorithm 17.1.
    """
    fitted = covariance.copy()
    for _ in range(sweeps):
        before = fitted.copy()
        for i in range(len(fitted)):
            neighbours = np.flatnonzero(graph[i])
            others = np.arange(len(fitted)) != i
            column = np.zeros(others.sum())
            if len(neighbours):
                beta = np.linalg.solve(fitted[np.ix_(neighbours, neighbours)], covariance[neighbours, i])
                column = fitted[np.ix_(others, neighbours)] @ beta
            fitted[others, i] = fitted[i, others] = column
        if np.abs(fitted - before).max() < 1e-5:
            break
    return fitted


def gaussian_density(fitted: np.ndarray, covariance: np.ndarray) -> float:
    """Mean log N(x; 0, ``fitted``) in nats a value, over rows x with the second moments ``covariance`` (N, N)."""
    _, log_determinant = np.linalg.slogdet(fitted)
    misfit = np.trace(np.linalg.solve(fitted, covariance))
    return float(-0.5 * (log_determinant + misfit) / len(fitted) - 0.5 * np.log(2 * np.pi))


def second_moments(x: np.ndarray) -> np.ndarray:
    """xᵀx / M with a trace of shrinkage, so that fewer rows than columns have an inverse too; x is (M, N), centred."""
    return x.T @ x / len(x) + 0.01 * np.eye(x.shape[1])


def _folds(rows: int, folds: int):
    order = np.random.RandomState(0).permutation(rows)  # a fixed shuffle: tables are often sorted
    for test in np.array_split(order, folds):
        yield np.setdiff1d(order, test), test


def _predict(design: np.ndarray, target: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if design.shape[1] == 0:
        return np.zeros((len(wanted), target.shape[1]))
    gram = design.T @ design + _RIDGE * len(design) * np.eye(design.shape[1])
    return wanted @ np.linalg.solve(gram, design.T @ target)
