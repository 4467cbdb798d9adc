"""Damage to nodes wherever they are: noise of three kinds and lost contrast. ``masks.py`` has the shapes on pictures.

What was damaged is part of the result.

All randomness comes from a CPU generator seeded by the caller and is drawn row after row, whole, whatever the other
options are. So the same seed gives row r the same damage however many rows follow it, on every device, and moving one
control (more pixels, a bigger block) changes only what that control says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .config_data import in_range
from .errors import expected

_CHUNK_DRAWS = 4_000_000  # random numbers held at once: 16 MB, while a whole training set's would be 400 MB


@dataclass(frozen=True, eq=False)
class Perturbed:
    """Rows after the damage.

    Attributes:
        x: (B, N, C), like the input; undamaged nodes are bit-identical to it.
        damaged: bool (B, N), True where a node was replaced or moved (even if its value happens to stay the same).
    """

    x: Tensor
    damaged: Tensor


def uniform_noise(x: Tensor, pixels: int, seed: int) -> Perturbed:
    """Replace ``pixels`` random nodes of every row by draws from U(0, 1), in all channels.

    Nested in ``pixels``: every node gets a rank and a value first, then the first ``pixels`` ranks are damaged. With
    the same seed the nodes damaged at 100 are among those damaged at 200 and keep their values.

    Args:
        x: (B, N, C), floating point.
        pixels: nodes damaged per row, 0 to N.
        seed: seed of the generator.

    Raises:
        SagvaeError: ``x`` has another shape or type, or ``pixels`` is not in [0, N].
    """
    return _replace_nodes(x, pixels, seed, lambda values: values)


def salt_and_pepper(x: Tensor, pixels: int, seed: int) -> Perturbed:
    """Make ``pixels`` random nodes of every row black or white: a fair coin says 0 or 1, one for all its channels.

    Nested in ``pixels`` like :func:`uniform_noise`, and with the same seed it hits the same nodes: the two kinds differ
    in the values alone.

    Args:
        x: (B, N, C), floating point.
        pixels: nodes damaged per row, 0 to N.
        seed: seed of the generator.

    Raises:
        SagvaeError: ``x`` has another shape or type, or ``pixels`` is not in [0, N].
    """
    return _replace_nodes(x, pixels, seed, lambda values: (values[..., :1] >= 0.5).float())


def gaussian_noise(x: Tensor, sigma: float, seed: int) -> Perturbed:
    """Add N(0, ``sigma``^2) to every node and channel, and clip the sum to [0, 1].

    The noise is ``sigma`` times draws that do not depend on it: before the clipping, 0.2 moves every node twice as far
    as 0.1 does.

    Args:
        x: (B, N, C), floating point, values in [0, 1].
        sigma: standard deviation, 0 to 10; at 0 nothing is damaged, above it every node is.
        seed: seed of the generator.

    Raises:
        SagvaeError: ``x`` has another shape, type or range, or ``sigma`` is out of its range.
    """
    rows, nodes, channels = sizes(x)
    in_range("perturbation.sigma", sigma, 0, 10)
    _check_values(x)
    noisy = x.detach().clone()
    if sigma > 0:
        for part, numbers in draws(rows, (nodes, channels), seed):
            # Not torch.randn: its values depend on how many are asked for. U(0, 1) draws are multiples of 2**-24;
            # the half step keeps them off 0, whose quantile is infinite.
            normal = torch.special.ndtri(numbers.double() + 2**-25).float()
            noisy[part] = (noisy[part] + (sigma * normal).to(noisy)).clamp(0, 1)
    return Perturbed(noisy, torch.full((rows, nodes), sigma > 0, device=x.device))


def reduce_contrast(x: Tensor, contrast: float) -> Perturbed:
    """Move every node towards mid-grey: x becomes 0.5 + ``contrast`` * (x - 0.5). Nothing about it is random.

    Args:
        x: (B, N, C), floating point, values in [0, 1].
        contrast: 0 (all is mid-grey) to 1 (untouched, nothing is damaged); below 1 every node is damaged.

    Raises:
        SagvaeError: ``x`` has another shape, type or range, or ``contrast`` is not in [0, 1].
    """
    rows, nodes, _ = sizes(x)
    in_range("perturbation.contrast", contrast, 0, 1)
    _check_values(x)
    fainter = x.detach().clone() if contrast == 1 else (x.detach() - 0.5) * contrast + 0.5
    return Perturbed(fainter, torch.full((rows, nodes), contrast < 1, device=x.device))


def draws(rows: int, shape: tuple[int, ...], seed: int) -> Iterator[tuple[slice, Tensor]]:
    """U(0, 1) draws (b, *shape) for consecutive slices of rows; the CPU generator fills them in row-major order."""
    generator = torch.Generator().manual_seed(seed)
    step = max(1, _CHUNK_DRAWS // max(1, torch.Size(shape).numel()))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        yield slice(start, stop), torch.rand(stop - start, *shape, generator=generator, dtype=torch.float32)


def lowest(scores: Tensor, count: int) -> Tensor:
    """bool (b, N): the ``count`` lowest U(0, 1) scores of each row, ties in node order, so that counts are nested."""
    rows, nodes = scores.shape
    if count == 0:
        return torch.zeros(rows, nodes, dtype=torch.bool)
    # float32 draws are multiples of 2**-24: a whole number that ends in the node's index has no ties. A partition
    # in numpy takes a twentieth of the time of a stable sort.
    keys = (scores * 2**24).long() * nodes + torch.arange(nodes)
    last = np.partition(keys.numpy(), count - 1, axis=1)[:, count - 1]
    return keys <= torch.from_numpy(last)[:, None]


def sizes(x: Tensor) -> tuple[int, int, int]:
    """B, N and C of ``x``; raises SagvaeError unless it is floating point of shape (B, N, C)."""
    if not isinstance(x, Tensor) or x.ndim != 3 or not x.is_floating_point():
        got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise expected("x", "a floating point tensor of shape (B, N, C)", got)
    rows, nodes, channels = x.shape
    return rows, nodes, channels


def check_whole(name: str, value: int, low: int, high: int, what: str, remedy: str = "") -> None:
    """Raise unless ``value`` is a whole number from ``low`` to ``high``; ``what`` says what the upper end is."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise expected(f"perturbation.{name}", f"a whole number from {low} to {what}", value, remedy)


def check_pixels(pixels: int, nodes: int) -> None:
    """Raise unless ``pixels`` of ``nodes`` nodes can be damaged."""
    check_whole("pixels", pixels, 0, nodes, f"the {nodes} nodes of a row",
                f"A quarter of the nodes would be {nodes // 4}.")


def _check_values(x: Tensor) -> None:
    low, high = map(float, x.aminmax()) if x.numel() else (0.0, 1.0)
    if not 0 <= low <= high <= 1:
        raise expected("x", "brightness in [0, 1]", f"values from {low:g} to {high:g}",
                       "For rows that are no pictures choose perturbation kind 'uniform' or 'none'.")


def _replace_nodes(x: Tensor, pixels: int, seed: int, value: Callable[[Tensor], Tensor]) -> Perturbed:
    """Put ``value`` of draws (b, N, C) into ``pixels`` random nodes of every row."""
    rows, nodes, channels = sizes(x)
    check_pixels(pixels, nodes)
    noisy = x.detach().clone()
    damaged = torch.zeros(rows, nodes, dtype=torch.bool, device=x.device)
    for part, numbers in draws(rows, (nodes, 1 + channels), seed):
        hit = lowest(numbers[..., 0], pixels).to(x.device)
        noisy[part] = torch.where(hit[..., None], value(numbers[..., 1:]).to(noisy), noisy[part])
        damaged[part] = hit
    return Perturbed(noisy, damaged)
