"""What a training stage maximises: the evidence lower bound and its terms (eq. 9), or the fit of hidden nodes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .config import StageConfig
from .distributions import BinaryConcrete, edge_kl, gaussian_kl
from .errors import expected
from .likelihoods import build_likelihood
from .model import GenerativeModel
from .neighbours import balls
from .regions import region_sizes
from .restoration import trust_of
from .shares import Share, take

_FULL_VIEW = 0.3  # of the rows see all that is not hidden, trusted or not: in the first round nothing is known yet


@dataclass
class ElboTerms:
    """The terms of eq. 9 in nats, never only their sum.

    ``log_likelihood`` (B,) is E[log p(x|z, A)], ``kl_z`` (B,) is KL(q(z|x) || p(z)), ``kl_graph`` () is
    KL(q(A) || p(A)) summed over the pairs. Where a batch is shared, the first two are of one process's rows.
    """

    log_likelihood: Tensor
    kl_z: Tensor
    kl_graph: Tensor
    edges: BinaryConcrete | None = None  # the q(A|x) these terms used: the trainer averages it over the data

    def elbo(self, kl_z_weight: float = 1.0, kl_graph_weight: float = 1.0) -> Tensor:
        """The weighted bound of every row, (B,); ``kl_graph_weight`` is beta of eq. 9."""
        return self.log_likelihood - kl_z_weight * self.kl_z - kl_graph_weight * self.kl_graph

    def means(self) -> Tensor:
        """Mean log-likelihood, KL of the codes and KL of the graph, (3,), without a gradient."""
        return torch.stack([self.log_likelihood.detach().mean(), self.kl_z.detach().mean(), self.kl_graph.detach()])


def elbo_terms(model: GenerativeModel, x: Tensor, target: Tensor | None = None, *, temperature: float = 0.5,
               generator: torch.Generator | None = None, likelihood: nn.Module | None = None,
               share: Share | None = None) -> ElboTerms:
    """The terms for rows ``x`` (B, N, C); one draw of z a row and, in train mode, one graph for the batch.

    Args:
        target: what the likelihood is asked about; ``x`` itself unless the model learns from clean targets. Of a model
            whose values may be missing (NaN), those that are do not count.
        likelihood: another than the model's, e.g. Bernoulli to warm a robust model up.
        share: the rows to work on, under the graph and with the noise of them all; by default all.
    """
    output = model(x, temperature=temperature, generator=generator, share=share)
    target = take(x if target is None else target, share)
    observed = ~target.isnan() if getattr(model.config, "missing", False) else None
    log_likelihood = (likelihood or model.likelihood).log_prob(output.preactivation, target, observed)
    kl_z = torch.zeros_like(log_likelihood) if output.posterior is None else gaussian_kl(output.posterior)
    kl_graph = (log_likelihood.new_zeros(()) if output.edges is None
                else edge_kl(output.edges.logits, model.config.edge_prior).sum())
    return ElboTerms(log_likelihood, kl_z, kl_graph, output.edges)


def regions_of(model: GenerativeModel) -> Tensor:
    """The regions a completion stage may hide: balls of the learned graph by size and middle, bool (sizes, N, N)."""
    return balls(model.edge_posterior, region_sizes(model.config.num_nodes))


def draw_hidden(stage: StageConfig, rows: int, nodes: int, regions: Tensor | None,
                generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    """What a completion stage hides: nodes here and there, bool (rows, N), and regions of the graph, (rows, R, N)."""
    device = generator.device
    hidden = torch.rand(rows, nodes, generator=generator, device=device) < stage.hide_share
    if not stage.hide_regions:
        return hidden, None
    size = (rows, stage.hide_regions)
    extent = torch.randint(len(regions), size, generator=generator, device=device)
    middle = torch.randint(nodes, size, generator=generator, device=device)
    return hidden, regions[extent, middle]


def completion_terms(model: GenerativeModel, x: Tensor, stage: StageConfig, generator: torch.Generator,
                     regions: Tensor | None = None, share: Share | None = None) -> ElboTerms:
    """log p(x_hidden | x_visible, A) of rows ``x`` (B, N, 1) under the data set's graph, in nats a row.

    The mean over the hidden nodes times N, so that it compares with the other stages. No code is drawn and no bound is
    taken: the terms of KL are zero. ``regions`` are those of :func:`regions_of`, where the stage hides some. What is
    hidden from the rows in ``share`` is part of a draw for all rows.
    """
    rows, completion = take(x[..., 0], share), model.completion
    hidden, inside = draw_hidden(stage, *x.shape[:2], regions, generator)
    hidden, inside = take(hidden, share), None if inside is None else take(inside, share)
    visible = (~hidden if inside is None else ~(hidden | inside.any(1))).to(rows.dtype)
    if stage.trust:
        full = take(torch.rand(len(x), 1, generator=generator, device=rows.device), share) < _FULL_VIEW
        visible = visible * torch.where(full, 1.0, trust_of(completion, rows))
    log_likelihood = completion.log_likelihood(rows, visible, hidden, inside) * model.config.num_nodes
    return ElboTerms(log_likelihood, torch.zeros_like(log_likelihood), log_likelihood.new_zeros(()))


class Objective(nn.Module):
    """The negative objective of one training stage as a module, so that a distributed wrapper sees all of it."""

    def __init__(self, model: GenerativeModel):
        super().__init__()
        self.model = model
        self.stage = StageConfig()
        self.likelihood: nn.Module | None = None
        self.regions: Tensor | None = None

    def start_stage(self, stage: StageConfig) -> None:
        """Use the weights of ``stage``; a likelihood other than the model's must have no parameters of its own."""
        self.stage, self.likelihood, self.regions = stage, None, None
        self.check(stage)
        if self.completes(stage) and stage.hide_regions:
            self.regions = regions_of(self.model)
        if stage.likelihood not in (None, self.model.config.likelihood):
            if stage.likelihood != "bernoulli":
                raise expected("stage.likelihood", f"'bernoulli' or the model's {self.model.config.likelihood!r}",
                               repr(stage.likelihood))
            self.likelihood = build_likelihood(self.model.config, "bernoulli")

    def check(self, stage: StageConfig) -> None:
        """Raise SagvaeError if ``stage`` trains a part that the model does not have."""
        if self.completes(stage) and getattr(self.model.config, "completion", None) is None:
            raise expected("stage.objective", "'elbo' for a model without model.completion", "'completion'")

    @staticmethod
    def completes(stage: StageConfig) -> bool:
        return stage.objective == "completion"

    def parameters_of(self, stage: StageConfig) -> list[nn.Parameter]:
        """What ``stage`` trains: the completion alone, or all but it."""
        return [parameter for name, parameter in self.model.named_parameters()
                if name.startswith("completion.") == self.completes(stage)]

    def terms(self, x: Tensor, target: Tensor | None, temperature: float, generator: torch.Generator,
              share: Share | None = None) -> ElboTerms:
        if self.completes(self.stage):
            return completion_terms(self.model, x, self.stage, generator, self.regions, share)
        return elbo_terms(self.model, x, target, temperature=temperature, generator=generator,
                          likelihood=self.likelihood, share=share)

    def forward(self, x: Tensor, target: Tensor | None, temperature: float, generator: torch.Generator,
                share: Share | None = None) -> tuple[Tensor, ElboTerms]:
        """The loss to minimise and the terms it is made of.

        In nats a row; a completion's in nats a node, so that the same limit on the gradient's norm suits both. Of a
        shared batch it is one process's part of the mean over all rows, and the parts add up to it: every row's bound
        holds the graph's KL, so that it is counted once in all.
        """
        terms = self.terms(x, target, temperature, generator, share)
        loss = -terms.elbo(self.stage.kl_z_weight, self.stage.kl_graph_weight).mean()
        if self.completes(self.stage):
            loss = loss / self.model.config.num_nodes
        return (loss if share is None else loss * (share.counted / share.total)), terms
