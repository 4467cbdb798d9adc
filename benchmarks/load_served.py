"""What the load benchmark looks at beside its sessions: the server's memory, and a training on the same machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.serving import PATIENCE, ROOT

TRAINED = ("--dataset", "digits", "--model", "sagvae", "--epochs", "2000")  # lasts longer than the sessions


@dataclass(frozen=True)
class Memory:
    """A process's memory in bytes at one time (``time.monotonic``); ``own`` is what ending it would free, if known."""

    at: float
    resident: int
    own: int | None
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> Memory:
        """As it is now."""
        full = process.memory_full_info()
        return cls(time.monotonic(), full.rss, getattr(full, "uss", None), process.num_threads())


class Training:
    """A training in the folder ``runs``; when it ends another one begins, for as long as :meth:`check` is called."""

    def __init__(self, runs: Path, log: Path) -> None:
        self.errors: list[tuple[str, str]] = []
        self.started = 0
        self._runs, self._log = runs, log
        self._process: subprocess.Popen

    async def begin(self) -> None:
        """Start, and wait until a page would show that it runs.

        Raises:
            RuntimeError: it does not.
        """
        self._start()
        end = time.monotonic() + PATIENCE
        while not any(self._running(file) for file in self._runs.glob("*/status.json")):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The training does not start:\n{self._log.read_text()}")
            await asyncio.sleep(0.2)

    def check(self) -> None:
        """Start another one if the last one has ended."""
        if self._process.poll() is not None:
            if self._process.returncode:
                lines = self._log.read_text().splitlines() or ["it said nothing"]
                self.errors.append(("training", f"ended with {self._process.returncode}: {lines[-1]}"))
            self._start()

    async def end(self) -> None:
        """Stop it where it is."""
        if self.started and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            await asyncio.to_thread(self._process.wait, 30)

    def _start(self) -> None:
        with self._log.open("a") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sagvae_core", "train", *TRAINED, "--quiet", "--runs-dir", str(self._runs)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        self.started += 1

    @staticmethod
    def _running(file: Path) -> bool:
        return json.loads(file.read_text(encoding="utf-8"))["state"] == "running"
