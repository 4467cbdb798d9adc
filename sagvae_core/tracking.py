"""Experiment trackers (TensorBoard, Weights & Biases, MLflow ...) through Hugging Face Accelerate."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import expected

_PROJECT = "sagvae"  # runs of one project are compared with each other
_IN_FOLDER = ("tensorboard", "aim")
_RUN_NAME = {"wandb": "name", "mlflow": "run_name", "trackio": "name", "swanlab": "experiment_name"}


def check_trackers(names: Sequence[str], log_folder: Path | None) -> list[str]:
    """``names`` of :data:`sagvae_core.config.TRACKERS`, once each.

    Raises:
        SagvaeError: a package is not installed, or a tracker writes files and has no folder for them.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise expected("train.trackers", "trackers that are installed", repr(name), f"Run `pip install {name}`.")
        if name in _IN_FOLDER and log_folder is None:
            raise expected("log_folder", f"a folder for the files of the tracker {name!r}", None)
    return list(dict.fromkeys(names))


@contextmanager
def tracked(accelerator: Any, run_name: str, settings: dict[str, Any]) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Open the trackers of ``accelerator``, and close them after the block.

    Args:
        settings: nested, shown beside the run.

    Yields:
        A function that tells them an epoch's record; of it numbers alone.
    """
    names = {tracker: {key: run_name} for tracker, key in _RUN_NAME.items()}
    if accelerator.log_with:
        accelerator.init_trackers(_PROJECT, flat(settings), names)

    def log(record: dict[str, Any]) -> None:
        accelerator.log({name: value for name, value in flat(record).items() if isinstance(value, (int, float))},
                        step=record["epoch"])

    try:
        yield log
    finally:
        for tracker in accelerator.trackers:  # end_training() would part the processes too, before all is written
            tracker.finish()
        accelerator.trackers.clear()


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries and lists as one dictionary: "stages.0.epochs"; what is empty or None has no place in it."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, (list, tuple)):
            value = {str(index): item for index, item in enumerate(value)}
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": item for inner, item in flat(value).items()}
        elif value is not None:
            found[name] = value
    return found
