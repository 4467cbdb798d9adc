"""Spoiled images and what the models make of them, computed once; beside :mod:`dashboard.resources`.

Keys are names and numbers. A person's own pictures come as bytes, 784 of them each: small enough to be a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
_PART, _SLOW_PART = 8, 2  # of them at a time: no part should keep a moved control waiting


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


def searches_regions(key: str) -> bool:
    """Whether the model of ``key`` looks for damaged regions."""
    model = resources.model(key)
    return isinstance(model, SAGVAE) and model.searches_regions


def takes_long(key: str) -> bool:
    """Whether a person will notice the moment until the model of ``key`` has answered: it looks for damaged regions,
    or has to be read first."""
    return key not in _read() or searches_regions(key)


@st.cache_resource(show_spinner=False)
def _read() -> set[str]:
    return set()  # keys of models that have answered since the server was started


def batch(keys: Iterable[str]) -> int:
    """How many images the averages of these models are over: the same for all of them."""
    return FEW if any(map(searches_regions, keys)) else BATCH


def mean_scores(key: str, damage: PerturbationConfig, seed: int, count: int = BATCH, repair: bool = True,
                between: Callable[[], None] = lambda: None) -> dict[str, float]:
    """The mean of every score over the ``count`` first test images; without ``repair`` of the damaged ones.

    Computed a few images at a time, each part once; ``between`` is called before every part and may raise.
    """
    size = count if not repair else _SLOW_PART if searches_regions(key) else _PART
    parts = []
    for start in range(0, count, size):
        between()
        parts.append(_scores(key, damage, seed, count, start, size, repair))
    return summarise({name: torch.cat([part[name] for part in parts]) for name in parts[0]})


@st.cache_data(max_entries=16000, show_spinner=False)
def _scores(key: str, damage: PerturbationConfig, seed: int, count: int, start: int, size: int,
            repair: bool) -> dict[str, torch.Tensor]:
    # The damage is drawn for all of them, so that it does not depend on the size of the parts.
    data, rows = resources.dataset(key), slice(start, start + size)
    original = data.test.clean[:count]
    answer = perturb(original, damage, data.image_shape, seed).x[rows]
    if repair:
        answer = resources.model(key).reconstruct(answer)
    return reconstruction_scores(answer, original[rows], data.image_shape)


def _clean(key: str, shown: Shown) -> torch.Tensor:
    data = resources.dataset(key)
    if shown.own:
        rows = np.frombuffer(b"".join(shown.own), np.uint8).astype(np.float32) / 255
        return torch.from_numpy(rows).view(len(shown.own), data.num_nodes, 1)
    test = data.test.clean
    return test[torch.arange(shown.first, shown.first + shown.count) % len(test)]  # past the last one it begins again


def _answer(key: str, original: torch.Tensor, damage: PerturbationConfig, seed: int, repair: bool) -> torch.Tensor:
    spoiled = perturb(original, damage, resources.dataset(key).image_shape, seed).x
    if not repair:
        return spoiled
    _read().add(key)
    return resources.model(key).reconstruct(spoiled)
