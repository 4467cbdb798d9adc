"""Whether an unpacked folder is a run that can be shown, used and gone on with. Only the model is loaded for it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from .archive_members import CHECKPOINT, REMEDY, SNAPSHOT
from .checkpoint import DESCRIPTION, WEIGHTS, model_outline, read_json, write_json
from .errors import SagvaeError, expected
from .runs import Run, RunConfig, Status
from .tensor_headers import read_shapes, shown

_LONGEST_LINE = 1 << 20


def check_run(folder: Path, remedy: str = REMEDY) -> None:
    """Read everything in ``folder``, and make its status that of a run on this machine.

    Args:
        remedy: what to do about it, for the sentences.

    Raises:
        SagvaeError: a file is missing, damaged, or does not fit the run's configuration.
    """
    run = Run(folder)
    config = run.config
    _check_texts(config, remedy)
    _adopt_status(run, remedy)
    _check_records(folder / "metrics.jsonl", remedy)
    _check_model(run, config, remedy)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    for name in filter(SNAPSHOT.fullmatch, names):
        _check_snapshot(folder / name, config, remedy)
    _ = run.snapshot()
    for name in filter(CHECKPOINT.fullmatch, names):
        _check_checkpoint(folder / name, config, remedy)


def _check_texts(config: RunConfig, remedy: str) -> None:
    """What tables and terminals print must be letters: an escape sequence could rewrite what they show."""
    texts = {"data.name": config.data.name} | {name: getattr(config, name)
                                               for name in ("title", "command", "family", "role")}
    for name, text in texts.items():
        if not text.isprintable():
            raise expected(f"{name} in config.json", "printable text", ascii(text)[:80], remedy)


def _adopt_status(run: Run, remedy: str) -> None:
    """Numbers of processes mean nothing on another machine, or somebody else's process here."""
    values = read_json(run.folder / "status.json")
    if isinstance(values, dict):
        values |= {"pid": None, "pid_started": None, "host": ""}
        if values.get("state") in ("queued", "running"):
            values |= {"state": "interrupted", "eta_seconds": None}
        for name, kinds in (("device", str), ("error", str | None), ("note", str | None)):
            text = values.get(name, "")
            if not isinstance(text, kinds) or not (text or "").replace("\n", " ").isprintable():
                raise expected(f"{name} in status.json", "printable text", ascii(text)[:80], remedy)
        known = {field.name for field in dataclasses.fields(Status)}
        write_json(run.folder / "status.json", {name: value for name, value in values.items() if name in known})
    _ = run.status


def _check_records(path: Path, remedy: str) -> None:
    """Every line is a record, but for those that a crash has cut."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), 1):
            if not _is_record(line):
                raise expected(f"line {number} of metrics.jsonl", "the record of an epoch", repr(line[:60]), remedy)


def _is_record(line: bytes) -> bool:
    if len(line) > _LONGEST_LINE:
        return False
    try:
        record = json.loads(line)
    except RecursionError:
        return False
    except ValueError:  # no JSON, or no text: half a line, if it begins like a whole one
        return line.startswith(b'{"') or not line.strip()
    return (isinstance(record, dict) and type(record.get("epoch")) is int and 0 <= record["epoch"] < 2**63
            and all(map(_is_plain, record.values())))


def _is_plain(value: Any) -> bool:
    """Whether a value of a record is one that pages know to show: a number, a text, or some numbers."""
    return isinstance(value, (int, float, str, type(None))) or (
        isinstance(value, list) and all(isinstance(item, (int, float)) for item in value))


def _check_model(run: Run, config: RunConfig, remedy: str) -> None:
    there = [name for name in (DESCRIPTION, WEIGHTS) if (run.folder / name).exists()]
    if len(there) == 1:
        raise expected("the model of the run", f"{DESCRIPTION} and {WEIGHTS}", f"{there[0]} alone", remedy)
    if not there and run.status.state == "finished":
        raise expected("the model of a finished run", f"{DESCRIPTION} and {WEIGHTS}", "neither", remedy)
    if there and run.load_model().config != config.model:
        raise expected(DESCRIPTION, "the model of config.json", "another model", remedy)


def _check_snapshot(path: Path, config: RunConfig, remedy: str) -> None:
    """The shapes that the pages draw: rows (R, N, C), and the graph as (N, N) or its upper triangle."""
    nodes, channels = config.model.num_nodes, config.model.num_channels
    graphs = {"edge_percent": (nodes, nodes), "edge_percent_pairs": (nodes * (nodes - 1) // 2,)}
    for name, shape in read_shapes(path).items():
        wanted = graphs.get(name, (*shape[:1], nodes, channels))
        if shape != wanted:
            raise expected(f"{shown(name)} in {path.name}", f"of shape {wanted}", f"shape {shape}", remedy)


def _check_checkpoint(folder: Path, config: RunConfig, remedy: str) -> None:
    if not isinstance(read_json(folder / "state.json"), dict):
        raise expected(f"state.json in {folder.name}", "an object", "something else", remedy)
    shapes = read_shapes(folder / "state.safetensors")
    weights = {name: tuple(tensor.shape) for name, tensor in
               model_outline(config.model, len(shapes)).state_dict().items()}
    found = {name.removeprefix("model/"): shape for name, shape in shapes.items() if name.startswith("model/")}
    if found != weights:
        raise expected(f"the weights in {folder.name}", "those of the model of config.json", "others", remedy)
    for name, shape in shapes.items():
        part, _, rest = name.partition("/")
        if part not in ("model", "best", "optimizer") or (part == "best" and weights.get(rest) != shape):
            raise SagvaeError(f"{shown(name)} in {folder.name} is nothing that a checkpoint has. {remedy}")
