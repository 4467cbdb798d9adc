"""The training loop: a generator of one record an epoch that knows nothing about the model but its objective.

Every random number of step t is a function of (seed, t) alone, and the order of the rows one of (seed, epoch). An
interrupted training that goes on from the state after any step therefore takes exactly the steps it would have taken.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .config import StageConfig, TrainConfig
from .devices import build_accelerator
from .errors import SagvaeError
from .held_out import EVALUATION_ROWS, describe_model, held_out_terms
from .model import GenerativeModel
from .objective import Objective
from .schedules import learning_rate, step_generator, temperature_at


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


def _rows(split: Any) -> tuple[Tensor, Tensor | None]:
    """Inputs and clean targets of a :class:`~sagvae_core.data.Split`, or a bare tensor of rows."""
    return (split, None) if isinstance(split, Tensor) else (split.inputs, split.clean)


class Trainer:
    """Fits a model by the ELBO on whatever Accelerate finds: CPU, CUDA or MPS, one process or many.

    Args:
        model: a :class:`SAGVAE` or one of the reference models; trained in place.
        config: stages, batch size, seeds, precision.
        on_step: called with a :class:`Progress` after each step.
        should_stop: asked after each step; True raises :class:`TrainingStopped`.

    Example:
        >>> history = Trainer(model, TrainConfig(epochs=20, seed=0)).fit(data.train, data.validation)
        >>> history[-1]["validation_elbo"]
    """

    def __init__(self, model: GenerativeModel, config: TrainConfig, on_step: Callable[[Progress], None] | None = None,
                 should_stop: Callable[[], bool] | None = None):
        self.model, self.config = model, config
        self.on_step, self.should_stop = on_step, should_stop
        self.epoch = 0  # epochs finished
        self.step = 0  # optimiser steps taken
        self.batch = 0  # batches of the present epoch that are done ...
        self.rows, self.sums = 0, None  # ... their rows, and the terms summed over these
        self.best_elbo, self.best_epoch, self.best_state = -math.inf, 0, None
        self._loaded_optimizer: dict[str, Any] | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.accelerator = build_accelerator(config)
        self.objective = Objective(model)
        for stage in config.stages:
            self.objective.check(stage)

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
        inputs, clean = self._place(train)
        held_out = None if validation is None else self._place(validation)
        prepared = self.accelerator.prepare(self.objective)
        steps_per_epoch = math.ceil(len(inputs) / self.config.batch_size)
        first_epoch = 0
        for index, stage in enumerate(self.config.stages):
            last_epoch = first_epoch + stage.epochs
            if self.epoch < last_epoch:
                self._start_stage(stage, inputs, fresh=self.epoch == first_epoch and self.batch == 0)
            while self.epoch < last_epoch and not self._out_of_patience():
                if redraw is not None and self.epoch > 0:
                    inputs, clean = self._place(redraw(self.epoch))
                started = time.perf_counter()
                record = self._run_epoch(prepared, inputs, clean, stage, first_epoch, steps_per_epoch)
                self.epoch += 1
                if self.epoch == self.config.total_epochs:
                    self._average_graph(inputs)
                    self._set_price(inputs, held_out)
                record |= self._held_out(held_out)
                record |= {"epoch": self.epoch, "stage": index, "step": self.step,
                           "seconds": time.perf_counter() - started} | describe_model(self.model, self.objective)
                self._note_best(record, index)
                yield record
            first_epoch = last_epoch
        if self.best_state is not None:
            self._conclude(inputs, held_out)
        self.model.eval()

    def end_here(self, train: Any, validation: Any = None) -> None:
        """Make the model of an unfinished training ready for use, with the same rows as :meth:`epochs`.

        What :meth:`epochs` does after the last epoch. It changes the model: take :meth:`state` before.
        """
        self._conclude(self._place(train)[0], None if validation is None else self._place(validation))
        self.model.eval()

    # ------------------------------------------------------------------ one epoch

    def _run_epoch(self, prepared: torch.nn.Module, inputs: Tensor, clean: Tensor | None, stage: StageConfig,
                   first_epoch: int, steps_per_epoch: int) -> dict[str, float]:
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

        def means() -> dict[str, float]:
            log_likelihood, kl_z, kl_graph = (self.sums / max(1, self.rows)).tolist()
            elbo = log_likelihood - stage.kl_z_weight * kl_z - stage.kl_graph_weight * kl_graph
            return {"elbo": elbo, "log_likelihood": log_likelihood, "kl_z": kl_z, "kl_graph": kl_graph}

        if self.batch == 0:
            self.rows, self.sums = 0, torch.zeros(3, device=self.device, dtype=torch.float64)
        prepared.train()
        for batch in order.split(config.batch_size)[self.batch:]:
            if len(batch) >= accelerator.num_processes:  # a last batch too small to share goes to everyone
                batch = batch[accelerator.process_index::accelerator.num_processes]
            rate, temperature = schedule(self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            x = inputs[batch]
            self._match_density(x)
            generator = step_generator(self.device, config.seed, self.step * accelerator.num_processes
                                   + accelerator.process_index)
            with accelerator.autocast():
                loss, terms = prepared(x, clean[batch] if wants_clean else None, temperature, generator)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), config.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if terms.edges is not None:
                model.average_batch(terms.edges, x, config.posterior_decay)
            self.sums += len(x) * torch.stack([terms.log_likelihood.detach().mean(), terms.kl_z.detach().mean(),
                                               terms.kl_graph.detach()])
            self.rows += len(x)
            self.step += 1
            self.batch += 1
            if self.on_step is not None:
                self.on_step(Progress(self.step, total_steps, self.epoch, config.total_epochs, means))
            if self.should_stop is not None and self.should_stop():
                raise TrainingStopped(f"Stopped in epoch {self.epoch + 1}.")
        prepared.eval()
        record = means()
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
        return {} if held_out is None else held_out_terms(self.objective, *held_out, self.config.seed)

    def _conclude(self, inputs: Tensor, held_out: tuple[Tensor, Tensor | None] | None) -> None:
        if self.best_state is not None:
            self.model.load_state_dict(self.best_state)
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

    def _note_best(self, record: dict[str, Any], stage: int) -> None:
        """Keep the best state of the last stage on held-out data."""
        if self.config.patience is None or "validation_elbo" not in record or stage < len(self.config.stages) - 1:
            return
        if record["validation_elbo"] > self.best_elbo:
            self.best_elbo, self.best_epoch = record["validation_elbo"], self.epoch
            self.best_state = copy.deepcopy(self.model.state_dict())

    def _out_of_patience(self) -> bool:
        # Asked before an epoch, not after: a run cut off right after its last epoch must not train another one.
        patience = self.config.patience
        return patience is not None and self.best_state is not None and self.epoch - self.best_epoch >= patience

    # ------------------------------------------------------------------ placing, stages, state

    def _place(self, split: Any) -> tuple[Tensor, Tensor | None]:
        inputs, clean = _rows(split)
        self.model.check(inputs)
        return inputs.to(self.device), None if clean is None else clean.to(self.device)

    def _start_stage(self, stage: StageConfig, inputs: Tensor, fresh: bool) -> None:
        if fresh and stage.objective == "completion":
            self._average_graph(inputs)
            self.model.completion.set_graph(self.model.edge_posterior)
        self.objective.start_stage(stage)
        self.optimizer = self.accelerator.prepare(
            torch.optim.Adam(self.objective.parameters_of(stage), lr=stage.learning_rate))
        if not fresh and self._loaded_optimizer is not None:
            self.optimizer.load_state_dict(self._loaded_optimizer)
        self._loaded_optimizer = None

    def state(self) -> dict[str, Any]:
        """A copy of all that :meth:`load_state` needs to go on as if nothing had happened; taken between two steps."""
        return copy.deepcopy({
            "epoch": self.epoch, "step": self.step, "batch": self.batch, "rows": self.rows,
            "sums": None if self.sums is None else self.sums.tolist(),
            "best_elbo": self.best_elbo, "best_epoch": self.best_epoch,
            "best_state": self.best_state, "optimizer": self.optimizer.state_dict(), "model": self.model.state_dict()})

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`; call before :meth:`epochs` and give it the same data."""
        self.model.load_state_dict(state["model"])
        self.epoch, self.step, self.batch, self.rows = (state[name] for name in ("epoch", "step", "batch", "rows"))
        self.sums = None if state["sums"] is None else torch.tensor(state["sums"], device=self.device,
                                                                    dtype=torch.float64)
        self.best_elbo, self.best_epoch, self.best_state = state["best_elbo"], state["best_epoch"], state["best_state"]
        self._loaded_optimizer = copy.deepcopy(state["optimizer"])  # Adam would go on writing into the caller's tensors
