"""Which device a training runs on, and in how many processes, through Hugging Face Accelerate."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from .config import TrainConfig
from .errors import SagvaeError, expected
from .tracking import check_trackers

# What a launcher (accelerate launch, torchrun, mpirun) tells the processes it starts; Accelerate reads the same.
_PROCESSES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_RANK = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_LOCAL_RANK = ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK")


def launched_processes() -> int:
    """How many processes a launcher started for this training, on all machines; 1 without one."""
    return _from_launcher(_PROCESSES, 1)


def is_main_process() -> bool:
    """Whether this process is the one that writes: the first of :func:`launched_processes`."""
    return _from_launcher(_RANK, 0) == 0


def device_key(name: str = "auto") -> str:
    """The device a training on ``name`` would use in this process, e.g. "cpu", "cuda:0" or "mps".

    Nothing is put on the device: asking costs no memory there. The number is that of this process's view of the
    machine (CUDA_VISIBLE_DEVICES). Of several processes each has an own GPU, chosen by its number on its machine.

    Args:
        name: "auto" (the best there is), "cpu", "cuda", "mps", or one GPU of several, as "cuda:1".

    Raises:
        SagvaeError: it is no such name, or this machine has no such device.
    """
    kind, _, number = name.partition(":")
    if not re.fullmatch("auto|cpu|mps|cuda(:[0-9]{1,4})?", name):
        raise expected("train.device", "'auto', 'cpu', 'cuda' or 'mps'", repr(name))
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.backends.mps.is_available()):
        raise SagvaeError(f"train.device must be a device of this machine, got {kind!r}. No {kind.upper()} GPU is "
                          "visible: use device 'auto' or 'cpu'.")
    if os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes"):
        if kind not in ("auto", "cpu"):
            raise expected("train.device", "'auto' or 'cpu' under `accelerate launch --cpu`", repr(name))
        return "cpu"
    if kind == "auto":
        best = torch.accelerator.current_accelerator(check_available=True)
        kind = "cpu" if best is None else best.type
    if kind in ("cpu", "mps"):
        if kind == "mps" and launched_processes() > 1:
            raise expected("train.device", "'cpu' for a training in several processes on this machine", repr(name),
                           "It has one GPU: start one process, or name the CPU.")
        return kind
    devices = torch.accelerator.device_count()
    if number and launched_processes() > 1:
        raise expected("train.device", f"{kind!r} or 'auto' for a training in several processes", repr(name),
                       "Each process takes an own GPU: choose which with CUDA_VISIBLE_DEVICES.")
    if number and int(number) >= devices:
        raise expected("train.device", f"one of 'cuda:0' to 'cuda:{devices - 1}' on this machine", repr(name))
    return f"{kind}:{int(number) if number else _from_launcher(_LOCAL_RANK, 0) % devices}"


def check_precision(precision: str, key: str) -> None:
    """Raise unless the device ``key``, as of :func:`device_key`, can train in ``precision``."""
    if precision == "fp16" and key == "cpu":
        raise expected("train.precision", "'no' or 'bf16' on a CPU", "'fp16'", "Half precision needs a GPU.")


@contextmanager
def first_on_machine(config: TrainConfig) -> Iterator[None]:
    """In this block the first process of every machine goes before its others, which find what it has downloaded."""
    if launched_processes() == 1:
        yield
        return
    from accelerate.state import PartialState

    with PartialState(cpu=device_key(config.device) == "cpu").local_main_process_first():
        yield


def part_processes() -> None:
    """Let go of the other processes of a training that is over, so that none misses this one when it ends."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def build_accelerator(config: TrainConfig, log_folder: Path | None = None) -> Any:
    """One Accelerator for ``config``; imported here because Accelerate takes a second to load.

    Args:
        log_folder: where trackers that write files write them.

    Raises:
        SagvaeError: the device, the precision, a tracker or the way of launching is none of this machine.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import patch_environment

    key = device_key(config.device)
    check_precision(config.precision, key)
    for name in ("DEEPSPEED", "FSDP", "MEGATRON_LM"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true":
            raise expected("the launch", "one with a whole model in every process (`accelerate launch --multi_gpu`)",
                           name, "These models are far smaller than a GPU: choose that in `accelerate config`.")
    log_with = check_trackers(config.trackers, log_folder)
    # Accelerate keeps one state a process; a second training with other settings needs a fresh one. Processes that
    # were launched together stay together.
    if PartialState._shared_state:
        AcceleratorState._reset_state(reset_partial_state=PartialState().num_processes == 1)
    # Left alone, Accelerate takes the first GPU, whatever number was named.
    with patch_environment(**({"ACCELERATE_TORCH_DEVICE": key} if ":" in config.device else {})):
        return Accelerator(cpu=key == "cpu", mixed_precision=config.precision, log_with=log_with or None,
                           project_dir=log_folder)


def _from_launcher(names: tuple[str, ...], otherwise: int) -> int:
    for name in names:
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return otherwise
