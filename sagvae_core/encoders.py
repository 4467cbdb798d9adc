"""q(z | x) (eqs. 2-4, per node or per sample) and q(A | x) (eqs. 5-7)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from .config import ModelConfig
from .distributions import BinaryConcrete, matched_bias, matrix_to_pairs, pairs_to_matrix
from .layers import ACTIVATION_FUNCTIONS

_LOG_VARIANCE_RANGE = (-12.0, 8.0)  # beyond it exp() of a half-trained network leaves float32


class NodeFeatures(nn.Module):
    """[x_i, e_i] -> hidden features by one network shared by all nodes: (B, N, C) -> (B, N, H)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embedding = (nn.Parameter(torch.randn(config.num_nodes, config.node_embedding) * 0.3)
                          if config.node_embedding else None)
        self.linear = nn.Linear(config.num_channels + config.node_embedding, config.encoder_hidden)
        self.activation = ACTIVATION_FUNCTIONS[config.encoder_activation]

    def forward(self, x: Tensor) -> Tensor:
        # Applied apart and added: concatenating would copy the embedding for every row of the batch.
        from_x, from_node = self.linear.weight.split([x.shape[-1], self.linear.in_features - x.shape[-1]], dim=1)
        hidden = x @ from_x.T + self.linear.bias
        if self.embedding is not None:
            hidden = hidden + self.embedding @ from_node.T
        return self.activation(hidden)


class LatentEncoder(nn.Module):
    """q(z | x) as :class:`torch.distributions.Normal`.

    ``encoder="node"``: each node's Gaussian from its own value and embedding, blind to the others.
    ``encoder="linear"``: N(a x_i, exp(v_i)) with one slope a and a free log-variance v_i for every node.
    ``encoder="all"``: one network sees the whole row. ``latent="per_sample"`` always does, and returns (B, latent_dim);
    ``"per_node"`` returns (B, N, D).
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.slope = None
        self.sees_all = config.encoder == "all" or config.latent == "per_sample"
        if config.encoder == "linear":
            self.slope = nn.Parameter(torch.ones(()))
            self.log_variance = nn.Parameter(torch.full((config.num_nodes, config.latent_channels),
                                                        config.initial_log_variance))
            return
        width = config.latent_channels
        if self.sees_all:
            width = config.latent_dim if config.latent == "per_sample" else config.num_nodes * config.latent_channels
            self.features: nn.Module = nn.Linear(config.num_nodes * config.num_channels, config.encoder_hidden)
        else:
            self.features = NodeFeatures(config)
        self.activation = ACTIVATION_FUNCTIONS[config.encoder_activation]
        self.head = nn.Linear(config.encoder_hidden, 2 * width)
        if not self.sees_all:
            self._start_informative()

    @torch.no_grad()
    def _start_informative(self) -> None:
        """Let the first codes vary with x about as much as x does.

        The default start lets a node's own value, one of 1 + node_embedding inputs, move its code by a few percent; the
        KL then removes the code before the graph has found anything to do with it.
        """
        channels = self.config.num_channels
        self.features.linear.weight[:, :channels].normal_(std=channels ** -0.5)
        self.head.weight[: self.config.latent_channels].normal_(std=(2 / self.config.encoder_hidden) ** 0.5)

    def forward(self, x: Tensor) -> Normal:
        if self.slope is not None:
            scale = torch.exp(0.5 * self.log_variance.clamp(*_LOG_VARIANCE_RANGE))
            return Normal(self.slope * x, scale.expand_as(x), validate_args=False)
        if self.sees_all:
            statistics = self.head(self.activation(self.features(x.flatten(1))))
            if self.config.latent == "per_node":
                statistics = statistics.view(x.shape[0], self.config.num_nodes, -1)
        else:
            statistics = self.head(self.features(x))
        mean, log_variance = statistics.chunk(2, dim=-1)
        log_variance = (log_variance + self.config.initial_log_variance).clamp(*_LOG_VARIANCE_RANGE)
        return Normal(mean, torch.exp(0.5 * log_variance), validate_args=False)


class PairMoments(nn.Module):
    """Logits (P,) from what two nodes do together in rows (B, N, C): a network of correlation and partial correlation.

    Of centred rows a single one says nothing about an edge, so eq. 5's own features cannot; a batch's second moments
    can. They are shrunk, as a batch may have fewer rows than nodes.
    """

    SHRINKAGE = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        rows = (x - x.mean(0)).transpose(1, 2).flatten(0, 1)
        rows = rows / rows.std(0, correction=min(1, len(rows) - 1)).clamp_min(1e-6)
        eye = torch.eye(rows.shape[1], dtype=x.dtype, device=x.device)
        correlation = torch.lerp(rows.T @ rows / len(rows), eye, self.SHRINKAGE)
        precision = torch.linalg.inv(correlation)
        scale = precision.diagonal().rsqrt()
        pairs = torch.stack([matrix_to_pairs(matrix).abs() for matrix in
                             (correlation, scale[:, None] * precision * scale)], dim=-1)
        return self.network(torch.cat([pairs, pairs ** 2], dim=-1)).squeeze(-1)


class GraphEncoder(nn.Module):
    """q(A | x): logits of every pair, free and/or amortised, averaged to one graph for the data set (eq. 7).

    Free logits are parameters of the pairs. Amortised ones are l_ij(x) = u_i W_sym u_jᵀ / √H with u = f([x_i, e_i]);
    the probabilities, not the logits, are averaged over the rows (eq. 7). ``edge_logits="moments"`` adds to free ones
    what :class:`PairMoments` reads off the batch. Edge weights W^e (eq. 14) come from a head
    of the same shape: free values, or a second bilinear form on the shared features u.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.free = self.weight_free = self.features = self.moments = None
        if config.edge_logits != "amortised":
            self.free = nn.Parameter(torch.randn(config.num_pairs) * 0.1 / config.edge_logit_scale)
        self.amortised = config.edge_logits != "free"  # the logits depend on the rows
        if config.edge_logits == "moments":
            self.moments = PairMoments()
        elif self.amortised:
            self.features = NodeFeatures(config)
            self.bilinear = nn.Parameter(torch.randn(config.encoder_hidden, config.encoder_hidden)
                                         / math.sqrt(config.encoder_hidden))
        if config.edge_weights != "none":
            if config.edge_logits != "amortised":
                self.weight_free = nn.Parameter(torch.zeros(config.num_pairs))
            if self.features is not None:
                self.weight_bilinear = nn.Parameter(torch.randn(config.encoder_hidden, config.encoder_hidden)
                                                    / math.sqrt(config.encoder_hidden))
        self.register_buffer("bias", torch.tensor(float(config.edge_logit_init)))

    def _bilinear(self, features: Tensor, weight: Tensor) -> Tensor:
        symmetric = 0.5 * (weight + weight.T)
        scores = features @ symmetric @ features.transpose(-1, -2) / math.sqrt(features.shape[-1])
        return matrix_to_pairs(scores)

    def row_logits(self, x: Tensor | None) -> Tensor:
        """logit pi_ij(x) before averaging: (B, P), or (1, P) where no row is looked at."""
        logits = self.bias.expand(1, self.config.num_pairs)
        if self.free is not None:
            logits = logits + self.config.edge_logit_scale * self.free
        if self.amortised:
            if x is None:
                raise ValueError("x must be given: these edge logits are amortised, q(A|x) depends on the rows. "
                                 "Use model.edge_posterior for the graph of the whole data set.")
            logits = logits + (self._bilinear(self.features(x), self.bilinear) if self.moments is None
                               else self.moments(x))
        return logits

    def forward(self, x: Tensor | None = None, temperature: float = 1.0) -> BinaryConcrete:
        """The shared relaxed edge distribution over P pairs given rows ``x`` (B, N, C)."""
        logits = self.row_logits(x)
        if logits.shape[0] == 1:
            return BinaryConcrete(logits[0], temperature, validate_args=False)
        # logit of the mean probability, in log space: probabilities near 0 and 1 keep their digits.
        log_on = torch.logsumexp(torch.nn.functional.logsigmoid(logits), 0)
        log_off = torch.logsumexp(torch.nn.functional.logsigmoid(-logits), 0)
        return BinaryConcrete(log_on - log_off, temperature, validate_args=False)

    def edge_weights(self, x: Tensor | None = None) -> Tensor | None:
        """W^e (N, N) with unit diagonal (eq. 14); None when the model has no edge weights."""
        if self.config.edge_weights == "none":
            return None
        return pairs_to_matrix(self.weight_pairs(x), self.config.num_nodes, diagonal=1.0)

    def weight_pairs(self, x: Tensor | None = None) -> Tensor:
        """W^e of every pair, (P,); of a model that has edge weights."""
        raw = self.bias.new_zeros(self.config.num_pairs) if self.weight_free is None else self.weight_free
        if self.features is not None:
            if x is None:
                raise ValueError("x must be given: these edge weights are amortised.")
            raw = raw + self._bilinear(self.features(x), self.weight_bilinear).mean(0)
        # The signed form can cross zero, the positive one cannot.
        return torch.exp(raw) if self.config.edge_weights == "positive" else self.config.edge_weight_init + raw

    @torch.no_grad()
    def match_density(self, x: Tensor | None) -> None:
        """Move the bias so that the mean edge probability equals ``config.edge_prior``."""
        logits = self.row_logits(x if self.amortised else None)
        self.bias.add_(matched_bias(logits, self.config.edge_prior))
