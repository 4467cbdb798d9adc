"""Spoiled images and what the models make of them, computed once; beside :mod:`dashboard.resources`.

Keys are names and numbers. A person's own pictures come as bytes, 784 of them each: small enough to be a key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch

from dashboard import resources
from sagvae_core.config import PerturbationConfig
from sagvae_core.metrics import reconstruction_scores, summarise
from sagvae_core.model import SAGVAE
from sagvae_core.perturbations import perturb

BATCH, FEW = 64, 16  # held-out images behind every averaged number; few where a model takes long for each


@dataclass(frozen=True)
class Shown:
    """Which pictures are shown: ``count`` test images from number ``first`` on, or a person's ``own``, uint8 each."""

    first: int = 0
    count: int = 10
    own: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Pictures:
    """(M, N) pictures in [0, 1] and, for each, its scores against the undamaged one."""

    images: np.ndarray
    scores: list[dict[str, float]]


def own_picture(image: np.ndarray) -> bytes:
    """(H, W) in [0, 1] -> what :class:`Shown` keeps of it."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8).tobytes()


@st.cache_data(max_entries=64, show_spinner=False)
def clean(key: str, shown: Shown) -> np.ndarray:
    """(M, N), the shown pictures before the damage."""
    return _clean(key, shown).flatten(1).numpy()


@st.cache_data(max_entries=256, show_spinner=False)
def pictures(key: str, damage: PerturbationConfig, seed: int, shown: Shown, repair: bool = True) -> Pictures:
    """What the model of ``key`` makes of the damaged pictures; without ``repair`` these themselves.

    Every model is given exactly the same damage, which depends on nothing but ``damage``, ``seed`` and a picture's
    place among the shown ones.
    """
    original = _clean(key, shown)
    answer = _answer(key, original, damage, seed, repair)
    values = reconstruction_scores(answer, original, resources.dataset(key).image_shape)
    return Pictures(answer.flatten(1).numpy(),
                    [{name: float(value[row]) for name, value in values.items()} for row in range(len(original))])


def batch(keys: Iterable[str]) -> int:
    """How many images the averages of these models are over: the same for all of them."""
    models = (resources.model(key) for key in keys)
    return FEW if any(isinstance(model, SAGVAE) and model.searches_regions for model in models) else BATCH


@st.cache_data(max_entries=4000, show_spinner=False)
def mean_scores(key: str, damage: PerturbationConfig, seed: int, count: int = BATCH,
                repair: bool = True) -> dict[str, float]:
    """The mean of every score over the ``count`` first test images; without ``repair`` of the damaged ones."""
    data = resources.dataset(key)
    original = data.test.clean[:count]
    return summarise(reconstruction_scores(_answer(key, original, damage, seed, repair), original, data.image_shape))


def _clean(key: str, shown: Shown) -> torch.Tensor:
    data = resources.dataset(key)
    if shown.own:
        rows = np.frombuffer(b"".join(shown.own), np.uint8).astype(np.float32) / 255
        return torch.from_numpy(rows).view(len(shown.own), data.num_nodes, 1)
    test = data.test.clean
    return test[torch.arange(shown.first, shown.first + shown.count) % len(test)]  # past the last one it begins again


def _answer(key: str, original: torch.Tensor, damage: PerturbationConfig, seed: int, repair: bool) -> torch.Tensor:
    spoiled = perturb(original, damage, resources.dataset(key).image_shape, seed).x
    return resources.model(key).reconstruct(spoiled) if repair else spoiled
