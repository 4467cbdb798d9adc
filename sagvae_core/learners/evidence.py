"""How sure is each edge, and how good is a graph, when nobody knows the truth: closed forms in NumPy.

Training leaves most edge probabilities at 0 or 1, which decides but does not rank. Given the rest of the learned graph,
the optimal q(A_ij) has a closed form where each column is a regression on its neighbours: its log-odds are what the
edge adds to the log-likelihood, less its price. That is one coordinate step of the variational optimum of eq. 9.

Symbols: M rows, N nodes, C channels, Q features of a node that its neighbours may be regressed on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..layers import normalise_adjacency

_RIDGE = 0.03  # of each feature's variance: what codes of finite precision (the KL of eq. 4) do to a regression
_LARGEST_R2 = 1 - 1e-9


def edge_evidence(x: np.ndarray, features: np.ndarray, graph: np.ndarray, prior_log_odds: float) -> np.ndarray:
    """Log-odds of every edge given the others, in nats.

    The two regressions of an edge (i on j, j on i) see the same dependence twice, so their gains are averaged. A pair
    can be tested given either end's neighbours, those of both, or the common ones: a graph learned from few rows has
    too few neighbours for the one and too many for the other, so the gains are averaged over these four. The price is
    the BIC's: half a log M for each of its Q coefficients a channel.

    Args:
        x: (M, N, C) centred rows.
        features: (M, N, Q) functions of each node's own value.
        graph: bool (N, N), the learned graph; each pair is tested given the others. Of an empty graph the evidence is
            the marginal one, that two columns depend on each other at all.
        prior_log_odds: log-odds of an edge before any data.

    Returns:
        (N, N) symmetric; 0 is the natural threshold.
    """
    rows, nodes, channels = x.shape
    count = features.shape[2]
    moments = _Moments(x, features)
    neighbours = [np.flatnonzero(line) for line in graph]
    own = np.zeros((nodes, nodes))  # gain of regressing the row's node, given its neighbours, on the column's
    for i in range(nodes):
        own[i] = moments.gains(i, np.arange(nodes), neighbours[i])
        for j in neighbours[i]:  # without j itself in the model that it is tested against
            own[i, j] = moments.gains(i, [j], neighbours[i][neighbours[i] != j])[0]
    shared = (own + own.T) / 2
    for i, j in zip(*np.triu_indices(nodes, k=1), strict=True):
        gains = []
        for given in (graph[i] | graph[j], graph[i] & graph[j]):
            chosen = np.flatnonzero(given)
            chosen = chosen[(chosen != i) & (chosen != j)]
            gains += [moments.gains(i, [j], chosen)[0], moments.gains(j, [i], chosen)[0]]
        shared[i, j] = shared[j, i] = (shared[i, j] + np.mean(gains)) / 2
    return shared + prior_log_odds - 0.5 * count * channels * np.log(rows)


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
        candidates = np.asarray(candidates)
        wanted = np.concatenate([self.targets[target], self.features[candidates].ravel()])
        left = self._left(wanted, self.features[given].ravel())
        size, count = self.channels, self.count
        cross = left[size:, :size].reshape(len(candidates), count, size)
        blocks = left[size:, size:].reshape(len(candidates), count, len(candidates), count)
        gram = blocks[np.arange(len(candidates)), :, np.arange(len(candidates))] + _RIDGE * self.rows * np.eye(count)
        explained = (cross * np.linalg.solve(gram, cross)).sum(axis=1)
        share = explained / np.maximum(left[:size, :size].diagonal(), 1e-12)
        return -0.5 * self.rows * np.log1p(-np.clip(share, 0, _LARGEST_R2)).sum(axis=1)

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


def smoothing_covariance(covariance: np.ndarray, graph: np.ndarray, steps: int = 300) -> np.ndarray:
    """The maximum-likelihood covariance S diag(d) Sᵀ + s² I of independent sources smoothed over ``graph``.

    S = Â² with Â = D^-½(A + I)D^-½, the two symmetric graph convolutions of section 4.1 without their nonlinearity;
    the N + 1 variances d and s² are fitted by Adam to the second moments ``covariance`` (N, N).
    """
    smoother = normalise_adjacency(torch.as_tensor(graph, dtype=torch.float64), "symmetric")
    smoother = smoother @ smoother
    target, eye = torch.as_tensor(covariance), torch.eye(len(covariance), dtype=torch.float64)
    log_sources = torch.zeros(len(covariance), dtype=torch.float64, requires_grad=True)
    log_noise = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([log_sources, log_noise], lr=0.05)

    def fitted() -> torch.Tensor:
        return (smoother * log_sources.exp()) @ smoother.T + (log_noise.exp() + 1e-6) * eye

    for _ in range(steps):
        lower = torch.linalg.cholesky(fitted())
        loss = 0.5 * torch.cholesky_solve(target, lower).trace() + lower.diagonal().log().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return fitted().detach().numpy()


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
