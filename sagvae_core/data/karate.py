"""Zachary's karate club with synthetic features (section 4.1 of the paper): five patterns over one known graph.

Every member i of club c draws X0_i ~ N(mu_c, diag s_c²) with four channels, mu ~ N(0, 1) and s ~ U(0.7, 1.3) per
club, the same for all patterns. A random two-layer graph convolution makes the features of pattern p from it:

    X = Â tanh(Â X0 W1) W2,    W1 (4, 8) and W2 (8, 2) ~ N(0, 1) entries, new for every pattern.

The paper says no more than "5 different weights"; the sizes and N(0, 1) are ours. How Â is normalised decides what a
learner can find (``DataConfig.generator``), so results have to name it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig
from .base import Dataset, check_classes, derived_seed

PATTERNS, ROWS_PER_PATTERN, HELD_OUT = 5, 400, 40  # the last pattern is the unseen one; 10 % of the others validate
SOURCE_CHANNELS, HIDDEN_CHANNELS, CHANNELS = 4, 8, 2  # two channels: a position in the plane, as in figure 1
_STREAM = 2  # names the generator's random stream apart from the damage's, see base.damage_seed


def club_graph() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The unweighted graph: adjacency bool (34, 34) with 78 edges, club int (34,), names of the clubs."""
    import networkx as nx

    graph = nx.karate_club_graph()
    clubs = [graph.nodes[node]["club"] for node in graph]
    names = tuple(dict.fromkeys(clubs))
    adjacency = nx.to_numpy_array(graph, weight=None).astype(bool)  # newer networkx ships interaction counts as weights
    return adjacency, np.array([names.index(club) for club in clubs]), names


def normalised_adjacency(adjacency: np.ndarray, generator: str) -> np.ndarray:
    """Â with self-loops, float64 (N, N): "symmetric" D^-½(A + I)D^-½, "row" D^-1(A + I) as in eq. 1."""
    with_loops = adjacency.astype(np.float64) + np.eye(len(adjacency))
    degrees = with_loops.sum(axis=1)
    if generator == "row":
        return with_loops / degrees[:, None]
    return with_loops / np.sqrt(np.outer(degrees, degrees))


def generate(adjacency: np.ndarray, clubs: np.ndarray, generator: str, seed: int) -> np.ndarray:
    """Raw rows, float64 (5, 400, 34, 2): pattern, row, node, channel."""
    random = np.random.RandomState(seed)  # the frozen stream: a saved run must find its data again under a new numpy
    convolve = normalised_adjacency(adjacency, generator)
    means = random.standard_normal((clubs.max() + 1, SOURCE_CHANNELS))
    deviations = random.uniform(0.7, 1.3, size=means.shape)
    rows = np.empty((PATTERNS, ROWS_PER_PATTERN, len(adjacency), CHANNELS))
    for pattern in range(PATTERNS):
        first = random.standard_normal((SOURCE_CHANNELS, HIDDEN_CHANNELS))
        second = random.standard_normal((HIDDEN_CHANNELS, CHANNELS))
        noise = random.standard_normal((ROWS_PER_PATTERN, len(adjacency), SOURCE_CHANNELS))
        source = means[clubs] + deviations[clubs] * noise
        rows[pattern] = convolve @ np.tanh(convolve @ source @ first) @ second
    return rows


def load_karate(config: DataConfig) -> Dataset:
    """Patterns 0-3: 360 rows each to train and 40 to validate, shuffled; pattern 4: 400 test rows of an unseen pattern.

    ``centred`` subtracts each pattern's per-node mean over its own training rows; the unseen pattern has none, so its
    mean is that of its test rows. Then everything is divided by the one standard deviation of all training rows.
    Both use all training rows even when ``train_rows`` keeps fewer: they belong to the data set's definition.

    Raises:
        SagvaeError: ``config.classes`` is set.
    """
    check_classes(config, ())
    adjacency, clubs, club_names = club_graph()
    seed = derived_seed(config.seed, _STREAM)
    raw = generate(adjacency, clubs, config.generator, seed)
    # Rows of a pattern are independent draws, so its last 40 are as good as any random 40.
    parts = {"train": raw[:-1, :-HELD_OUT], "validation": raw[:-1, -HELD_OUT:], "test": raw[-1:]}
    offsets = np.zeros((PATTERNS, *raw.shape[2:]))
    if config.centred:
        offsets[:-1], offsets[-1:] = parts["train"].mean(axis=1), parts["test"].mean(axis=1)
    scale = float((parts["train"] - offsets[:-1, None]).std())
    order = np.random.RandomState(seed).permutation(parts["train"].shape[0] * parts["train"].shape[1])

    def load(split: str, limit: int | None) -> tuple[Tensor, Tensor]:
        patterns = np.array([PATTERNS - 1]) if split == "test" else np.arange(PATTERNS - 1)
        values = (parts[split] - offsets[patterns][:, None]) / scale
        rows, labels = values.reshape(-1, *raw.shape[2:]), np.repeat(patterns, values.shape[1])
        if split == "train":  # shuffled, so that the first few of them hold all patterns
            rows, labels = rows[order[:limit]], labels[order[:limit]]
        return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)), torch.from_numpy(labels)

    return Dataset(
        name="karate", title="Karate club", config=config, load=load, num_nodes=len(adjacency), num_channels=CHANNELS,
        node_names=tuple(str(member + 1) for member in range(len(adjacency))), adjacency=adjacency, node_labels=clubs,
        node_label_names=club_names, class_names=tuple(f"pattern {p + 1}" for p in range(PATTERNS)),
        offsets=torch.from_numpy(offsets).float(), scale=scale)
