"""The methods of the study of images: what each is trained on, how it repairs, and what is remembered between cells."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checkpoint import build_model
from ..config import DataConfig, PerturbationConfig, StageConfig, TrainConfig
from ..config_io import to_dict
from ..data import DATASETS, load_dataset
from ..denoisers import DENOISERS, tune
from ..generative import GenerativeModel
from ..model import SAGVAE
from ..presets import MODELS, run_config
from ..runs import Run, RunConfig, list_runs, shipped_folder
from ..training import Progress, Trainer

_ROWS_AT_ONCE = 250
_TUNING_IMAGES = 300  # of the validation images, for each strength of a filter
_QUICK_ROWS, _QUICK_EPOCHS = 256, 4


@dataclass(frozen=True)
class Method:
    """A line of the tables: a role of :data:`~sagvae_core.presets.MODELS` with changed settings, as one repairs."""

    role: str
    settings: tuple[tuple[str, Any], ...] = ()
    expectation: str | None = None  # of SAGVAE.reconstruct; "inliers" is the paper's decoder


OURS = "SAG-VAE"
SAME_RULE = f"{MODELS['identity']}, same rule"
METHODS: dict[str, Method] = {
    OURS: Method("sagvae"),
    f"{OURS}, decoder alone": Method("sagvae", expectation="inliers"),
    MODELS["identity"]: Method("identity"),
    # Without neighbours a node's prediction is its own histogram: the mean image, as ready for damage as ours is.
    SAME_RULE: Method("sagvae", (("model.graph", "identity"), ("model.attention", ()))),
    MODELS["mlp_vae"]: Method("mlp_vae"),
    MODELS["dae"]: Method("dae"),
    MODELS["conv_dae"]: Method("conv_dae"),
    "tried: 2 layers": Method("sagvae", (("model.hidden", (16,)), ("model.attention", ()))),
    "tried: attention on the upper layers": Method("sagvae", (("model.attention", (1, 2)),)),
    "tried: plain edge KL": Method("sagvae", (("model.edge_regulariser", "kl"),)),
}
INPUT, MEAN_IMAGE = "Input unchanged", "Mean training image"
FILTERS = {denoiser.title: denoiser for denoiser in DENOISERS.values()}

DAMAGES: dict[str, PerturbationConfig] = {  # of 28 x 28 pixels; the paper's two kinds, then those of the transfer table
    "noise": PerturbationConfig("uniform", pixels=200),
    "less noise": PerturbationConfig("uniform", pixels=150),
    "white block": PerturbationConfig("block", size=7, value=1.0),
    "black block": PerturbationConfig("block", size=7, value=0.0),
    "random block": PerturbationConfig("block", size=7, value=None),
    "undamaged": PerturbationConfig("none"),
    "salt and pepper": PerturbationConfig("salt_pepper", pixels=200),
    "Gaussian noise": PerturbationConfig("gaussian", sigma=0.2),
    "white stripes": PerturbationConfig("stripes", count=3),
    "three white blocks": PerturbationConfig("blocks", count=3, size=5),
    "rotated white block": PerturbationConfig("rotated", size=7),
    "half the contrast": PerturbationConfig("contrast", contrast=0.5),
}
TRAINED_ON = {"trained on noise": "noise", "trained on white blocks": "white block",
              "trained on black blocks": "black block", "trained on random blocks": "random block",
              "trained on clean images": "undamaged"}


def damage(name: str, dataset: str) -> PerturbationConfig:
    """The damage of that name; on pictures of another size than 28 x 28 the same share of pixels, or of a side."""
    info, config = DATASETS[dataset], DAMAGES[name]
    height, width = info.image_shape
    return dataclasses.replace(config, pixels=round(config.pixels * info.num_nodes / 784),
                               size=round(config.size * min(height, width) / 28),
                               count=config.count if config.kind == "blocks" else round(config.count * height / 28))


def damage_settings(name: str, dataset: str) -> dict[str, Any]:
    """What turns a recipe into one for that damage; nothing for noise, which the recipes are made for."""
    config = damage(name, dataset)
    if config.kind == "uniform":
        return {}
    return {f"data.perturbation.{key}": value for key, value in to_dict(config).items()}


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures before and after damage, each (B, N, 1) in [0, 1]."""

    damaged: Tensor
    clean: Tensor


@functools.lru_cache(maxsize=16)
def pictures(dataset: str, name: str, split: str, seed: int, count: int | None) -> Pictures:
    """The first ``count`` pictures of a split with damage drawn by ``seed``; the same pictures for every seed."""
    rows = getattr(load_dataset(DataConfig(dataset, seed=seed, perturbation=damage(name, dataset))), split)
    return Pictures(rows.inputs[:count].clone(), rows.clean[:count].clone())


# ---------------------------------------------------------------------- what is trained

@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model and, of one with a completion, the mean log p(x_hidden | x_visible) of held-out damaged rows, in
    nats a node: what a choice without any clean image goes by."""

    model: GenerativeModel
    hidden_log_likelihood: float | None


def config_of(dataset: str, method: Method, setting: str, seed: int, quick: bool = False) -> RunConfig:
    """The training behind a method, with ``seed`` for the weights and for the damage."""
    overrides = dict(method.settings) | damage_settings(TRAINED_ON[setting], dataset)
    config = run_config(dataset, method.role, seed=seed, data_seed=seed, overrides=overrides)
    if not quick:
        return config
    stages = tuple(dataclasses.replace(stage, epochs=min(stage.epochs, _QUICK_EPOCHS)) for stage in config.train.stages)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, train_rows=_QUICK_ROWS),
                               train=dataclasses.replace(config.train, stages=stages, epochs=None))


@functools.lru_cache(maxsize=1)
def trained(dataset: str, role: str, settings: tuple[tuple[str, Any], ...], setting: str, seed: int,
            quick: bool) -> Trained:
    """Take the shipped run that was trained by exactly these settings, or train."""
    method = Method(role, settings)
    if shipped := _shipped_like(config_of(dataset, method, setting, seed)):
        return Trained(shipped.load_model(), _hidden(shipped.config, shipped.records))
    config = config_of(dataset, method, setting, seed, quick)
    data = load_dataset(config.data)
    model = build_model(config.model, config.train.seed)
    records = Trainer(model, config.train).fit(data.train, data.validation,
                                               data.redraw if config.data.perturb_each_epoch else None)
    return Trained(model.cpu(), _hidden(config, records))


def _shipped_like(config: RunConfig) -> Run | None:
    same = (run for run in list_runs(shipped_folder()) if run.has_model and all(
        getattr(run.config, part) == getattr(config, part) for part in ("data", "model", "train")))
    return next(same, None)


def _hidden(config: RunConfig, records: list[dict[str, Any]]) -> float | None:
    if config.train.stages[-1].objective != "completion":
        return None
    return records[-1]["validation_log_likelihood"] / config.model.num_nodes


@functools.lru_cache(maxsize=4)
def _mean_image(dataset: str, setting: str, seed: int) -> Tensor:
    data = load_dataset(DataConfig(dataset, seed=seed, perturbation=damage(TRAINED_ON[setting], dataset)))
    return data.train.inputs.mean(0)


# ---------------------------------------------------------------------- what repairs

def repairer(dataset: str, name: str, method: str, setting: str, seed: int, quick: bool) -> Callable[[Tensor], Tensor]:
    """Damaged pictures (B, N, 1) -> repaired ones, by ``method``; filters are tuned on the damage ``name``."""
    if method == INPUT:
        return lambda x: x
    if method == MEAN_IMAGE:
        mean = _mean_image(dataset, setting, seed)
        return lambda x: mean.expand_as(x)
    shape = DATASETS[dataset].image_shape
    if method in FILTERS:
        tuning = pictures(dataset, name, "validation", seed, _TUNING_IMAGES)
        strength = tune(FILTERS[method], tuning.damaged, tuning.clean, shape)
        return lambda x: FILTERS[method].apply(x, shape, strength)
    own = METHODS[method]
    model = trained(dataset, own.role, own.settings, setting, seed, quick).model
    options = {"expectation": own.expectation} if isinstance(model, SAGVAE) else {}
    return lambda x: torch.cat([model.reconstruct(part, **options) for part in x.split(_ROWS_AT_ONCE)])


# ---------------------------------------------------------------------- Figure 6

CURVE_POINTS = 16
_CURVE_IMAGES = 200


@dataclass(frozen=True)
class CurvePoint:
    """Where a training is: ``mse_clean`` and ``mse_perturbed`` of held-out pictures as the decoder gives them."""

    mse_clean: float
    mse_perturbed: float


def curve_steps(config: RunConfig, train_rows: int) -> list[int]:
    """The steps at which a curve is measured: halves of the training, and halves of these."""
    epochs = sum(stage.epochs for stage in elbo_stages(config.train))
    total = epochs * -(-train_rows // config.train.batch_size)
    return sorted({max(1, round(total * 2 ** (-index / 2))) for index in range(CURVE_POINTS)})


def elbo_stages(train: TrainConfig) -> tuple[StageConfig, ...]:
    """Those stages that maximise the evidence lower bound: Figure 6 is about the paper's decoder."""
    return tuple(stage for stage in train.stages if stage.objective == "elbo")


@functools.lru_cache(maxsize=1)
def training_curve(dataset: str, method: str, seed: int, quick: bool) -> dict[int, CurvePoint]:
    """Figure 6: pictures seen in training -> the errors of held-out noisy pictures to the clean and the noisy ones."""
    config = config_of(dataset, METHODS[method], "trained on noise", seed, quick)
    held_out = pictures(dataset, "noise", "validation", seed, _CURVE_IMAGES)
    data = load_dataset(config.data)
    model = build_model(config.model, config.train.seed)
    steps = set(curve_steps(config, len(data.train)))
    found: dict[int, CurvePoint] = {}

    def on_step(progress: Progress) -> None:
        if progress.step in steps:
            model.eval()
            repaired = model.reconstruct(held_out.damaged.to(model.device), expectation="inliers").cpu()
            model.train()
            found[progress.step * config.train.batch_size] = CurvePoint(
                mse_clean=float((repaired - held_out.clean).square().mean()),
                mse_perturbed=float((repaired - held_out.damaged).square().mean()))

    train = dataclasses.replace(config.train, stages=elbo_stages(config.train), epochs=None)
    Trainer(model, train, on_step).fit(data.train)
    return found
