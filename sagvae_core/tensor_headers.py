"""What a safetensors file says it holds, read and checked before a single value is.

    8 bytes    length of the header, little endian
    header     JSON: name -> {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    data       the tensors, one behind the other
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from .errors import SagvaeError, expected

_MAX_HEADER = 1 << 20
_MAX_DIMENSIONS = 16
_ITEM_SIZE = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """Names, types, shapes and places of a safetensors file's tensors, each entry well-formed; no data is read.

    Raises:
        SagvaeError: there is no such file, it is a pickle, or its header is damaged.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else _MAX_HEADER + 1
            # Only after the length: a header of 640 or 1152 bytes begins like a pickle, but no pickle like a length.
            if length > _MAX_HEADER and (start[:1] == b"\x80" or start[:2] == b"PK"):
                raise SagvaeError(f"{path.name} must be a safetensors file, got a pickle or archive under that name. "
                                  "Pickles can run any program when they are opened, so none is read.")
            if length > min(_MAX_HEADER, size):
                raise expected(path.name, "a safetensors file", "no readable header",
                               "The file is damaged or cut: restore it or train again.")
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise SagvaeError(f"{path.name} must be in {path.parent.name!r}, got no such file. "
                          "Restore it, or choose the folder of a finished run.") from None
    except SagvaeError:
        raise
    except (OSError, ValueError, RecursionError):
        raise expected(path.name, "a safetensors file", "a header that is not JSON",
                       "The file is damaged: restore it or train again.") from None
    if not isinstance(header, dict):
        raise expected(path.name, "a safetensors file", "a header that is no object")
    header.pop("__metadata__", None)
    if not all(name and name.isprintable() and _is_entry(entry) for name, entry in header.items()):
        raise expected(path.name, "a safetensors file", "a header without shapes",
                       "The file is damaged: restore it or train again.")
    return header


def _is_entry(entry: Any) -> bool:
    """Whether a header says this of a tensor: a known type, a shape that can be counted, and where it lies."""
    if not isinstance(entry, dict):
        return False
    shape, offsets, dtype = entry.get("shape"), entry.get("data_offsets"), entry.get("dtype")
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2 and isinstance(dtype, str)
    return (lists and dtype in _ITEM_SIZE and len(shape) <= _MAX_DIMENSIONS
            and all(type(number) is int and 0 <= number < 2**63 for number in (*shape, *offsets))
            # Of an empty tensor too: PyTorch counts its strides in 64 bits.
            and math.prod(max(1, length) for length in shape) < 2**60)


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a safetensors file whose tensors lie one behind the other and fill it; no data is read."""
    header = read_header(path)
    check_layout(path, header)
    return {name: tuple(entry["shape"]) for name, entry in header.items()}


def check_layout(path: Path, header: dict[str, dict[str, Any]]) -> None:
    """Raise unless the tensors of ``header`` lie one behind the other and fill the file to its end."""
    sizes = {name: _ITEM_SIZE[entry["dtype"]] * math.prod(entry["shape"]) for name, entry in header.items()}
    total = sum(sizes.values())
    if total > path.stat().st_size:
        raise expected(path.name, f"at least {total} bytes long", path.stat().st_size, "The file is cut: restore it.")
    with path.open("rb") as file:
        start = 8 + struct.unpack("<Q", file.read(8))[0]
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["data_offsets"] != [end, end + sizes[name]]:
            raise expected(f"{shown(name)} in {path.name}", f"at bytes {end} to {end + sizes[name]}",
                           "{} to {}".format(*entry["data_offsets"]), "The file is damaged: restore it.")
        end += sizes[name]
    if start + end != path.stat().st_size:
        raise expected(path.name, f"{start + end} bytes long", path.stat().st_size, "The file is damaged: restore it.")


def shown(name: str) -> str:
    """A tensor's name for a sentence: it comes from the file and may be as long as its header."""
    return name if len(name) <= 100 else f"{name[:100]} ..."
