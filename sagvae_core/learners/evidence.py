"""How sure is each edge, and how good is a graph, when nobody knows the truth: closed forms in NumPy.

Training leaves most edge probabilities at 0 or 1, which decides but does not rank. Given the rest of the learned graph,
the optimal q(A_ij) has a closed form where each column is a regression on its neighbours: its log-odds are what the
edge adds to the log-likelihood, less its price. That is one coordinate step of the variational optimum of eq. 9.

Symbols: M rows, N nodes, C channels, Q features of a node that its neighbours may be regressed on.
"""

from __future__ import annotations

import numpy as np
import torch

from ..layers import normalise_adjacency

_RIDGE = 0.03  # of each feature's variance: what codes of finite precision (the KL of eq. 4) do to a regression
_LARGEST_R2 = 1 - 1e-9


def edge_evidence(x: np.ndarray, features: np.ndarray, graph: np.ndarray, prior_log_odds: float) -> np.ndarray:
    """Log-odds of every edge given the others, in nats.

    The two regressions of an edge (i on j, j on i) see the same dependence twice, so their gains are averaged. The
    price is the BIC's: half a log M for each of its Q coefficients a channel.

    Args:
        x: (M, N, C) centred rows.
        features: (M, N, Q) functions of each node's own value.
        graph: bool (N, N), the learned graph; each pair is tested given the others.
        prior_log_odds: log-odds of an edge before any data.

    Returns:
        (N, N) symmetric; 0 is the natural threshold.
    """
    rows, nodes, channels = x.shape
    count = features.shape[2]
    features = features - features.mean(axis=0)
    features = features / np.maximum(features.std(axis=0), 1e-9)
    flat = features.reshape(rows, nodes * count)
    gains = np.zeros((nodes, nodes))
    for i in range(nodes):
        neighbours = np.flatnonzero(graph[i])
        left = _residual(features[:, neighbours], np.concatenate([x[:, i], flat], axis=1))
        gains[i] = _gains(left[:, :channels], left[:, channels:].reshape(features.shape))
        for j in neighbours:  # without j itself in the model that it is tested against
            others = neighbours[neighbours != j]
            left = _residual(features[:, others], np.concatenate([x[:, i], features[:, j]], axis=1))
            gains[i, j] = _gains(left[:, :channels], left[:, channels:].reshape(rows, 1, count))[0]
        gains[i, i] = 0.0
    return (gains + gains.T) / 2 + prior_log_odds - 0.5 * count * channels * np.log(rows)


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


def _residual(neighbours: np.ndarray, target: np.ndarray) -> np.ndarray:
    design = neighbours.reshape(len(target), -1)
    return target - _predict(design, target, design)


def _gains(target: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Nats that each of the J candidates' features (M, J, Q) add to a regression of ``target`` (M, C); (J,)."""
    rows, _, count = features.shape
    by_candidate = features.transpose(1, 2, 0)  # (J, Q, M)
    gram = by_candidate @ by_candidate.transpose(0, 2, 1) + _RIDGE * rows * np.eye(count)
    cross = by_candidate @ target  # (J, Q, C)
    explained = (cross * np.linalg.solve(gram, cross)).sum(axis=1)
    share = explained / np.maximum((target ** 2).sum(axis=0), 1e-12)
    return -0.5 * rows * np.log1p(-np.minimum(share, _LARGEST_R2)).sum(axis=1)
