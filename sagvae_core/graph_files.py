"""Relations as files for other programs: tables of pairs, matrices, and graphs for networkx, Gephi and Cytoscape."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import graph_xml
from .checkpoint import write_bytes
from .errors import expected
from .file_text import cell, storable


@dataclass(frozen=True, eq=False)
class RelationGraph:
    """N named nodes and what is known of every pair of them: what every export is made of.

    The diagonal of a matrix is of no pair: only the matrices themselves (adjacency CSV, NPZ) show it.

    Attributes:
        names: N names; two nodes may have the same, and a name may be anything.
        scores: (N, N), symmetric: what ranks the pairs, higher is surer.
        posterior: (N, N) in [0, 1], the probability of every pair; None where the method has none.
        selected: bool (N, N), symmetric: the pairs that are edges.
        frequency: (N, N) in [0, 1], the share of resamples that chose the pair; None where nothing was resampled.
        lower: (N, N), the lower end of each score's interval, or None.
        upper: (N, N), its upper end, or None.
        node_attributes: attribute (any name but "label") -> N values: text, numbers or None.
        graph_attributes: of the whole: the method, how many rows it saw, the command that makes it again.
        partial: (N, N) in [-1, 1], how the two go together given what else is related to either; NaN where that was not
            computed; or None. The CSV of pairs has no column for it.

    Raises:
        SagvaeError: a part has another shape, is not symmetric or not in its range.
    """

    names: tuple[str, ...]
    scores: np.ndarray
    posterior: np.ndarray | None
    selected: np.ndarray
    frequency: np.ndarray | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    node_attributes: Mapping[str, Sequence] = field(default_factory=dict)
    graph_attributes: Mapping[str, str | float] = field(default_factory=dict)
    partial: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.names))
        matrices = self._matrices()
        for column, matrix in matrices.items():
            name = _COLUMNS.get(column, column)
            if matrix.shape != shape:
                raise expected(name, f"of shape {shape}, a row and a column for each name", matrix.shape)
            if matrix.dtype.kind not in "biuf":
                raise expected(name, "a matrix of numbers", f"values of type {matrix.dtype}")
            if not np.allclose(matrix, matrix.T, rtol=1e-5, atol=1e-8, equal_nan=True):
                raise expected(name, "symmetric", "a matrix that is not", "A relation has no direction.")
        if matrices["selected"].dtype != bool:
            raise expected("selected", "a matrix of True and False", f"values of type {matrices['selected'].dtype}")
        for name, least in (("posterior", 0), ("frequency", 0), ("partial", -1)):
            if name in matrices and ((matrices[name] < least).any() or (matrices[name] > 1).any()):
                raise expected(name, f"in [{least}, 1]",
                               f"{np.nanmin(matrices[name]):g} to {np.nanmax(matrices[name]):g}")
        for name, values in self.node_attributes.items():
            if name == "label":
                raise expected("a node attribute", "called anything but 'label', which holds the names", repr(name))
            if len(values) != len(self.names):
                raise expected(f"the node attribute {name!r}", f"of {len(self.names)} values", len(values))

    def _matrices(self) -> dict[str, np.ndarray]:
        """The matrices that there are, by the names of their columns in the CSV and in its order; then what is not
        in it."""
        named = {column: getattr(self, attribute) for column, attribute in _COLUMNS.items()} | {"partial": self.partial}
        return {column: np.asarray(matrix) for column, matrix in named.items() if matrix is not None}


_COLUMNS = {"score": "scores", "posterior": "posterior", "selected": "selected", "frequency": "frequency",
            "lower": "lower", "upper": "upper"}


def write_graph(graph: RelationGraph, path: str | Path) -> None:
    """Write a graph to a file of the format that its name ends with, see :data:`FORMATS`.

    The file is there as a whole or, after an error, as it was before.

    Raises:
        SagvaeError: the ending is none of a format, or there is no such folder.
        OSError: the file cannot be written.
    """
    path = Path(path)
    endings = sorted(FORMATS, key=len, reverse=True)  # ".adjacency.csv" ends with ".csv", too
    format = next((ending for ending in endings if path.name.lower().endswith(f".{ending}")), None)
    if format is None:
        listed = ", ".join(f".{ending}" for ending in FORMATS)
        raise expected("the name of a graph's file", f"one that ends with {listed}", repr(path.name))
    if not path.parent.is_dir():
        raise expected(f"the folder of {path.name}", "one that exists", str(path.parent), "Make it first.")
    write_bytes(path, graph_bytes(graph, format))


def graph_bytes(graph: RelationGraph, format: str) -> bytes:
    """The same as bytes, for a download.

    Args:
        graph: what is written.
        format: a key of :data:`FORMATS`, such as ``"graphml"``.

    Raises:
        SagvaeError: it is none of them.
    """
    if format not in FORMATS:
        raise expected("the format of a graph", f"one of {', '.join(FORMATS)}", repr(format))
    return FORMATS[format](graph)


def _pairs_csv(graph: RelationGraph) -> bytes:
    """A row for every pair i < j, row by row of the matrix; columns that the graph has no matrix for are empty."""
    upper = np.triu_indices(len(graph.names), 1)
    names = [cell(name) for name in graph.names]
    matrices = graph._matrices()
    columns = [_texts(matrices[column][upper]) if column in matrices else [""] * len(upper[0]) for column in _COLUMNS]
    ends = ([names[node] for node in side.tolist()] for side in upper)
    return _csv(["source", "target", *_COLUMNS], zip(*ends, *columns))


def _adjacency_csv(graph: RelationGraph) -> bytes:
    """The square matrix of the probabilities, or where there are none of the scores, with names on both sides."""
    matrix = graph.scores if graph.posterior is None else graph.posterior
    names = [cell(name) for name in graph.names]
    return _csv(["", *names], ([name, *_texts(row)] for name, row in zip(names, np.asarray(matrix))))


def _csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(head)
    writer.writerows(rows)
    return file.getvalue().encode()


def _texts(values: np.ndarray) -> list[str]:
    """Numbers with as many digits as tell them apart at their own precision; nothing for NaN."""
    if values.dtype == bool:
        return np.where(values, "true", "false").tolist()
    return ["" if text == "nan" else text for text in values.astype(str).tolist()]


def _npz(graph: RelationGraph) -> bytes:
    """The matrices by the names of :class:`RelationGraph`, ``names``, and the attributes as ``node.*`` and
    ``graph.*``; no array needs pickle."""
    arrays = {_COLUMNS.get(column, column): matrix for column, matrix in graph._matrices().items()}
    arrays["names"] = _unicode(graph.names)
    for name, values in graph.node_attributes.items():
        kind, texts = graph_xml.column(values)
        whole = kind != "string" and None not in texts  # an array of numbers has no place for a missing one
        arrays[f"node.{storable(name)}"] = np.asarray(values) if whole else _unicode(text or "" for text in texts)
    for name, value in graph.graph_attributes.items():
        arrays[f"graph.{storable(name)}"] = np.array(storable(value) if isinstance(value, str) else value)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _unicode(texts: Iterable[str]) -> np.ndarray:
    return np.array([storable(text) for text in texts], dtype=np.str_)


def _document(graph: RelationGraph) -> graph_xml.Document:
    """The graph's edges with all that is known of them; their weight is the probability or else the score."""
    pairs = np.argwhere(np.triu(graph.selected, 1))
    matrices = {name: matrix for name, matrix in graph._matrices().items() if name != "selected"}
    weight = matrices.get("posterior", matrices["score"])
    return graph_xml.Document(
        [storable(name) for name in graph.names],
        {name: graph_xml.column(values) for name, values in graph.node_attributes.items()}, pairs,
        {name: graph_xml.column(matrix[pairs[:, 0], pairs[:, 1]])
         for name, matrix in {"weight": weight, **matrices}.items()},
        {name: graph_xml.column([value]) for name, value in graph.graph_attributes.items()})


FORMATS: dict[str, Callable[[RelationGraph], bytes]] = {
    "csv": _pairs_csv,
    "adjacency.csv": _adjacency_csv,
    "npz": _npz,
    "graphml": lambda graph: graph_xml.graphml(_document(graph)),
    "gexf": lambda graph: graph_xml.gexf(_document(graph)),
}
"""Every format by the ending of its files: pairs, matrix, arrays, and two kinds of graph."""
