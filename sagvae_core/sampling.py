"""New pictures of a class, with clean or corrupted codes, and the way between two pictures (section 4.2 of the paper).

A model with one code per pixel has no small space to draw from: N(0, I) gives every pixel its own mind. The paper
therefore fits a distribution to the codes of each class and draws from that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from .damage import uniform_noise
from .data.base import derived_seed
from .errors import expected
from .generative import GenerativeModel

IMAGES_PER_CLASS = 50  # the paper's number


@dataclass(frozen=True, eq=False)
class _Gaussian:
    """Codes of one class: mean + weights @ factors + residual * noise, with weights and noise ~ N(0, I)."""

    mean: Tensor  # (K,)
    factors: Tensor  # (R, K)
    residual: Tensor  # (K,), a standard deviation


class LowRankGaussian:
    """One Gaussian a class that keeps how codes vary together: ``rank`` principal directions, the rest independent.

    Its covariance is Fᵀ F + diag(r²). F holds the strongest directions of the fitted codes, and r² what they leave of
    each latent's variance, so all variances are those of the codes. Ours, not the paper's: strokes are correlated
    pixels, and with independent ones (:class:`PerPixelGaussian`, which is rank 0) they fall apart.

    Args:
        rank: directions, at least 0; a class with fewer than ``rank + 1`` images has as many as it can.
        images_per_class: only the first so many of each class are fitted, at least 2.

    Raises:
        SagvaeError: an argument is out of range.

    Example:
        >>> codes, labels = torch.randn(100, 64, 1), torch.arange(100) % 10
        >>> LowRankGaussian(rank=3).fit(codes, labels).sample(7, count=5, seed=0).shape
        torch.Size([5, 64, 1])
    """

    def __init__(self, rank: int = 10, images_per_class: int = IMAGES_PER_CLASS) -> None:
        self.rank = _whole("rank", rank, 0)
        self.images_per_class = _whole("images_per_class", images_per_class, 2)
        self._classes: dict[int, _Gaussian] = {}
        self._shape: tuple[int, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes that can be drawn, in order; none before :meth:`fit`."""
        return tuple(self._classes)

    def fit(self, codes: Tensor, labels: Tensor) -> Self:
        """Estimate every class from ``codes`` (M, ...), such as (M, N, D) per node, and ``labels`` (M,), whole numbers.

        Returns:
            itself.

        Raises:
            SagvaeError: the shapes do not fit together, a code is not finite, or a class has fewer than two images.
        """
        if codes.ndim < 2 or labels.shape != codes.shape[:1]:
            raise expected("codes and labels", "of shapes (M, ...) and (M,)",
                           f"{tuple(codes.shape)} and {tuple(labels.shape)}", "Give one label for every code.")
        if not bool(torch.isfinite(codes).all()):
            raise expected("codes", "finite", "NaN or infinity", "Leave these images out.")
        fitted = {}
        for label in labels.unique().tolist():
            rows = codes[labels == label][:self.images_per_class].flatten(1).double()
            if len(rows) < 2:
                raise expected(f"the images of class {label}", "at least 2", len(rows),
                               "A spread cannot be read off fewer: give more images.")
            fitted[label] = _fit_one(rows, self.rank)
        self._classes, self._shape = fitted, tuple(codes.shape[1:])
        return self

    def sample(self, label: int, count: int, seed: int = 0) -> Tensor:
        """``count`` >= 1 codes of class ``label``, float32 (count, ...), to be given to ``model.decode``.

        The same seed gives the same codes; each class has random numbers of its own.

        Raises:
            SagvaeError: nothing is fitted yet, the class was not among the labels, or ``count`` is below 1.
        """
        if not self._classes:
            raise expected("the sampler", "fitted", "one that has seen no code", "Call fit(codes, labels) first.")
        if label not in self._classes:
            raise expected("label", "one of " + ", ".join(map(str, self._classes)), label,
                           "These classes were fitted.")
        _whole("count", count, 1)
        found = self._classes[label]
        random = torch.Generator().manual_seed(derived_seed(seed, label))
        # The same draws whatever the rank is: two samplers of one seed differ by what they keep, not by luck.
        noise = torch.randn(count, len(found.mean), generator=random)
        weights = torch.randn(count, len(found.factors), generator=random)
        return (found.mean + weights @ found.factors + found.residual * noise).view(count, *self._shape)


class PerPixelGaussian(LowRankGaussian):
    """The paper's sampler (section 4.2): every latent of a class has its own mean and standard deviation.

    Args:
        images_per_class: only the first so many of each class are fitted, at least 2; the paper takes 50.

    Raises:
        SagvaeError: the argument is out of range.
    """

    def __init__(self, images_per_class: int = IMAGES_PER_CLASS) -> None:
        super().__init__(rank=0, images_per_class=images_per_class)


def corrupt_codes(z: Tensor, count: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Noisy sampling (section 4.2, Figure 10): ``count`` latent dimensions of every code "filled with uniform noises".

    Nested in ``count``, as :func:`~sagvae_core.damage.uniform_noise` is: what is corrupted at 100 is so at 200, with
    the same values. The paper does not say where its noise begins and ends; U(0, 1) is what it does to pixels.

    Args:
        z: (M, ...), floating point; all entries of a row are its dimensions.
        count: dimensions of each code, 0 to all of them (the paper: 200 of 784).
        seed: of the choice and the noise.
        low, high: the ends of the noise, ``low < high``.

    Returns:
        (M, ...) like ``z``; what is not corrupted is bit-identical.

    Raises:
        SagvaeError: an argument has another shape or range.
    """
    if z.ndim < 2 or not z.is_floating_point():
        raise expected("z", "a floating point tensor of shape (M, ...)", f"{z.dtype} of shape {tuple(z.shape)}")
    rows = z.flatten(1)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= rows.shape[1]:
        raise expected("count", f"a whole number from 0 to the {rows.shape[1]} dimensions of a code", count,
                       f"A quarter of them would be {rows.shape[1] // 4}.")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise expected("low and high", "finite, low < high", f"{low:g} and {high:g}")
    noise = uniform_noise(rows[..., None], count, seed)
    return torch.where(noise.damaged, low + (high - low) * noise.x[..., 0], rows).view_as(z)


@torch.no_grad()
def codes_of(model: GenerativeModel, x: Tensor) -> Tensor:
    """The mean of q(z | x) for rows ``x`` (B, N, C): (B, N, D) per node, (B, latent_dim) for one code a row.

    Raises:
        SagvaeError: the model has no code to draw from, or ``x`` has another shape.
    """
    if not hasattr(model, "encode"):
        raise expected("model", "one with a latent code", f"a model of kind {model.kind!r}",
                       "Choose SAG-VAE or a VAE: a denoising autoencoder has nothing to draw from.")
    return model.encode(x).loc


@torch.no_grad()
def interpolate(model: GenerativeModel, x0: Tensor, x1: Tensor, steps: int = 9) -> Tensor:
    """Decode the straight line between the codes of two rows; its ends are the decoder's reconstructions.

    Args:
        model: a SAGVAE or MLPVAE.
        x0, x1: (N, C), in the range of the model's data.
        steps: points on the line, at least 2, both ends among them.

    Returns:
        (steps, N, C), from x0 to x1 in equal steps.

    Raises:
        SagvaeError: another shape, fewer steps, or a model without codes.
    """
    _whole("steps", steps, 2)
    if x0.ndim != 2 or x0.shape != x1.shape:
        raise expected("x0 and x1", "two rows of one shape (N, C)", f"{tuple(x0.shape)} and {tuple(x1.shape)}")
    start, end = codes_of(model, torch.stack([x0, x1]))
    share = torch.linspace(0, 1, steps, device=start.device).view(-1, *[1] * start.ndim)
    return model.decode(torch.lerp(start, end, share))


def _fit_one(rows: Tensor, rank: int) -> _Gaussian:
    mean, variance = rows.mean(0), rows.var(0)
    rank = min(rank, len(rows) - 1)
    _, strengths, directions = torch.linalg.svd((rows - mean) / math.sqrt(len(rows) - 1), full_matrices=False)
    factors = strengths[:rank, None] * directions[:rank]
    residual = (variance - factors.square().sum(0)).clamp_min(0).sqrt()
    return _Gaussian(mean.float(), factors.float(), residual.float())


def _whole(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise expected(name, f"a whole number of at least {least}", value)
    return value
