"""How good a trained model is on rows it never saw, and what the live page draws of it."""

from __future__ import annotations

import torch

from .data import Dataset
from .metrics import edge_scores, reconstruction_scores, summarise
from .model import SAGVAE, GenerativeModel

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


@torch.no_grad()
def snapshot_of(model: GenerativeModel, data: Dataset) -> dict[str, torch.Tensor]:
    """What the live page draws: the graph in percent, and held-out rows damaged, reconstructed and clean."""
    rows = data.validation
    inputs = rows.inputs[:_SNAPSHOT_ROWS]
    tensors = {"inputs": inputs,
               "clean": rows.clean[:_SNAPSHOT_ROWS].clone(),  # undamaged rows share their memory with the inputs
               "reconstruction": model.reconstruct(inputs.to(model.device)).cpu()}
    if isinstance(model, SAGVAE) and model.graph_encoder is not None:
        tensors["edge_percent"] = (model.edge_posterior * 100).round().to(torch.uint8).cpu()
    return tensors
