"""What a training remembers besides weights: the terms of the present epoch, and the best state so far."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .config import StageConfig


class EpochTerms:
    """The terms of the present epoch, summed over the rows that were seen of it."""

    def __init__(self, device: torch.device):
        # Of thousands of rows, in double precision where the device has it.
        self._like = torch.zeros(3, device=device, dtype=torch.float32 if device.type == "mps" else torch.float64)
        self.rows, self.sums = 0, None

    def start(self) -> None:
        """Begin with an epoch."""
        self.rows, self.sums = 0, torch.zeros_like(self._like)

    def add(self, rows: int, sums: Tensor) -> None:
        """``sums`` (3,) over ``rows`` more: log-likelihood, KL of the codes, KL of the graph."""
        self.sums += sums
        self.rows += rows

    def means(self, stage: StageConfig) -> dict[str, float]:
        """Means a row in nats, and the bound with the weights of ``stage``."""
        log_likelihood, kl_z, kl_graph = (self.sums / max(1, self.rows)).tolist()
        elbo = log_likelihood - stage.kl_z_weight * kl_z - stage.kl_graph_weight * kl_graph
        return {"elbo": elbo, "log_likelihood": log_likelihood, "kl_z": kl_z, "kl_graph": kl_graph}

    def state(self) -> dict[str, Any]:
        return {"rows": self.rows, "sums": None if self.sums is None else self.sums.tolist()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]
        self.sums = None if state["sums"] is None else self._like.new_tensor(state["sums"])


@dataclass
class Best:
    """The state of the epoch with the best bound on held-out data."""

    elbo: float = -math.inf
    epoch: int = 0
    weights: dict[str, Tensor] | None = None

    def note(self, elbo: float, epoch: int, model: nn.Module) -> None:
        """Keep the weights of ``model`` if its bound after ``epoch`` is better than all before."""
        if elbo > self.elbo:
            self.elbo, self.epoch, self.weights = elbo, epoch, copy.deepcopy(model.state_dict())

    def out_of_patience(self, epoch: int, patience: int | None) -> bool:
        """Whether ``patience`` epochs brought nothing better."""
        return patience is not None and self.weights is not None and epoch - self.epoch >= patience

    def state(self) -> dict[str, Any]:
        return {"best_elbo": self.elbo, "best_epoch": self.epoch, "best_state": self.weights}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Best:
        return cls(state["best_elbo"], state["best_epoch"], state["best_state"])
