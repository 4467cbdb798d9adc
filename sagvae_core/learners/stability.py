"""How sure is an edge if the rows had been others: any learner fitted again to halves or resamples of them.

Symbols: M rows, N columns, P = N(N-1)/2 pairs, B random splits into two halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from scipy.special import stdtrit
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from ..data.base import derived_seed
from ..errors import expected
from .base import RelationLearner
from .error_control import stable_threshold
from .rows import Rows, drawn, read_rows
from .sagvae import SAGVAERelations

RESAMPLINGS = ("halves", "bootstrap")
LEVEL = 0.95  # of the intervals
FEWEST_ROWS = 12  # halves of fewer are no tables to learn from
_STREAM = 5  # names these random streams apart from those of data and damage


class StableRelations(BaseEstimator):
    """A relation learner with a confidence for every edge, by stability selection.

    Example:
        >>> stable = StableRelations(SAGVAERelations(), resamples=50, n_jobs=-1).fit(dataframe)
        >>> stable.edges_, stable.frequency_, stable.expected_false_

    The learner is fitted to all rows, and once more to every resample; of :class:`SAGVAERelations` with the variant and
    the steps that all rows chose. ``"halves"`` are complementary pairs (Shah and Samworth 2013): B = ``resamples`` / 2
    random splits of the rows in two. Edges are the pairs that at least ``threshold_`` of the halves chose, which is as
    low as their bound on the expected number of false ones allows (:mod:`.error_control`).

    Args:
        learner: any of :mod:`sagvae_core.learners`; by default :class:`SAGVAERelations`.
        resamples: how many; 0 fits all rows alone, and edges are the learner's.
        resampling: "halves", or "bootstrap": M rows drawn with replacement. For these there is no bound: edges are
            the pairs that more than half of them chose.
        false_edges: expected number of false edges that is allowed, > 0; of "halves".
        n_jobs: fits at once, by joblib: None is 1 unless a ``joblib.parallel_config`` says otherwise (so Dask or
            Ray can spread them over machines), -1 one for each core. The numbers do not depend on it.
        seed: of the resamples, and of the learner's fits to them.

    Attributes:
        learner_: fitted to all rows. scores_, left_out_, n_rows_, n_features_in_, feature_names_in_: its own.
        edge_posterior_: its own, or None if the method has none.
        frequency_: (N, N), the share of the resamples that chose each pair; None without resamples.
        lower_, upper_: (N, N), 95 % intervals of ``scores_``; None without resamples. Of halves: Student intervals from
            how far the two halves of a split, which share no row, differ. Of the bootstrap: percentiles.
        threshold_: of ``frequency_``; without resamples of ``scores_``.
        expected_false_: the bound at ``threshold_``; None where there is none. It may be above ``false_edges``, where
            even pairs that every half chooses are allowed more.
        mean_selected_: pairs that a resample chose, on average.
        edges_: bool (N, N).
    """

    def __init__(self, learner: RelationLearner | None = None, resamples: int = 50, resampling: str = "halves",
                 false_edges: float = 1.0, n_jobs: int | None = None, seed: int = 0) -> None:
        self.learner = learner
        self.resamples, self.resampling, self.false_edges = resamples, resampling, false_edges
        self.n_jobs, self.seed = n_jobs, seed

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self._learner()).input_tags.allow_nan
        return tags

    def _learner(self) -> RelationLearner:
        return SAGVAERelations() if self.learner is None else self.learner

    def fit(self, X: Any, y: Any = None, on_progress: Callable[[int, int], None] | None = None) -> Self:
        """Fit the learner to all rows, then to the resamples.

        Args:
            X: as for :meth:`RelationLearner.fit`. y: ignored.
            on_progress: told how many of how many fits are done, after each. At the first this is as if it had been
                fitted without resamples.

        Raises:
            SagvaeError: as for :meth:`RelationLearner.fit`; or a parameter is out of range, or there are too few rows
                for halves.
        """
        self._check()
        learner = clone(self._learner())
        rows = read_rows(X, learner.missing)
        if self.resamples and len(rows.x) < FEWEST_ROWS:
            raise expected("X", f"a table of at least {FEWEST_ROWS} rows to be resampled", len(rows.x),
                           "Fit it with resamples=0.")
        told = on_progress or (lambda done, total: None)
        with self._side_by_side():
            self.learner_ = learner.fit(X)
        for name in ("scores_", "left_out_", "n_rows_", "n_features_in_"):
            setattr(self, name, getattr(learner, name))
        if hasattr(learner, "feature_names_in_"):
            self.feature_names_in_ = learner.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.edge_posterior_ = getattr(learner, "edge_posterior_", None)
        self.frequency_ = self.lower_ = self.upper_ = self.expected_false_ = None
        self.threshold_, self.edges_ = learner.threshold_, learner.edges_
        self.mean_selected_ = float(np.triu(learner.edges_).sum())
        told(1, 1 + self.resamples)
        if self.resamples:
            self._judge(*self._resampled(rows, told))
        return self

    def score(self, X: Any, y: Any = None) -> float:
        """The learner's own score of rows; see :meth:`RelationLearner.score`."""
        check_is_fitted(self)
        return self.learner_.score(X)

    def _check(self) -> None:
        if isinstance(self.resamples, bool) or not isinstance(self.resamples, Integral) or self.resamples < 0:
            raise expected("resamples", "a whole number of at least 0", repr(self.resamples))
        if self.resampling not in RESAMPLINGS:
            raise expected("resampling", " or ".join(map(repr, RESAMPLINGS)), repr(self.resampling))
        if self.resampling == "halves" and self.resamples % 2:
            raise expected("resamples", "even, since a split gives two halves", self.resamples)
        if not isinstance(self.false_edges, Real) or not self.false_edges > 0:
            raise expected("false_edges", "a number above 0", repr(self.false_edges))

    def _resampled(self, rows: Rows, told: Callable[[int, int], None]) -> tuple[np.ndarray, np.ndarray]:
        """Scores and choices of every resample, (R, N, N) each, in the order of the resamples."""
        from joblib import Parallel, delayed

        settings = self.learner_.settled()
        seeded = "seed" in settings or "seed" in self.learner_.get_params()
        tasks = (delayed(_again)(
            number, clone(self.learner_).set_params(**settings | (
                {"seed": derived_seed(self.seed, _STREAM, 1, number) >> 1} if seeded else {})),
            drawn(rows, chosen, "a resample")) for number, chosen in enumerate(self._draws(len(rows.x))))
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        # One at a time, so that progress is told as it is made: joblib would put quick fits into packets.
        for number, scores, edges in Parallel(self.n_jobs, return_as="generator_unordered", batch_size=1)(tasks):
            found[number] = scores, edges
            told(1 + len(found), 1 + self.resamples)
        scores, edges = zip(*(found[number] for number in sorted(found)))
        return np.stack(scores), np.stack(edges)

    def _side_by_side(self) -> AbstractContextManager[Any]:
        """What the fit to all rows can do at once, as the variants of SAG-VAE, it does with ``n_jobs`` too."""
        from joblib import parallel_config

        return nullcontext() if self.n_jobs is None else parallel_config(n_jobs=self.n_jobs)

    def _draws(self, rows: int) -> Iterator[np.ndarray]:
        """The rows of each resample; halves one after the other."""
        random = np.random.RandomState(derived_seed(self.seed, _STREAM, 0))
        if self.resampling == "bootstrap":
            yield from (random.randint(rows, size=rows) for _ in range(self.resamples))
            return
        for _ in range(self.resamples // 2):
            order = random.permutation(rows)
            yield order[:rows // 2]
            yield order[rows // 2: 2 * (rows // 2)]

    def _judge(self, scores: np.ndarray, edges: np.ndarray) -> None:
        upper = np.triu_indices(self.n_features_in_, k=1)
        self.frequency_ = edges.mean(axis=0)
        self.mean_selected_ = float(edges[:, upper[0], upper[1]].sum(axis=1).mean())
        if self.resampling == "bootstrap":
            self.lower_, self.upper_ = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
            self.threshold_ = np.nextafter(0.5, 1)
        else:
            apart = (scores[::2] - scores[1::2]) ** 2 / 2  # the variance of half the rows
            deviation = np.sqrt(apart.mean(axis=0) * (2.0 if self.learner_.grows_with_rows else 0.5))
            far = stdtrit(self.resamples // 2, (1 + LEVEL) / 2) * deviation  # one degree of freedom each split
            self.lower_, self.upper_ = self.scores_ - far, self.scores_ + far
            self.threshold_, self.expected_false_ = stable_threshold(
                len(upper[0]), self.mean_selected_, self.resamples // 2, self.false_edges)
        self.edges_ = self.frequency_ >= self.threshold_
        np.fill_diagonal(self.edges_, False)


def _again(number: int, learner: RelationLearner, rows: Rows) -> tuple[int, np.ndarray, np.ndarray]:
    learner.fit_rows(rows)
    return number, learner.scores_, learner.edges_
