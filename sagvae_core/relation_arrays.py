"""Graphs read back from ``.npz`` files, which may be damaged or a stranger's: sizes first, no pickle, every value."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import SagvaeError, expected, reason
from .file_text import storable
from .graph_files import RelationGraph

_REMEDY = "The file is damaged: fit again."
_MATRICES = {"scores": "f", "posterior": "f", "selected": "b", "frequency": "f", "lower": "f", "upper": "f",
             "partial": "f"}
_NEEDED = ("scores", "selected", "names")
_HEADER, _TEXT, _ATTRIBUTES = 4096, 4000, 64  # bytes of an array's header, letters of a text, attributes of a graph


def read_graph_arrays(path: Path, names: Sequence[str]) -> RelationGraph:
    """The graph that :func:`~.graph_files.write_graph` has written to an ``.npz``.

    Args:
        path: of the file.
        names: of the N columns it must be of.

    Raises:
        SagvaeError: there is none, it is damaged or larger than a graph of N columns can be, has other columns, needs
            pickle, or a number is infinite or out of its range.
    """
    arrays = _read(path, len(names))
    shape = (len(names), len(names))
    for name in _NEEDED:
        if name not in arrays:
            raise expected(path.name, f"a graph with {', '.join(_NEEDED)}", f"one without {name}", _REMEDY)
    for name, kind in _MATRICES.items():
        if name in arrays and (arrays[name].shape != shape or arrays[name].dtype.kind != kind):
            raise expected(f"{name} in {path.name}", f"a matrix of shape {shape}",
                           f"shape {arrays[name].shape} of type {arrays[name].dtype}", _REMEDY)
        if name in arrays and (np.isinf if name == "partial" else _is_no_number)(arrays[name]).any():
            raise expected(f"{name} in {path.name}", "finite", "NaN or infinity", _REMEDY)
    if arrays["names"].tolist() != [storable(name) for name in names]:
        raise expected(f"names in {path.name}", "those of the table's columns, in their order", "others", _REMEDY)
    nodes = {name.removeprefix("node."): _values(array) for name, array in arrays.items() if name.startswith("node.")}
    about = {name.removeprefix("graph."): array.item() for name, array in arrays.items() if name.startswith("graph.")
             if array.shape == ()}
    matrices = {name: arrays.get(name) for name in _MATRICES}
    try:
        return RelationGraph(tuple(names), node_attributes=nodes, graph_attributes=about, **matrices)
    except SagvaeError as error:
        raise SagvaeError(f"{path.name}: {error} {_REMEDY}") from None


def _read(path: Path, count: int) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > len(_MATRICES) + 1 + _ATTRIBUTES:
                raise expected(path.name, "a graph's arrays", f"{len(members):,} of them", _REMEDY)
            arrays = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                most = _most_bytes(name, count)
                if member.file_size > most:
                    raise expected(f"{name} in {path.name}", f"at most {most:,} bytes for {count:,} columns",
                                   f"{member.file_size:,}", _REMEDY)
                with archive.open(member) as file:
                    data = file.read(most + 1)  # what the file says of a size need not be so
                arrays[name] = _array(data, most)
            return arrays
    except FileNotFoundError:
        raise expected(path.name, "there", "no such file", "Fit again.") from None
    except SagvaeError:
        raise
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error,
            MemoryError) as error:  # what numpy and zipfile raise for damaged bytes
        raise expected(path.name, "a file of arrays", f"one that cannot be read ({reason(error)})", _REMEDY) from None


def _is_no_number(matrix: np.ndarray) -> np.ndarray:
    return ~np.isfinite(matrix)


def _most_bytes(name: str, count: int) -> int:
    """How many bytes an array of a graph of ``count`` columns may have."""
    if name in _MATRICES:
        return _HEADER + 8 * count * count
    return _HEADER + 4 * _TEXT * (count if name == "names" or name.startswith("node.") else 1)


def _array(data: bytes, most: int) -> np.ndarray:
    """One array; its header is compared with the bytes that there are before anything is allocated for it."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"format {version}")
    shape, _, kind = read_header[version](file)
    size = kind.itemsize * int(np.prod(shape, dtype=object))
    if kind.hasobject or size != len(data) - file.tell() or len(data) > most:
        raise ValueError(f"an array of shape {shape} and type {kind} in {len(data):,} bytes")
    file.seek(0)
    return np.load(file, allow_pickle=False)


def _values(array: np.ndarray) -> list:
    """The values of a node attribute; numbers of which some are missing were written as text."""
    values = array.tolist()
    if array.dtype.kind != "U":
        return values
    try:
        return [float(value) if value else None for value in values]
    except ValueError:
        return values
