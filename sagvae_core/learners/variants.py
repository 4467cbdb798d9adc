"""The settings of the one model that :class:`SAGVAERelations` chooses among, each fitted to a table.

A fitted variant has ``model`` and ``steps``, its ``graph`` bool (N, N), and ``readings``: the log-odds (N, N) of every
edge for each of the ``RELATIONS``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..config import ModelConfig, StageConfig, TrainConfig
from ..model import SAGVAE
from ..training import Trainer
from .base import stacked
from .classical import partial_correlation, shrunk_precision
from .densities import predictive_density, second_moments
from .evidence import averaged_evidence, edge_evidence
from .filters import filter_density, filtered_graph

RELATIONS = ("conditional", "direct")
PRIOR = 0.03  # share of pairs expected to be edges before any data
PRIOR_LOG_ODDS = math.log(PRIOR / (1 - PRIOR))
_FIRST_STEPS = 150
_SMALLEST_GAIN = 0.002  # nats a value that twice the steps must gain for another doubling
_SMALL = 200  # nodes
_HOPELESS = -0.05  # nats a value; of rows that were smoothed the strongest partial correlations promise more than 0.01


@dataclasses.dataclass(frozen=True)
class Training:
    """How long and on what to train, and what evidence to read; see the arguments of :class:`SAGVAERelations`."""

    steps: int
    early_stopping: bool
    seed: int
    device: str
    averaged: bool = False

    def __call__(self, config: ModelConfig, x: np.ndarray, batch_size: int, quality: Callable[[SAGVAE], float],
                 **stage: Any) -> tuple[SAGVAE, int]:
        """The model of rows x (M, N, C) and its steps; ``quality`` (nats a value) decides how many those are."""
        best, most = None, -math.inf
        steps = min(_FIRST_STEPS, self.steps) if self.early_stopping else self.steps
        while True:
            model = self._once(config, x, batch_size, steps, stage)
            found = quality(model) if steps < self.steps or best is not None else math.inf
            gain, most = found - most, max(found, most)
            if gain > 0:
                best = model, steps
            if gain < _SMALLEST_GAIN or steps >= self.steps:
                return best
            steps = min(2 * steps, self.steps)

    def _once(self, config: ModelConfig, x: np.ndarray, batch_size: int, steps: int, stage: dict[str, Any]) -> SAGVAE:
        epochs = max(1, round(steps / math.ceil(len(x) / batch_size)))
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


class Neighbours:
    """Each column from its neighbours alone, in normal scores; ``functions`` > 0 adds so many along each edge.

    ``binary`` nodes have a Bernoulli likelihood. Where values are missing (NaN), the bound is over the others.
    ``trained`` are the readings given the trained graph alone.
    """

    def __init__(self, training: Training, ranks: np.ndarray, functions: int, settings: dict[str, Any],
                 binary: np.ndarray) -> None:
        rows, nodes, channels = ranks.shape
        config = ModelConfig(
            num_nodes=nodes, num_channels=channels, latent_channels=channels, encoder="linear",
            initial_log_variance=-4.0, edge_logit_scale=12.0, edge_prior=1 / (1 + math.exp(-price(rows * channels))),
            edge_weights="signed", edge_weight_init=0.0, weighted_convolution=True, edge_functions=functions, hidden=(),
            normalisation="none", self_loops=False, z_skip=False, node_bias=True, node_scale=True, output="identity",
            likelihood="gaussian", likelihood_scale="node", initial_scale=1.0, binary_nodes=tuple(binary.tolist()),
            missing=bool(np.isnan(ranks).any()))
        config = dataclasses.replace(config, **settings)
        self.model, self.steps = training(
            config, ranks, 128, lambda model: predictive_density(
                ranks, features_of(model, ranks), model.edges().numpy(), binary=binary),
            kl_z_weight=0.1 if functions else 0.3, kl_graph_weight=(1.5 if functions else 1.0) / (rows * channels))
        self.graph = self.model.edges().numpy()
        self.features = features_of(self.model, ranks)
        self.trained = edge_evidence(ranks, self.features, self.graph, PRIOR_LOG_ODDS, binary)
        self.readings = self.trained if not training.averaged else averaged_evidence(
            ranks, self.features, self.graph, PRIOR, binary, training.seed)


@torch.no_grad()
def features_of(model: SAGVAE, x: np.ndarray) -> np.ndarray:
    """The codes of each node and what the edge functions make of them, (M, N, (1 + K) C); NaN where x is."""
    codes = model.encode(torch.as_tensor(x, dtype=torch.float32)).loc
    functions = model.decoder.edge_functions
    parts = [codes] if functions is None else [codes, *functions.messages(codes)]
    features = torch.cat(parts, dim=-1).double().numpy()
    return np.where(np.isnan(x).any(axis=2, keepdims=True), np.nan, features)


class Smoothing:
    """Independent sources, smoothed by two graph layers (the model of section 4.1).

    The graph that training finds is where the search for the best filter starts, along with the strongest partial
    correlations: from few rows training stops at fewer edges than there are, and on some graphs those start nearer.

    Args:
        promise: graph -> nats a value by which it describes the rows better than the linear variant. Without it all is
            done. With it nothing is trained (``model`` is None) where the partial correlations are far from any, and
            nothing searched where no start is better: ``readings`` then stay empty.
    """

    def __init__(self, training: Training, x: np.ndarray,
                 promise: Callable[[np.ndarray], float] | None = None) -> None:
        _, nodes, channels = x.shape
        config = ModelConfig(
            num_nodes=nodes, num_channels=channels, latent_channels=2 * channels, encoder="all", encoder_hidden=128,
            encoder_activation="tanh", initial_log_variance=0.0, edge_logit_scale=12.0, edge_prior=PRIOR,
            hidden=(8,), activation="tanh", normalisation="symmetric", output="identity", likelihood="gaussian",
            initial_scale=1.0, missing=bool(np.isnan(x).any()))
        samples = stacked(x)
        moments = second_moments(samples)
        strongest = partial_correlation(shrunk_precision(np.nan_to_num(samples)))
        count = round((~np.isnan(samples)).mean() * len(samples))
        starts = [strongest_pairs(strongest, round(share * nodes)) for share in (1, 1.5)]
        self.graph, self.readings, self.model, self.steps = starts[0], {}, None, 0
        promises = [] if promise is None else [promise(start) for start in starts]
        if promises and max(promises) < _HOPELESS:
            return
        self.model, self.steps = training(
            config, x, 64, lambda model: filter_density(moments, model.edges().numpy()), kl_z_weight=0.5,
            kl_graph_weight=0.01)
        self.graph = self.model.edges().numpy()
        starts = [self.graph, *starts]
        if promise is not None and max(promise(self.graph), *promises) <= 0:
            return
        found = filtered_graph(moments, count, starts, price(count))
        self.graph = found.graph
        self.readings = dict.fromkeys(RELATIONS, found.scores)


def strongest_pairs(scores: np.ndarray, edges: int) -> np.ndarray:
    """The graph of the ``edges`` highest scores, bool (N, N)."""
    row, column = np.triu_indices(len(scores), k=1)
    chosen = np.argsort(-scores[row, column], kind="stable")[:edges]
    graph = np.zeros(scores.shape, dtype=bool)
    graph[row[chosen], column[chosen]] = True
    return graph | graph.T


def price(samples: int) -> float:
    """Log-odds of an edge with one coefficient before any data, the BIC's price of that coefficient included."""
    return PRIOR_LOG_ODDS - 0.5 * math.log(samples)
