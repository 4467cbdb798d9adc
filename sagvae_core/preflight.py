"""What would end a training before its first step, found out before a folder is made or a row is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from .checkpoint import model_outline
from .config_run import RunConfig
from .data import check_settings
from .devices import check_precision, device_key
from .objective import Objective
from .tracking import check_trackers

_NO_LIMIT = 10**9  # tensors: the limit on layers is for files of strangers


def check_before_training(config: RunConfig, device: str | None = None) -> None:
    """Raise unless ``config`` can be trained on this machine, as far as that shows without its data.

    Args:
        device: another than the configuration's.

    Raises:
        SagvaeError: the device, precision or a tracker is none of this machine's; damage, classes or training rows do
            not fit the data; a stage asks for what the model does not have.
    """
    check_precision(config.train.precision, device_key(device or config.train.device))
    check_trackers(config.train.trackers, Path())
    check_settings(config.data)
    objective = Objective(model_outline(config.model, _NO_LIMIT))
    for stage in config.train.stages:
        objective.start_stage(dataclasses.replace(stage, hide_regions=0))  # they are of a graph that is yet to be found
