"""Which device a training runs on, through Hugging Face Accelerate."""

from __future__ import annotations

from typing import Any

import torch

from .config import TrainConfig
from .errors import SagvaeError, expected


def build_accelerator(config: TrainConfig) -> Any:
    """One Accelerator for ``config``; imported here because Accelerate takes a second to load."""
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState, PartialState

    kind = config.device.split(":")[0]
    if kind not in ("auto", "cpu", "cuda", "mps"):
        raise expected("train.device", "'auto', 'cpu', 'cuda' or 'mps'", repr(config.device))
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.backends.mps.is_available()):
        raise SagvaeError(f"train.device must be a device of this machine, got {kind!r}. No {kind.upper()} GPU is "
                          "visible: use device 'auto' or 'cpu'.")
    # Accelerate keeps one state a process; a second training with other settings needs a fresh one.
    if PartialState._shared_state and PartialState().num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
    # A warm-up stage leaves the robust likelihood's parameters without a gradient.
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=True)]
    return Accelerator(cpu=config.device == "cpu", mixed_precision=config.precision, kwargs_handlers=handlers)
