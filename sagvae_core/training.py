"""The training loop: a generator of one record an epoch that knows nothing about the model but its objective.

Every random number of step t is a function of (seed, t) alone, and the order of the rows one of (seed, epoch). An
interrupted training that resumes from an epoch's checkpoint therefore takes exactly the steps it would have taken.
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
from .model import GenerativeModel
from .objective import ElboTerms, Objective
from .schedules import VALIDATION_STEP, learning_rate, step_generator, temperature_at

_EVALUATION_ROWS = 512
_COMPLETION_ROWS = 1024  # held-out rows in a completion stage, where every one has hundreds of hidden nodes


class TrainingStopped(Exception):
    """Raised out of the loop when ``should_stop`` said so; the last epoch's checkpoint is the place to go on from."""


@dataclass
class Progress:
    """Where a training is, handed to ``on_step`` after every step."""

    step: int
    total_steps: int
    epoch: int
    total_epochs: int


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
                self._start_stage(stage, inputs, fresh=self.epoch == first_epoch)
            while self.epoch < last_epoch and not self._out_of_patience():
                if redraw is not None and self.epoch > 0:
                    inputs, clean = self._place(redraw(self.epoch))
                started = time.perf_counter()
                progress = (self.step - first_epoch * steps_per_epoch, stage.epochs * steps_per_epoch)
                record = self._run_epoch(prepared, inputs, clean, stage, progress, steps_per_epoch)
                self.epoch += 1
                if self.epoch == self.config.total_epochs:
                    self._average_graph(inputs)
                    self._set_price(inputs, held_out)
                record |= self._held_out(held_out)
                record |= {"epoch": self.epoch, "stage": index, "step": self.step,
                           "seconds": time.perf_counter() - started} | self._describe_model()
                self._note_best(record, index)
                yield record
            first_epoch = last_epoch
        if self.best_state is not None:
            self.model.load_state_dict(self.best_state)
            self._average_graph(inputs)
            self._set_price(inputs, held_out)
        self.model.eval()

    # ------------------------------------------------------------------ one epoch

    def _run_epoch(self, prepared: torch.nn.Module, inputs: Tensor, clean: Tensor | None, stage: StageConfig,
                   progress: tuple[int, int], steps_per_epoch: int) -> dict[str, float]:
        config, accelerator, model = self.config, self.accelerator, self.model
        shuffling = step_generator("cpu", config.seed, -1 - self.epoch)
        order = torch.randperm(len(inputs), generator=shuffling).to(self.device)
        wants_clean = getattr(model.config, "denoise", False) and clean is not None
        total_steps = self.config.total_epochs * steps_per_epoch
        stage_step, stage_steps = progress
        sums, rows = torch.zeros(3, device=self.device, dtype=torch.float64), 0
        prepared.train()
        for batch in order.split(config.batch_size):
            if len(batch) >= accelerator.num_processes:  # a last batch too small to share goes to everyone
                batch = batch[accelerator.process_index::accelerator.num_processes]
            rate = learning_rate(stage, stage_step / stage_steps, stage_step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            temperature = temperature_at(config.temperature, self.step / max(1, total_steps - 1))
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
            sums += len(x) * torch.stack([terms.log_likelihood.detach().mean(), terms.kl_z.detach().mean(),
                                          terms.kl_graph.detach()])
            rows += len(x)
            self.step += 1
            stage_step += 1
            if self.on_step is not None:
                self.on_step(Progress(self.step, total_steps, self.epoch, config.total_epochs))
            if self.should_stop is not None and self.should_stop():
                raise TrainingStopped(f"Stopped in epoch {self.epoch + 1}.")
        prepared.eval()
        log_likelihood, kl_z, kl_graph = (sums / rows).tolist()
        elbo = log_likelihood - stage.kl_z_weight * kl_z - stage.kl_graph_weight * kl_graph
        if not math.isfinite(elbo):
            raise SagvaeError(f"The loss was no longer finite in epoch {self.epoch + 1} (expected a number, got "
                              f"{-elbo}). Lower the learning rate or the gradient clip.")
        return {"elbo": elbo, "log_likelihood": log_likelihood, "kl_z": kl_z, "kl_graph": kl_graph,
                "learning_rate": rate, "temperature": temperature}

    def _match_density(self, x: Tensor) -> None:
        encoder = getattr(self.model, "graph_encoder", None)
        if (encoder is not None and self.objective.stage.objective == "elbo"
                and self.model.config.edge_regulariser == "density" and self.step % self.config.density_interval == 0):
            encoder.match_density(x)

    @torch.no_grad()
    def _held_out(self, held_out: tuple[Tensor, Tensor | None] | None) -> dict[str, float]:
        """The terms on rows the model was not fitted to, under the data set's graph and a fixed noise."""
        if held_out is None:
            return {}
        inputs, clean = held_out
        if self.objective.stage.objective == "completion":
            inputs = inputs[:_COMPLETION_ROWS]
        target = clean if getattr(self.model.config, "denoise", False) else None
        generator = step_generator(self.device, self.config.seed, VALIDATION_STEP)
        parts: list[ElboTerms] = []
        for start in range(0, len(inputs), _EVALUATION_ROWS):
            rows = slice(start, start + _EVALUATION_ROWS)
            parts.append(self.objective.terms(inputs[rows], None if target is None else target[rows], 0.5, generator))
        log_likelihood = torch.cat([part.log_likelihood for part in parts]).mean().item()
        kl_z = torch.cat([part.kl_z for part in parts]).mean().item()
        kl_graph = parts[0].kl_graph.item()
        stage = self.objective.stage
        elbo = log_likelihood - stage.kl_z_weight * kl_z - stage.kl_graph_weight * kl_graph
        return {"validation_elbo": elbo, "validation_log_likelihood": log_likelihood, "validation_kl_z": kl_z}

    @torch.no_grad()
    def _average_graph(self, inputs: Tensor) -> None:
        if hasattr(self.model, "average_over"):
            self.model.average_over(inputs.split(_EVALUATION_ROWS))

    @torch.no_grad()
    def _set_price(self, inputs: Tensor, held_out: tuple[Tensor, Tensor | None] | None) -> None:
        rows = inputs if held_out is None else held_out[0]
        completion = getattr(self.model, "completion", None)
        if completion is not None and completion.trained and completion.config.damage == "none":
            self.model.set_region_price(rows[:_EVALUATION_ROWS])

    def _describe_model(self) -> dict[str, Any]:
        model, likelihood = self.model, self.model.likelihood
        described: dict[str, Any] = {}
        if getattr(model, "graph_encoder", None) is not None:
            described |= {"expected_edges": model.posterior_pairs.sum().item(),
                          "edges": int((model.posterior_pairs > 0.5).sum())}
            if model.attention_gates:
                described["attention_gates"] = model.attention_gates
        if self.objective.stage.objective == "completion":
            described["outlier_rate"] = model.completion.outlier_rate.item()
        elif self.objective.likelihood is None:
            for name in ("scale", "outlier_rate"):
                if hasattr(likelihood, name):
                    described[name] = getattr(likelihood, name).mean().item()
        return described

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
        """A copy of all that :meth:`load_state` needs to go on as if nothing had happened (taken between epochs)."""
        return copy.deepcopy({
            "epoch": self.epoch, "step": self.step, "best_elbo": self.best_elbo, "best_epoch": self.best_epoch,
            "best_state": self.best_state, "optimizer": self.optimizer.state_dict(), "model": self.model.state_dict()})

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`; call before :meth:`epochs` and give it the same data."""
        self.model.load_state_dict(state["model"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.best_elbo, self.best_epoch, self.best_state = state["best_elbo"], state["best_epoch"], state["best_state"]
        self._loaded_optimizer = copy.deepcopy(state["optimizer"])  # Adam would go on writing into the caller's tensors
