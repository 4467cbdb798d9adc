"""What a record says of a model besides its training terms: the bound on rows it was not fitted to, and its graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .model import GenerativeModel
from .objective import Objective
from .processes import Processes
from .schedules import VALIDATION_STEP, step_generator
from .shares import spread

EVALUATION_ROWS = 512  # at once, where no gradient is needed
_COMPLETION_ROWS = 1024  # held-out rows in a completion stage, where every one has hundreds of hidden nodes


@torch.no_grad()
def held_out_terms(objective: Objective, inputs: Tensor, clean: Tensor | None, seed: int,
                   processes: Processes) -> dict[str, float]:
    """The terms of a stage on held-out rows (M, N, C), under the data set's graph and a noise that is always the same.

    Of several ``processes`` each works on its share of the rows.

    Returns:
        ``validation_elbo``, ``validation_log_likelihood`` and ``validation_kl_z``, in nats a row.
    """
    stage = objective.stage
    if stage.objective == "completion":
        inputs = inputs[:_COMPLETION_ROWS]
    target = clean if getattr(objective.model.config, "denoise", False) else None
    generator = step_generator(inputs.device, seed, VALIDATION_STEP)
    log_likelihood, kl_z = [], []
    for start in range(0, len(inputs), EVALUATION_ROWS):
        rows = slice(start, start + EVALUATION_ROWS)
        x = inputs[rows]
        share = processes.share(len(x))
        terms = objective.terms(x, None if target is None else target[rows], 0.5, generator, share)
        log_likelihood.append(spread(terms.log_likelihood, share))
        kl_z.append(spread(terms.kl_z, share))
    of_rows = [torch.cat(log_likelihood), torch.cat(kl_z)]
    processes.add_up(of_rows)
    log_likelihood, kl_z = (values.mean().item() for values in of_rows)
    elbo = log_likelihood - stage.kl_z_weight * kl_z - stage.kl_graph_weight * terms.kl_graph.item()
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
