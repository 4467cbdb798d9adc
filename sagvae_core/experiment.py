"""From a run's configuration to a finished run: read the data, train, evaluate on unseen rows, write it all."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import torch

from .checkpoint import build_model, save_model
from .data import Dataset, load_dataset
from .errors import SagvaeError
from .metrics import edge_scores, reconstruction_scores, summarise
from .model import SAGVAE, GenerativeModel
from .runs import Run, Status, process_started
from .training import Progress, Trainer, TrainingStopped

_STATUS_INTERVAL = 0.5  # seconds between two status files: often enough to watch, seldom enough to cost nothing
_SNAPSHOT_ROWS = 8
_BATCH = 500
_SEARCHED_ROWS = 1000  # test rows where damaged regions are looked for in each: tens of milliseconds a row


@torch.no_grad()
def evaluate(model: GenerativeModel, data: Dataset) -> dict[str, float]:
    """Held-out metrics of a trained model: reconstruction against the clean test rows, edges against a known graph.

    Returns:
        ``mse_clean``, ``psnr`` (dB) and, for images, ``ssim`` of the reconstructed test rows; the same with the prefix
        ``input_`` for the damaged rows as they are; ``precision``, ``recall``, ``f1``, ``average_precision`` where a
        truth is known and the model has a graph; ``test_rows``, how many were used: of a model that looks for damaged
        regions the first 1,000.
    """
    test = data.test
    searched = isinstance(model, SAGVAE) and model.searches_regions
    inputs, clean = (rows[:_SEARCHED_ROWS] if searched else rows for rows in (test.inputs, test.clean))
    reconstruction = torch.cat([model.reconstruct(part.to(model.device)).cpu() for part in inputs.split(_BATCH)])
    metrics = summarise(reconstruction_scores(reconstruction, clean, data.image_shape))
    if data.config.perturbation.kind != "none":
        untouched = summarise(reconstruction_scores(inputs, clean, data.image_shape))
        metrics |= {f"input_{name}": value for name, value in untouched.items()}
    if data.image_shape is None:  # positions of people have no peak value
        metrics.pop("psnr", None)
    if data.adjacency is not None and isinstance(model, SAGVAE) and model.graph_encoder is not None:
        scores = edge_scores(model.edge_posterior, data.adjacency)
        metrics |= {name: scores[name] for name in ("precision", "recall", "f1", "average_precision")}
    metrics["test_rows"] = len(inputs)
    return metrics


def execute(run: Run, device: str | None = None, on_progress: Callable[[Progress, dict], None] | None = None) -> Status:
    """Train ``run`` to its end, from its last checkpoint if it has one; every outcome is written to its status.

    Args:
        device: overrides the configuration's, e.g. to go on with a GPU run on a CPU.
        on_progress: called after every step with the progress and the last epoch's record.

    Returns:
        The final status: finished or stopped.

    Raises:
        SagvaeError: the run cannot be trained; its status is "failed" with the same sentence.
    """
    run.clear_stop()
    previous = run.status
    status = Status(state="running", pid=os.getpid(), pid_started=process_started(os.getpid()),
                    created=previous.created, total_epochs=previous.total_epochs, seconds=previous.seconds,
                    epoch=previous.epoch)
    run.write_status(status)
    try:
        _train(run, status, device, on_progress)
    except TrainingStopped:
        status.state, status.eta_seconds = "stopped", None
    except KeyboardInterrupt:
        status.state, status.eta_seconds = "stopped", None
        run.write_status(status)
        raise
    except Exception as error:
        status.state, status.eta_seconds, status.error = "failed", None, _sentence(error)
        run.write_status(status)
        if isinstance(error, (SagvaeError, torch.OutOfMemoryError)):
            raise SagvaeError(status.error) from None
        raise
    run.write_status(status)
    run.clear_stop()
    return status


def _train(run: Run, status: Status, device: str | None, on_progress: Callable[[Progress, dict], None] | None) -> None:
    config = run.config
    train_config = config.train if device is None else _with_device(config.train, device)
    data = load_dataset(config.data)
    model = build_model(config.model, config.train.seed)
    before, started, last_written = status.seconds, time.time(), 0.0
    record: dict[str, Any] = {}

    def on_step(progress: Progress) -> None:
        nonlocal last_written
        now = time.time()
        status.step, status.total_steps, status.epoch = progress.step, progress.total_steps, progress.epoch
        status.seconds = before + now - started
        if now - last_written >= _STATUS_INTERVAL:
            done = progress.step - first_step
            status.eta_seconds = (now - started) / max(1, done) * (progress.total_steps - progress.step)
            run.write_status(status)
            last_written = now
        if on_progress is not None:
            on_progress(progress, record)

    trainer = Trainer(model, train_config, on_step, run.stop_requested)
    checkpoint = run.read_checkpoint()
    if checkpoint is not None:
        trainer.load_state(checkpoint)
    first_step = trainer.step
    main = trainer.accelerator.is_main_process
    status.device = _device_name(trainer.device)
    redraw = data.redraw if config.data.perturb_each_epoch else None
    for record in trainer.epochs(data.train, data.validation, redraw):
        if main:
            run.append_record(record)
            run.write_snapshot(_snapshot(model, data))
            run.write_checkpoint(trainer.state())
    if main:
        status.metrics = evaluate(model, data)
        save_model(model, run.folder, {"run": run.name})
        run.write_snapshot(_snapshot(model, data))
        run.remove_checkpoints()
    status.state, status.epoch, status.eta_seconds = "finished", trainer.epoch, None
    status.step = status.total_steps = trainer.step
    status.seconds = before + time.time() - started


@torch.no_grad()
def _snapshot(model: GenerativeModel, data: Dataset) -> dict[str, torch.Tensor]:
    """What the live page draws: the graph in percent, and held-out rows damaged, reconstructed and clean."""
    rows = data.validation
    inputs = rows.inputs[:_SNAPSHOT_ROWS]
    tensors = {"inputs": inputs,
               "clean": rows.clean[:_SNAPSHOT_ROWS].clone(),  # undamaged rows share their memory with the inputs
               "reconstruction": model.reconstruct(inputs.to(model.device)).cpu()}
    if isinstance(model, SAGVAE) and model.graph_encoder is not None:
        tensors["edge_percent"] = (model.edge_posterior * 100).round().to(torch.uint8).cpu()
    return tensors


def _with_device(train_config, device: str):
    import dataclasses

    return dataclasses.replace(train_config, device=device, epochs=None)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"cpu": f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"}.get(device.type, device.type)


def _sentence(error: BaseException) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return ("The device ran out of memory. Expected a batch that fits, got one that does not: lower "
                "train.batch_size, or train on the CPU.")
    return str(error) if isinstance(error, SagvaeError) else f"{type(error).__name__}: {error}"
