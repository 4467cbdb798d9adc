"""SAG-VAE as a relation learner: three settings of the one model, and a choice between them that needs no labels.

``linear`` and ``nonlinear``: every column is explained by its neighbours alone (one graph layer without self-loops,
signed weights), so that an edge is a dependence given all other columns, as in a Markov random field. ``smoothing``:
columns are noise smoothed over the graph by two graph layers, as in section 4.1 of the paper, so that neighbours share
their sources. Which of them describes a table is read off the table itself.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch

from ..config import ModelConfig, StageConfig, TrainConfig
from ..errors import expected
from ..model import SAGVAE
from ..training import Trainer
from .base import RelationLearner
from .evidence import (
    covariance_selection,
    edge_evidence,
    gaussian_density,
    predictive_density,
    second_moments,
    smoothing_covariance,
)

VARIANTS = ("linear", "nonlinear", "smoothing")
RELATIONS = ("conditional", "direct")
_SMALL = 200  # nodes


class SAGVAERelations(RelationLearner):
    """Relations by SAG-VAE, chosen among its settings without labels; an estimator like ``GraphicalLassoCV``.

    Example:
        >>> relations = SAGVAERelations().fit(dataframe)
        >>> relations.edge_posterior_, relations.feature_names_in_

    Args:
        density: the share of pairs that are edges, where it is known; see :class:`RelationLearner`.
        standardise: see :class:`RelationLearner`.
        variant: "auto" chooses by ``criterion_``; or "linear", "nonlinear" or "smoothing".
        relation: what an edge is. "conditional": two columns depend on each other given all others, as in a Markov
            random field or a moral graph. "direct": they also do by themselves. Two causes of one effect are related
            in the first sense and not in the second, so this is the skeleton of a structural model. Of "smoothing",
            whose edges are neither, it changes nothing.
        steps: optimiser steps of each variant.
        margin: nats a value by which another variant must describe the rows better than "linear" to be chosen.
        settings: changes to the :class:`~sagvae_core.ModelConfig` of "linear" and "nonlinear", for experiments, such as
            ``{"normalisation": "symmetric"}``.
        seed: of weights, batches and noise.
        device: "cpu", "cuda" or "auto"; tables of this size are quickest on the CPU.

    Attributes:
        scores_: (N, N) log-odds of every edge in nats. threshold_: 0, or what leaves the known density.
        edge_posterior_: (N, N) sigmoid of it: the probability of every edge.
        variant_: the chosen one. criterion_: nats a value of each variant over "linear".
        variant_scores_: the scores of every variant that was fitted. model_: the chosen :class:`SAGVAE`.
            :meth:`read_as` gives the same fit's other kind of edge.
    """

    title = "SAG-VAE"

    def __init__(self, density: float | None = None, standardise: bool = True, variant: str = "auto",
                 relation: str = "conditional", steps: int = 1000, margin: float = 0.05,
                 settings: dict[str, Any] | None = None, seed: int = 0, device: str = "cpu") -> None:
        super().__init__(density, standardise)
        self.variant, self.relation, self.steps, self.margin = variant, relation, steps, margin
        self.settings, self.seed, self.device = settings, seed, device

    def _prepare(self, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=0)
        return centred / centred.std() if self.standardise and x.shape[2] > 1 else super()._prepare(x)

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        if self.variant != "auto" and self.variant not in VARIANTS:
            raise expected("variant", "'auto', " + ", ".join(map(repr, VARIANTS)), repr(self.variant))
        _check_relation(self.relation)
        if not isinstance(self.steps, Integral) or self.steps < 1:
            raise expected("steps", "a whole number of at least 1", repr(self.steps))
        ranks = normal_scores(x)
        fits = {}
        for variant in VARIANTS if self.variant == "auto" else (self.variant,):
            fits[variant] = (_Smoothing if variant == "smoothing" else _Neighbours)(self, variant, x, ranks)
        self.criterion_ = _criterion(fits, x, ranks) if self.variant == "auto" else {}
        self.variant_ = _simplest(self.criterion_, self.margin) if self.variant == "auto" else self.variant
        self.model_ = fits[self.variant_].model
        self._readings = {variant: fit.readings for variant, fit in fits.items()}
        return self._read(self.relation)

    def read_as(self, relation: str) -> Self:
        """This fit with the edges of the other ``relation``; nothing is learned anew, and this one stays as it is."""
        _check_relation(relation)
        other = copy.copy(self)
        other.relation = relation
        other._settle(*other._read(relation))
        return other

    def _read(self, relation: str) -> tuple[np.ndarray, float]:
        self.variant_scores_ = {variant: readings[relation] for variant, readings in self._readings.items()}
        scores = self.variant_scores_[self.variant_]
        self.edge_posterior_ = 1 / (1 + np.exp(-np.clip(scores, -700, 700)))
        np.fill_diagonal(self.edge_posterior_, 0.0)
        return scores, 0.0

    def train(self, config: ModelConfig, x: np.ndarray, batch_size: int, **stage: Any) -> SAGVAE:
        """Fit one model to rows x (M, N, C) with this learner's steps, seed and device."""
        epochs = max(1, round(self.steps / math.ceil(len(x) / batch_size)))
        model = SAGVAE(config, self.seed)
        train = TrainConfig(stages=(StageConfig(epochs=epochs, constant_share=0.6, final_rate=0.05, **stage),),
                            batch_size=batch_size, clip_norm=10.0, temperature=(1.0, 0.3), seed=self.seed,
                            device=self.device)
        threads = torch.get_num_threads()
        # Several threads for matrices this small only wait for each other, on a busy machine for minutes.
        torch.set_num_threads(1 if config.num_nodes <= _SMALL else threads)
        try:
            Trainer(model, train).fit(torch.as_tensor(x, dtype=torch.float32))
        finally:
            torch.set_num_threads(threads)
        return model.cpu()


class _Neighbours:
    """Each column from its neighbours alone; ``nonlinear`` adds functions along the edges."""

    PRIOR = 0.03  # share of pairs expected to be edges before any data

    def __init__(self, learner: SAGVAERelations, variant: str, x: np.ndarray, ranks: np.ndarray) -> None:
        rows, nodes, channels = ranks.shape
        functions = 3 if variant == "nonlinear" else 0
        prior = math.log(self.PRIOR / (1 - self.PRIOR))
        price = prior - 0.5 * math.log(rows * channels)  # log-odds: the BIC's price of one more coefficient
        config = ModelConfig(
            num_nodes=nodes, num_channels=channels, latent_channels=channels, encoder="linear",
            initial_log_variance=-4.0, edge_logit_scale=12.0, edge_prior=1 / (1 + math.exp(-price)),
            edge_weights="signed", edge_weight_init=0.0, weighted_convolution=True, edge_functions=functions, hidden=(),
            normalisation="none", self_loops=False, z_skip=False, node_bias=True, node_scale=True, output="identity",
            likelihood="gaussian", likelihood_scale="node", initial_scale=1.0)
        config = dataclasses.replace(config, **(learner.settings or {}))
        self.model = learner.train(config, ranks, 128, kl_z_weight=0.1 if functions else 0.3,
                                   kl_graph_weight=(1.5 if functions else 1.0) / (rows * channels))
        self.graph = self.model.edges().numpy()
        self.features = self._features(ranks)
        conditional = edge_evidence(ranks, self.features, self.graph, prior)
        marginal = edge_evidence(ranks, self.features, np.zeros_like(self.graph), prior)
        self.readings = {"conditional": conditional, "direct": np.minimum(conditional, marginal)}

    @torch.no_grad()
    def _features(self, x: np.ndarray) -> np.ndarray:
        """The codes of each node and what the edge functions make of them, (M, N, (1 + K) C)."""
        codes = self.model.encode(torch.as_tensor(x, dtype=torch.float32)).loc
        functions = self.model.decoder.edge_functions
        parts = [codes] if functions is None else [codes, *functions.messages(codes)]
        return torch.cat(parts, dim=-1).double().numpy()


class _Smoothing:
    """Independent sources, smoothed by two graph layers (the model of section 4.1)."""

    PRIOR = 0.03

    def __init__(self, learner: SAGVAERelations, variant: str, x: np.ndarray, ranks: np.ndarray) -> None:
        _, nodes, channels = x.shape
        config = ModelConfig(
            num_nodes=nodes, num_channels=channels, latent_channels=2 * channels, encoder="all", encoder_hidden=128,
            encoder_activation="tanh", initial_log_variance=0.0, edge_logit_scale=12.0, edge_prior=self.PRIOR,
            hidden=(8,), activation="tanh", normalisation="symmetric", output="identity", likelihood="gaussian",
            initial_scale=1.0)
        self.model = learner.train(config, x, 64, kl_z_weight=0.5, kl_graph_weight=0.01)
        posterior = self.model.edge_posterior.double().numpy()
        scores = np.log(np.maximum(posterior, 1e-30)) - np.log(np.maximum(1 - posterior, 1e-30))
        self.readings = dict.fromkeys(RELATIONS, scores)


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Every column's ranks mapped to standard normal quantiles (van der Waerden scores); shape of ``x``.

    Heavy tails and bent scales then cost nothing, and what is compared between variants is the dependence alone.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return ndtri(rankdata(x, axis=0) / (len(x) + 1))


def _criterion(fits: dict[str, Any], x: np.ndarray, ranks: np.ndarray) -> dict[str, float]:
    """Nats a value by which every variant describes the rows better than ``linear``.

    ``nonlinear``: how well each column of a left-out row is predicted from its neighbours, in normal scores.
    ``smoothing`` has no neighbours to predict from: its graph implies a covariance and the linear one's a sparse
    precision, so the densities of whole rows are compared, *with as many edges* for both. More edges always describe
    noise-free rows better; a graph is the right kind if few of them say much.

    None of this is a held-out likelihood of the graph: the graphs were learned from these very rows. The regressions
    of ``nonlinear`` are cross-validated on them, the two densities of ``smoothing`` are fitted and compared in sample.
    """
    linear, nonlinear, smoothing = (fits[variant] for variant in VARIANTS)
    moments = second_moments(x.transpose(0, 2, 1).reshape(-1, x.shape[1]))
    graph = smoothing.readings["conditional"] > 0
    np.fill_diagonal(graph, False)
    equal = _strongest(linear.readings["conditional"], int(graph.sum()) // 2)
    return {"linear": 0.0,
            "nonlinear": predictive_density(ranks, nonlinear.features, nonlinear.graph)
            - predictive_density(ranks, linear.features, linear.graph),
            "smoothing": gaussian_density(smoothing_covariance(moments, graph), moments)
            - gaussian_density(covariance_selection(moments, equal), moments)}


def _strongest(scores: np.ndarray, edges: int) -> np.ndarray:
    """The graph of the ``edges`` highest scores, bool (N, N)."""
    row, column = np.triu_indices(len(scores), k=1)
    chosen = np.argsort(-scores[row, column], kind="stable")[:edges]
    graph = np.zeros(scores.shape, dtype=bool)
    graph[row[chosen], column[chosen]] = True
    return graph | graph.T


def _simplest(criterion: dict[str, float], margin: float) -> str:
    best = max(criterion, key=criterion.__getitem__)
    return best if criterion[best] > margin else "linear"


def _check_relation(relation: str) -> None:
    if relation not in RELATIONS:
        raise expected("relation", " or ".join(map(repr, RELATIONS)), repr(relation))
