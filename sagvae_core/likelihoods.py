"""p(x | z, A): what the decoder's output says about a row. All log densities are in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from .config import ModelConfig, ReferenceConfig
from .layers import ACTIVATION_FUNCTIONS

_LOG_2PI = math.log(2 * math.pi)
_LOG_SCALE_RANGE = (-4.0, 2.0)  # a Gaussian whose scale may vanish has an unbounded likelihood
_ROBUST_FLOOR = 0.1  # grey levels; a narrower inlier density calls the soft edges of strokes outliers


class Likelihood(nn.Module):
    """Base: ``preactivation`` (B, N, C) is the decoder's output before the output activation."""

    def __init__(self, output: str):
        super().__init__()
        self.link = ACTIVATION_FUNCTIONS[output]

    def mean(self, preactivation: Tensor) -> Tensor:
        """The reconstruction: E[x | z, A], for the robust mixture that of its inliers."""
        return self.link(preactivation)

    def log_prob(self, preactivation: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """log p(x | z, A) of rows x (B, N, C), summed over their values or those ``observed``, bool (B, N, C)."""
        if observed is None:
            return self.log_density(preactivation, x).flatten(1).sum(1)
        density = self.log_density(preactivation, torch.where(observed, x, 0.0))
        return torch.where(observed, density, 0.0).flatten(1).sum(1)

    def log_density(self, preactivation: Tensor, x: Tensor) -> Tensor:
        """log p of every value, (B, N, C)."""
        raise NotImplementedError


class BernoulliLikelihood(Likelihood):
    """Cross-entropy for values in [0, 1]; grey values count as probabilities, as is usual for images."""

    def log_density(self, preactivation: Tensor, x: Tensor) -> Tensor:
        return -binary_cross_entropy_with_logits(preactivation, x, reduction="none")


class GaussianLikelihood(Likelihood):
    """N(x; mean, s²) with a learned standard deviation s, one for all values or one for every node."""

    def __init__(self, output: str, num_scales: int = 1, initial_scale: float = 0.3):
        super().__init__(output)
        self.log_scale = nn.Parameter(torch.full((num_scales, 1), math.log(initial_scale)))

    @property
    def scale(self) -> Tensor:
        """s, shape (1 or N, 1), in units of the data."""
        return self.log_scale.clamp(*_LOG_SCALE_RANGE).exp()

    def log_density(self, preactivation: Tensor, x: Tensor) -> Tensor:
        error = (x - self.link(preactivation)) / self.scale
        return -0.5 * (error.square() + _LOG_2PI) - self.scale.log()


class MixedLikelihood(GaussianLikelihood):
    """Gaussian, but Bernoulli for the ``binary`` nodes: whether their value is above 0, as the upper of two is once
    they are centred. Their mean is the probability of that."""

    def __init__(self, output: str, num_nodes: int, binary: Sequence[int], num_scales: int = 1,
                 initial_scale: float = 0.3):
        super().__init__(output, num_scales, initial_scale)
        self.register_buffer("binary", torch.zeros(num_nodes, 1, dtype=torch.bool), persistent=False)
        self.binary[list(binary)] = True

    def mean(self, preactivation: Tensor) -> Tensor:
        return torch.where(self.binary, torch.sigmoid(preactivation), self.link(preactivation))

    def log_density(self, preactivation: Tensor, x: Tensor) -> Tensor:
        bits = -binary_cross_entropy_with_logits(preactivation, (x > 0).to(x.dtype), reduction="none")
        return torch.where(self.binary, bits, super().log_density(preactivation, x))


class RobustLikelihood(Likelihood):
    """A value is an inlier N(x; mean, s²) or, with learned probability eps, an outlier uniform on [0, 1].

    log p = logaddexp(log(1 - eps) + log N(x; mean, s²), log eps). Damaged pixels cost log eps instead of pulling the
    reconstruction towards them. It needs a warm start: from scratch every pixel is an outlier.
    """

    def __init__(self, output: str, num_scales: int = 1, initial_scale: float = 0.15,
                 initial_outlier_rate: float = 0.1):
        super().__init__(output)
        self.log_excess = nn.Parameter(torch.full((num_scales, 1), math.log(max(initial_scale - _ROBUST_FLOOR, 1e-3))))
        self.outlier_logit = nn.Parameter(torch.logit(torch.tensor(initial_outlier_rate)))

    @property
    def scale(self) -> Tensor:
        """s, shape (1 or N, 1), in units of the data; at least 0.1."""
        return _ROBUST_FLOOR + self.log_excess.exp()

    @property
    def outlier_rate(self) -> Tensor:
        """eps, the learned share of damaged values."""
        return torch.sigmoid(self.outlier_logit)

    def _log_inlier(self, preactivation: Tensor, x: Tensor) -> Tensor:
        error = (x - self.mean(preactivation)) / self.scale
        return logsigmoid(-self.outlier_logit) - 0.5 * (error.square() + _LOG_2PI) - self.scale.log()

    def log_density(self, preactivation: Tensor, x: Tensor) -> Tensor:
        inlier = self._log_inlier(preactivation, x)
        return torch.logaddexp(inlier, logsigmoid(self.outlier_logit).expand_as(inlier))

    def inlier_probability(self, preactivation: Tensor, x: Tensor) -> Tensor:
        """p(value is undamaged | x, mean), shape of ``x``: where the model trusts its input."""
        return torch.sigmoid(self._log_inlier(preactivation, x) - logsigmoid(self.outlier_logit))


def build_likelihood(config: ModelConfig | ReferenceConfig, kind: str | None = None) -> Likelihood:
    """The likelihood a configuration names, or the one named by ``kind`` with the same output and scales."""
    kind = kind or config.likelihood
    output = getattr(config, "output", "sigmoid")
    if kind == "bernoulli":
        return BernoulliLikelihood(output)
    scales = config.num_nodes if getattr(config, "likelihood_scale", "shared") == "node" else 1
    if kind == "gaussian":
        initial = getattr(config, "initial_scale", 0.3)
        binary = getattr(config, "binary_nodes", ())
        return (MixedLikelihood(output, config.num_nodes, binary, scales, initial) if binary
                else GaussianLikelihood(output, scales, initial))
    return RobustLikelihood(output, scales, config.initial_scale, config.initial_outlier_rate)
