"""The records of a run, metrics.jsonl: one line of JSON an epoch, append only, read whatever became of the file."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

_FILE = "metrics.jsonl"


def read(folder: Path) -> list[dict[str, Any]]:
    """The records of all epochs, in order; what is no record, such as half a last line, is left out."""
    try:
        lines = (folder / _FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    records: dict[int, dict[str, Any]] = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and all(map(_is_drawable, record.values())):
                records[int(record["epoch"])] = record  # an epoch repeated after a resume replaces its first try
    return [records[epoch] for epoch in sorted(records)]


def append(folder: Path, record: dict[str, Any]) -> None:
    """Write one more record behind those there are."""
    with (folder / _FILE).open("a+b") as file:
        # After a crash in the middle of a line the next record must not be glued to it and lost with it.
        torn = file.tell() > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
        file.write(b"\n" * torn + json.dumps(record).encode() + b"\n")


def _is_drawable(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, list) and all(
        isinstance(entry, (int, float)) for entry in value))
