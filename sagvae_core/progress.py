"""What a training says while it runs: where it is, and that it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class TrainingStopped(Exception):
    """Raised out of the loop, between two steps, when ``should_stop`` said so: :meth:`Trainer.state` goes on there."""


@dataclass
class Progress:
    """Where a training is, handed to ``on_step`` after every step.

    ``epoch`` counts finished epochs. ``terms()`` are the present epoch's means so far: asked for, since on a GPU an
    answer waits for the device.
    """

    step: int
    total_steps: int
    epoch: int
    total_epochs: int
    terms: Callable[[], dict[str, float]] = dict
