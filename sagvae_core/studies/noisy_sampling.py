"""Section 4.2 and Figure 10 of the paper: do pictures drawn from corrupted codes still show their class?

Per class a sampler is fitted to the codes of 50 held-out pictures and draws from them, a number of latent dimensions
is filled with uniform noise, the model decodes, and a classifier that has seen clean pictures alone names what it sees.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config_data import one_of
from ..data import DATASETS, Dataset, load_dataset
from ..data.base import derived_seed
from ..denoisers import DENOISERS
from ..generative import GenerativeModel
from ..presets import MODELS
from ..runs import Run, shipped_folder
from ..sampling import IMAGES_PER_CLASS, LowRankGaussian, PerPixelGaussian, codes_of, corrupt_codes
from .cells import Cell, Measured
from .classifier import DATASET_NAMES, Classifier, train_classifier
from .record import aggregate, run_study

FIRST_SEED = 1001
SAMPLES = 100  # of each class
COUNTS = (0, 50, 100, 200, 400)  # of 784; codes of another size have the same share corrupted
PAPER_COUNT, OF = 200, 784
RANK = 10
ROLES = ("sagvae", "identity", "mlp_vae")
SAMPLERS = {"per-pixel Gaussian": PerPixelGaussian, "low-rank Gaussian": functools.partial(LowRankGaussian, RANK)}
UNIT, RANGE = "U(0, 1)", "the codes' range"  # of the noise
REFERENCE = "held-out pictures"
_DARK, _MEDIAN, _ROOM_FOR_MEDIAN = 0.1, 1.5, 16
NOTES = (
    "share: of the samples of a class, how many the classifier calls that class, averaged over the classes. "
    "classes_recovered: classes of whose samples more are called that class than any other.",
    "The classifier has seen clean pictures alone, so speckle misleads it where a person might still read a digit: "
    "share_filtered and classes_recovered_filtered judge the same samples after a 3 x 3 median (28 x 28 only).",
    f"canvas: mean brightness of a sample where all pictures its class was fitted to are dark (below {_DARK:g}); 0 is "
    "a canvas without noise.",
    "The samplers are fitted to codes of clean validation pictures, which neither model nor classifier was trained "
    f"on, {IMAGES_PER_CLASS} a class or all there are. The seeds draw which, the samples and the noise; the models are "
    "the shipped ones, one training each.",
    "The paper says \"filled with uniform noises\" and not from where to where: U(0, 1), as for its pixels; at "
    f"{PAPER_COUNT} dimensions also from the lowest to the highest code of the model's fitted pictures, which is the "
    "same disturbance for models whose codes differ in scale.",
    f"The rank of the low-rank sampler, {RANK}, was chosen by looking at uncorrupted samples of MNIST.",
)


def noisy_sampling_study(out: Path, datasets: Sequence[str] = ("mnist", "fashion", "digits"), seeds: int = 3,
                         quick: bool = False, workers: int = 1, quiet: bool = False) -> Path:
    """Run the study on the shipped models and write its record to ``out``.

    Args:
        datasets: among "mnist", "fashion" and "digits".
        seeds: draws of the fitted pictures, the samples and the noise, from 1001 on.
        quick: the small digits, which need no files, one seed and a fifth of the samples: does it run, and no more.

    Raises:
        SagvaeError: an unknown data set, or as :func:`.record.run_study`.
    """
    if quick:
        datasets, seeds = ("digits",), 1
    chosen = [FIRST_SEED + index for index in range(seeds)]
    command = "sagvae study sampling" + (" --quick" if quick else f" --seeds {seeds}" + "".join(
        f" --dataset {name}" for name in datasets))
    return run_study("sampling", list(_cells(datasets, chosen, quick)), measure, out=out, command=command, seeds=chosen,
                     notes=NOTES, workers=workers, quiet=quiet, together=lambda cell: (_dataset(cell), cell.method))


def noisy_sampling_rows(datasets: Sequence[str] = ("digits",), seeds: Sequence[int] = (FIRST_SEED,),
                        quick: bool = False) -> list[dict[str, Any]]:
    """The rows of the study without a file: ``task, method, setting, metric, mean, sd, n``.

    Raises:
        SagvaeError: an unknown data set, a shipped model that is missing, or files that cannot be downloaded.
    """
    return aggregate({cell: measure(cell).metrics for cell in _cells(datasets, seeds, quick)})


def setting_name(count: int, latents: int, noise: str = UNIT) -> str:
    """How the record calls ``count`` corrupted dimensions of ``latents``."""
    return f"{count} of {latents}" + ("" if noise == UNIT else f", noise over {noise}")


def task_name(dataset: str, sampler: str) -> str:
    """How the record calls a data set with a sampler."""
    return f"{DATASETS[dataset].title}, {sampler}"


def _cells(datasets: Sequence[str], seeds: Sequence[int], quick: bool) -> Iterator[Cell]:
    for name in datasets:
        one_of("dataset", name, DATASET_NAMES)
        for seed in seeds:
            for sampler in SAMPLERS:
                yield Cell(task_name(name, sampler), REFERENCE, "", seed, quick)
                for role in ROLES:
                    for setting in _settings(_latents(name, role), quick):
                        yield Cell(task_name(name, sampler), MODELS[role], setting, seed, quick)


def _settings(latents: int, quick: bool) -> dict[str, tuple[int, str]]:
    """Setting -> how many dimensions are corrupted, and by which noise."""
    counts = [round(count * latents / OF) for count in ((0, PAPER_COUNT) if quick else COUNTS)]
    plans = [(count, UNIT) for count in counts] + [(round(PAPER_COUNT * latents / OF), RANGE)]
    return {setting_name(count, latents, noise): (count, noise) for count, noise in plans}


def measure(cell: Cell) -> Measured:
    """One model with one sampler and one number of corrupted dimensions."""
    name, sampler = _dataset(cell), cell.task.partition(", ")[2]
    samples = SAMPLES // 5 if cell.quick else SAMPLES
    judge, data = _judge(name), _data(name)
    canvases = _canvases(name, cell.seed)
    if cell.method == REFERENCE:
        test = data.test
        return _judged({label: test.clean[test.labels == label][:samples] for label in judge.classes}, judge, canvases,
                       data.image_shape)
    role = next(role for role in ROLES if MODELS[role] == cell.method)
    model, (codes, labels) = _model(name, role), _codes(name, role, cell.seed)
    latents = codes[0].numel()
    count, noise = _settings(latents, cell.quick)[cell.setting]
    ends = (0.0, 1.0) if noise == UNIT else (float(codes.min()), float(codes.max()))
    fitted = SAMPLERS[sampler]().fit(codes, labels)
    pictures = {}
    for label in judge.classes:
        z = fitted.sample(label, samples, cell.seed)
        with torch.no_grad():
            pictures[label] = model.decode(corrupt_codes(z, count, derived_seed(cell.seed, 1, label), *ends))
    return _judged(pictures, judge, canvases, data.image_shape)


def _judged(pictures: dict[int, Tensor], judge: Classifier, canvases: dict[int, Tensor],
            image_shape: tuple[int, int]) -> Measured:
    metrics: dict[str, float] = {}
    named = {"": pictures}
    if min(image_shape) >= _ROOM_FOR_MEDIAN:
        named["_filtered"] = {label: DENOISERS["median"].apply(x, image_shape, _MEDIAN)
                              for label, x in pictures.items()}
    for suffix, shown in named.items():
        found = {label: judge.predict(x) for label, x in shown.items()}
        shares = {label: float((called == label).double().mean()) for label, called in found.items()}
        metrics |= {f"classes_recovered{suffix}": float(sum(_recovered(found[label], label) for label in found)),
                    f"share{suffix}": float(np.mean(list(shares.values())))}
        if not suffix:
            metrics |= {f"share of {judge.class_names[label]}": share for label, share in shares.items()}
    dark = [x[:, canvases[label]].mean() for label, x in pictures.items() if canvases[label].any()]
    if dark:
        metrics["canvas"] = float(torch.stack(dark).mean())
    return Measured(metrics)


def _recovered(called: Tensor, label: int) -> bool:
    """Whether more samples are called ``label`` than anything else."""
    votes = called.bincount(minlength=label + 1)
    own = int(votes[label])
    votes[label] = -1
    return own > int(votes.max())


def _dataset(cell: Cell) -> str:
    return next(name for name in DATASET_NAMES if cell.task.startswith(f"{DATASETS[name].title}, "))


@dataclass(frozen=True, eq=False)
class _Pictures:
    clean: Tensor
    labels: Tensor


def _fitted_pictures(name: str, seed: int) -> _Pictures:
    """IMAGES_PER_CLASS clean validation pictures of each class, drawn with ``seed``."""
    split = _data(name).validation
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(derived_seed(seed, 0)))
    chosen = torch.cat([order[split.labels[order] == label][:IMAGES_PER_CLASS] for label in split.labels.unique()])
    return _Pictures(split.clean[chosen], split.labels[chosen])


@functools.lru_cache(maxsize=32)
def _canvases(name: str, seed: int) -> dict[int, Tensor]:
    """bool (N,) of each class: the pixels that are dark in all its fitted pictures."""
    shown = _fitted_pictures(name, seed)
    return {label: (shown.clean[shown.labels == label] < _DARK).all(0).all(-1)
            for label in shown.labels.unique().tolist()}


@functools.lru_cache(maxsize=8)
def _codes(name: str, role: str, seed: int) -> tuple[Tensor, Tensor]:
    shown = _fitted_pictures(name, seed)
    return codes_of(_model(name, role), shown.clean), shown.labels


@functools.lru_cache(maxsize=1)
def _data(name: str) -> Dataset:
    return load_dataset(name)


@functools.lru_cache(maxsize=1)
def _judge(name: str) -> Classifier:
    return train_classifier(name)


@functools.lru_cache(maxsize=3)
def _model(name: str, role: str) -> GenerativeModel:
    return Run(shipped_folder() / f"{name}-{role}").load_model()


def _latents(name: str, role: str) -> int:
    """Numbers in one code of the shipped model."""
    config = Run(shipped_folder() / f"{name}-{role}").config.model
    return config.latent_dim if role == "mlp_vae" else config.num_nodes * config.latent_channels
