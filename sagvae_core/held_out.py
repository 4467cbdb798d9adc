"""What a record says of a model besides its training terms: the bound on rows it was not fitted to, and its graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .model import GenerativeModel
from .objective import ElboTerms, Objective
from .schedules import VALIDATION_STEP, step_generator

EVALUATION_ROWS = 512  # at once, where no gradient is needed
_COMPLETION_ROWS = 1024  # held-out rows in a completion stage, where every one has hundreds of hidden nodes


@torch.no_grad()
def held_out_terms(objective: Objective, inputs: Tensor, clean: Tensor | None, seed: int) -> dict[str, float]:
    """The terms of a stage on held-out rows (M, N, C), under the data set's graph and a noise that is always the same.

    Returns:
        ``validation_elbo``, ``validation_log_likelihood`` and ``validation_kl_z``, in nats a row.
    """
    stage = objective.stage
    if stage.objective == "completion":
        inputs = inputs[:_COMPLETION_ROWS]
    target = clean if getattr(objective.model.config, "denoise", False) else None
    generator = step_generator(inputs.device, seed, VALIDATION_STEP)
    parts: list[ElboTerms] = []
    for start in range(0, len(inputs), EVALUATION_ROWS):
        rows = slice(start, start + EVALUATION_ROWS)
        parts.append(objective.terms(inputs[rows], None if target is None else target[rows], 0.5, generator))
    log_likelihood = torch.cat([part.log_likelihood for part in parts]).mean().item()
    kl_z = torch.cat([part.kl_z for part in parts]).mean().item()
    elbo = log_likelihood - stage.kl_z_weight * kl_z - stage.kl_graph_weight * parts[0].kl_graph.item()
    return {"validation_elbo": elbo, "validation_log_likelihood": log_likelihood, "validation_kl_z": kl_z}


def describe_model(model: GenerativeModel, objective: Objective) -> dict[str, Any]:
    """How many edges, how far attention is used, how much damage is believed: what the model has of these."""
    described: dict[str, Any] = {}
    if getattr(model, "graph_encoder", None) is not None:
        described |= {"expected_edges": model.posterior_pairs.sum().item(),
                      "edges": int((model.posterior_pairs > 0.5).sum())}
        if model.attention_gates:
            described["attention_gates"] = model.attention_gates
    if objective.stage.objective == "completion":
        described["outlier_rate"] = model.completion.outlier_rate.item()
    elif objective.likelihood is None:
        for name in ("scale", "outlier_rate"):
            if hasattr(model.likelihood, name):
                described[name] = getattr(model.likelihood, name).mean().item()
    return described
