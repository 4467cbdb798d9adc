"""Damage done to inputs, by configuration: uniform noise and block masks (section 4.2 of the paper) and other kinds.

The other kinds are for the question what a model does about damage that it was not trained on. ``damage.py`` and
``masks.py`` have the damage itself, and the rule by which it is drawn.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .config_data import PerturbationConfig, in_range
from .damage import Perturbed, check_pixels, gaussian_noise, reduce_contrast, salt_and_pepper, sizes, uniform_noise
from .errors import expected
from .masks import block_mask, blocks_mask, check_block, check_blocks, check_stripes, rotated_block_mask, stripe_mask

__all__ = ["Perturbed", "block_mask", "blocks_mask", "check_perturbation", "gaussian_noise", "perturb",
           "reduce_contrast", "rotated_block_mask", "salt_and_pepper", "stripe_mask", "uniform_noise", "with_strength"]

STRONGEST_SIGMA = 0.5  # half the way from black to white: one mid-grey pixel in three is clipped to one of them
_ON_PICTURES = {"block": "a block mask", "blocks": "blocks", "rotated": "a rotated block", "stripes": "stripes"}


def perturb(x: Tensor, config: PerturbationConfig, image_shape: tuple[int, int] | None, seed: int) -> Perturbed:
    """Damage ``x`` (B, N, C) as ``config`` says; ``kind="none"`` returns ``x`` itself and an all-False mask.

    Raises:
        SagvaeError: the damage does not fit the data, see :func:`check_perturbation`, or ``x`` has values outside
            [0, 1] where the kind is Gaussian noise or lost contrast.
    """
    rows, nodes, _ = sizes(x)
    check_perturbation(config, nodes, image_shape)
    if image_shape is not None:  # without it check_perturbation lets no kind pass that needs it
        match config.kind:
            case "block":
                return block_mask(x, image_shape, config.size, config.value, config.position, seed)
            case "blocks":
                return blocks_mask(x, image_shape, config.count, config.size, config.value, seed)
            case "rotated":
                return rotated_block_mask(x, image_shape, config.size, config.value, config.angle, config.position,
                                          seed)
            case "stripes":
                return stripe_mask(x, image_shape, config.count, config.width, config.value, config.direction, seed)
    match config.kind:
        case "uniform":
            return uniform_noise(x, config.pixels, seed)
        case "salt_pepper":
            return salt_and_pepper(x, config.pixels, seed)
        case "gaussian":
            return gaussian_noise(x, config.sigma, seed)
        case "contrast":
            return reduce_contrast(x, config.contrast)
    return Perturbed(x, torch.zeros(rows, nodes, dtype=torch.bool, device=x.device))


def check_perturbation(config: PerturbationConfig, num_nodes: int, image_shape: tuple[int, int] | None) -> None:
    """Say at once, before any row is read, whether ``config`` fits rows of ``num_nodes`` nodes.

    Raises:
        SagvaeError: more pixels than nodes, blocks or stripes that the picture has no room for, or any of these
            shapes on data that are no picture.
    """
    if config.kind in ("uniform", "salt_pepper"):
        check_pixels(config.pixels, num_nodes)
    elif config.kind in _ON_PICTURES:
        shape = _picture(config.kind, image_shape)
        if config.kind == "stripes":
            check_stripes(config.count, config.width, config.direction, num_nodes, shape)
        elif config.kind == "blocks":
            check_blocks(config.count, config.size, num_nodes, shape)
        else:
            check_block(config.size, num_nodes, shape)


def with_strength(config: PerturbationConfig, strength: float, num_nodes: int,
                  image_shape: tuple[int, int] | None) -> PerturbationConfig:
    """Set the one control that makes the damage of ``config`` stronger, for sweeps of a metric against strength.

    At 0 nothing is damaged, whatever the kind. What 1 means, and what grows in proportion (rounded to whole pixels):

    - ``"uniform"``, ``"salt_pepper"``: every node is replaced (``pixels``).
    - ``"gaussian"``: the noise has a standard deviation of 0.5 (``sigma``).
    - ``"block"``, ``"rotated"``, ``"blocks"``: a block's side is the picture's shorter side (``size``); the number of
      blocks stays.
    - ``"stripes"``: the picture is full of stripes side by side (``count``); their width stays.
    - ``"contrast"``: every node is mid-grey (``contrast`` is 1 - strength).
    - ``"none"``: still nothing.

    Args:
        config: the damage; all its other settings stay.
        strength: 0 to 1.
        num_nodes: N, nodes of a row.
        image_shape: (height, width) with height * width = N; None for rows that are no pictures.

    Returns:
        A new configuration that fits the data.

    Raises:
        SagvaeError: ``strength`` is not in [0, 1], or the damage does not fit the data at all.
    """
    in_range("strength", strength, 0, 1)
    match config.kind:
        case "uniform" | "salt_pepper":
            config = replace(config, pixels=round(strength * num_nodes))
        case "gaussian":
            config = replace(config, sigma=strength * STRONGEST_SIGMA)
        case "block" | "rotated" | "blocks":
            config = replace(config, size=round(strength * min(_picture(config.kind, image_shape))))
        case "stripes":
            lines = check_stripes(0, config.width, config.direction, num_nodes, _picture(config.kind, image_shape))
            config = replace(config, count=round(strength * (lines // config.width)))
        case "contrast":
            config = replace(config, contrast=1 - strength)
    check_perturbation(config, num_nodes, image_shape)
    return config


def _picture(kind: str, image_shape: tuple[int, int] | None) -> tuple[int, int]:
    if image_shape is None:
        raise expected("image_shape", f"(height, width) for {_ON_PICTURES[kind]}", None,
                       "These rows are no pictures: choose perturbation kind 'uniform', 'salt_pepper' or 'none'.")
    return image_shape
