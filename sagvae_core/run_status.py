"""Where a run is, as its folder says it."""

from __future__ import annotations

import dataclasses
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import run_lock
from .checkpoint import read_json, write_json
from .errors import expected

STATES = ("queued", "running", "paused", "finished", "stopped", "failed", "interrupted")
ACTIVE = ("queued", "running")  # a process tends it: trains, or waits for its turn
STATUS, LOCK = "status.json", ".lock"
_SILENCE = 600.0  # seconds without a word after which a process on another machine counts as gone
_REPAIR = "Go on with the run, which writes the file anew, or delete the run."


@dataclass
class Status:
    """Where a run is. Times are seconds since the epoch, durations seconds, memory bytes."""

    state: str = "queued"
    pid: int | None = None
    pid_started: float | None = None  # tells our process from a later one with the same number
    host: str = ""
    device_key: str = ""  # what it trains on, or waits for, as the queue calls it: "cpu", "cuda:0", "mps"
    queued_at: float = 0.0
    step: int = 0
    total_steps: int = 0
    saved_step: int = 0  # of the newest checkpoint: nothing before it can be lost
    epoch: int = 0
    total_epochs: int = 0
    seconds: float = 0.0
    eta_seconds: float | None = None
    device: str = ""
    memory: float = 0.0  # at most so far: of the device where that can be asked, else of the process
    error: str | None = None
    note: str | None = None  # what became of the training otherwise than was asked for, though it is no error
    created: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)  # means over the present epoch so far
    metrics: dict[str, float] = field(default_factory=dict)  # of the model on held-out rows, once it is finished

    def check(self) -> None:
        """Raise for a file that somebody edited: pages count with these numbers and format them."""
        wanted = {f.name: f.type for f in dataclasses.fields(self)}
        numbers = {name: getattr(self, name) for name, kind in wanted.items() if kind.startswith(("int", "float"))}
        for name in ("terms", "metrics"):
            values = getattr(self, name)
            numbers |= {f"{name}.{key}": value for key, value in values.items()} if isinstance(values, dict) else {
                name: values}
        for name, value in numbers.items():
            optional = "None" in wanted.get(name, "")
            if isinstance(value, bool) or not (isinstance(value, (int, float)) or (value is None and optional)):
                raise expected(f"{name} in {STATUS}", "a number", repr(value)[:80], _REPAIR)
        if self.pid is not None and not isinstance(self.pid, int):
            raise expected(f"pid in {STATUS}", "a whole number", repr(self.pid)[:80], _REPAIR)
        for name in ("host", "device_key", "device", "error", "note"):
            value = getattr(self, name)
            if not isinstance(value, str) and not (name in ("error", "note") and value is None):
                raise expected(f"{name} in {STATUS}", "text", repr(value)[:80], _REPAIR)

    @classmethod
    def read(cls, folder: Path) -> Status:
        """The status as written, also if its process is gone.

        Raises:
            SagvaeError: there is no such file, or it is no status.
        """
        values = read_json(folder / STATUS)
        state = values.get("state") if isinstance(values, dict) else values
        if not isinstance(values, dict) or not isinstance(state, str) or state not in STATES:
            raise expected(STATUS, "an object with a known state", repr(state)[:80], _REPAIR)
        status = cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values})
        status.check()
        return status

    def write(self, folder: Path) -> None:
        """Replace the file; a reader sees the old one or the new one."""
        write_json(folder / STATUS, dataclasses.asdict(self))

    def is_tended(self, folder: Path) -> bool:
        """Whether a process really trains the run or waits to, for a status that says so."""
        held = run_lock.is_held(folder / LOCK)
        if held:
            return True
        if self.host not in ("", platform.node()):  # there, locks and process numbers may say nothing
            return time.time() - (folder / STATUS).stat().st_mtime < _SILENCE
        if self.state == "queued" and self.pid is None:
            return True  # made, and not started by anybody yet
        # Between its start and its lock a process is known by its number alone, and so is one that has no lock file.
        return (self.state == "queued" or held is None) and is_alive(self.pid, self.pid_started)


def process_started(pid: int) -> float | None:
    """Start time of a process, to recognise it again; None when there is no such process."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.Error, ValueError, OverflowError):  # no number of a process
        return None


def is_alive(pid: int | None, started: float | None) -> bool:
    """Whether the process that had this number when it started at ``started`` still runs."""
    if pid is None:
        return False
    found = process_started(pid)
    return found is not None and (started is None or abs(found - started) < 2)


def own_process() -> dict[str, Any]:
    """What a status says of the process that writes it."""
    import os

    return {"pid": os.getpid(), "pid_started": process_started(os.getpid()), "host": platform.node()}
