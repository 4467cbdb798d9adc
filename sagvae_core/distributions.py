"""The distributions of the paper: the relaxed edge distribution (eqs. 5-7) and the Gaussian over codes (eqs. 2-4).

Edges are unordered pairs i < j. Everything here works on the vector of P = N(N-1)/2 pairs in the order of
``torch.triu_indices(N, N, 1)``; :func:`pairs_to_matrix` makes the symmetric N x N matrix of it, so no adjacency can
ever be asymmetric.
"""

from __future__ import annotations

import functools
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, constraints
from torch.distributions.utils import probs_to_logits
from torch.nn.functional import logsigmoid, softplus

from .shares import Share, take

# Below this distance from 0 and 1 the logistic noise of float32 would overflow.
_UNIFORM_MARGIN = 1e-6


@functools.lru_cache(maxsize=8)
def pair_indices(num_nodes: int, device: torch.device | str | None = None) -> Tensor:
    """Row and column of every unordered pair, shape (2, N(N-1)/2); kept, do not write into it."""
    return torch.triu_indices(num_nodes, num_nodes, offset=1, device=device)


def pairs_to_matrix(pairs: Tensor, num_nodes: int, diagonal: float = 0.0) -> Tensor:
    """Symmetric matrix of shape (..., N, N) from a value for every pair of shape (..., P)."""
    row, column = pair_indices(num_nodes, pairs.device)
    matrix = pairs.new_zeros(*pairs.shape[:-1], num_nodes, num_nodes)
    matrix[..., row, column] = pairs
    matrix = matrix + matrix.transpose(-1, -2)
    return matrix + diagonal * torch.eye(num_nodes, dtype=pairs.dtype, device=pairs.device) if diagonal else matrix


def matrix_to_pairs(matrix: Tensor) -> Tensor:
    """The upper triangle of a (..., N, N) matrix as pairs, shape (..., P); the inverse of :func:`pairs_to_matrix`."""
    row, column = pair_indices(matrix.shape[-1], matrix.device)
    return matrix[..., row, column]


class BinaryConcrete(Distribution):
    """Relaxed Bernoulli (binary concrete, Gumbel-softmax of two classes) over pairs, eq. 6.

    A_ij = sigmoid((logit pi_ij + L) / tau) with L ~ Logistic(0, 1); tau -> 0 gives Bernoulli(pi_ij).

    Args:
        logits: logit pi of every pair, any shape.
        temperature: tau > 0.

    Example:
        >>> edges = BinaryConcrete(torch.zeros(3), temperature=0.5)
        >>> edges.rsample(generator=torch.Generator().manual_seed(0)).shape
        torch.Size([3])
    """

    arg_constraints: ClassVar = {"logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float = 1.0, validate_args: bool | None = None):
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}.")
        self.logits, self.temperature = logits, float(temperature)
        super().__init__(logits.shape, validate_args=validate_args)

    @property
    def probs(self) -> Tensor:
        """pi, the probability that an edge exists."""
        return torch.sigmoid(self.logits)

    @property
    def mean(self) -> Tensor:
        """pi: exact for the Bernoulli that this relaxes, and for the relaxation at pi = 1/2."""
        return self.probs

    def rsample(self, sample_shape: torch.Size = torch.Size(), *, generator: torch.Generator | None = None,
                hard: bool = False) -> Tensor:
        """A relaxed sample in (0, 1); ``hard`` rounds it and passes the gradient straight through."""
        shape = self._extended_shape(sample_shape)
        uniform = torch.rand(shape, generator=generator, dtype=self.logits.dtype, device=self.logits.device)
        logistic = torch.logit(uniform, eps=_UNIFORM_MARGIN)
        soft = torch.sigmoid((self.logits + logistic) / self.temperature)
        if not hard:
            return soft
        return (soft > 0.5).to(soft.dtype) + soft - soft.detach()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of the relaxation at ``value`` in (0, 1) (Maddison et al. 2017, eq. 24)."""
        tau = self.temperature
        odds = torch.logit(value, eps=_UNIFORM_MARGIN)
        inner = self.logits - tau * odds
        value = value.clamp(_UNIFORM_MARGIN, 1 - _UNIFORM_MARGIN)
        return (torch.log(torch.tensor(tau)) - torch.log(value) - torch.log1p(-value)
                + logsigmoid(inner) + logsigmoid(-inner))


def edge_kl(logits: Tensor, prior: float) -> Tensor:
    """KL(Bernoulli(pi) || Bernoulli(prior)) of every pair in nats, shape of ``logits`` (the KL of eq. 9).

    It is the KL of the discrete edges and not of their relaxation: analytic, and zero exactly at pi = prior.
    """
    # As torch.distributions has it, to the bit, without the constants' shape and the cases of a prior of 0 or 1: of a
    # small graph those were a tenth of a training step.
    wanted = probs_to_logits(logits.new_full((), prior), is_binary=True)
    probs = torch.sigmoid(logits)
    return probs * (softplus(-wanted) - softplus(-logits)) + (1 - probs) * (softplus(wanted) - softplus(logits))


def gaussian_kl(posterior: Normal) -> Tensor:
    """KL(q(z|x) || N(0, I)) in nats summed over everything but the batch, shape (B,) (eq. 4)."""
    mean, scale = posterior.loc, posterior.scale
    kl = 0.5 * (mean.square() + scale.square() - 1) - scale.log()
    return kl.flatten(1).sum(1)


def sample_gaussian(posterior: Normal, generator: torch.Generator | None = None,
                    share: Share | None = None) -> Tensor:
    """Reparameterised draw mu + sigma * eps of the posterior's shape, with explicit randomness.

    ``posterior`` is that of the rows in ``share``; the noise of a row does not depend on who draws it.
    """
    mean, scale = posterior.loc, posterior.scale
    shape = mean.shape if share is None else (share.total, *mean.shape[1:])
    noise = torch.randn(shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + scale * take(noise, share)


def matched_bias(logits: Tensor, density: float, iterations: int = 40) -> Tensor:
    """The scalar b with mean(sigmoid(logits + b)) = ``density``, by bisection (our density-matched prior).

    With the plain edge KL the ELBO of noisy images deletes edges until the model is A = I; holding the *mean*
    probability at the prior's density leaves the ELBO to decide only where the edges go.

    Args:
        logits: finite values of any shape.
        density: wanted mean probability in (0, 1).
    """
    target = torch.logit(torch.tensor(density, dtype=torch.float64)).item()
    low = torch.as_tensor(target, dtype=logits.dtype, device=logits.device) - logits.max()
    high = torch.as_tensor(target, dtype=logits.dtype, device=logits.device) - logits.min()
    for _ in range(iterations):
        middle = (low + high) / 2
        above = torch.sigmoid(logits + middle).mean() > density
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2
