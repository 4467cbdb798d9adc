"""Runs as processes of their own: started, found again, paused and stopped through their folders. No Streamlit."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from sagvae_core.errors import SagvaeError, expected
from sagvae_core.preflight import check_before_training
from sagvae_core.run_folder import RunFolder
from sagvae_core.run_status import ACTIVE, Status, own_process, process_started
from sagvae_core.runs import Run, RunConfig, runs_folder
from sagvae_core.turns import line

_LOG_BYTES = 4000  # of the end of a log
_BEGINS = "--- a process begins\n"  # what stands before it in a log was said by an earlier process
# A fit's resamples are small and many: one on each core.
_VERBS = {"training": ["train"], "relations": ["fit", "--jobs", "-1"]}
_KEPT = {"training": " Nothing before its last checkpoint is lost.",
         "relations": " What its methods found before is kept."}
_FULL_DISK = 20 << 20  # bytes: less is no room for a checkpoint
_children: list[subprocess.Popen] = []  # kept, and asked for, until they end: no zombies


def start(name: str, config: RunConfig) -> Run:
    """Create the run and train it in a new process that outlives the page, the browser and the server.

    Raises:
        SagvaeError: it cannot be trained on this machine, the name is taken or no name, or the folder cannot be
            written.
    """
    check_before_training(config)
    run = Run.create(runs_folder(), name, config)
    resume(run)
    return run


def resume(run: RunFolder) -> None:
    """Go on with a run that nobody works on, from what it has by now; it waits where another has its device.

    Raises:
        SagvaeError: somebody does, or its folder cannot be written.
    """
    status = Status(created=time.time())
    with suppress(SagvaeError):  # a damaged status is written anew
        status = run.status
    if status.state in ACTIVE and status.pid is not None:
        raise expected("run to go on with", "one that nobody trains", f"{run.name!r}, which is {status.state}")
    command = [sys.executable, "-m", "sagvae_core", *_VERBS[run.kind], "--resume", run.name, "--quiet",
               "--runs-dir", str(run.folder.parent.resolve())]
    try:
        with run.claim():  # until the number stands in its status, nobody else starts the same run
            run.clear_request()
            with (run.folder / "log.txt").open("ab") as log:
                log.write(_BEGINS.encode())
                log.flush()
                # A session of its own: Ctrl-C in the server's terminal must not reach a training.
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    cwd=Path(__file__).parents[1], env=os.environ | {"PYTHONUNBUFFERED": "1"})
            _children[:] = [child for child in _children if child.poll() is None] + [process]
            # It imports for seconds before it says anything itself.
            run.write_status(dataclasses.replace(
                status, state="queued", error=None, queued_at=time.time(), host=own_process()["host"],
                pid=process.pid, pid_started=process_started(process.pid)))
    except OSError as error:
        raise SagvaeError(f"The folder of run {run.name!r} must be writable, got {error.strerror}.") from None


def active() -> list[tuple[RunFolder, Status]]:
    """The user's runs of any kind that have a device or wait for one, whoever started them, in the queue's order."""
    return line(runs_folder())


def last_words(run: RunFolder) -> str:
    """Why a run that nobody works on may have ended: what its process printed last, and what is known of the disk."""
    words = "Its process ended without a word: it was killed, or the machine restarted."
    with suppress(OSError):
        with (run.folder / "log.txt").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_BYTES))
            lines = log.read().decode(errors="replace").rpartition(_BEGINS)[2].splitlines()
        said = next((line.strip() for line in reversed(lines)
                     if line.strip() and not line.startswith(f"{run.name} waits for ")), "")
        words = f"Its process ended. The last it said: {said}" if said else words
    with suppress(OSError):
        if shutil.disk_usage(run.folder).free < _FULL_DISK:
            words += " The disk of its folder is full: free some space."
    return words + _KEPT[run.kind]


def device() -> str:
    """What a training would run on, in words."""
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB"
    if torch.backends.mps.is_available():
        return "Apple GPU (MPS)"
    return f"CPU, {os.cpu_count()} cores"
