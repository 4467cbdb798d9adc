"""Tunes the baseline as honestly as our model: the KL weight of the VAE with A = I, on validation images.

The weight is chosen by the error to the *clean* validation images, which our own model's settings never saw used that
way: the choice favours the baseline. Depth, epochs, encoder and the two training stages are those of SAG-VAE.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..checkpoint import build_model, write_json
from ..data import load_dataset
from ..metrics import reconstruction_scores, summarise
from ..presets import run_config
from ..training import Trainer

WEIGHTS = (0.03, 0.1, 0.3, 1.0, 3.0)
LIKELIHOODS = ("robust", "bernoulli")


def tune_identity(dataset: str, rows: int = 5_000, seed: int = 0,
                  on_row: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Train the VAE with A = I for every KL weight and likelihood and measure it on clean validation images.

    Args:
        dataset: "digits", "mnist" or "fashion".
        rows: training rows, or all where there are fewer.
        on_row: called with each finished row.

    Returns:
        A record in the studies' long form: ``study, command, versions, seeds, seconds, rows, chosen``; a row is
        ``task, method, setting, metric, mean, sd, n``.
    """
    started = time.time()
    rows_out: list[dict[str, Any]] = []
    errors: dict[tuple[str, float], float] = {}
    rows = min(rows, len(load_dataset(run_config(dataset, "identity", overrides={"data.train_rows": None}).data).train))
    for likelihood in LIKELIHOODS:
        for weight in WEIGHTS:
            overrides: dict[str, Any] = {"model.likelihood": likelihood, "data.train_rows": rows}
            config = run_config(dataset, "identity", seed=seed)
            overrides |= {f"train.stages.{index}.kl_z_weight": weight for index in range(len(config.train.stages))}
            config = run_config(dataset, "identity", seed=seed, overrides=overrides)
            data = load_dataset(config.data)
            model = build_model(config.model, seed)
            Trainer(model, config.train).fit(data.train)
            with torch.no_grad():
                reconstruction = model.reconstruct(data.validation.inputs.to(model.device)).cpu()
            scores = summarise(reconstruction_scores(reconstruction, data.validation.clean, data.image_shape))
            errors[likelihood, weight] = scores["mse_clean"]
            for metric, value in scores.items():
                row = {"task": f"{dataset}, validation, noise", "method": "VAE (A = I)",
                       "setting": f"{likelihood}, KL(z) x {weight:g}", "metric": metric, "mean": value, "sd": None,
                       "n": len(data.validation)}
                rows_out.append(row)
                if on_row is not None and metric == "mse_clean":
                    on_row(row)
    best = min(errors, key=errors.__getitem__)
    return {"study": "identity", "command": f"sagvae study identity --dataset {dataset} --rows {rows}",
            "versions": {"sagvae_core": __version__, "torch": torch.__version__}, "seeds": [seed],
            "seconds": round(time.time() - started, 1), "rows": rows_out,
            "chosen": {"likelihood": best[0], "kl_z_weight": best[1], "mse_clean": errors[best]}}


def save(record: dict[str, Any], path: Path) -> Path:
    """Write a study's record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    return path
