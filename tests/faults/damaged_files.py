"""Files as an attacker or a dying disk would make them: hypothesis strategies that start from valid ones."""

from __future__ import annotations

import copy
import io
import json
import math
import stat
import struct
import warnings
import zipfile
import zlib
from typing import Any

from hypothesis import strategies as st
from zip_bombs import forged_png

# What parsers stumble over: each stands for a kind of mistake.
TOKENS = [b"", b"\0", b"\xff\xfe", b"NaN", b"-Infinity", b"1e999", b"-1", b"null", b"true", b'"', b"{", b"}",
          b"[" * 3000, b'{"a":' * 3000, b"9" * 400, b"9" * 5000, b"\\ud800", b"\\u0000", b"\x80\x04\x95", b"PK\x03\x04",
          b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"\r\n", b"../", b"/etc/passwd", bytes(300),
          struct.pack("<Q", 2**63), struct.pack("<I", 2**32 - 1), struct.pack(">I", 2**31), b"\xed\xa0\x80"]
NUMBERS = [0, 1, -1, 2, 63, 65, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, -2**63,
           10**30, 10**300, 10**400, 0.5, -0.0, 1e-320, 1e308, math.nan, math.inf, -math.inf]
TEXTS = ["", "x", "../../up", "/etc/passwd", "\x1b[2J", "\0", "\ud800", "é" * 70, "a" * 5000, "cuda:99", "sagvae",
         "queued", "running", "F32", "F64", "U8", "I64", "BOOL", "F8_E4M3", "C64", "%s%n",
         "<img src=x onerror=alert(1)>", "{}"]
VALUES = st.one_of(
    st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from([None, True, False, [], {}, [[]], [None], {"a": {}}]),
    st.lists(st.sampled_from(NUMBERS), max_size=20), st.just([1] * 2000))


@st.composite
def damaged_bytes(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """One of the valid files with a few bytes changed, cut out, doubled or put in; or nothing but random bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 4, 8, 100, 10**6])))
        data[start:end] = draw(st.one_of(st.sampled_from(TOKENS), st.binary(min_size=1, max_size=8),
                                         st.just(bytes(data[start:end]) * 2), st.just(b"")))
    return bytes(data)


def _paths(value: Any, path: tuple = ()) -> list[tuple]:
    """Where every part of a JSON value is."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in _paths(item, (*path, key)))]


@st.composite
def damaged_value(draw: st.DrawFn, valid: list[Any]) -> Any:
    """A JSON value with a few parts replaced, removed or renamed: past the parser, where the meaning is checked."""
    value = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(_paths(value)))
        new = copy.deepcopy(draw(VALUES))
        if not path:
            value = new if draw(st.integers(0, 9)) == 0 else value
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        how = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename"]))
        if how != "replace":
            removed = parent.pop(path[-1])
            if how == "rename" and isinstance(parent, dict):
                parent[draw(st.sampled_from(TEXTS))] = removed
        else:
            parent[path[-1]] = new
    return value


def damaged_json(*valid: Any) -> st.SearchStrategy[bytes]:
    """Files that were the JSON of ``valid``, most of them still JSON."""
    files = [json.dumps(value).encode() for value in valid]
    values = damaged_value([json.loads(file) for file in files])
    return st.one_of(values.map(lambda value: json.dumps(value).encode()), damaged_bytes(files))


def damaged_lines(valid: list[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    """Files of one JSON value a line."""
    line = damaged_value(valid).map(lambda value: json.dumps(value).encode())
    whole = b"\n".join(json.dumps(value).encode() for value in valid)
    return st.one_of(st.lists(line, max_size=5).map(b"\n".join), damaged_bytes([whole]))


@st.composite
def damaged_tensors(draw: st.DrawFn, valid: bytes) -> bytes:
    """A safetensors file whose header says something else than its data, or one with other bytes."""
    if draw(st.booleans()):
        return draw(damaged_bytes([valid]))
    length = struct.unpack("<Q", valid[:8])[0]
    header = json.dumps(draw(damaged_value([json.loads(valid[8:8 + length])]))).encode()
    return packed(header, valid[8 + length:], draw(st.sampled_from([0, 0, 0, 1, -1, 2**62])))


def packed(header: bytes, data: bytes, lie: int = 0) -> bytes:
    """The file of a safetensors header and its data, ``lie`` added to the header's length."""
    return struct.pack("<Q", max(0, len(header) + lie)) + header + data


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Safetensors files from nothing: huge, negative and empty shapes, overlapping places, types nobody knows."""
    number = st.one_of(st.integers(0, 6), st.sampled_from([4, 8, 16]), st.sampled_from(NUMBERS))
    entry = st.fixed_dictionaries({
        "dtype": st.sampled_from(["F32", "F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E5M2", "C64", "f32", None, []]),
        "shape": st.lists(number, max_size=4) | st.just([1] * 40) | st.just([0, 2**62, 2**62]),
        "data_offsets": st.lists(number, min_size=2, max_size=2)})
    values = draw(st.dictionaries(st.sampled_from(["a", "b", "__metadata__", "", "\ud800", "a/b"]), entry, max_size=3))
    size = draw(st.sampled_from([0, 4, 8, 16, 24, 64]))
    return packed(json.dumps(values).encode(), bytes(size), draw(st.sampled_from([0, 0, 0, 0, 1, -1])))


NAMES = ["config.json", "status.json", "model.json", "model.safetensors", "archive.json", "metrics.jsonl", "a.pkl",
         "../up.json", "/abs.json", "..\\up", "snapshots/epoch-00001.safetensors", "snapshots/", "snapshots/../../x",
         "checkpoints/step-000000001/state.json", "checkpoints/step-1/", "\0", "config.json\0.pkl", "é.json", "C:\\x",
         ".", "b.zip"]


@st.composite
def damaged_archives(draw: st.DrawFn, members: dict[str, bytes]) -> bytes:
    """The archive of ``members`` with other names, kinds, contents or compressions for some of them."""
    entries = [[name, data, 0o100644, zipfile.ZIP_DEFLATED] for name, data in members.items()]
    for _ in range(draw(st.integers(1, 3))):
        entry = draw(st.sampled_from(entries))
        how = draw(st.sampled_from(["name", "data", "mode", "method", "twice", "remove"]))
        if how == "name":
            entry[0] = draw(st.sampled_from(NAMES))
        elif how == "data":
            entry[1] = draw(damaged_bytes([entry[1]]))
        elif how == "mode":
            entry[2] = draw(st.sampled_from([stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR, stat.S_IFSOCK, 0, 0o104777]))
        elif how == "method":
            entry[3] = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
        elif how == "twice":
            entries.append(list(entry))
        elif len(entries) > 1:
            entries.remove(entry)
    return archived(entries)


def archived(entries: list[list]) -> bytes:
    """A zip file of (name, data, mode, method)."""
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w") as target:  # "Duplicate name"
        for name, data, mode, method in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            target.writestr(info, data)
    return file.getvalue()


@st.composite
def damaged_pictures(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """A picture with other bytes, or a PNG whose chunks are sound and do not belong together."""
    if draw(st.integers(0, 3)):
        return draw(damaged_bytes(valid))
    size = st.sampled_from([28, 28, 28, 0, 1, 27, 10**4, 2**31 - 1, 2**32 - 1])
    rows = draw(st.sampled_from([bytes(28 * 29), bytes(10), bytes(10**6), b"\x07" * 28 * 29]))
    return forged_png(draw(size), draw(size), draw(st.sampled_from([zlib.compress(rows), rows])),
               draw(st.sampled_from([8, 16, 1, 4, 3])), draw(st.sampled_from([0, 2, 3, 4, 6, 7])))
