"""Edges of binary columns: logistic regressions on the features of neighbours, many at once, in NumPy.

Symbols: M rows, N nodes, Q features of a node, T binary nodes, k columns of a design.
"""

from __future__ import annotations

import numpy as np

RIDGE = 0.03  # of each feature's variance: what codes of finite precision (the KL of eq. 4) do to a regression
_STEPS = 8  # of Newton's method; the ridge keeps perfectly separated rows from asking for more
_FAR = 15.0  # log-odds; probabilities beyond e^-15 change nothing but the rounding


class Bits:
    """What nodes say of binary ones, in nats: score tests (Rao 1948) of one more node in a logistic regression.

    Near no dependence the score test is the likelihood ratio, and it needs no fit for every pair.

    Args:
        x: (M, N) values; a binary node's are above 0 or not. NaN where missing.
        features: (M, N, Q), standardised, 0 where missing.
        binary: int (T,), which nodes are binary.
    """

    def __init__(self, x: np.ndarray, features: np.ndarray, binary: np.ndarray) -> None:
        self.features, self.binary = features, binary
        self.observed = ~np.isnan(x[:, binary])
        self.on = (x[:, binary] > 0).astype(float)

    def gains(self, target: int, given: np.ndarray) -> np.ndarray:
        """Nats that each node adds to binary node ``target``'s regression on the others of ``given``, (N,)."""
        place = np.flatnonzero(self.binary == target)
        found = np.zeros(self.features.shape[1])
        free = np.setdiff1d(np.arange(len(found)), [*given, target])
        if len(free):
            found[free] = self._tested(free, given, place)[:, 0]
        for candidate in given:
            found[candidate] = self._tested(np.array([candidate]), given[given != candidate], place)[0, 0]
        return found

    def gained(self, candidate: int, given: np.ndarray) -> np.ndarray:
        """Nats that ``candidate`` adds to every binary node's regression on the others of ``given``, (T,)."""
        found = np.zeros(len(self.binary))
        free = np.flatnonzero(~np.isin(self.binary, [*given, candidate]))
        if len(free):
            found[free] = self._tested(np.array([candidate]), given, free)[0]
        for place in np.flatnonzero(np.isin(self.binary, given)):
            others = given[given != self.binary[place]]
            found[place] = self._tested(np.array([candidate]), others, np.array([place]))[0, 0]
        return found

    def _tested(self, candidates: np.ndarray, given: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Half the score statistic of each of J candidates for each of the targets, (J, T')."""
        design = with_intercept(self.features[:, given].reshape(len(self.features), -1))
        on, observed = self.on[:, places], self.observed[:, places]
        chance = probabilities(design, logistic_slopes(design, on, observed))
        residual, weight = (on - chance) * observed, chance * (1 - chance) * observed
        tested = self.features[:, candidates]
        rows, count, width = tested.shape
        flat = tested.reshape(rows, -1)
        score = (flat.T @ residual).reshape(count, width, -1).transpose(0, 2, 1)  # (J, T', Q)
        own = np.stack([np.stack([(tested[..., q] * tested[..., r]).T @ weight for r in range(width)], axis=-1)
                        for q in range(width)], axis=-1)  # (J, T', Q, Q)
        pairs = (flat[:, :, None] * design[:, None, :]).reshape(rows, -1)
        cross = (pairs.T @ weight).reshape(count, width, design.shape[1], -1).transpose(0, 3, 1, 2)  # (J, T', Q, k)
        inner = curvature(design, weight)  # (T', k, k)
        explained = cross @ np.linalg.solve(inner[None], cross.swapaxes(-1, -2))
        spread = own - explained + RIDGE * weight.sum(axis=0)[None, :, None, None] * np.eye(width)
        return 0.5 * (score * np.linalg.solve(spread, score[..., None])[..., 0]).sum(axis=-1)


def with_intercept(design: np.ndarray) -> np.ndarray:
    """A design (M, k) with a column of ones before the others."""
    return np.concatenate([np.ones((len(design), 1)), design], axis=1)


def logistic_slopes(design: np.ndarray, on: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Coefficients (T, k) of T ridge logistic regressions of ``on`` (M, T) on one design (M, k), intercept first."""
    slopes = np.zeros((on.shape[1], design.shape[1]))
    for _ in range(_STEPS):
        chance = probabilities(design, slopes)
        weight = chance * (1 - chance) * observed
        inner = curvature(design, weight)
        uphill = ((on - chance) * observed).T @ design - _penalty(design, weight) * slopes
        slopes = slopes + np.linalg.solve(inner, uphill[..., None])[..., 0]
    return slopes


def probabilities(design: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """(M, T) chances of a 1."""
    return 1 / (1 + np.exp(-np.clip(design @ slopes.T, -_FAR, _FAR)))


def curvature(design: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The penalised information (T, k, k) of T regressions whose rows have weights (M, T)."""
    width = design.shape[1]
    pairs = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    penalty = _penalty(design, weight)
    return (weight.T @ pairs).reshape(-1, width, width) + penalty[:, :, None] * np.eye(width)


def _penalty(design: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Ridge of every coefficient, (T, k); next to none of the intercept, which only must not run away."""
    total = np.maximum(weight.sum(axis=0), 1e-6)[:, None]
    return total * np.where(np.arange(design.shape[1]) == 0, 1e-6, RIDGE)
