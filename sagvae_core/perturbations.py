"""Damage done to inputs: uniform noise and block masks (section 4.2 of the paper).

What was damaged is part of the result.

All randomness comes from a CPU generator seeded by the caller and is drawn row after row, whole, whatever the other
options are. So the same seed gives row r the same damage however many rows follow it, on every device, and moving one
control (more pixels, a bigger block) changes only what that control says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .config import PerturbationConfig
from .errors import expected

_CHUNK_DRAWS = 4_000_000  # random numbers held at once: 16 MB, while a whole training set's would be 400 MB


@dataclass(frozen=True, eq=False)
class Perturbed:
    """Rows after the damage.

    Attributes:
        x: (B, N, C), like the input; undamaged nodes are bit-identical to it.
        damaged: bool (B, N), True where a node was replaced (even if the new value happens to equal the old one).
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
    rows, nodes, channels = _sizes(x)
    _check_pixels(pixels, nodes)
    noisy = x.detach().clone()
    damaged = torch.zeros(rows, nodes, dtype=torch.bool, device=x.device)
    for part, draws in _draws(rows, (nodes, 1 + channels), seed):
        hit = _lowest(draws[..., 0], pixels).to(x.device)
        noisy[part] = torch.where(hit[..., None], draws[..., 1:].to(noisy), noisy[part])
        damaged[part] = hit
    return Perturbed(noisy, damaged)


def block_mask(x: Tensor, image_shape: tuple[int, int], size: int, value: float | None,
               position: tuple[int, int] | None = None, seed: int = 0) -> Perturbed:
    """Cover a ``size`` x ``size`` block of every picture.

    Args:
        x: (B, N, C), floating point; the nodes are the pixels, row by row.
        image_shape: (height, width) with height * width = N.
        size: side of the block in pixels, 0 to the shorter side of the picture.
        value: colour of the block, in [0, 1]; None fills it with draws from U(0, 1).
        position: (row, column) of the top left corner, moved inside if the block would stick out; None draws one per
            row, uniform over all places fully inside.
        seed: seed of the generator; unused when both ``value`` and ``position`` are given.

    Raises:
        SagvaeError: a shape, ``size`` or ``value`` is out of range.
    """
    rows, nodes, channels = _sizes(x)
    height, width = _check_block(size, nodes, image_shape)
    if value is not None and not 0 <= value <= 1:
        raise expected("value", "in [0, 1], or None for noise", value)
    last_corner = torch.tensor([height - size, width - size])
    fixed = None if position is None else torch.tensor(position).clamp(min=0).minimum(last_corner)
    covered = x.detach().clone()
    damaged = torch.zeros(rows, nodes, dtype=torch.bool, device=x.device)
    for part, draws in _draws(rows, (2 + nodes * channels,), seed):
        # The float product can round up to the excluded end for draws next to 1.
        drawn = (draws[:, :2] * (last_corner + 1)).long().minimum(last_corner)
        corner = drawn if fixed is None else fixed.expand_as(drawn)
        down = torch.arange(height) - corner[:, :1]
        right = torch.arange(width) - corner[:, 1:]
        hit = ((down >= 0) & (down < size))[:, :, None] & ((right >= 0) & (right < size))[:, None, :]
        hit = hit.flatten(1).to(x.device)
        fill = draws[:, 2:].reshape(-1, nodes, channels).to(covered) if value is None else covered.new_tensor(value)
        covered[part] = torch.where(hit[..., None], fill, covered[part])
        damaged[part] = hit
    return Perturbed(covered, damaged)


def perturb(x: Tensor, config: PerturbationConfig, image_shape: tuple[int, int] | None, seed: int) -> Perturbed:
    """Damage ``x`` (B, N, C) as ``config`` says; ``kind="none"`` returns ``x`` itself and an all-False mask.

    Raises:
        SagvaeError: the damage does not fit the data, see :func:`check_perturbation`.
    """
    rows, nodes, _ = _sizes(x)
    check_perturbation(config, nodes, image_shape)
    if config.kind == "uniform":
        return uniform_noise(x, config.pixels, seed)
    if config.kind == "block":
        assert image_shape is not None  # check_perturbation has seen to it
        return block_mask(x, image_shape, config.size, config.value, config.position, seed)
    return Perturbed(x, torch.zeros(rows, nodes, dtype=torch.bool, device=x.device))


def check_perturbation(config: PerturbationConfig, num_nodes: int, image_shape: tuple[int, int] | None) -> None:
    """Say at once, before any row is read, whether ``config`` fits rows of ``num_nodes`` nodes.

    Raises:
        SagvaeError: more pixels than nodes, a block larger than the picture, or a block on data that are no picture.
    """
    if config.kind == "uniform":
        _check_pixels(config.pixels, num_nodes)
    elif config.kind == "block":
        if image_shape is None:
            raise expected("image_shape", "(height, width) for a block mask", None,
                           "These rows are no pictures: choose perturbation kind 'uniform' or 'none'.")
        _check_block(config.size, num_nodes, image_shape)


def _draws(rows: int, shape: tuple[int, ...], seed: int) -> Iterator[tuple[slice, Tensor]]:
    """U(0, 1) draws (b, *shape) for consecutive slices of rows; the CPU generator fills them in row-major order."""
    generator = torch.Generator().manual_seed(seed)
    step = max(1, _CHUNK_DRAWS // max(1, torch.Size(shape).numel()))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        yield slice(start, stop), torch.rand(stop - start, *shape, generator=generator, dtype=torch.float32)


def _lowest(scores: Tensor, count: int) -> Tensor:
    """bool (b, N): the ``count`` lowest U(0, 1) scores of each row, ties in node order, so that counts are nested."""
    rows, nodes = scores.shape
    if count == 0:
        return torch.zeros(rows, nodes, dtype=torch.bool)
    # float32 draws are multiples of 2**-24: a whole number that ends in the node's index has no ties. A partition
    # in numpy takes a twentieth of the time of a stable sort.
    keys = (scores * 2**24).long() * nodes + torch.arange(nodes)
    last = np.partition(keys.numpy(), count - 1, axis=1)[:, count - 1]
    return keys <= torch.from_numpy(last)[:, None]


def _sizes(x: Tensor) -> tuple[int, int, int]:
    if not isinstance(x, Tensor) or x.ndim != 3 or not x.is_floating_point():
        got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise expected("x", "a floating point tensor of shape (B, N, C)", got)
    rows, nodes, channels = x.shape
    return rows, nodes, channels


def _check_pixels(pixels: int, nodes: int) -> None:
    if isinstance(pixels, bool) or not isinstance(pixels, int) or not 0 <= pixels <= nodes:
        raise expected("perturbation.pixels", f"a whole number from 0 to the {nodes} nodes of a row", pixels,
                       f"A quarter of the nodes would be {nodes // 4}.")


def _check_block(size: int, nodes: int, image_shape: tuple[int, int]) -> tuple[int, int]:
    height, width = image_shape
    if height * width != nodes:
        raise expected("image_shape", f"(height, width) with height * width = {nodes} nodes", tuple(image_shape))
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= min(height, width):
        raise expected("perturbation.size", f"a whole number from 0 to {min(height, width)}, the shorter side of a "
                       f"{height} x {width} picture", size, f"A quarter of it would be {min(height, width) // 4}.")
    return height, width
