"""The one interface of everything that finds relations: ``fit(X)`` gives scores for all pairs and a threshold.

Symbols: M rows, N columns (nodes, features), C channels per node.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ..errors import expected
from .densities import Conditionals
from .rows import Rows, again, read_rows

_STEPS = 2000  # values of a column that stand for all


class RelationLearner(BaseEstimator):
    """A scikit-learn estimator that says how surely each pair of columns is related, as ``GraphicalLassoCV`` does.

    A subclass writes :meth:`_scores`; reading, checking and standardising the rows happens here, the same for all.

    Args:
        density: the share of pairs that are edges, in (0, 1), where it is known. The threshold is then put between
            the score ranked K = round(density * N(N-1)/2) and the next lower one, so exactly the first K pairs are
            edges; only pairs that tie with the K-th are edges too. None: the method's natural threshold.
        standardise: True: take each column's mean (for C > 1, of every node and channel) off and divide by its
            standard deviation; rows of more than one channel are divided by one standard deviation of all values,
            as in ``data/karate.py``. False: the values as they are; learners that start from correlations
            give the same either way.
        missing: "error": missing values (NaN) are refused. "complete": rows that have one are dropped. "model": what
            was observed is used; only :class:`~.sagvae.SAGVAERelations` can.

    Attributes:
        scores_: float64 (N, N), symmetric, zero diagonal; any real scale, higher is surer. Pairs of a column that was
            left out have the lowest.
        threshold_: a pair is an edge when its score is greater.
        edges_: bool (N, N), ``scores_ > threshold_`` off the diagonal.
        left_out_: number of a column that cannot have relations -> why; see :func:`~.rows.read_rows`.
        n_rows_: M, the rows that were used; where values are missing and modelled, those with any value.
        n_features_in_: N.
        feature_names_in_: N names; only after fitting a data frame.
    """

    title = ""
    models_missing = False  # a subclass that can learn from rows with gaps says True
    grows_with_rows = False  # one whose scores are sums over rows, as log-odds are, says True

    def __init__(self, density: float | None = None, standardise: bool = True, missing: str = "error") -> None:
        self.density = density
        self.standardise = standardise
        self.missing = missing

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the relations between the columns of ``X``.

        Args:
            X: (M, N) or (M, N, C) numbers: array, torch tensor, data frame of any library that narwhals reads, or
                :class:`~sagvae_core.tables.Table`; at least 3 rows and 2 columns. Columns that cannot have relations
                are left out with a warning.
            y: ignored, there for scikit-learn.

        Raises:
            SagvaeError: a value is missing (unless that is allowed) or no number, the table is too small, or a
                parameter is out of range.
        """
        density = self.density
        if density is not None and (isinstance(density, bool) or not isinstance(density, Real) or not 0 < density < 1):
            raise expected("density", "a number between 0 and 1, or None", repr(density))
        if self.missing == "model" and not self.models_missing:
            raise expected("missing", "'error' or 'complete'", "'model'", f"{type(self).__name__} needs whole rows.")
        self.fit_rows(read_rows(X, self.missing))
        return self

    def settled(self) -> dict[str, Any]:
        """Parameters for another fit to rows of the same kind that need not choose again what this fit chose."""
        return {}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "error"
        return tags

    def fit_rows(self, rows: Rows) -> None:
        """:meth:`fit` to rows that have been read."""
        self._rows = replace(rows, x=rows.x[:0])  # who keeps a learner need not keep its table
        self.n_features_in_, self.left_out_ = rows.columns, rows.left_out
        self.n_rows_ = int((~np.isnan(rows.x).all(axis=(1, 2))).sum())
        if rows.names is not None:
            self.feature_names_in_ = np.array(rows.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # of an earlier fit
        self._centre, self._spread = np.nanmean(rows.x, axis=0), np.nanstd(rows.x, axis=0)
        self._binary = np.flatnonzero([kind == "binary" for kind in rows.kinds])
        self._settle(*self._scores(self._prepare(rows.x)))
        values, features = self._seen(rows.x)
        self._conditionals = Conditionals(values, features, self.edges_[np.ix_(rows.kept, rows.kept)], self._binary)

    def score(self, X: Any, y: Any = None) -> float:
        """How well the graph predicts rows: mean log p(value | its neighbours' values in the row), nats a value.

        Each column is regressed on its neighbours in the training rows: linearly with Gaussian errors on columns
        standardised as the training rows were, or logistically if it is binary. Higher is better. Of
        :class:`~.sagvae.SAGVAERelations` columns are normal scores, and its features are the model's.

        Args:
            X: rows with the same columns. y: ignored.

        Raises:
            NotFittedError: nothing was fitted. ValueError: the columns are others.
        """
        check_is_fitted(self)
        rows = again(X, self._rows, self)
        values, features = self._seen(rows)
        return float(np.nanmean(self._conditionals.log_density(values, features)))

    def _seen(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows (M, K, C) as :meth:`score` compares them, and what nodes show to their neighbours, (M, K, Q)."""
        values = (x - self._centre) / np.where(self._spread > 0, self._spread, 1.0)
        return values, values

    def _settle(self, scores: np.ndarray, threshold: float) -> None:
        """Set what follows from scores (K, K) of the kept columns and their natural threshold."""
        scores = _checked(scores, len(self._rows.kept), type(self).__name__)
        lowest = min(scores.min(), threshold)
        self.scores_ = self._rows.spread_out(scores, lowest)
        np.fill_diagonal(self.scores_, 0.0)
        self.threshold_ = float(threshold) if self.density is None else density_threshold(self.scores_, self.density)
        self.edges_ = self.scores_ > self.threshold_
        np.fill_diagonal(self.edges_, False)

    def _prepare(self, x: np.ndarray) -> np.ndarray:
        """What :meth:`_scores` is given: the rows, centred and scaled if that is wanted."""
        return scaled(centred(x)) if self.standardise else x

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """Scores (K, K), whose diagonal is not read, and the natural threshold, from float64 rows (M, K, C)."""
        raise NotImplementedError(f"{type(self).__name__} has no _scores.")


def centred(x: np.ndarray) -> np.ndarray:
    """Rows less each column's mean over its observed values."""
    return x - (np.nanmean(x, axis=0) if np.isnan(x).any() else x.mean(axis=0))


def spread(x: np.ndarray, axis: int | None) -> np.ndarray:
    """Standard deviations over the observed values."""
    return np.nanstd(x, axis=axis) if np.isnan(x).any() else x.std(axis=axis)


def scaled(x: np.ndarray) -> np.ndarray:
    """Rows (M, N, C) over each column's standard deviation, or for C > 1 over the one of all values."""
    deviations = centred(x)
    return x / spread(deviations, axis=0 if x.shape[2] == 1 else None)


def stacked(x: np.ndarray) -> np.ndarray:
    """Standardised samples (M * C, N) of rows (M, N, C): every channel of a row counts as a sample of its own.

    Each node's and channel's mean is removed before, each node's standard deviation over all its samples after.
    """
    samples = centred(x).transpose(0, 2, 1).reshape(-1, x.shape[1])
    return samples / spread(samples, axis=0)


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Every column's ranks mapped to standard normal quantiles (van der Waerden scores); shape of ``x``.

    Heavy tails and bent scales then cost nothing, and what is compared between variants is the dependence alone.
    Missing values (NaN) stay missing. Where many rows tie, the scores of a column have less spread, and are divided by
    their standard deviation.
    """
    observed = ~np.isnan(x)
    scores = ndtri(rankdata(x, axis=0, nan_policy="omit") / (observed.sum(axis=0) + 1))
    return scores / _spread_of_ties(x, scores)


class NormalScores:
    """:func:`normal_scores` of new rows by the ranks of rows x (M, N, C) seen before."""

    def __init__(self, x: np.ndarray) -> None:
        scores = normal_scores(x)
        self.columns = [[self._steps(x[:, i, c], scores[:, i, c]) for c in range(x.shape[2])]
                        for i in range(x.shape[1])]

    @staticmethod
    def _steps(values: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The different values of a column and their scores, at most _STEPS of them."""
        known, first = np.unique(values[~np.isnan(values)], return_index=True)
        kept = np.unique(np.linspace(0, len(known) - 1, _STEPS).round().astype(int))
        return known[kept], scores[~np.isnan(values)][first][kept]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Scores of rows (M', N, C), NaN where they are; beyond what was seen those of the nearest value."""
        return np.stack([np.stack([np.interp(x[:, i, c], *steps) for c, steps in enumerate(channels)], axis=1)
                         for i, channels in enumerate(self.columns)], axis=1)


def _spread_of_ties(x: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The standard deviation of columns' scores where many rows tie, else 1, (N, C)."""
    tied = np.array([len(np.unique(column[~np.isnan(column)])) < 0.5 * len(column) for column in
                     x.reshape(len(x), -1).T]).reshape(x.shape[1:])
    spread = np.nanstd(scores, axis=0)
    return np.where(tied & (spread > 0), spread, 1.0)


def density_threshold(scores: np.ndarray, density: float) -> float:
    """The threshold that leaves round(density * pairs) of the pairs, and those that tie with the last of them."""
    ranked = np.unique(scores[np.triu_indices(len(scores), k=1)], return_counts=True)
    values, counts = ranked[0][::-1], np.cumsum(ranked[1][::-1])
    wanted = round(density * counts[-1])
    if wanted == 0:
        return float(values[0])
    last = int(np.searchsorted(counts, wanted))
    if last + 1 == len(values):
        return float(np.nextafter(values[last], -np.inf))
    middle = values[last + 1] + (values[last] - values[last + 1]) / 2
    return float(middle if middle < values[last] else values[last + 1])


def _checked(scores: np.ndarray, nodes: int, name: str) -> np.ndarray:
    scores = np.array(scores, dtype=np.float64)
    np.fill_diagonal(scores, 0.0)
    gap = np.abs(scores - scores.T).max() if scores.shape == (nodes, nodes) else np.inf
    if not gap <= 1e-9 * max(1.0, np.abs(scores).max()):  # also when a score is NaN
        raise RuntimeError(f"{name} must give finite symmetric scores of shape ({nodes}, {nodes}).")
    return (scores + scores.T) / 2
