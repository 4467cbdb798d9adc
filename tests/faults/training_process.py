"""A training in a process that can be killed: forked from one that has imported everything, so it begins at once."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from pathlib import Path

from sagvae_core import experiment
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import run_config
from sagvae_core.runs import Run, RunConfig

FULL = os.environ.get("SAGVAE_FAULTS") == "full"  # `make faults`; CI runs a part
# What a training imports late takes seconds, and would be imported anew in every process.
_IMPORTED = ["training_process", "accelerate", "sklearn.datasets", "torchmetrics.functional.image"]
REFUSED = 7  # exit status of a process that was told why it may not train


def small_config(epochs: int = 2) -> RunConfig:
    """The recipe for the small digits with all its stages, of steps that take a few milliseconds; ``epochs`` each."""
    config = run_config("digits", overrides={"data.train_rows": 64, "train.batch_size": 16, "train.device": "cpu",
                                             "model.hidden": [4], "model.attention": [1]})
    stages = tuple(dataclasses.replace(stage, epochs=epochs) for stage in config.train.stages)
    return dataclasses.replace(config, train=dataclasses.replace(config.train, stages=stages))


def train(folder: str) -> None:
    """Train the run in ``folder``, with a checkpoint and a status after every step."""
    import torch

    torch.set_num_threads(1)
    experiment._CHECKPOINT_INTERVAL = experiment._STATUS_INTERVAL = experiment._SNAPSHOT_INTERVAL = 0.0
    try:
        experiment.execute(Run(folder))
    except SagvaeError as error:
        (Path(folder) / "refused.txt").write_text(str(error))
        raise SystemExit(REFUSED) from None


def start(folder: Path) -> multiprocessing.Process:
    """Begin :func:`train` in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    process = context.Process(target=train, args=(str(folder),), daemon=True)
    process.start()
    return process
