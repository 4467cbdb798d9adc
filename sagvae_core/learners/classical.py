"""What people use today: products, correlations, partial correlations and the graphical lasso.

All but :class:`PairwiseProduct` work on samples (M * C, N): every channel of a row is a sample of its own.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import ndtri
from sklearn.covariance import GraphicalLassoCV, ledoit_wolf_shrinkage

from ..data.base import fixed_permutation
from .base import RelationLearner, scaled, stacked

SIGNIFICANCE = 0.05  # of the tests below, over all pairs together
_ROUNDING = 1e-12
MOST_SHRINKAGE = 0.99  # few rows may ask for 1, which sets all pairs to zero and leaves nothing to rank


class AllEdges(RelationLearner):
    """Every pair is an edge: the row that any F1 has to beat. A known ``density`` changes nothing, as all pairs tie."""

    title = "All edges"

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        return np.ones((x.shape[1], x.shape[1])), 0.0


class PairwiseProduct(RelationLearner):
    """The paper's pairwise product (section 4.1): an edge where sigmoid(x_i . x_j) > 1/2, so where x_i . x_j > 0.

    The score is the product over all rows and channels, divided by the number of rows.

    Args:
        density, standardise, missing: see :class:`RelationLearner`.
        centre: False keeps the columns' means; with ``standardise=False`` that is the paper's setting, raw rows.
    """

    title = "Pairwise product"

    def __init__(self, density: float | None = None, standardise: bool = True, centre: bool = True,
                 missing: str = "error") -> None:
        super().__init__(density, standardise, missing)
        self.centre = centre

    def _prepare(self, x: np.ndarray) -> np.ndarray:
        x = x - x.mean(axis=0) if self.centre else x
        return scaled(x) if self.standardise else x

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        columns = x.transpose(1, 0, 2).reshape(x.shape[1], -1)
        return columns @ columns.T / len(x), 0.0


class AbsoluteCorrelation(RelationLearner):
    """|Pearson correlation|; natural threshold: Fisher's z-test, two-sided, 5 % over all pairs (Bonferroni)."""

    title = "Absolute correlation"

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        return np.abs(np.corrcoef(stacked(x), rowvar=False)), critical_correlation(x.shape)


class PartialCorrelation(RelationLearner):
    """|Partial correlation| from the Ledoit-Wolf shrunk covariance; the test of :class:`AbsoluteCorrelation`.

    The N - 2 columns held fixed cost a degree of freedom each; where none is left, no pair is an edge. Shrinkage pulls
    every score towards zero, so with few rows the test finds fewer than its 5 % of false edges.

    Attributes:
        precision_: float64 (N, N), the inverse of the shrunk covariance of standardised columns.
    """

    title = "Partial correlation"

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        self.precision_ = shrunk_precision(stacked(x))
        return partial_correlation(self.precision_), critical_correlation(x.shape, held_fixed=x.shape[1] - 2)


class GraphicalLasso(RelationLearner):
    """The graphical lasso with a cross-validated penalty (scikit-learn's ``GraphicalLassoCV``).

    The score is the |partial correlation| of its precision matrix, and every non-zero one is an edge. The rows are
    shuffled before they are cut into folds, so a sorted table is no worse. Where the solver fails (columns that are
    nearly copies of each other), it is tried again with stronger penalties only, and if that fails too,
    :class:`PartialCorrelation` answers.

    Args:
        density, standardise, missing: see :class:`RelationLearner`.
        refine_ties: rank the pairs the lasso set to zero by their shrunk partial correlation, scaled to stay below
            the smallest non-zero score. It moves no edge at the natural threshold, but without it hundreds of pairs
            tie at zero, which average precision and a known density hold against the method.

    Attributes:
        precision_: float64 (N, N), of standardised columns.
    """

    title = "Graphical lasso"

    def __init__(self, density: float | None = None, standardise: bool = True, refine_ties: bool = True,
                 missing: str = "error") -> None:
        super().__init__(density, standardise, missing)
        self.refine_ties = refine_ties

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        samples = stacked(x[fixed_permutation(len(x))])
        precision, shrunk = _lasso_precision(samples), shrunk_precision(samples)
        self.precision_ = shrunk if precision is None else precision
        scores = partial_correlation(self.precision_)
        scores[scores < _ROUNDING] = 0.0  # at the penalty that leaves no edge, an edge of rounding may stay
        if precision is None:
            return scores, critical_correlation(x.shape, held_fixed=x.shape[1] - 2)
        return _refined(scores, partial_correlation(shrunk)) if self.refine_ties else (scores, 0.0)


def critical_correlation(shape: tuple[int, int, int], held_fixed: int = 0) -> float:
    """The smallest significant |correlation| for rows of ``shape`` (M, N, C), given ``held_fixed`` other columns.

    tanh(q / sqrt(n - 3 - held_fixed)) with q the normal quantile of 5 % / N(N-1) on a side (Fisher 1921), where
    n = (M - 1) C + 1: each channel spends a mean of its own. 1, which nothing passes, without a degree of freedom.
    """
    rows, nodes, channels = shape
    freedom = (rows - 1) * channels - 2 - held_fixed
    quantile = -ndtri(SIGNIFICANCE / (nodes * (nodes - 1)))
    return float(np.tanh(quantile / np.sqrt(freedom))) if freedom > 0 else 1.0


def shrunk_precision(samples: np.ndarray) -> np.ndarray:
    """The inverse, (N, N), of the Ledoit-Wolf (2004) covariance of standardised samples (n, N)."""
    shrinkage = min(ledoit_wolf_shrinkage(samples, assume_centered=True), MOST_SHRINKAGE)
    covariance = (1 - shrinkage) * (samples.T @ samples) / len(samples) + shrinkage * np.eye(samples.shape[1])
    return np.linalg.pinv(covariance, hermitian=True)  # two columns that are copies: singular


def partial_correlation(precision: np.ndarray) -> np.ndarray:
    """|Partial correlations|, (N, N), of a precision matrix."""
    scale = np.sqrt(precision.diagonal())
    correlation = np.abs(precision / np.outer(scale, scale))
    return (correlation + correlation.T) / 2


def least_partial_correlation(precision: np.ndarray) -> np.ndarray:
    """The smallest |partial correlation|, (N, N), of each pair when all others or all others but one are held fixed.

    Two causes of one effect are related only where that effect is held fixed, so this is the classical methods' way to
    tell direct relations, as :func:`~sagvae_core.learners.evidence.edge_evidence` tells them for SAG-VAE.
    """
    least = partial_correlation(precision)
    for k in range(len(precision)):
        others = np.delete(np.arange(len(precision)), k)
        free = precision - np.outer(precision[:, k], precision[k]) / precision[k, k]  # of all columns but k
        pairs = np.ix_(others, others)
        least[pairs] = np.minimum(least[pairs], partial_correlation(free[pairs]))
    return least


def _lasso_precision(samples: np.ndarray) -> np.ndarray | None:
    """The cross-validated precision matrix, or None where the solver fails on every grid of penalties."""
    for alphas in (4, np.geomspace(0.05, 0.95, 10)):  # scikit-learn's own refined grid, then strong penalties only
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Weak penalties often stop short of the tolerance, and few rows make folds of one: the scores of the
            # folds judge both, and the precision is checked below.
            warnings.simplefilter("ignore")
            lasso = GraphicalLassoCV(alphas=alphas, cv=min(5, len(samples)), assume_centered=True)
            try:
                precision = lasso.fit(samples).precision_
            except (FloatingPointError, np.linalg.LinAlgError):
                continue
        if np.isfinite(precision).all() and (precision.diagonal() > 0).all():
            return precision
    return None


def _refined(scores: np.ndarray, ranking: np.ndarray) -> tuple[np.ndarray, float]:
    """``scores`` with its zeros ordered by ``ranking`` below every other score, and the threshold between the two."""
    off = ~np.eye(len(scores), dtype=bool)
    zero = off & (scores == 0)
    smallest = scores[off & ~zero].min(initial=1.0)
    top = ranking[zero].max(initial=0.0)
    if top > 0:
        scores = np.where(zero, ranking * (smallest / (2 * top)), scores)
    return scores, 0.75 * smallest
