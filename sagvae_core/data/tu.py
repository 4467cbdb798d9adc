"""Graphs of the TU collection (section 4.1.2 of the paper): PROTEINS, ENZYMES and COIL-RAG, and noisy copies of one.

The files are read, or downloaded where they are missing, by torch_geometric into ``SAGVAE_DATA``/TU/NAME/raw. Only the
raw files lie there: what torch_geometric would store beside them goes to a temporary folder.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState

from ..errors import SagvaeError, expected, reason
from .base import derived_seed
from .images import data_folder

PAPER_SIZES = {"PROTEINS": 64, "ENZYMES": 18, "COIL-RAG": 6}  # nodes of the one graph the paper took from each
_FILES = ("A", "graph_indicator", "graph_labels", "node_attributes")
_STREAM = 4  # names the copies' random streams apart from those of the other data sets


@dataclass(frozen=True, eq=False)
class TUGraph:
    """One graph of a collection.

    Attributes:
        index: its place in the collection, from 0; the collection's own files count from 1.
        features: float32 (N, F), the node attributes as they are, followed by the node labels as 0 and 1 where the
            collection has labels. PROTEINS has F = 4, ENZYMES 21 and COIL-RAG 64 (no labels).
        adjacency: bool (N, N), symmetric, empty diagonal.
    """

    index: int
    features: np.ndarray
    adjacency: np.ndarray

    @property
    def num_nodes(self) -> int:
        """N."""
        return len(self.adjacency)


def tu_files_present(name: str) -> bool:
    """Whether :func:`load_tu_graphs` needs no download for ``name``."""
    return all((_raw_folder(name) / f"{name}_{kind}.txt").is_file() for kind in _FILES)


def load_tu_graphs(name: str, num_nodes: int | None = None) -> list[TUGraph]:
    """The graphs of a collection in its order, or those with ``num_nodes`` nodes (``PAPER_SIZES``: the paper's).

    Raises:
        SagvaeError: the name is unknown, the files are missing and cannot be downloaded or cannot be read, or no graph
            has that many nodes.
    """
    if name not in PAPER_SIZES:
        raise expected("the collection", "one of " + ", ".join(map(repr, PAPER_SIZES)), repr(name))
    # Not in one go with the reading: the two fail for different reasons, and want different remedies.
    if not tu_files_present(name):
        try:
            _open(name)
        except SagvaeError:
            raise
        except Exception as error:  # whatever the network, its libraries, the archive or the folder have to say
            raise SagvaeError(
                f"The files of {name!r} are not in {str(_raw_folder(name))!r} and could not be downloaded "
                f"({reason(error)}). Set the environment variable SAGVAE_DATA to a folder with "
                f"TU/{name}/raw/{name}_A.txt and the other files of https://chrsmrrs.github.io/datasets, or to one "
                "that can be written to where there is a network.") from error
    try:
        source = _open(name)
        counts = np.diff(source.slices["x"].numpy())
        chosen = [i for i, count in enumerate(counts) if num_nodes in (None, count)]
        graphs = [_graph(i, source[i]) for i in chosen]
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, AssertionError) as error:
        if isinstance(error, SagvaeError):
            raise
        raise SagvaeError(f"The files of {name!r} in {str(_raw_folder(name))!r} cannot be read "
                          f"({reason(error)}). Delete them to have them downloaded again.") from error
    if not graphs:
        raise expected("num_nodes", f"the size of a graph of {name!r}, from {counts.min()} to {counts.max()}",
                       num_nodes)
    return graphs


def noisy_copies(features: np.ndarray, copies: int = 400, drop: float = 0.1, noise: float = 0.1,
                 seed: int = 0) -> np.ndarray:
    """Damaged copies of one graph's features, float32 (copies, N, F): the paper's second kind of data.

    The paper says no more than "randomly drop out rows and add Gaussian noises"; the rest is ours. The columns are
    standardised over the nodes. Then every copy sets the row of each node to 0, the columns' mean, with probability
    ``drop``, and adds independent noise of standard deviation ``noise`` to every value. A column that is the same for
    all nodes says nothing about them and stays 0. More copies of a seed begin with those of fewer.

    Args:
        features: (N, F), finite.
        drop: in [0, 1). noise: at least 0, in standard deviations of a column.

    Raises:
        SagvaeError: a value is out of its range.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise expected("features", "finite and of shape (N, F) with at least 2 nodes", f"shape {features.shape}")
    if copies < 1:
        raise expected("copies", "at least 1", copies)
    if not 0 <= drop < 1:
        raise expected("drop", "in [0, 1)", drop)
    if not 0 <= noise < np.inf:
        raise expected("noise", "at least 0 and finite", noise)
    deviations = features.std(axis=0)
    varies = deviations > 1e-9 * np.abs(features).max(axis=0)
    clean = np.where(varies, (features - features.mean(axis=0)) / np.where(varies, deviations, 1), 0)
    stays, added = (RandomState(derived_seed(seed, _STREAM, part)) for part in (0, 1))
    kept = stays.uniform(size=(copies, len(clean), 1)) >= drop
    return (clean * kept + noise * varies * added.standard_normal((copies, *clean.shape))).astype(np.float32)


def _raw_folder(name: str) -> Path:
    return data_folder() / "TU" / name / "raw"


def _graph(index: int, data: Any) -> TUGraph:
    adjacency = np.zeros((len(data.x), len(data.x)), dtype=bool)
    adjacency[tuple(data.edge_index.numpy())] = True
    np.fill_diagonal(adjacency, False)
    return TUGraph(index, data.x.numpy().astype(np.float32), adjacency | adjacency.T)


def _open(name: str) -> Any:
    """torch_geometric's TUDataset of that name; it downloads missing files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch_geometric's import about PyTorch's own changes
            from torch_geometric.datasets import TUDataset
    except ImportError as error:
        raise SagvaeError("The TU collection is read by torch_geometric, which is not installed. "
                          "Install it with `pip install torch_geometric`.") from error

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):  # its "Processing..."

        class WithoutTraces(TUDataset):
            """A TUDataset that stores nothing beside the raw files, whose folder may be read-only."""

            @property
            def processed_dir(self) -> str:
                return folder

        return WithoutTraces(str(data_folder() / "TU"), name, use_node_attr=True)
