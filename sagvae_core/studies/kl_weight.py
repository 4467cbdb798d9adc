"""Tunes the baselines as honestly as our model: the KL weight of the VAE with A = I and of the 20-dim VAE.

The weight is chosen by the error to the *clean* validation images, as the settings of SAG-VAE's own image recipes were:
no clean image is trained on, but the choice has seen some. The VAE with A = I keeps SAG-VAE's depth, epochs and
encoder, and may also take the better of the two likelihoods.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from .. import __version__
from ..checkpoint import build_model
from ..data import load_dataset
from ..metrics import reconstruction_scores, summarise
from ..perturbations import perturb
from ..presets import MODELS, run_config
from ..runs import RunConfig
from ..training import Trainer
from .image_methods import damage as damage_of
from .image_methods import damage_settings

WEIGHTS = (0.03, 0.1, 0.3, 0.5, 1.0, 3.0)
DAMAGES = {"noise": "noise", "block": "white block", "none": "undamaged"}  # as the study of images calls them
LIKELIHOODS = {"identity": ("robust", "bernoulli"), "mlp_vae": ("bernoulli",)}


def tune_kl_weight(dataset: str, model: str = "identity", damage: str = "noise", rows: int = 20_000, seed: int = 0,
                   on_row: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Train ``model`` for every KL weight and likelihood and measure it on clean validation images.

    Args:
        dataset: "digits", "mnist" or "fashion".
        model: "identity" or "mlp_vae".
        damage: of the training images, "noise", "block" (white) or "none"; whoever learns from clean images is measured
            on images with white blocks.
        rows: training rows, or all where there are fewer.
        on_row: called with each setting's row of the error.

    Returns:
        A record in the studies' long form: ``study, command, versions, seeds, seconds, rows, chosen``; a row is
        ``task, method, setting, metric, mean, sd, n``.
    """
    started = time.time()
    everything = load_dataset(run_config(dataset, model, overrides={"data.train_rows": None}).data)
    rows = min(rows, len(everything.train))
    table: list[dict[str, Any]] = []
    errors: dict[tuple[str, float], float] = {}
    for likelihood in LIKELIHOODS[model]:
        for weight in WEIGHTS:
            scores, count = _validation_scores(_setting(dataset, model, damage, likelihood, weight, rows, seed))
            errors[likelihood, weight] = scores["mse_clean"]
            new = [{"task": f"{dataset}, validation, {damage}", "method": MODELS[model],
                    "setting": f"{likelihood}, KL(z) x {weight:g}", "metric": metric, "mean": value, "sd": None,
                    "n": count} for metric, value in scores.items()]
            table += new
            if on_row is not None:
                on_row(next(row for row in new if row["metric"] == "mse_clean"))
    best = min(errors, key=errors.__getitem__)
    return {"study": "kl-weight",
            "command": f"sagvae study kl-weight --dataset {dataset} --model {model} --damage {damage} --rows {rows} "
                       f"--seed {seed}",
            "versions": {"sagvae_core": __version__, "torch": torch.__version__}, "seeds": [seed],
            "seconds": round(time.time() - started, 1), "rows": table,
            "chosen": {"likelihood": best[0], "kl_z_weight": best[1], "mse_clean": errors[best]}}


def _setting(dataset: str, model: str, damage: str, likelihood: str, weight: float, rows: int,
             seed: int) -> RunConfig:
    overrides = damage_settings(DAMAGES[damage], dataset) | {"model.likelihood": likelihood, "data.train_rows": rows}
    for index in range(len(run_config(dataset, model).train.stages)):
        overrides[f"train.stages.{index}.kl_z_weight"] = weight
    return run_config(dataset, model, seed=seed, overrides=overrides)


def _validation_scores(config: RunConfig) -> tuple[dict[str, float], int]:
    data = load_dataset(config.data)
    model = build_model(config.model, config.train.seed)
    Trainer(model, config.train).fit(data.train, data.validation)
    shown = data.validation.inputs
    if config.data.perturbation.kind == "none":
        shown = perturb(shown, damage_of("white block", data.name), data.image_shape, config.data.seed).x
    reconstruction = model.reconstruct(shown.to(model.device)).cpu()
    scores = reconstruction_scores(reconstruction, data.validation.clean, data.image_shape)
    return summarise(scores), len(reconstruction)
