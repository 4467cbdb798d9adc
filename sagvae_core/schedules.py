"""What changes over a training: learning rate, temperature, and the random numbers of every step."""

from __future__ import annotations

import torch

from .config import StageConfig

_STEP_STRIDE = 1_000_003  # a prime: the seeds of different (seed, step) pairs do not meet
# PyTorch's CPU generator reads the low 32 bits of a seed alone. 2**32 over the golden ratio keeps all pairs of up to
# a thousand seeds more than a million steps apart in them.
_SEED_STRIDE = 2_654_435_769
VALIDATION_STEP = 2**40  # validation noise has a step number that no training step reaches (on the CPU that of step 0)


def step_generator(device: torch.device | str, seed: int, step: int) -> torch.Generator:
    """The random numbers of one step: a function of (seed, step) alone, so that a resumed training repeats none."""
    return torch.Generator(device).manual_seed((seed * _SEED_STRIDE + step) * _STEP_STRIDE % 2**63)


def learning_rate(stage: StageConfig, progress: float, step: int = 10**9) -> float:
    """Warm-up, constant, then linear to ``final_rate`` of it, at ``progress`` in [0, 1] and ``step`` of the stage."""
    if step < stage.warmup_steps:
        return stage.learning_rate * (step + 1) / stage.warmup_steps
    if progress <= stage.constant_share:
        return stage.learning_rate
    fallen = (progress - stage.constant_share) / (1 - stage.constant_share)
    return stage.learning_rate * (1 - fallen * (1 - stage.final_rate))


def temperature_at(ends: tuple[float, float], progress: float) -> float:
    """Geometric between the two ends at ``progress`` in [0, 1] of the whole training."""
    return ends[0] * (ends[1] / ends[0]) ** progress
