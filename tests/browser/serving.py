"""The app in a process of its own, as `sagvae dashboard` serves it."""

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

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(log: Path, script: Path | None = None, **environment: str) -> Iterator[str]:
    """The address of an app that runs until the block ends; what it prints goes to ``log``.

    With ``script`` it is that one, served by Streamlit with the settings of ours.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with log.open("w") as output:
        served = (["sagvae_core", "dashboard", "--no-browser", "--port", str(port)] if script is None else
                  ["streamlit", "run", str(script), "--server.headless", "true", "--server.port", str(port)])
        process = subprocess.Popen(
            [sys.executable, "-m", *served], cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            stdout=output, stderr=output, start_new_session=True)
    address = f"http://localhost:{port}"
    try:
        end = time.monotonic() + 120
        while not _healthy(address):
            assert process.poll() is None, f"the server ended:\n{log.read_text()}"
            assert time.monotonic() < end, f"the server does not answer:\n{log.read_text()}"
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(address + "/_stcore/health", timeout=2) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False
