"""Many people at once: sessions that move sliders while a training runs; times, errors, and the server's memory.

    python benchmarks/load.py [--sessions 20] [--minutes 5] [--warm-up 60] [--warm-moves 10] [--json FILE]

Starts `sagvae dashboard` and a training of the small digits beside it, and drives the app through websockets as
browsers do (benchmarks/tabs.py): every session moves a slider about once a second, on Overview the model picker, and
opens the next of five pages after half a minute. It has warmed up when the seconds of --warm-up are over and every
session has had so many moves answered; the minutes are counted from there. Memory is compared between the first
seconds of these and the last ones.

The report goes to stdout as Markdown. The exit code is 1 when anything went wrong or the memory grew by more than
10 %. Times depend on the machine and are not judged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.load_report import markdown, problems, summary  # noqa: E402
from benchmarks.load_served import Memory, Training  # noqa: E402
from benchmarks.load_sessions import Session  # noqa: E402
from benchmarks.serving import serving  # noqa: E402

PAGES = ("robustness", "relations", "sampling", "train", "")
ARRIVAL = 0.3  # seconds from one session to the next
WATCHED = 2.0  # seconds between two looks at the memory


@dataclass
class Measured:
    """What happened: who was there, the server's memory, and from when to when (``time.monotonic``) it is judged."""

    sessions: list[Session]
    samples: list[Memory]
    errors: list[tuple[str, str]]
    trainings: int
    started: float
    warm: float
    ended: float
    cores: dict[str, float]


async def measure(count: int, seconds: float, warm_up: float, warm_moves: int, folder: Path) -> Measured:
    """Serve the app from ``folder`` and let ``count`` sessions use it for ``seconds`` after the warm-up."""
    runs = folder / "runs"
    with serving(folder / "server.log", SAGVAE_RUNS=str(runs)) as (address, number):
        server = psutil.Process(number)
        training = Training(runs, folder / "training.log")
        try:
            await training.begin()
            result = await _drive(address, server, training, count, seconds, warm_up, warm_moves)
        finally:
            await training.end()
    result.errors += training.errors + _logged(folder / "server.log")
    return result


async def _drive(address: str, server: psutil.Process, training: Training, count: int, seconds: float, warm_up: float,
                 warm_moves: int) -> Measured:
    stop = asyncio.Event()
    sessions = [Session(address, PAGES[place % len(PAGES):] + PAGES[:place % len(PAGES)], seed=place)
                for place in range(count)]
    samples: list[Memory] = []
    started = time.monotonic()

    async def look(end: float) -> None:
        while time.monotonic() < end and any(session.alive for session in sessions):
            training.check()
            samples.append(Memory.of(server))
            await asyncio.sleep(min(WATCHED, max(0.0, end - time.monotonic())))

    living = []
    for session in sessions:
        living.append(asyncio.create_task(session.live(stop)))
        await asyncio.sleep(ARRIVAL)
    await look(started + warm_up)
    while any(session.alive and session.moves < warm_moves for session in sessions):
        await look(time.monotonic() + WATCHED)
    warm, before = time.monotonic(), _busy(server)
    await look(warm + seconds)
    samples.append(Memory.of(server))
    ended, after = time.monotonic(), _busy(server)
    stop.set()
    await asyncio.gather(*living)
    cores = {name: (after[name] - before[name]) / (ended - warm) for name in before}
    errors = [error for session in sessions for error in session.errors]
    return Measured(sessions, samples, errors, training.started, started, warm, ended, cores)


def _busy(server: psutil.Process) -> dict[str, float]:
    """Seconds of a core that were used so far."""
    machine, app, own = psutil.cpu_times(), server.cpu_times(), psutil.Process().cpu_times()
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    return {"server": app.user + app.system, "sessions": own.user + own.system, "machine": sum(machine) - idle}


def _logged(log: Path) -> list[tuple[str, str]]:
    """What the server has printed about errors that nobody at a browser may have seen."""
    found, where = [], None
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("Traceback"):
            where = ""
        elif where is not None and line.startswith("  "):  # its frames; the last one of ours tells most
            if named := re.match(rf'  File "{re.escape(str(ROOT))}/((?:dashboard|sagvae_core)/.*)", line (\d+)', line):
                where = f" ({named[1]}, line {named[2]})"
        elif where is not None and line.strip():
            found.append(("server", line + where))
            where = None
        elif " error" in line.lower():
            found.append(("server", line))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5.0, help="measured, after the warm-up")
    parser.add_argument("--warm-up", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--warm-moves", type=int, default=10, metavar="N", help="every session's, before it counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report's numbers there too")
    options = parser.parse_args()
    if options.sessions < 1 or options.minutes <= 0 or options.warm_up < 0 or options.warm_moves < 0:
        parser.error("sessions and minutes must be positive, the warm-up not negative")
    with tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(measure(options.sessions, 60 * options.minutes, options.warm_up, options.warm_moves,
                                       Path(folder)))
    command = f"python benchmarks/load.py --sessions {options.sessions} --minutes {options.minutes:g}"
    for name in ("warm_up", "warm_moves"):
        if getattr(options, name) != parser.get_default(name):
            command += f" --{name.replace('_', '-')} {getattr(options, name):g}"
    report = summary(measured, command)
    print(markdown(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if problems(report) else 0)


if __name__ == "__main__":
    main()
