"""Pictures drawn from models and ways between pictures, computed once; beside :mod:`dashboard.resources`.

Keys are names and numbers. A sampler is shared by all sessions and read only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch

from dashboard import resources
from dashboard.listing import RunInfo
from sagvae_core.config import ModelConfig
from sagvae_core.data.base import derived_seed
from sagvae_core.errors import expected
from sagvae_core.sampling import IMAGES_PER_CLASS, LowRankGaussian, codes_of, corrupt_codes, interpolate
from sagvae_core.studies import noisy_sampling

# Page -> study: what the judge has seen is what the page draws.
SAMPLERS = {"low rank": "low-rank Gaussian", "per pixel": "per-pixel Gaussian"}
STEPS = 9  # of the way between two pictures


@dataclass(frozen=True)
class Draw:
    """What is drawn: the sampler, the seed, and how much of the codes is noise over which range.

    ``corrupted`` counts dimensions of one code per pixel; of another code the same share is corrupted. ``wide``: the
    noise spans the model's codes instead of [0, 1].
    """

    sampler: str
    seed: int
    corrupted: int = 0
    wide: bool = False


@dataclass(frozen=True, eq=False)
class _Fitted:
    sampler: LowRankGaussian
    latents: int
    ends: tuple[float, float]


def can_sample(info: RunInfo) -> bool:
    """Whether the run's model has codes to draw from; a denoising autoencoder has none."""
    model = resources.run_config(info.key).model
    return isinstance(model, ModelConfig) or model.kind == "mlp_vae"


def class_names(key: str) -> dict[int, str]:
    """Label -> name of the classes that can be drawn."""
    names = resources.dataset(key).class_names
    return {label: names[label] for label in _fitted(key, "per pixel").sampler.labels}


def corrupted(key: str, draw: Draw) -> tuple[int, int]:
    """How many dimensions of how many are noise."""
    latents = _fitted(key, draw.sampler).latents
    return round(draw.corrupted * latents / resources.dataset(key).num_nodes), latents


@st.cache_data(max_entries=512, show_spinner=False)
def pictures(key: str, draw: Draw, labels: tuple[int, ...], count: int) -> np.ndarray:
    """(len(labels), count, N): so many pictures of each class."""
    fitted = _fitted(key, draw.sampler)
    noisy, ends = corrupted(key, draw)[0], fitted.ends if draw.wide else (0.0, 1.0)
    codes = [corrupt_codes(fitted.sampler.sample(label, count, draw.seed), noisy, derived_seed(draw.seed, 1, label),
                           *ends) for label in labels]
    with torch.no_grad():  # all at once: a model prepares its graph for every call
        return resources.model(key).decode(torch.cat(codes)).view(len(labels), count, -1).numpy()


@st.cache_data(max_entries=256, show_spinner=False)
def way(key: str, first: tuple[int, int], second: tuple[int, int]) -> np.ndarray:
    """(STEPS, N): the straight line between the codes of two pictures, each a class and its number in it."""
    return interpolate(resources.model(key), _picture(key, *first), _picture(key, *second), STEPS).flatten(1).numpy()


def picture(key: str, label: int, number: int) -> np.ndarray:
    """(N,): test picture ``number`` of a class, from 0 on; past the last one it begins again."""
    return _picture(key, label, number).flatten().numpy()


@st.cache_data(max_entries=64, show_spinner=False)
def signals(key: str, pattern: int, count: int, seed: int) -> np.ndarray:
    """(count, N, C) rows drawn from the prior of a model, as rows of that pattern: its mean is added again."""
    rows = torch.from_numpy(resources.samples(key, count, seed))
    return resources.dataset(key).original(rows, torch.full((count,), pattern)).numpy()


@st.cache_data(max_entries=64, show_spinner=False)
def held_out(key: str, pattern: int, count: int, seed: int) -> np.ndarray:
    """(count, N, C) validation rows of that pattern, others for another seed, in the data's own coordinates."""
    data = resources.dataset(key)
    rows = torch.nonzero(data.validation.labels == pattern)[:, 0]
    chosen = rows[(seed * count + torch.arange(count)) % len(rows)]
    return data.original(data.validation.clean[chosen], data.validation.labels[chosen]).numpy()


def _picture(key: str, label: int, number: int) -> torch.Tensor:
    test = resources.dataset(key).test
    rows = _rows_of(key, label)
    return test.clean[int(rows[number % len(rows)])]


@st.cache_data(max_entries=64, show_spinner=False)
def _rows_of(key: str, label: int) -> np.ndarray:
    rows = np.flatnonzero(resources.dataset(key).test.labels.numpy() == label)
    if not len(rows):
        raise expected("class", "one with held-out images", label, "Choose another class.")
    return rows


@st.cache_resource(max_entries=24, show_spinner=False)
def _fitted(key: str, sampler: str) -> _Fitted:
    """The sampler, fitted to clean validation pictures, which no model was trained on."""
    split = resources.dataset(key).validation
    kept = torch.cat([torch.nonzero(split.labels == label)[:IMAGES_PER_CLASS, 0] for label in split.labels.unique()])
    codes = codes_of(resources.model(key), split.clean[kept])
    fitted = noisy_sampling.SAMPLERS[SAMPLERS[sampler]]().fit(codes, split.labels[kept])
    return _Fitted(fitted, codes[0].numel(), (float(codes.min()), float(codes.max())))
