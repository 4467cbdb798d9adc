"""Records of studies, read and checked: rows, kept edges, tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..checkpoint import read_json
from ..errors import expected
from .cells import Cell, Measured

ROW = ("task", "method", "setting", "metric", "mean", "sd", "n")


def read_record(path: Path | str) -> dict[str, Any]:
    """A study's record, its shape checked.

    Raises:
        SagvaeError: the file is missing, no JSON, or not of a record's shape.
    """
    path = Path(path)
    if not path.is_file():
        raise expected(str(path), "the record of a study", "no such file", "`sagvae study --help` lists the studies.")
    return _checked(read_json(path), path.name)


def read_edges(record: Path | str) -> dict[Cell, Measured]:
    """The kept scores (float32) and truths (bool) of the study whose record is at that path; empty if it kept none."""
    from safetensors import safe_open

    path = Path(record).with_suffix(".safetensors")
    if not path.is_file():
        return {}
    with safe_open(path, "numpy") as file:
        kept = [(Cell(**entry["cell"]), entry["threshold"]) for entry in json.loads(file.metadata()["cells"])]
        return {cell: Measured({}, file.get_tensor(scores_name(cell)),
                               file.get_tensor(f"truth/{cell.task}").astype(bool), threshold)
                for cell, threshold in kept}


def table(record: dict[str, Any], metric: str) -> dict[str, dict[tuple[str, str], tuple]]:
    """Task -> (method, setting) -> (mean, sd or None, n or None) of one metric, in the record's order."""
    found: dict[str, dict[tuple[str, str], tuple]] = {}
    for row in record["rows"]:
        if row["metric"] == metric:
            found.setdefault(row["task"], {})[row["method"], row["setting"]] = (row["mean"], row["sd"], row["n"])
    return found


def markdown_table(record: dict[str, Any], metric: str, tasks: Sequence[str] | None = None,
                   methods: Sequence[tuple[str, str]] | None = None, digits: int = 3) -> str:
    """One metric as a Markdown table: a line a (method, setting), a column a task, cells as "0.962 ± 0.011".

    ``tasks`` and ``methods`` choose and order; without them all, in the record's order.
    """
    values = table(record, metric)
    tasks = list(values) if tasks is None else tasks
    if methods is None:
        methods = list(dict.fromkeys(key for task in tasks for key in values.get(task, {})))
    lines = [["method", *tasks], ["---"] * (len(tasks) + 1)]
    for key in methods:
        lines.append([", ".join(filter(None, key)), *(_text(values.get(task, {}).get(key), digits) for task in tasks)])
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _text(value: tuple | None, digits: int) -> str:
    if value is None:
        return ""
    mean, sd, _ = value
    return f"{mean:.{digits}f}" + ("" if sd is None else f" ± {sd:.{digits}f}")


def _checked(record: Any, name: str) -> dict[str, Any]:
    keys = {"study", "command", "versions", "seeds", "seconds", "rows"}
    if not isinstance(record, dict) or not keys <= set(record) or not isinstance(record["rows"], list):
        raise expected(name, "a study's record with " + ", ".join(sorted(keys)), _keys(record))
    for row in record["rows"]:
        check_row(row, name)
    return record


def check_row(row: Any, name: str) -> None:
    """A row of a record has its keys, texts and numbers, or an error names the record."""
    if not isinstance(row, dict) or set(row) != set(ROW):
        raise expected(f"a row of {name}", "an object with " + ", ".join(ROW), _keys(row))
    numbers = [row["mean"], *(row[key] for key in ("sd", "n") if row[key] is not None)]
    if not all(isinstance(row[key], str) for key in ROW[:4]) or not all(isinstance(x, int | float) for x in numbers):
        raise expected(f"a row of {name}", "of four texts and numbers", row)


def _keys(value: Any) -> str:
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, dict) else type(value).__name__


def scores_name(cell: Cell) -> str:
    """The name of a cell's scores in the file of edges."""
    return f"scores/{cell.task}/{cell.method}/{cell.setting}"
