"""Cached access to models, data and everything computed from them once.

Keys are names and numbers, never arrays. A model is shared by all sessions: eval mode, without gradients, read only.
Everything that leaves this module for a page is a numpy array or a plain value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Plotly uses pandas as soon as anybody has begun to import it. Sessions that draw their first figures at the same time
# would meet half of it: here each of them waits until it is whole.
import pandas  # noqa: F401
import streamlit as st
import torch

from dashboard import network
from sagvae_core.config import DataConfig
from sagvae_core.data import DATASETS, Dataset, dataset_available, load_dataset
from sagvae_core.errors import SagvaeError
from sagvae_core.metrics import edge_scores
from sagvae_core.model import GenerativeModel
from sagvae_core.runs import Run, RunConfig, find_run


@st.cache_resource(show_spinner=False)
def leave_room() -> None:
    """Leave half of the cores to the browser, which is most often on the same machine, and to other sessions.

    With all of them a product waits for whichever thread the browser keeps from its core: on 2 cores every control of
    the lab answers sooner with one thread than with two (benchmarks/dashboard.py).
    """
    torch.set_num_threads(max(1, torch.get_num_threads() // 2))


def _run(key: str) -> Run:
    return find_run(key.rsplit("@", 1)[0])


@st.cache_resource(max_entries=24, show_spinner=False)
def model(key: str) -> GenerativeModel:
    """The trained model of a run."""
    return _run(key).load_model()


@st.cache_resource(max_entries=64, show_spinner=False)
def run_config(key: str) -> RunConfig:
    return _run(key).config


@st.cache_resource(max_entries=6, show_spinner="Reading the data …")
def _dataset(name: str, seed: int, generator: str, centred: bool, classes: tuple[int, ...] | None) -> Dataset:
    return load_dataset(DataConfig(name=name, seed=seed, generator=generator, centred=centred, classes=classes))


def dataset(key: str) -> Dataset:
    """The undamaged data set a run was trained on."""
    config = run_config(key).data
    if not available(config.name):  # looking at a page must not start a download
        raise SagvaeError(f"{DATASETS[config.name].title} is not on this machine. Set the environment variable "
                          "SAGVAE_DATA to a folder that has it, download it on the Robustness page, or choose a model "
                          "of the small digits, which need no files.")
    return _dataset(config.name, config.seed, config.generator, config.centred, config.classes)


@dataclass(frozen=True)
class Nodes:
    """What is known of a run's features without reading a row: a graph can be explored where its data are missing."""

    title: str
    names: list[str]
    image_shape: tuple[int, int] | None
    groups: np.ndarray | None
    group_names: list[str]
    truth: np.ndarray | None


@st.cache_resource(max_entries=24, show_spinner=False)
def nodes(key: str) -> Nodes:
    """Names, known groups and the known graph of a run's features."""
    info = DATASETS.get(run_config(key).data.name)
    if info is not None and info.image_shape is not None:
        height, width = info.image_shape
        names = [f"{row},{column}" for row in range(height) for column in range(width)]
        return Nodes(info.title, names, info.image_shape, None, [], None)
    data = dataset(key)  # an unknown name gets its sentence here
    return Nodes(data.title, list(data.node_names), None, data.node_labels, list(data.node_label_names), data.adjacency)


def available(name: str) -> bool:
    """True when the data set needs no download."""
    return dataset_available(name)


# ---------------------------------------------------------------------------------------------------- the graph

@st.cache_data(max_entries=24, show_spinner=False)
def edge_posterior(key: str) -> np.ndarray:
    """(N, N) float32, the learned probability of every edge."""
    return model(key).edge_posterior.numpy()


@st.cache_data(max_entries=24, show_spinner=False)
def order(key: str, by: str) -> np.ndarray:
    return network.order(edge_posterior(key), by)


@st.cache_data(max_entries=24, show_spinner=False)
def communities(key: str) -> np.ndarray:
    return network.communities(edge_posterior(key))


@st.cache_data(max_entries=24, show_spinner=False)
def layout(key: str) -> np.ndarray:
    """(N, 2): pixels on their grid, others by force on the known graph or, where none is known, on the learned one."""
    image_shape = nodes(key).image_shape
    if image_shape is not None:
        return network.layout(edge_posterior(key), "grid", image_shape)
    truth = nodes(key).truth
    return network.layout(edge_posterior(key) if truth is None else truth.astype(float))


def scores(key: str, threshold: float) -> dict[str, float]:
    """Precision, recall, F1 and average precision against the known graph."""
    return edge_scores(edge_posterior(key), nodes(key).truth, threshold)


@dataclass(frozen=True)
class Positions:
    """Figure 1 for one row of every pattern: (P, N, 2) true and reconstructed, in the data's own coordinates."""

    truth: np.ndarray
    reconstruction: np.ndarray
    titles: list[str]
    unseen: int


@st.cache_data(max_entries=24, show_spinner=False)
def positions(key: str, row: int) -> Positions:
    """Held-out row number ``row`` of each karate pattern, the last pattern never seen in training."""
    data = dataset(key)
    chosen = []
    for split, patterns in ((data.validation, range(len(data.class_names) - 1)),
                            (data.test, [len(data.class_names) - 1])):
        for pattern in patterns:
            rows = split.clean[split.labels == pattern]
            chosen.append(rows[row % len(rows)])
    x = torch.stack(chosen)
    labels = torch.arange(len(chosen))
    reconstruction = model(key).reconstruct(x)
    return Positions(data.original(x, labels).numpy(), data.original(reconstruction, labels).numpy(),
                     list(data.class_names), len(chosen) - 1)


@st.cache_data(max_entries=24, show_spinner=False)
def samples(key: str, count: int, seed: int = 0) -> np.ndarray:
    """(count, N, C) new rows drawn from a model, in its own centred coordinates."""
    return model(key).sample(count, seed).numpy()
