"""The one interface of everything that finds relations: ``fit(X)`` gives scores for all pairs and a threshold.

Symbols: M rows, N columns (nodes, features), C channels per node.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.base import BaseEstimator

from ..errors import SagvaeError, expected

MIN_ROWS, MIN_COLUMNS = 3, 2


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

    Attributes:
        scores_: float64 (N, N), symmetric, zero diagonal; any real scale, higher is surer.
        threshold_: a pair is an edge when its score is greater.
        edges_: bool (N, N), ``scores_ > threshold_`` off the diagonal.
        n_features_in_: N.
        feature_names_in_: N names; only after fitting a DataFrame.
    """

    title = ""

    def __init__(self, density: float | None = None, standardise: bool = True) -> None:
        self.density = density
        self.standardise = standardise

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the relations between the columns of ``X``.

        Args:
            X: (M, N) or (M, N, C) numbers: array, torch tensor or pandas DataFrame; at least 3 rows and 2 columns.
            y: ignored, there for scikit-learn.

        Raises:
            SagvaeError: a value is missing or no number, a column never changes, the table is too small, or a
                parameter is out of range.
        """
        density = self.density
        if density is not None and (isinstance(density, bool) or not isinstance(density, Real) or not 0 < density < 1):
            raise expected("density", "a number between 0 and 1, or None", repr(density))
        x, names = read_rows(X)
        self.n_features_in_ = x.shape[1]
        self._settle(*self._scores(self._prepare(x)))
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # of an earlier fit
        return self

    def _settle(self, scores: np.ndarray, threshold: float) -> None:
        """Set what follows from scores (N, N) and their natural threshold."""
        self.scores_ = _checked(scores, self.n_features_in_, type(self).__name__)
        self.threshold_ = float(threshold) if self.density is None else density_threshold(self.scores_, self.density)
        self.edges_ = self.scores_ > self.threshold_
        np.fill_diagonal(self.edges_, False)

    def _prepare(self, x: np.ndarray) -> np.ndarray:
        """What :meth:`_scores` is given: the rows, centred and scaled if that is wanted."""
        return scaled(x - x.mean(axis=0)) if self.standardise else x

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """Scores (N, N), whose diagonal is not read, and the natural threshold, from float64 rows (M, N, C)."""
        raise NotImplementedError(f"{type(self).__name__} has no _scores.")


def read_rows(X: Any) -> tuple[np.ndarray, list[str] | None]:
    """``X`` as checked float64 rows (M, N, C) and, for a DataFrame, the N names; see :meth:`RelationLearner.fit`."""
    names = None
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        names = [str(name) for name in X.columns]
        values = _frame_values(X, names)
    else:
        values = _array_values(X.detach().cpu().numpy() if hasattr(X, "detach") else X)
    if values.ndim not in (2, 3):
        raise expected("X", "of shape (rows, columns) or (rows, columns, channels)", values.shape)
    x = values if values.ndim == 3 else values[:, :, None]
    rows, columns, channels = x.shape
    if rows < MIN_ROWS:
        raise expected("X", f"a table of at least {MIN_ROWS} rows", f"{rows}", "Relations are read off many rows.")
    if columns < MIN_COLUMNS or channels < 1:
        raise expected("X", f"a table of at least {MIN_COLUMNS} columns", f"shape {values.shape}")
    broken = ~np.isfinite(x).all(axis=(0, 2))
    if broken.any():
        raise expected("X", "finite everywhere", f"missing values or infinity in {_listed(broken, names)}",
                       "Remove or fill them first.")
    spread = np.ptp(x, axis=0).max(axis=1)
    constant = spread <= 1e-12 * np.abs(x).max(axis=(0, 2))  # nothing but rounding: its correlations are 0/0
    if constant.any():
        raise SagvaeError(f"X has the same value in every row of {_listed(constant, names)}: a column that never "
                          "changes has no relations. Leave it out.")
    return x, names


def scaled(x: np.ndarray) -> np.ndarray:
    """Rows (M, N, C) over each column's standard deviation, or for C > 1 over the one of all values."""
    deviations = x - x.mean(axis=0)
    return x / (deviations.std(axis=0) if x.shape[2] == 1 else deviations.std())


def stacked(x: np.ndarray) -> np.ndarray:
    """Standardised samples (M * C, N) of rows (M, N, C): every channel of a row counts as a sample of its own.

    Each node's and channel's mean is removed before, each node's standard deviation over all its samples after.
    """
    samples = (x - x.mean(axis=0)).transpose(0, 2, 1).reshape(-1, x.shape[1])
    return samples / samples.std(axis=0)


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Every column's ranks mapped to standard normal quantiles (van der Waerden scores); shape of ``x``.

    Heavy tails and bent scales then cost nothing, and what is compared between variants is the dependence alone.
    """
    return ndtri(rankdata(x, axis=0) / (len(x) + 1))


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


def _frame_values(frame: Any, names: list[str]) -> np.ndarray:
    from pandas.api.types import is_complex_dtype, is_numeric_dtype

    text = np.array([not is_numeric_dtype(kind) or is_complex_dtype(kind) for kind in frame.dtypes], dtype=bool)
    if text.any():
        raise expected("X", "a table of numbers", f"text or other values in {_listed(text, names)}",
                       "Leave these columns out, or encode them as numbers.")
    return frame.to_numpy(dtype=np.float64, na_value=np.nan)


def _array_values(X: Any) -> np.ndarray:
    try:
        values = np.asarray(X)
        if values.dtype.kind == "O":
            values = values.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise expected("X", "a table of numbers with rows of one length", f"{type(X).__name__} ({error})") from None
    if values.dtype.kind not in "buif":
        raise expected("X", "a table of numbers", f"values of type {values.dtype}")
    return values.astype(np.float64)


def _listed(chosen: np.ndarray, names: list[str] | None) -> str:
    """The chosen columns as a person finds them: by name, else by number; three at most, then how many more."""
    indices = np.flatnonzero(chosen)
    shown = ", ".join(repr(names[i]) if names else str(i) for i in indices[:3])
    more = f" and {len(indices) - 3} more" if len(indices) > 3 else ""
    return f"column {shown}{more}" + ("" if names else " (counted from 0)")


def _checked(scores: np.ndarray, nodes: int, name: str) -> np.ndarray:
    scores = np.array(scores, dtype=np.float64)
    np.fill_diagonal(scores, 0.0)
    gap = np.abs(scores - scores.T).max() if scores.shape == (nodes, nodes) else np.inf
    if not gap <= 1e-9 * max(1.0, np.abs(scores).max()):  # also when a score is NaN
        raise RuntimeError(f"{name} must give finite symmetric scores of shape ({nodes}, {nodes}).")
    return (scores + scores.T) / 2
