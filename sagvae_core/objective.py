"""The evidence lower bound and its terms (eq. 9)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .config import StageConfig
from .distributions import BinaryConcrete, edge_kl, gaussian_kl
from .errors import expected
from .likelihoods import build_likelihood
from .model import GenerativeModel


@dataclass
class ElboTerms:
    """The terms of eq. 9 in nats, never only their sum.

    ``log_likelihood`` (B,) is E[log p(x|z, A)], ``kl_z`` (B,) is KL(q(z|x) || p(z)), ``kl_graph`` () is
    KL(q(A) || p(A)) summed over the pairs.
    """

    log_likelihood: Tensor
    kl_z: Tensor
    kl_graph: Tensor
    edges: BinaryConcrete | None = None  # the q(A|x) these terms used: the trainer averages it over the data

    def elbo(self, kl_z_weight: float = 1.0, kl_graph_weight: float = 1.0) -> Tensor:
        """The weighted bound of every row, (B,); ``kl_graph_weight`` is beta of eq. 9."""
        return self.log_likelihood - kl_z_weight * self.kl_z - kl_graph_weight * self.kl_graph


def elbo_terms(model: GenerativeModel, x: Tensor, target: Tensor | None = None, *, temperature: float = 0.5,
               generator: torch.Generator | None = None, likelihood: nn.Module | None = None) -> ElboTerms:
    """The terms for rows ``x`` (B, N, C); one draw of z a row and, in train mode, one graph for the batch.

    Args:
        target: what the likelihood is asked about; ``x`` itself unless the model learns from clean targets.
        likelihood: another than the model's, e.g. Bernoulli to warm a robust model up.
    """
    output = model(x, temperature=temperature, generator=generator)
    log_likelihood = (likelihood or model.likelihood).log_prob(output.preactivation, x if target is None else target)
    kl_z = torch.zeros_like(log_likelihood) if output.posterior is None else gaussian_kl(output.posterior)
    kl_graph = (log_likelihood.new_zeros(()) if output.edges is None
                else edge_kl(output.edges.logits, model.config.edge_prior).sum())
    return ElboTerms(log_likelihood, kl_z, kl_graph, output.edges)


class Objective(nn.Module):
    """The negative weighted ELBO of one training stage as a module, so that a distributed wrapper sees all of it."""

    def __init__(self, model: GenerativeModel):
        super().__init__()
        self.model = model
        self.stage = StageConfig()
        self.likelihood: nn.Module | None = None

    def start_stage(self, stage: StageConfig) -> None:
        """Use the weights of ``stage``; a likelihood other than the model's must have no parameters of its own."""
        self.stage, self.likelihood = stage, None
        if stage.likelihood not in (None, self.model.config.likelihood):
            if stage.likelihood != "bernoulli":
                raise expected("stage.likelihood", f"'bernoulli' or the model's {self.model.config.likelihood!r}",
                               repr(stage.likelihood))
            self.likelihood = build_likelihood(self.model.config, "bernoulli")

    def terms(self, x: Tensor, target: Tensor | None, temperature: float, generator: torch.Generator) -> ElboTerms:
        return elbo_terms(self.model, x, target, temperature=temperature, generator=generator,
                          likelihood=self.likelihood)

    def forward(self, x: Tensor, target: Tensor | None, temperature: float,
                generator: torch.Generator) -> tuple[Tensor, ElboTerms]:
        """The loss to minimise (nats a row) and the terms it is made of."""
        terms = self.terms(x, target, temperature, generator)
        return -terms.elbo(self.stage.kl_z_weight, self.stage.kl_graph_weight).mean(), terms
