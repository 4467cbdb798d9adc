"""Training as a process of its own: started, found again and stopped through its run folder. No Streamlit here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sagvae_core.runs import Run, RunConfig, list_runs, runs_folder


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
               "--runs-dir", str(run.folder.parent)]
    with (run.folder / "log.txt").open("ab") as log:
        # A session of its own: Ctrl-C in the server's terminal must not reach a training.
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                         cwd=Path(__file__).parents[1], env=os.environ | {"PYTHONUNBUFFERED": "1"})


def running() -> list[Run]:
    """The user's runs that are training now, whoever started them."""
    return [run for run in list_runs(runs_folder()) if _state(run) == "running"]


def _state(run: Run) -> str:
    try:
        return run.status.state
    except ValueError:
        return "unreadable"


def device() -> str:
    """What a training would run on, in words."""
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB"
    if torch.backends.mps.is_available():
        return "Apple GPU (MPS)"
    return f"CPU, {os.cpu_count()} cores"
