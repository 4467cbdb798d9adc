"""How well a graph describes rows: densities of values given their neighbours, and of Gaussian graphs, in NumPy.

Symbols: M rows, N nodes, C channels, Q features of a node that its neighbours may be regressed on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .bits import RIDGE, logistic_slopes, probabilities, with_intercept

_LEAST_VARIANCE = 1e-6
_SURE = 1e-6  # chances beyond this count as it: a value nobody expected costs 14 nats, not all there are


class Conditionals:
    """p(value | the other columns of its row): a regression of each node on its neighbours' features.

    Linear with Gaussian errors, or logistic for binary nodes, whose value is above 0 or not.

    Args:
        x: (M, N, C) rows, NaN where missing.
        features: (M, N, Q) functions of each node's own value, NaN where missing.
        graph: bool (N, N).
        binary: int (T,), which nodes are binary.
    """

    def __init__(self, x: np.ndarray, features: np.ndarray, graph: np.ndarray,
                 binary: np.ndarray | None = None) -> None:
        self.graph = graph
        self.binary = set() if binary is None else set(np.asarray(binary).tolist())
        self.centre, self.spread = np.nanmean(features, axis=0), np.maximum(np.nanstd(features, axis=0), 1e-9)
        self.mean = np.nanmean(x, axis=0)
        scaled = self._scaled(features)
        self.slopes: list[np.ndarray] = []
        self.variance = np.ones(self.mean.shape)
        for i in range(x.shape[1]):
            observed = ~np.isnan(x[:, i]).any(axis=1)
            design, target = self._design(scaled, i)[observed], x[observed, i]
            if i in self.binary:
                self.slopes.append(logistic_slopes(design, (target > 0).astype(float), np.ones(target.shape)))
                continue
            gram = design.T @ design + RIDGE * len(design) * np.eye(design.shape[1])
            self.slopes.append(np.linalg.solve(gram, design.T @ (target - self.mean[i])))
            error = target - self.mean[i] - design @ self.slopes[i]
            self.variance[i] = np.maximum((error ** 2).mean(axis=0), _LEAST_VARIANCE)

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        return np.nan_to_num((features - self.centre) / self.spread)

    def _design(self, scaled: np.ndarray, node: int) -> np.ndarray:
        design = scaled[:, np.flatnonzero(self.graph[node])].reshape(len(scaled), -1)
        return with_intercept(design) if node in self.binary else design

    def log_density(self, x: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Nats of every value of rows like the first ones, (M, N, C); NaN where it is missing."""
        scaled, density = self._scaled(features), np.empty(x.shape)
        for i in range(x.shape[1]):
            design = self._design(scaled, i)
            if i in self.binary:
                chance = probabilities(design, self.slopes[i]).clip(_SURE, 1 - _SURE)
                density[:, i] = np.where(np.isnan(x[:, i]), np.nan, np.log(np.where(x[:, i] > 0, chance, 1 - chance)))
                continue
            error = x[:, i] - self.mean[i] - design @ self.slopes[i]
            density[:, i] = -0.5 * (error ** 2 / self.variance[i] + np.log(2 * np.pi * self.variance[i]))
        return density


def predictive_density(x: np.ndarray, features: np.ndarray, graph: np.ndarray, folds: int = 5,
                       binary: np.ndarray | None = None) -> float:
    """Mean log p(value | all other columns) on rows left out of the fit, nats an observed value.

    Args: as of :class:`Conditionals`; every fold's coefficients and scales come from the other folds' rows alone.
    """
    total = 0.0
    for train, test in _folds(len(x), folds):
        fitted = Conditionals(x[train], features[train], graph, binary)
        total += float(np.nansum(fitted.log_density(x[test], features[test])))
    return total / int((~np.isnan(x)).sum())


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
    return products(x) / len(x) + 0.01 * np.eye(x.shape[1])


def products(x: np.ndarray) -> np.ndarray:
    """xᵀx of rows (M, P). Where values are missing (NaN), the mean product of those who have both, times M.

    That may be no matrix of products at all: its negative eigenvalues are then set to 0.
    """
    missing = np.isnan(x)
    if not missing.any():
        return x.T @ x
    filled, observed = np.where(missing, 0.0, x), (~missing).astype(float)
    values, vectors = np.linalg.eigh(filled.T @ filled / np.maximum(observed.T @ observed, 1) * len(x))
    return (vectors * np.maximum(values, 0)) @ vectors.T


def _folds(rows: int, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = np.random.RandomState(0).permutation(rows)  # a fixed shuffle: tables are often sorted
    for test in np.array_split(order, min(folds, rows)):
        yield np.setdiff1d(order, test), test
