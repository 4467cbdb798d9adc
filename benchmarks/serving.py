"""The app in a process of its own, as `sagvae dashboard` serves it: for the benchmarks and the browser tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 180.0  # seconds for the app to be ready


class Served(NamedTuple):
    """Where the app is, and its process."""

    address: str
    pid: int


@contextmanager
def serving(log: Path, script: Path | None = None, root: Path = ROOT, **environment: str) -> Iterator[Served]:
    """An app that runs until the block ends; what it prints goes to ``log``.

    Args:
        log: the file, written anew.
        script: another app than ours, served by Streamlit with the settings of ours.
        root: the folder to start in: a checkout, or where the packages of a wheel lie.
        environment: variables beside those of this process.

    Raises:
        RuntimeError: it does not start.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    served = (["sagvae_core", "dashboard", "--no-browser", "--port", str(port)] if script is None else
              ["streamlit", "run", str(script), "--server.headless", "true", "--server.port", str(port)])
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *served], cwd=root, env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            stdout=output, stderr=output, start_new_session=True)
    address = f"http://localhost:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while not _healthy(address):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The app does not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield Served(address, process.pid)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(address + "/_stcore/health", timeout=2) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False
