"""The run folder: one training on disk, made and read alike by the command line and the dashboard.

    <name>/config.json            data, model, training and the command that repeats it
           status.json            state, pid, progress, error, held-out metrics; replaced atomically
           metrics.jsonl          one record an epoch, append only
           snapshot.safetensors   the graph and a few reconstructions of the last epoch
           checkpoints/epoch-N/   what an interrupted run goes on from
           model.safetensors, model.json   the finished model
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import __version__, trainer_state
from .checkpoint import (
    DESCRIPTION,
    WEIGHTS,
    load_model,
    model_config_from_dict,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from .config import DataConfig, ModelConfig, ReferenceConfig, TrainConfig
from .config_io import from_dict, to_dict
from .errors import SagvaeError, expected

STATES = ("queued", "running", "finished", "stopped", "failed", "interrupted")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's result, and the command that repeats it."""

    data: DataConfig
    model: ModelConfig | ReferenceConfig
    train: TrainConfig
    title: str = ""
    command: str = ""
    family: str = ""  # runs of one family were trained on the same data to be compared
    role: str = "sagvae"  # what the model is in its family: a key of presets.MODELS

    def to_dict(self) -> dict[str, Any]:
        kind = "sagvae" if isinstance(self.model, ModelConfig) else self.model.kind
        return {"sagvae_core": __version__, "kind": kind} | {
            field.name: to_dict(value) if dataclasses.is_dataclass(value := getattr(self, field.name)) else value
            for field in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: Any) -> RunConfig:
        if not isinstance(values, dict) or not {"kind", "data", "model", "train"} <= set(values):
            raise expected("config.json", "an object with kind, data, model and train", type(values).__name__,
                           "Start the run again with `sagvae train`.")
        train = dict(values["train"]) if isinstance(values["train"], dict) else values["train"]
        texts = {name: str(values.get(name, "")) for name in ("title", "command", "family", "role")}
        return cls(from_dict(DataConfig, values["data"], "data"),
                   model_config_from_dict(values["kind"], values["model"]),
                   from_dict(TrainConfig, train, "train"), **texts)


@dataclass
class Status:
    """Where a run is. Times are seconds since the epoch, durations seconds."""

    state: str = "queued"
    pid: int | None = None
    pid_started: float | None = None  # tells our process from a later one with the same number
    step: int = 0
    total_steps: int = 0
    epoch: int = 0
    total_epochs: int = 0
    seconds: float = 0.0
    eta_seconds: float | None = None
    device: str = ""
    error: str | None = None
    created: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """Raise for a file that somebody edited: pages count with these numbers and format them."""
        names = ("step", "total_steps", "epoch", "total_epochs", "seconds", "created", "eta_seconds")
        numbers = {name: getattr(self, name) for name in names}
        numbers |= self.metrics if isinstance(self.metrics, dict) else {"metrics": self.metrics}
        for name, value in numbers.items():
            if not isinstance(value, (int, float)) and not (name == "eta_seconds" and value is None):
                raise expected(f"{name} in status.json", "a number", repr(value), "Delete the run or restore the file.")


class Run:
    """One run folder. Reading never changes it; only the process that trains writes its status."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.name = self.folder.name

    def __repr__(self) -> str:
        return f"Run({self.name!r})"

    @classmethod
    def create(cls, root: Path | str, name: str, config: RunConfig) -> Run:
        """A new queued run; an existing name is refused, so that nothing is ever overwritten or hidden."""
        folder = Path(root) / check_name(name)
        try:
            if is_taken(root, name):
                raise FileExistsError
            folder.mkdir(parents=True)
        except FileExistsError:
            raise expected("run name", "new", repr(name), "Choose another name, or delete that run first.") from None
        except OSError as error:
            raise SagvaeError(f"The folder for runs must be writable, got {error.strerror} for {str(root)!r}. "
                              "Set SAGVAE_RUNS to a folder you may write to.") from None
        run = cls(folder)
        write_json(folder / "config.json", config.to_dict())
        run.write_status(Status(created=time.time(), total_epochs=config.train.total_epochs))
        return run

    # ------------------------------------------------------------------ reading

    @property
    def config(self) -> RunConfig:
        return RunConfig.from_dict(read_json(self.folder / "config.json"))

    @property
    def status(self) -> Status:
        """The status, with a run whose process is gone shown as interrupted."""
        values = read_json(self.folder / "status.json")
        if not isinstance(values, dict) or values.get("state") not in STATES:
            raise expected("status.json", "an object with a known state", values if not isinstance(values, dict)
                           else repr(values.get("state")), "Delete the run or restore the file.")
        status = Status(**{f.name: values[f.name] for f in dataclasses.fields(Status) if f.name in values})
        status.check()
        if status.state == "running" and not _alive(status.pid, status.pid_started):
            status = dataclasses.replace(status, state="interrupted", eta_seconds=None)
        return status

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl, one an epoch; a half-written last line is left out."""
        try:
            lines = (self.folder / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        records: dict[int, dict[str, Any]] = {}
        for line in lines:
            try:
                record = json.loads(line)
                records[int(record["epoch"])] = record  # an epoch repeated after a resume replaces its first try
            except (ValueError, KeyError, TypeError):
                continue
        return [records[epoch] for epoch in sorted(records)]

    @property
    def has_model(self) -> bool:
        return (self.folder / WEIGHTS).is_file() and (self.folder / DESCRIPTION).is_file()

    def load_model(self, device: str = "cpu"):
        """The finished model in eval mode; see :func:`sagvae_core.checkpoint.load_model`."""
        return load_model(self.folder, device)

    def snapshot(self) -> dict[str, Any] | None:
        """Tensors of the last epoch's snapshot, or None before the first."""
        path = self.folder / "snapshot.safetensors"
        return read_tensors(path) if path.is_file() else None

    # ------------------------------------------------------------------ writing

    def write_status(self, status: Status) -> None:
        write_json(self.folder / "status.json", dataclasses.asdict(status))

    def append_record(self, record: dict[str, Any]) -> None:
        with (self.folder / "metrics.jsonl").open("a+b") as file:
            # After a crash in the middle of a line the next record must not be glued to it and lost with it.
            torn = file.tell() > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
            file.write(b"\n" * torn + json.dumps(record).encode() + b"\n")

    def write_snapshot(self, tensors: dict[str, Any]) -> None:
        write_tensors(self.folder / "snapshot.safetensors", tensors)

    def write_checkpoint(self, state: dict[str, Any]) -> None:
        """Store a :meth:`Trainer.state`; the last good checkpoint is never touched."""
        trainer_state.write(self.folder / "checkpoints", state)

    def read_checkpoint(self) -> dict[str, Any] | None:
        """The newest readable checkpoint as a :meth:`Trainer.state`, or None."""
        return trainer_state.read_newest(self.folder / "checkpoints")

    def remove_checkpoints(self) -> None:
        """A finished run needs none."""
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)

    # ------------------------------------------------------------------ stopping from another process

    def request_stop(self) -> None:
        """Ask the training process to stop after its current step; the last epoch's checkpoint stays."""
        (self.folder / "stop").touch()

    def stop_requested(self) -> bool:
        return (self.folder / "stop").exists()

    def clear_stop(self) -> None:
        (self.folder / "stop").unlink(missing_ok=True)


def check_name(name: str) -> str:
    """A run's name is also its folder's: letters, digits, '.', '_' and '-', at most 64."""
    if not _NAME.fullmatch(name):
        raise expected("run name", "1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit", repr(name))
    return name


def free_name(root: Path, stem: str) -> str:
    """``stem``, or ``stem-2``, ``stem-3`` ... when it is taken."""
    names = [stem, *(f"{stem}-{number}" for number in range(2, 10_000))]
    return next(name for name in names if not is_taken(root, name))


def is_taken(root: Path | str, name: str) -> bool:
    """Whether a run below ``root`` or a shipped one has this name: a namesake would hide the shipped model."""
    return (Path(root) / name).exists() or (shipped_folder() / name).exists()


def runs_folder() -> Path:
    """Where new runs go: the environment variable SAGVAE_RUNS, else ``runs`` in the current folder."""
    return Path(os.environ.get("SAGVAE_RUNS", "runs"))


def shipped_folder() -> Path:
    """The finished runs that come with the package."""
    inside = Path(__file__).parent / "assets" / "runs"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "assets" / "runs"


def list_runs(*roots: Path | str) -> list[Run]:
    """Every run folder below ``roots`` (default: the user's, then the shipped ones), by name within each root.

    A name that stands in two roots is listed once: the user's own run wins.
    """
    found: dict[str, Run] = {}
    for root in roots or (runs_folder(), shipped_folder()):
        for folder in sorted(Path(root).glob("*")):
            if (folder / "config.json").is_file():
                found.setdefault(folder.name, Run(folder))
    return list(found.values())


def find_run(name: str, *roots: Path | str) -> Run:
    """The run called ``name``.

    Raises:
        SagvaeError: there is none; the message lists those there are.
    """
    runs = {run.name: run for run in list_runs(*roots)}
    if name not in runs:
        raise expected("run", "one of " + (", ".join(runs) or "(there are none yet)"), repr(name),
                       "See `sagvae runs`.")
    return runs[name]


def process_started(pid: int) -> float | None:
    """Start time of a process, to recognise it again; None when there is no such process."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _alive(pid: int | None, started: float | None) -> bool:
    if pid is None:
        return False
    found = process_started(pid)
    return found is not None and (started is None or abs(found - started) < 2)
