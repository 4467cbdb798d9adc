"""Training as a process of its own: started, found again and stopped through its run folder. No Streamlit here."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from sagvae_core.runs import Run, RunConfig, list_runs, process_started, runs_folder

_children: list[subprocess.Popen] = []  # kept, and asked for, until they end: no zombies


def start(name: str, config: RunConfig) -> Run:
    """Create the run and train it in a new process that outlives the page, the browser and the server.

    Raises:
        SagvaeError: the name is taken or no name, or the folder cannot be written.
    """
    run = Run.create(runs_folder(), name, config)
    resume(run)
    return run


def resume(run: Run) -> None:
    """Go on with a queued, stopped or interrupted run from its last checkpoint."""
    command = [sys.executable, "-m", "sagvae_core", "train", "--resume", run.name, "--quiet",
               "--runs-dir", str(run.folder.parent.resolve())]
    with (run.folder / "log.txt").open("ab") as log:
        # A session of its own: Ctrl-C in the server's terminal must not reach a training.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                   cwd=Path(__file__).parents[1], env=os.environ | {"PYTHONUNBUFFERED": "1"})
    _children[:] = [child for child in _children if child.poll() is None] + [process]
    # It imports for seconds before it says that it runs; until then its number stops a second start of the same run.
    run.write_status(dataclasses.replace(run.status, state="queued", error=None, pid=process.pid,
                                         pid_started=process_started(process.pid)))


def running() -> list[Run]:
    """The user's runs that are training now or about to, whoever started them."""
    return [run for run in list_runs(runs_folder()) if _is_running(run)]


def _is_running(run: Run) -> bool:
    try:
        status = run.status
    except ValueError:
        return False
    if status.state == "queued" and status.pid is not None and status.pid_started is not None:
        return process_started(status.pid) == status.pid_started
    return status.state == "running"


def device() -> str:
    """What a training would run on, in words."""
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB"
    if torch.backends.mps.is_available():
        return "Apple GPU (MPS)"
    return f"CPU, {os.cpu_count()} cores"
