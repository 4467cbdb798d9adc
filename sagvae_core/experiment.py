"""From a run's configuration to a finished run: read the data, train, evaluate on unseen rows, write it all.

Whatever happens meanwhile ends in the run's status as one sentence, and nothing before the last checkpoint is lost.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import torch

from .checkpoint import build_model, save_model
from .config_run import RunConfig
from .data import load_dataset
from .devices import device_key, first_on_machine, is_main_process, launched_processes
from .errors import expected
from .evaluation import evaluate, snapshot_of
from .failures import told
from .run_status import Status
from .runs import Run
from .training import Progress, Trainer, TrainingStopped
from .turns import TurnGivenUp, join_line, turn

_STATUS_INTERVAL = 0.5  # seconds between two status files: often enough to watch, seldom enough to cost nothing
_SNAPSHOT_INTERVAL = 1.0  # seconds between two snapshots, where epochs are shorter
_STEPS_TO_JUDGE = 3  # before them nobody knows how long a training takes
_CHECKPOINT_INTERVAL = 10.0  # seconds between two checkpoints: so much can be lost; writing one takes a tenth of one


def execute(run: Run, device: str | None = None, on_progress: Callable[[Progress, dict], None] | None = None,
            on_wait: Callable[[list[str]], None] | None = None, wait: bool = True,
            config: RunConfig | None = None, on_note: Callable[[str], None] | None = None) -> Status:
    """Train ``run`` to its end, from its last checkpoint if it has one, once its device is free.

    Every outcome is written to its status. Of several processes that a launcher started the first does all writing, and
    none waits for its turn: the others would lose patience with the first.

    Args:
        device: overrides the configuration's, e.g. to go on with a GPU run on a CPU.
        on_progress: called after every step with the progress and the last epoch's record.
        on_wait: told the names of the runs ahead in the queue, whenever these change.
        wait: False trains at once, beside whatever trains on the same device.
        config: of the run; by default the one in its folder, which only the first process is sure to see.
        on_note: told at once what a person should know though it is no error; the status says it too.

    Returns:
        The final status: finished, paused or stopped. A run that was asked to stop before it had a model is paused.

    Raises:
        SagvaeError: the run cannot be trained, and its status is "failed" with the same sentence; or another process
            trains it.
    """
    if not is_main_process():
        return _Session(run, Status(), config or run.config, device, None).train()
    with run.claim(), ExitStack() as stack:
        config = config or run.config
        status = join_line(run)
        status.total_epochs = config.train.total_epochs
        session = _Session(run, status, config, device, on_progress, on_note)
        with told(run, status):
            try:
                status.device_key = device_key(session.train_config.device)
                run.write_status(status)
                if wait and launched_processes() == 1:
                    stack.enter_context(turn(run, status.device_key, on_wait))
                session.train()
            except TurnGivenUp:
                _give_up_turn(run, status)
    return status


def _give_up_turn(run: Run, status: Status) -> None:
    """Say what becomes of a run that was asked to end before its turn came: "stopped" promises a model."""
    stops = run.requested() == "stop"
    if stops and status.metrics and run.has_model:  # it was stopped before, and has not trained since
        status.state = "stopped"
        return
    status.state = "paused"
    if stops:
        status.note = ("It was asked to stop while it waited for its turn, and is paused, since it has no model yet"
                       + (f" of its {status.step:,} steps." if status.step else ": it has not trained."))


class _Session:
    """One process's part of a run's training."""

    trainer: Trainer

    def __init__(self, run: Run, status: Status, config: RunConfig, device: str | None,
                 on_progress: Callable[[Progress, dict], None] | None, on_note: Callable[[str], None] | None = None):
        self.run, self.status, self.config, self.on_progress, self.on_note = run, status, config, on_progress, on_note
        self.train_config = config.train if device is None else dataclasses.replace(
            config.train, device=device, epochs=None)
        self.record: dict[str, Any] = {}
        self.seconds_before = status.seconds
        # Durations by a clock that nobody sets: with the time of day a training could wait for hours to be heard of.
        self.started = self.last_status = self.last_snapshot = self.last_checkpoint = time.monotonic()
        self.first_step, self.first_done = 0, 0.0  # number and end of this process's first step

    def train(self) -> Status:
        """Train, evaluate and save; the state is then "finished", "paused" or "stopped"."""
        run, status, main = self.run, self.status, is_main_process()
        self.started = time.monotonic()
        status.state, status.metrics = "running", {}  # which were of a model that is behind it now
        if main:
            run.write_status(status)
        with first_on_machine(self.train_config):  # else every process of a launcher would download them
            data = load_dataset(self.config.data)
        model = build_model(self.config.model, self.train_config.seed)
        trainer = Trainer(model, self.train_config, self._after_step if main else None,
                          lambda: run.requested() is not None, log_folder=run.folder / "logs", log_name=run.name)
        self._go_on(trainer)
        self.trainer, self.first_step = trainer, trainer.step + 1
        status.device = _device_name(trainer.device)
        redraw = data.redraw if self.config.data.perturb_each_epoch else None
        try:
            for self.record in trainer.epochs(data.train, data.validation, redraw):
                if main:
                    self._after_epoch(data)
            status.state = "finished"
        except TrainingStopped:
            status.state = "stopped" if run.requested() == "stop" else "paused"
            if main:
                self._write_checkpoint()
            if status.state == "stopped":
                trainer.end_here(data.train, data.validation)
        status.epoch, status.step = trainer.epoch, trainer.step
        if main and status.state != "paused":
            status.metrics = evaluate(model, data)
            save_model(model, run.folder, {"run": run.name})
            run.write_snapshot(max(1, trainer.epoch), snapshot_of(model, data))
        if status.state == "finished":
            status.total_steps = trainer.step
            if main:
                run.remove_checkpoints()
        status.seconds = self.seconds_before + time.monotonic() - self.started
        return status

    def _go_on(self, trainer: Trainer) -> None:
        """Take up the newest checkpoint that can be read, if there is one, and say what had to be left out."""
        checkpoint, skipped = self.run.newest_checkpoint()
        if checkpoint is not None:
            try:
                trainer.load_state(checkpoint)
            except (RuntimeError, KeyError, TypeError, ValueError) as error:
                raise expected("checkpoint", "one of the model in config.json", str(error).splitlines()[0],
                               "Restore config.json, or delete the folder “checkpoints” to start again.") from None
        self.status.step = self.status.saved_step = trainer.step
        self.status.epoch = trainer.epoch
        if skipped:
            what = "checkpoint of step" if len(skipped) == 1 else "checkpoints of the steps"
            self.status.note = (
                f"The {what} {' and '.join(f'{step:,}' for step in skipped)} cannot be read, so the training went back "
                + (f"to step {trainer.step:,}." if checkpoint is not None else "to its beginning."))
            if self.on_note is not None:
                self.on_note(self.status.note)

    def _after_step(self, progress: Progress) -> None:
        status, now = self.status, time.monotonic()
        status.step, status.total_steps, status.epoch = progress.step, progress.total_steps, progress.epoch
        status.seconds = self.seconds_before + now - self.started
        if progress.step == self.first_step:
            self.first_done = now
        if now - self.last_checkpoint >= _CHECKPOINT_INTERVAL:
            self._write_checkpoint()
        if now - self.last_status >= _STATUS_INTERVAL or progress.step == self.first_step:
            status.eta_seconds = self._time_left(progress, now)
            status.terms = progress.terms()
            status.memory = _memory(self.trainer.device)
            with suppress(OSError):  # a status that cannot be written for once is no reason to stop
                self.run.write_status(status)
            self.last_status = now
        if self.on_progress is not None:
            self.on_progress(progress, self.record)

    def _time_left(self, progress: Progress, now: float) -> float | None:
        """Seconds, at the pace since the first step: all that comes before it and in it is done once."""
        steps = progress.step - self.first_step
        if steps < _STEPS_TO_JUDGE:
            return None
        return (now - self.first_done) / steps * (progress.total_steps - progress.step)

    def _after_epoch(self, data: Any) -> None:
        self.run.append_record(self.record)
        now = time.monotonic()
        if now - self.last_snapshot >= _SNAPSHOT_INTERVAL or self.trainer.epoch == 1:
            self.run.write_snapshot(self.trainer.epoch, snapshot_of(self.trainer.model, data))
            self.last_snapshot = now

    def _write_checkpoint(self) -> None:
        self.run.write_checkpoint(self.trainer.state())
        self.status.saved_step = self.trainer.step
        self.last_checkpoint = time.monotonic()


def _memory(device: torch.device) -> float:
    """Bytes: the most that PyTorch had of a GPU, or what this process has of the machine."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    import psutil

    return float(psutil.Process().memory_info().rss)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    threads = torch.get_num_threads()
    return f"CPU ({platform.machine()}, {threads} {'thread' if threads == 1 else 'threads'})"
