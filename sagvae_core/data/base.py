"""What every data set gives: clean rows, damaged rows, and whatever is known about the nodes.

Symbols: M rows, N nodes, C channels per node, P patterns (karate).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig
from ..errors import SagvaeError, expected
from ..perturbations import check_perturbation, perturb

SPLITS = ("train", "validation", "test")

# (name of the split, at most this many rows or None) -> clean (M, N, C) and labels (M,)
Loader = Callable[[str, int | None], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of one part of a data set.

    Attributes:
        inputs: float32 (M, N, C), what a model is given; the same tensor as ``clean`` when nothing is damaged.
        clean: float32 (M, N, C), the rows before the damage.
        damaged: bool (M, N), the nodes that were replaced.
        labels: long (M,): the class of an image, the pattern of a karate row.

    Raises:
        SagvaeError: the shapes do not fit together.
    """

    inputs: Tensor
    clean: Tensor
    damaged: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.clean.ndim != 3:
            raise expected("clean", "of shape (M, N, C)", tuple(self.clean.shape))
        rows, nodes, _ = self.clean.shape
        for name, shape in (("inputs", self.clean.shape), ("damaged", (rows, nodes)), ("labels", (rows,))):
            if getattr(self, name).shape != shape:
                raise expected(name, f"of shape {tuple(shape)}", tuple(getattr(self, name).shape))

    def __len__(self) -> int:
        return len(self.clean)

    @property
    def patterns(self) -> Tensor:
        """long (M,): another name for ``labels``, for data whose rows come from patterns (karate)."""
        return self.labels


class Dataset:
    """A data set whose splits are made when they are first asked for: reading ``test`` never pays for ``train``.

    Each split is damaged by ``config.perturbation`` with a seed of its own, :func:`damage_seed`.

    Attributes:
        name, title: the key in ``DATASETS``, and the name a person reads.
        config: the settings it was made with.
        num_nodes, num_channels: N and C.
        image_shape: (height, width) when the nodes are pixels, row by row, else None.
        adjacency: bool (N, N), symmetric, empty diagonal: the true graph, or None when nobody knows it.
        node_names: N names. node_labels: int (N,) indices into ``node_label_names``, or None.
        class_names: what ``Split.labels`` count.
        offsets: float32 (P, N, C), subtracted from the rows of each label, or None. scale: divided by afterwards.
    """

    def __init__(self, *, name: str, title: str, config: DataConfig, load: Loader, num_nodes: int, num_channels: int,
                 node_names: tuple[str, ...], image_shape: tuple[int, int] | None = None,
                 adjacency: np.ndarray | None = None, node_labels: np.ndarray | None = None,
                 node_label_names: tuple[str, ...] = (), class_names: tuple[str, ...] = (),
                 offsets: Tensor | None = None, scale: float = 1.0) -> None:
        """Args are the attributes, and ``load``, which reads one split's clean rows (see ``Loader``).

        Raises:
            SagvaeError: names, adjacency or the perturbation do not fit ``num_nodes``.
        """
        if len(node_names) != num_nodes:
            raise expected("node_names", f"{num_nodes} names", len(node_names))
        if image_shape is not None and image_shape[0] * image_shape[1] != num_nodes:
            raise expected("image_shape", f"(height, width) with height * width = {num_nodes} nodes", image_shape)
        if node_labels is not None and np.shape(node_labels) != (num_nodes,):
            raise expected("node_labels", f"of shape ({num_nodes},)", np.shape(node_labels))
        check_perturbation(config.perturbation, num_nodes, image_shape)
        self.name, self.title, self.config = name, title, config
        self.num_nodes, self.num_channels, self.image_shape = num_nodes, num_channels, image_shape
        self.adjacency = None if adjacency is None else _checked_adjacency(adjacency, num_nodes)
        self.node_names, self.node_labels, self.node_label_names = node_names, node_labels, node_label_names
        self.class_names, self.offsets, self.scale = class_names, offsets, scale
        self._load = load

    @cached_property
    def train(self) -> Split:
        """The rows to learn from, shuffled; the first ``config.train_rows`` of them when that is set."""
        return self._split("train", damage_seed(self.config.seed, "train"))

    @cached_property
    def validation(self) -> Split:
        """Rows held out of training, for choosing between models."""
        return self._split("validation", damage_seed(self.config.seed, "validation"))

    @cached_property
    def test(self) -> Split:
        """Rows for the final figures."""
        return self._split("test", damage_seed(self.config.seed, "test"))

    def redraw(self, epoch: int) -> Split:
        """The training split with fresh damage for ``epoch`` >= 0, drawn from (seed, epoch); the clean rows are shared.

        It is for models trained on clean targets (``config.perturb_each_epoch``): averaging over fresh damage would
        hand any other model the clean rows.

        Raises:
            SagvaeError: ``epoch`` is no whole number >= 0.
        """
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
            raise expected("epoch", "a whole number of at least 0", epoch)
        if self.config.perturbation.kind == "none":
            return self.train
        return self._split("train", damage_seed(self.config.seed, "train", epoch))

    @property
    def edge_density(self) -> float | None:
        """Share of the N(N-1)/2 pairs that are true edges, in [0, 1]; None when the graph is unknown."""
        if self.adjacency is None:
            return None
        return float(self.adjacency.sum() / (self.num_nodes * (self.num_nodes - 1)))

    def original(self, values: Tensor, labels: Tensor) -> Tensor:
        """Rows (M, N, C) with labels (M,) back in the coordinates before centring and scaling."""
        values = values * self.scale
        if self.offsets is None:
            return values
        return values + self.offsets.to(values)[labels.to(values.device)]

    def __repr__(self) -> str:
        return (f"Dataset({self.name!r}, num_nodes={self.num_nodes}, num_channels={self.num_channels}, "
                f"seed={self.config.seed}, perturbation={self.config.perturbation.kind!r})")

    @cached_property
    def _clean_train(self) -> tuple[Tensor, Tensor]:
        return self._read("train", self.config.train_rows)

    def _split(self, split: str, seed: int) -> Split:
        clean, labels = self._clean_train if split == "train" else self._read(split, None)
        result = perturb(clean, self.config.perturbation, self.image_shape, seed)
        return Split(inputs=result.x, clean=clean, damaged=result.damaged, labels=labels)

    def _read(self, split: str, limit: int | None) -> tuple[Tensor, Tensor]:
        clean, labels = self._load(split, limit)
        if clean.ndim != 3 or clean.shape[1:] != (self.num_nodes, self.num_channels):
            raise expected(f"the {split} rows of {self.name!r}", f"of shape (M, {self.num_nodes}, {self.num_channels})",
                           tuple(clean.shape))
        if limit is not None and len(clean) < limit:
            raise expected("data.train_rows", f"at most {len(clean)}, the training rows of {self.name!r}", limit,
                           "Leave it out to use all of them.")
        if len(clean) == 0:
            raise expected(f"the {split} split of {self.name!r}", "at least one row", "none")
        if not bool(torch.isfinite(clean).all()):
            bad = int((~torch.isfinite(clean)).flatten(1).any(dim=1).sum())
            raise expected(f"the {split} rows of {self.name!r}", "finite everywhere",
                           f"NaN or infinity in {bad} of {len(clean)} rows", "Remove or fill them first.")
        return clean.float(), labels.long()


def derived_seed(seed: int, *stream: int) -> int:
    """A 32-bit seed hashed from ``seed`` and the numbers that name what it is for (numpy's ``SeedSequence``).

    Unlike ``seed + 1``, the streams of one seed are unrelated to each other and to those of the next seed. 32 bits,
    because torch's CPU generator reads no more of its seed.
    """
    return int(np.random.SeedSequence((seed, *stream)).generate_state(1, np.uint32)[0])


def damage_seed(seed: int, split: str, epoch: int | None = None) -> int:
    """Seed of the damage: ``derived_seed(seed, 0, split's index in SPLITS)``, or with an epoch ``(seed, 1, epoch)``."""
    return derived_seed(seed, 0, SPLITS.index(split)) if epoch is None else derived_seed(seed, 1, epoch)


def fixed_permutation(rows: int) -> np.ndarray:
    """The same shuffle of ``rows`` indices in every run, whatever ``config.seed`` is.

    Validation rows chosen with one seed would be training rows with the next, and a model compared over seeds would
    have seen them. ``RandomState`` because numpy froze its stream for good, so a new numpy cannot move rows either.
    """
    return np.random.RandomState(0).permutation(rows)


def class_indices(config: DataConfig, names: tuple[str, ...], default: tuple[int, ...] | None) -> tuple[int, ...]:
    """The classes to keep: ``config.classes``, else ``default``, else all.

    Raises:
        SagvaeError: as :func:`check_classes`.
    """
    check_classes(config, names)
    return tuple(config.classes or default or range(len(names)))


def check_classes(config: DataConfig, names: tuple[str, ...]) -> None:
    """Raise unless ``config.classes`` can be kept of a data set whose classes have these ``names``.

    Raises:
        SagvaeError: it is empty, repeats itself or names a class that does not exist, or there are no classes.
    """
    chosen = config.classes
    if chosen is None:
        return
    if not names:
        raise expected("data.classes", f"None for {config.name!r}", chosen, "Its rows have patterns, no classes.")
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(len(names))):
        raise expected("data.classes", f"different whole numbers from 0 to {len(names) - 1}", chosen)


def _checked_adjacency(adjacency: np.ndarray, num_nodes: int) -> np.ndarray:
    values = np.asarray(adjacency).astype(bool)
    if values.shape != (num_nodes, num_nodes):
        raise expected("adjacency", f"of shape ({num_nodes}, {num_nodes})", values.shape)
    if values.diagonal().any() or (values != values.T).any():
        raise SagvaeError("adjacency must be symmetric with an empty diagonal: the edges are undirected pairs.")
    return values
