"""SAG-VAE as a relation learner: three settings of the one model, and a choice between them that needs no labels.

``linear`` and ``nonlinear``: every column is explained by its neighbours alone (one graph layer without self-loops,
signed weights), so that an edge is a dependence given all other columns, as in a Markov random field. ``smoothing``:
columns are noise smoothed over the graph by two graph layers, as in section 4.1 of the paper, so that neighbours share
their sources (:mod:`.filters`). Which of them describes a table is read off the table itself.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np

from ..config import ModelConfig
from ..config_data import one_of
from ..errors import SagvaeError, expected
from ..tables.table import FEW
from .base import NormalScores, RelationLearner, centred, normal_scores, spread
from .choice import SmoothingCriterion, check_margins, simplest
from .densities import predictive_density
from .prior import estimated_prior, log_odds
from .rows import Rows
from .screening import WIDE, curved_gain
from .variants import (
    PRIOR,
    PRIOR_LOG_ODDS,
    RELATIONS,
    Neighbours,
    Smoothing,
    Training,
    features_of,
)

VARIANTS = ("linear", "nonlinear", "smoothing")
PRIORS = ("fixed", "estimated")
EVIDENCE = ("trained", "averaged")
_FUNCTIONS = 3  # along each edge, of "nonlinear"


class SAGVAERelations(RelationLearner):
    """Relations by SAG-VAE, chosen among its settings without labels; an estimator like ``GraphicalLassoCV``.

    Example:
        >>> relations = SAGVAERelations().fit(dataframe)
        >>> relations.edge_posterior_, relations.feature_names_in_

    Args:
        density: the share of pairs that are edges, where it is known; see :class:`RelationLearner`.
        standardise, missing: see :class:`RelationLearner`. With ``missing="model"`` the evidence lower bound is over
            what was observed, which takes values to be missing at random.
        variant: "auto" chooses by ``criterion_``, of more than 128 columns among those that a quick look does not rule
            out (:mod:`.screening`); or "linear", "nonlinear" or "smoothing".
        relation: what an edge is. "conditional": two columns depend on each other given all others, as in a Markov
            random field or a moral graph. "direct": they also do by themselves, and with any one neighbour not held
            fixed. Two causes of one effect are related in the first sense and not in the second, so this is the
            skeleton of a structural model. Of "smoothing", whose edges are neither, it changes nothing.
        steps: the most optimiser steps of a training. Each variant is trained for few steps, then anew for twice as
            many, and so on, until that describes the rows no better: early stopping that needs neither labels nor
            rows of its own, and lets every training go through its whole schedule.
        early_stopping: False: one training of ``steps``.
        margins: nats a value by which "nonlinear", and "smoothing", must describe the rows better than "linear" to be
            chosen; "smoothing" first, which has no more parameters. "nonlinear" has many functions to choose from, and
            needs a wider margin.
        prior: what share of the pairs is taken for edges before any row is seen. "estimated": the share that makes the
            rows most probable (:mod:`.prior`), where these are 30 or more. "fixed": 3 %, too little for small tables,
            where a fifth of the pairs can be edges. It moves all log-odds alike, so that pairs rank the same.
        evidence: what the edges of "linear" and "nonlinear" are judged given: "trained", the trained graph; "averaged",
            the graphs that the rows leave possible, drawn from their posterior (:mod:`.averaging`), which from few rows
            are many. Where nearly all relations are positive it asks more of a negative one, so that from few rows it
            matters which way round a column is coded. "smoothing", which searches its graph, is the same either way.
        settings: changes to the :class:`~sagvae_core.ModelConfig` of "linear" and "nonlinear", for experiments, such as
            ``{"normalisation": "symmetric"}``.
        seed: of weights, batches and noise.
        device: "cpu", "cuda" or "auto"; tables of this size are quickest on the CPU.

    Attributes:
        scores_: (N, N) log-odds of every edge in nats. threshold_: 0, or what leaves the known density.
        edge_posterior_: (N, N) sigmoid of it: the probability of every edge.
        prior_: the share that was taken.
        variant_: the chosen one. criterion_: nats a value of each variant over "linear".
        variant_scores_: the scores of every variant that was fitted. model_: the chosen :class:`SAGVAE`.
            :meth:`read_as` gives the same fit's other kind of edge.
        steps_: variant -> how many steps the training that was kept took.
    """

    title = "SAG-VAE"
    models_missing = grows_with_rows = True

    def __init__(self, density: float | None = None, standardise: bool = True, variant: str = "auto",
                 relation: str = "conditional", steps: int = 1200, early_stopping: bool = True,
                 margins: tuple[float, float] = (0.05, 0.005), settings: dict[str, Any] | None = None, seed: int = 0,
                 device: str = "cpu", missing: str = "error", prior: str = "estimated",
                 evidence: str = "trained") -> None:
        super().__init__(density, standardise, missing)
        self.prior, self.evidence = prior, evidence
        self.variant, self.relation, self.steps, self.early_stopping = variant, relation, steps, early_stopping
        self.margins, self.settings, self.seed, self.device = margins, settings, seed, device

    def fit_rows(self, rows: Rows) -> None:
        """:meth:`fit` to rows that have been read."""
        self._ranked = NormalScores(rows.x)
        super().fit_rows(rows)

    def settled(self) -> dict[str, Any]:
        """The variant and the number of steps, which are most of a fit's time."""
        return {"variant": self.variant_, "steps": self.steps_[self.variant_], "early_stopping": False}

    def _prepare(self, x: np.ndarray) -> np.ndarray:
        if not self.standardise or x.shape[2] == 1:
            return super()._prepare(x)
        deviations = centred(x)
        return deviations / spread(deviations, axis=None)

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        if self.variant != "auto" and self.variant not in VARIANTS:
            raise expected("variant", "'auto', " + ", ".join(map(repr, VARIANTS)), repr(self.variant))
        _check_relation(self.relation)
        if not isinstance(self.steps, Integral) or self.steps < 1:
            raise expected("steps", "a whole number of at least 1", repr(self.steps))
        check_margins(self.margins)
        one_of("prior", self.prior, PRIORS)
        one_of("evidence", self.evidence, EVIDENCE)
        _check_settings(self.settings)
        ranks = normal_scores(x)
        fits = {self.variant: self._fitted(self.variant, x, ranks)} if self.variant != "auto" else {}
        self.criterion_ = {}
        if self.variant == "auto":
            fits, self.criterion_ = self._compared(x, ranks)
        self.variant_ = simplest(self.criterion_, self.margins) if self.variant == "auto" else self.variant
        self.model_ = fits[self.variant_].model
        self.steps_ = {variant: fit.steps for variant, fit in fits.items() if fit.model is not None}
        self._readings = {variant: fit.readings for variant, fit in fits.items() if fit.readings}
        return self._read(self.relation)

    def _compared(self, x: np.ndarray, ranks: np.ndarray) -> tuple[dict[str, Any], dict[str, float]]:
        """The variants, fitted, and their criterion; of a wide table without those that a quick look rules out.

        Of others the nonlinear one, which takes longest, is fitted beside the other two where a
        ``joblib.parallel_config`` says so; they do not wait until its process has started.
        """
        if ranks.shape[1] > WIDE and ranks.shape[2] == 1:
            fits = self._promising(x, ranks)
        else:
            from joblib import Parallel, delayed

            beside = Parallel(return_as="generator")([delayed(self._fitted)("nonlinear", x, ranks)])
            fits = {variant: self._fitted(variant, x, ranks) for variant in ("linear", "smoothing")}
            fits["nonlinear"], = beside
        linear, criterion = fits["linear"], {"linear": 0.0}
        if "nonlinear" in fits:
            nonlinear = fits["nonlinear"]
            criterion["nonlinear"] = (
                predictive_density(ranks, nonlinear.features, nonlinear.graph, binary=self._binary)
                - predictive_density(ranks, linear.features, linear.graph, binary=self._binary))
        criterion["smoothing"] = SmoothingCriterion(linear.trained["conditional"], ranks)(fits["smoothing"].graph)
        return {variant: fits[variant] for variant in VARIANTS if variant in fits}, criterion

    def _promising(self, x: np.ndarray, ranks: np.ndarray) -> dict[str, Any]:
        """Of a wide table: the linear variant, the nonlinear one if anything is curved, and of the smoothing one no
        training and no search that are without hope."""
        fits: dict[str, Any] = {"linear": self._fitted("linear", x, ranks)}
        if curved_gain(ranks[:, :, 0], fits["linear"].graph, PRIOR_LOG_ODDS) > self.margins[0] / 2:
            fits["nonlinear"] = self._fitted("nonlinear", x, ranks)
        better = SmoothingCriterion(fits["linear"].trained["conditional"], ranks)
        least = min(0.0, self.margins[1])
        fits["smoothing"] = self._fitted("smoothing", x, ranks, lambda graph: better(graph) - least)
        return fits

    def _fitted(self, variant: str, x: np.ndarray, ranks: np.ndarray,
                promise: Callable[[np.ndarray], float] | None = None) -> Neighbours | Smoothing:
        training = Training(int(self.steps), self.early_stopping, self.seed, self.device, self.evidence == "averaged")
        if variant == "smoothing":
            return Smoothing(training, x, promise)
        return Neighbours(training, ranks, _FUNCTIONS if variant == "nonlinear" else 0, self.settings or {},
                          self._binary)

    def _seen(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ranks = self._ranked(x)
        return ranks, ranks if self.variant_ == "smoothing" else features_of(self.model_, ranks)

    def read_as(self, relation: str) -> Self:
        """This fit with the edges of the other ``relation``; nothing is learned anew, and this one stays as it is.

        :meth:`score` stays that of this fit's edges.

        Raises:
            SagvaeError: the relation is unknown, or nothing was fitted yet.
        """
        _check_relation(relation)
        if not hasattr(self, "_readings"):
            raise SagvaeError("Expected a fitted learner, got one that has seen no rows. Call fit(X) before read_as.")
        other = copy.copy(self)
        other.relation = relation
        other._settle(*other._read(relation))
        return other

    def _read(self, relation: str) -> tuple[np.ndarray, float]:
        scores = {variant: readings[relation] for variant, readings in self._readings.items()}
        priors = dict.fromkeys(scores, PRIOR)
        if self.prior == "estimated" and self.n_rows_ >= FEW:  # in fewer, chance looks like many edges
            priors = {variant: estimated_prior(values, PRIOR) for variant, values in scores.items()}
            scores = {variant: values + log_odds(priors[variant]) - PRIOR_LOG_ODDS
                      for variant, values in scores.items()}
        self.prior_ = priors[self.variant_]
        self.variant_scores_ = {variant: self._rows.spread_out(values, min(values.min(), 0.0))
                                for variant, values in scores.items()}
        posterior = 1 / (1 + np.exp(-np.clip(scores[self.variant_], -700, 700)))
        np.fill_diagonal(posterior, 0.0)
        self.edge_posterior_ = self._rows.spread_out(posterior, 0.0)
        return scores[self.variant_], 0.0


def _check_relation(relation: str) -> None:
    if relation not in RELATIONS:
        raise expected("relation", " or ".join(map(repr, RELATIONS)), repr(relation))


def _check_settings(settings: Any) -> None:
    known = {field.name for field in dataclasses.fields(ModelConfig)}
    if settings is not None and (not isinstance(settings, Mapping) or set(settings) - known):
        raise expected("settings", "a dict of fields of ModelConfig, or None", repr(settings))
