"""The training loop: a generator of one record an epoch that knows nothing about the model but its objective.

Every random number of step t is a function of (seed, t) alone, and the order of the rows one of (seed, epoch). An
interrupted training that goes on from the state after any step therefore takes exactly the steps it would have taken,
and several processes take together the steps that one would have taken alone.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .bookkeeping import Best, EpochTerms
from .config import StageConfig, TrainConfig
from .config_io import to_dict
from .devices import build_accelerator
from .errors import SagvaeError
from .held_out import EVALUATION_ROWS, describe_model, held_out_terms
from .model import GenerativeModel
from .objective import Objective
from .processes import Processes
from .progress import Progress, TrainingStopped
from .schedules import learning_rate, step_generator, temperature_at
from .tracking import tracked


class Trainer:
    """Fits a model by the ELBO on whatever Accelerate finds: CPU, CUDA or MPS, one process or many.

    In many, every process makes a Trainer and gives it the same rows; all get the same records and the same model.

    Args:
        model: a :class:`SAGVAE` or one of the reference models; trained in place.
        config: stages, batch size, seeds, precision.
        on_step: called with a :class:`Progress` after each step.
        should_stop: asked after each step, of several processes in the main one; True raises :class:`TrainingStopped`.
        log_folder: where trackers (``config.trackers``) that write files write them.
        log_name: the run's name for trackers.

    Example:
        >>> history = Trainer(model, TrainConfig(epochs=20, seed=0)).fit(data.train, data.validation)
        >>> history[-1]["validation_elbo"]
    """

    def __init__(self, model: GenerativeModel, config: TrainConfig, on_step: Callable[[Progress], None] | None = None,
                 should_stop: Callable[[], bool] | None = None, log_folder: Path | None = None,
                 log_name: str = "sagvae"):
        self.model, self.config, self.log_name = model, config, log_name
        self.on_step, self.should_stop = on_step, should_stop
        self.epoch = 0  # epochs finished
        self.step = 0  # optimiser steps taken
        self.batch = 0  # batches of the present epoch that are done
        self._loaded_optimizer: dict[str, Any] | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.accelerator = build_accelerator(config, log_folder)
        self.processes = Processes(self.accelerator)
        self.terms, self.best = EpochTerms(self.device), Best()
        self.objective = Objective(model)
        for stage in config.stages:
            self.objective.check(stage)
        # Placed and told its precision; not wrapped for many processes, since Processes adds the gradients up.
        self._prepared = self.accelerator.prepare_model(self.objective, evaluation_mode=True)

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    def fit(self, train: Any, validation: Any = None, redraw: Callable[[int], Any] | None = None) -> list[dict]:
        """Train to the end and return the records of all epochs; see :meth:`epochs`."""
        return list(self.epochs(train, validation, redraw))

    def epochs(self, train: Any, validation: Any = None,
               redraw: Callable[[int], Any] | None = None) -> Iterator[dict[str, Any]]:
        """Train, yielding one record after each epoch; the model is in eval mode whenever control is outside.

        Args:
            train, validation: a ``Split`` or a tensor of rows (M, N, C). Models learn from ``inputs`` alone; only one
                configured with clean targets (a denoising autoencoder) is shown ``clean``.
            redraw: epoch -> a fresh training split, for damage that is drawn anew every epoch.

        Raises:
            SagvaeError: the loss is no longer finite, or the device is out of memory.
            TrainingStopped: ``should_stop`` said so.
        """
        settings = {"model": {"kind": self.model.kind} | to_dict(self.model.config), "train": to_dict(self.config)}
        with tracked(self.accelerator, self.log_name, settings) as log:
            for record in self._epochs(train, validation, redraw):
                log(record)
                yield record

    def _epochs(self, train: Any, validation: Any, redraw: Callable[[int], Any] | None) -> Iterator[dict[str, Any]]:
        inputs, clean = self._place(train)
        held_out = None if validation is None else self._place(validation)
        self.processes.take_over(self.model)
        steps_per_epoch = math.ceil(len(inputs) / self.config.batch_size)
        first_epoch = 0
        for index, stage in enumerate(self.config.stages):
            last_epoch = first_epoch + stage.epochs
            if self.epoch < last_epoch:
                self._start_stage(stage, inputs, fresh=self.epoch == first_epoch and self.batch == 0)
            # Asked before an epoch, not after: a run cut off right after its last epoch must not train another one.
            while self.epoch < last_epoch and not self.best.out_of_patience(self.epoch, self.config.patience):
                if redraw is not None and self.epoch > 0:
                    inputs, clean = self._place(redraw(self.epoch))
                started = time.perf_counter()
                record = self._run_epoch(inputs, clean, stage, first_epoch, steps_per_epoch)
                self.epoch += 1
                if self.epoch == self.config.total_epochs:
                    self._average_graph(inputs)
                    self._set_price(inputs, held_out)
                self.processes.take_over(self.model)
                record |= self._held_out(held_out)
                record |= {"epoch": self.epoch, "stage": index, "step": self.step,
                           "seconds": time.perf_counter() - started} | describe_model(self.model, self.objective)
                record = self.processes.agree_on(record)
                if self.config.patience is not None and index == len(self.config.stages) - 1:
                    self.best.note(record.get("validation_elbo", -math.inf), self.epoch, self.model)
                yield record
            first_epoch = last_epoch
        if self.best.weights is not None:
            self._conclude(inputs, held_out)
        self.model.eval()

    def end_here(self, train: Any, validation: Any = None) -> None:
        """Make the model of an unfinished training ready for use, with the same rows as :meth:`epochs`.

        What :meth:`epochs` does after the last epoch. It changes the model: take :meth:`state` before.
        """
        self._conclude(self._place(train)[0], None if validation is None else self._place(validation))
        self.model.eval()

    # ------------------------------------------------------------------ one epoch

    def _run_epoch(self, inputs: Tensor, clean: Tensor | None, stage: StageConfig, first_epoch: int,
                   steps_per_epoch: int) -> dict[str, float]:
        """The batches of the present epoch that are not done yet, of a stage that began with ``first_epoch``."""
        config, accelerator, model = self.config, self.accelerator, self.model
        shuffling = step_generator("cpu", config.seed, -1 - self.epoch)
        order = torch.randperm(len(inputs), generator=shuffling).to(self.device)
        wants_clean = getattr(model.config, "denoise", False) and clean is not None
        total_steps = config.total_epochs * steps_per_epoch
        begun, stage_steps = first_epoch * steps_per_epoch, stage.epochs * steps_per_epoch

        def schedule(step: int) -> tuple[float, float]:
            return (learning_rate(stage, (step - begun) / stage_steps, step - begun),
                    temperature_at(config.temperature, step / max(1, total_steps - 1)))

        if self.batch == 0:
            self.terms.start()
        self._prepared.train()
        for batch in order.split(config.batch_size)[self.batch:]:
            rate, temperature = schedule(self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            x, share = inputs[batch], self.processes.share(len(batch))
            self._match_density(x)
            generator = step_generator(self.device, config.seed, self.step)
            with accelerator.autocast():
                loss, terms = self._prepared(x, clean[batch] if wants_clean else None, temperature, generator, share)
            accelerator.backward(loss)
            sums = (len(x) if share is None else share.counted) * terms.means()
            self.processes.add_up([*(p.grad for p in self._weights if p.grad is not None), sums])
            # Accelerate's own clip_grad_norm_ would divide by the scale once for every stage's optimiser there was.
            accelerator.unscale_gradients(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self._weights, config.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if terms.edges is not None:
                model.average_batch(terms.edges, x, config.posterior_decay)
            self.terms.add(len(x), sums)
            self.step += 1
            self.batch += 1
            if self.on_step is not None:
                self.on_step(Progress(self.step, total_steps, self.epoch, config.total_epochs,
                                      lambda: self.terms.means(stage)))
            if self.processes.agree(self.should_stop):
                raise TrainingStopped(f"Stopped in epoch {self.epoch + 1}.")
        self._prepared.eval()
        record = self.terms.means(stage)
        if not math.isfinite(record["elbo"]):
            raise SagvaeError(f"The loss was no longer finite in epoch {self.epoch + 1} (expected a number, got "
                              f"{-record['elbo']}). Lower the learning rate or the gradient clip.")
        self.batch = 0
        rate, temperature = schedule(self.step - 1)
        return record | {"learning_rate": rate, "temperature": temperature}

    def _match_density(self, x: Tensor) -> None:
        encoder = getattr(self.model, "graph_encoder", None)
        if (encoder is not None and self.objective.stage.objective == "elbo"
                and self.model.config.edge_regulariser == "density" and self.step % self.config.density_interval == 0):
            encoder.match_density(x)

    def _held_out(self, held_out: tuple[Tensor, Tensor | None] | None) -> dict[str, float]:
        return {} if held_out is None else held_out_terms(self.objective, *held_out, self.config.seed, self.processes)

    def _conclude(self, inputs: Tensor, held_out: tuple[Tensor, Tensor | None] | None) -> None:
        if self.best.weights is not None:
            self.model.load_state_dict(self.best.weights)
        self._average_graph(inputs)
        self._set_price(inputs, held_out)

    @torch.no_grad()
    def _average_graph(self, inputs: Tensor) -> None:
        if hasattr(self.model, "average_over"):
            self.model.average_over(inputs.split(EVALUATION_ROWS))

    @torch.no_grad()
    def _set_price(self, inputs: Tensor, held_out: tuple[Tensor, Tensor | None] | None) -> None:
        rows = inputs if held_out is None else held_out[0]
        completion = getattr(self.model, "completion", None)
        if completion is not None and completion.trained and completion.config.damage == "none":
            self.model.set_region_price(rows[:EVALUATION_ROWS])

    # ------------------------------------------------------------------ placing, stages, state

    def _place(self, split: Any) -> tuple[Tensor, Tensor | None]:
        inputs, clean = (split, None) if isinstance(split, Tensor) else (split.inputs, split.clean)
        self.model.check(inputs)
        return inputs.to(self.device), None if clean is None else clean.to(self.device)

    def _start_stage(self, stage: StageConfig, inputs: Tensor, fresh: bool) -> None:
        if fresh and stage.objective == "completion":
            self._average_graph(inputs)
            self.model.completion.set_graph(self.model.edge_posterior)
        self.objective.start_stage(stage)
        self._weights = list(self.model.parameters())
        # Of small models a step is mostly Python: foreach leaves the loop over the weights to PyTorch, with the same
        # sums, and Accelerate's wrapper is there for what we do not have, but for the gradients' scale.
        self.optimizer = torch.optim.Adam(self.objective.parameters_of(stage), lr=stage.learning_rate,
                                          foreach=True if self.device.type in ("cpu", "cuda") else None)
        if self.accelerator.scaler is not None or self.device.type not in ("cpu", "cuda"):
            self.optimizer = self.accelerator.prepare(self.optimizer)
        if not fresh and self._loaded_optimizer is not None:
            self.optimizer.load_state_dict(self._loaded_optimizer)
        self._loaded_optimizer = None

    def state(self) -> dict[str, Any]:
        """A copy of all that :meth:`load_state` needs to go on as if nothing had happened; taken between two steps."""
        return copy.deepcopy({
            "epoch": self.epoch, "step": self.step, "batch": self.batch, **self.terms.state(), **self.best.state(),
            "optimizer": self.optimizer.state_dict(), "model": self.model.state_dict(),
            "scaler": None if self.accelerator.scaler is None else self.accelerator.scaler.state_dict()})

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`; call before :meth:`epochs` and give it the same data."""
        self.model.load_state_dict(state["model"])
        self.epoch, self.step, self.batch = state["epoch"], state["step"], state["batch"]
        self.terms.load_state(state)
        self.best = Best.of_state(state)
        if self.accelerator.scaler is not None and state["scaler"] is not None:  # the precision may be another now
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self._loaded_optimizer = copy.deepcopy(state["optimizer"])  # Adam would go on writing into the caller's tensors
