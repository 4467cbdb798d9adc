"""SAG-VAE: one model that learns codes for the rows and one graph over the features (Figure 2 of the paper)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributions import Normal

from .completion import NodeCompletion
from .config import ModelConfig
from .decoder import SelfAttentionGraphDecoder
from .distributions import BinaryConcrete, edge_kl, pairs_to_matrix, sample_gaussian
from .encoders import GraphEncoder, LatentEncoder
from .errors import expected
from .generative import GenerativeModel, ModelOutput
from .likelihoods import RobustLikelihood
from .neighbours import Remembered
from .regions import Candidates, undamaged_price
from .restoration import Restoration, restore
from .shares import Share, take


class SAGVAE(GenerativeModel):
    """Self-Attention Graph VAE (eqs. 1-18); with ``graph="identity"`` the paper's vanilla VAE.

    Once trained, evaluation, reconstruction and sampling all use :attr:`edge_posterior`, the average of q(A|x) over
    the training data (eq. 7): a damaged batch cannot change its own graph, and what else is in a batch changes nothing.

    Args:
        config: the architecture.
        seed: of the initial weights.

    Example:
        >>> model = SAGVAE(ModelConfig(num_nodes=5, num_channels=2))
        >>> model.reconstruct(torch.rand(3, 5, 2)).shape
        torch.Size([3, 5, 2])
    """

    kind = "sagvae"

    def __init__(self, config: ModelConfig, seed: int = 0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__(config)
            self.latent_encoder = LatentEncoder(config)
            self.graph_encoder = GraphEncoder(config) if config.graph == "learned" else None
            self.decoder = SelfAttentionGraphDecoder(config)
            # Built last: it draws no number that the parts before would have drawn without it.
            self.completion = None if config.completion is None else NodeCompletion(config.num_nodes, config.completion)
            self._regions = Remembered()
        if self.graph_encoder is not None:
            start = torch.full((config.num_pairs,), config.edge_logit_init).sigmoid()
            self.register_buffer("posterior_pairs", start)
            self.register_buffer("posterior_updates", torch.zeros((), dtype=torch.long))
            if config.edge_weights != "none":
                self.register_buffer("weight_pairs", torch.ones(config.num_pairs))

    # ------------------------------------------------------------------ the two posteriors and the generator

    def encode(self, x: Tensor) -> Normal:
        """q(z | x): a Normal of shape (B, N, D) per node or (B, latent_dim) per sample (eqs. 2-4).

        A node whose value is missing (NaN) says nothing of its own code, which is then the prior's, N(0, I), and costs
        nothing. An encoder that sees whole rows is shown 0 in its place.
        """
        x = self.check(x)
        if not self.config.missing:
            return self.latent_encoder(x)
        posterior = self.latent_encoder(x.nan_to_num())
        if self.latent_encoder.sees_all:
            return posterior
        unknown = x.isnan().any(-1, keepdim=True)
        return Normal(posterior.loc.masked_fill(unknown, 0.0), posterior.scale.masked_fill(unknown, 1.0),
                      validate_args=False)

    def infer_graph(self, x: Tensor | None = None, temperature: float = 1.0) -> BinaryConcrete | None:
        """q(A | these rows) over the pairs (eqs. 5-7), *not* the data set's graph; None for ``graph="identity"``.

        Use it to ask what a given batch would say; see :attr:`edge_posterior` for what evaluation uses.
        """
        if self.graph_encoder is None:
            return None
        return self.graph_encoder(None if x is None else self.check(x), temperature)

    def decode(self, z: Tensor, adjacency: Tensor | None = None) -> Tensor:
        """E[x | z, A] (B, N, C) for codes z and an adjacency (N, N); by default the data set's edge posterior."""
        return self.likelihood.mean(self._decode(z, adjacency))

    def _decode(self, z: Tensor, adjacency: Tensor | None) -> Tensor:
        if self.graph_encoder is None:
            return self.decoder(z, None)
        return self.decoder(z, self.edge_posterior if adjacency is None else adjacency, self.edge_weights)

    def forward(self, x: Tensor, temperature: float = 0.5, generator: torch.Generator | None = None,
                share: Share | None = None) -> ModelOutput:
        """One training pass: one code a row, ONE relaxed graph for the whole batch (eqs. 6-8).

        Of a batch that several processes share only the rows in ``share`` are encoded and decoded, under the graph of
        all. In eval mode the graph is the data set's edge posterior, so that held-out terms depend on no other row.
        """
        posterior = self.encode(take(x, share))
        z = sample_gaussian(posterior, generator, share)
        if self.graph_encoder is None:
            return ModelOutput(self.decoder(z, None), posterior)
        if not self.training:
            edges = BinaryConcrete(torch.logit(self.posterior_pairs, eps=1e-6), temperature, validate_args=False)
            return ModelOutput(self._decode(z, None), posterior, edges)
        edges = self.graph_encoder(x, temperature)
        adjacency = pairs_to_matrix(edges.rsample(generator=generator, hard=self.config.hard_edges),
                                    self.config.num_nodes)
        weights = self.graph_encoder.edge_weights(x if self.graph_encoder.amortised else None)
        return ModelOutput(self.decoder(z, adjacency, weights), posterior, edges)

    # ------------------------------------------------------------------ the graph of the data set

    @property
    def edge_posterior(self) -> Tensor:
        """q(A_ij = 1) averaged over the training data, (N, N), symmetric with zero diagonal (eq. 7)."""
        if self.graph_encoder is None:
            return torch.zeros(self.config.num_nodes, self.config.num_nodes, device=self.device)
        return pairs_to_matrix(self.posterior_pairs, self.config.num_nodes)

    @property
    def edge_weights(self) -> Tensor | None:
        """W^e (N, N) averaged over the training data, unit diagonal (eq. 14); None without edge weights."""
        if self.graph_encoder is None or self.config.edge_weights == "none":
            return None
        return pairs_to_matrix(self.weight_pairs, self.config.num_nodes, diagonal=1.0)

    def edges(self, threshold: float = 0.5) -> Tensor:
        """The thresholded graph, bool (N, N)."""
        return self.edge_posterior > threshold

    def graph_kl(self) -> Tensor:
        """KL(q(A) || p(A)) in nats summed over the pairs, for the data set's edge posterior (eq. 9)."""
        if self.graph_encoder is None:
            return torch.zeros((), device=self.device)
        return edge_kl(torch.logit(self.posterior_pairs, eps=1e-6), self.config.edge_prior).sum()

    @torch.no_grad()
    def average_batch(self, edges: BinaryConcrete, x: Tensor, decay: float) -> None:
        """Move the data set's posterior towards this batch's: a mean at first, then an exponential average."""
        kept = min(decay, 1 - 1 / (1 + self.posterior_updates.item()))
        self.posterior_pairs.lerp_(edges.probs.float(), 1 - kept)
        if self.config.edge_weights != "none":
            weights = self.graph_encoder.weight_pairs(x if self.graph_encoder.amortised else None)
            self.weight_pairs.lerp_(weights.float(), 1 - kept)
        self.posterior_updates += 1

    @torch.no_grad()
    def average_over(self, batches: Iterable[Tensor]) -> None:
        """Set the edge posterior to its exact average over ``batches`` of rows (eq. 7).

        Only amortised logits depend on rows. Free ones keep the running average over the last training steps, which
        is steadier than the last step alone.
        """
        if self.graph_encoder is None or not self.graph_encoder.amortised:
            return
        total, weights, rows = 0.0, 0.0, 0
        for x in batches:
            total = total + self.graph_encoder(x).probs * len(x)
            if self.config.edge_weights != "none":
                weights = weights + self.graph_encoder.weight_pairs(x) * len(x)
            rows += len(x)
        self.posterior_pairs.copy_(total / rows)
        if self.config.edge_weights != "none":
            self.weight_pairs.copy_(weights / rows)

    # ------------------------------------------------------------------ what a user asks of a trained model

    @torch.no_grad()
    def reconstruct(self, x: Tensor, adjacency: Tensor | None = None, expectation: str | None = None) -> Tensor:
        """Reconstruction (B, N, C) under the data set's graph.

        Args:
            x: (B, N, C), damaged or not.
            adjacency: another graph (N, N) for the decoder, e.g. one inferred from this very batch.
            expectation: ``"inliers"`` is the decoder's output at the posterior mean code. ``"clean"`` is E[clean | x] =
                r x + (1 - r) mean, r the probability that the value is undamaged: by the trained completion
                (:meth:`restore`) or, for a model without one, by the decoder's mean and the robust likelihood. By
                default "clean" for a model with a trained completion, else "inliers".
        """
        completes = self.completion is not None and bool(self.completion.trained) and adjacency is None
        if completes and expectation in (None, "clean"):
            return self.restore(x).clean[..., None]
        preactivation = self._decode(self.encode(x).loc, adjacency)
        mean = self.likelihood.mean(preactivation)
        if expectation in (None, "inliers"):
            return mean
        if expectation != "clean" or not isinstance(self.likelihood, RobustLikelihood):
            raise expected("expectation", "'inliers', or 'clean' with the robust likelihood", repr(expectation))
        trust = self.likelihood.inlier_probability(preactivation, x)
        return trust * x + (1 - trust) * mean

    def restore(self, x: Tensor) -> Restoration:
        """E[clean | x] of rows x (B, N, 1) with values in [0, 1], and how far each value is trusted; see there.

        Raises:
            SagvaeError: the model has no trained completion, or ``x`` is out of range.
        """
        if self.completion is None or not self.completion.trained:
            raise expected("model", "one with a trained completion (a stage with objective='completion')",
                           "a model without", "Use reconstruct().")
        return restore(self.completion, self.check(x)[..., 0], self._candidates())

    @property
    def searches_regions(self) -> bool:
        """Whether :meth:`restore` looks for damaged regions: unless the training data's damage was scattered."""
        return (self.completion is not None and bool(self.completion.trained)
                and self.completion.config.damage != "scattered")

    def _candidates(self) -> Candidates | None:
        if not self.searches_regions:
            return None
        return self._regions.get(lambda: Candidates.of(self.edge_posterior), self.completion.neighbours)

    @torch.no_grad()
    def set_region_price(self, rows: Tensor, false_alarms: float = 0.05) -> None:
        """Set the price of a region on undamaged held-out ``rows`` (B, N, 1); only for ``damage="none"``."""
        price = undamaged_price(self.completion, rows[..., 0], self._candidates(), false_alarms)
        self.completion.price.fill_(price)

    @torch.no_grad()
    def sample(self, num_samples: int, seed: int = 0) -> Tensor:
        """Draws x ~ p(x | z, A) means with z ~ N(0, I), (num_samples, N, C)."""
        config = self.config
        size = ((config.latent_dim,) if config.latent == "per_sample" else (config.num_nodes, config.latent_channels))
        generator = torch.Generator(self.device).manual_seed(seed)
        return self.decode(torch.randn(num_samples, *size, generator=generator, device=self.device))

    @property
    def attention_gates(self) -> list[float]:
        """gamma of every layer that has attention (eq. 16)."""
        return [layer.attention_gate.item() for layer in self.decoder.layers if layer.attention_gate is not None]
