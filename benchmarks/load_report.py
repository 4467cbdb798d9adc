"""What the load benchmark says: its numbers as plain values, and as Markdown."""

from __future__ import annotations

import datetime
import math
import os
import platform
import statistics
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from benchmarks.load import Measured
    from benchmarks.load_served import Memory
    from benchmarks.load_sessions import Answer

GROWTH = 1.10  # of the memory after the warm-up that is too much
WINDOW = 20.0  # seconds whose median is the memory "after the warm-up" and "at the end"
STEP = 30.0  # seconds between the lines of the memory's course
NAMES = {"": "Overview", "robustness": "Robustness", "relations": "Relations", "sampling": "Sampling", "train": "Train"}
LIBRARIES = ("streamlit", "starlette", "uvicorn", "plotly", "torch", "numpy")
SHOWN = 20  # errors in the report


def summary(measured: Measured, command: str) -> dict[str, Any]:
    """The report as plain values: times in seconds, memory in MB."""
    answers = [answer for session in measured.sessions for answer in session.answers
               if measured.warm <= answer.sent <= measured.ended]
    window = min(WINDOW, (measured.ended - measured.warm) / 4)
    warm = _median(measured.samples, measured.warm, measured.warm + window)
    last = _median(measured.samples, measured.ended - window, measured.ended)
    return {
        "command": command,
        "made": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "sessions": len(measured.sessions),
        "warm_up_s": round(measured.warm - measured.started, 1),
        "measured_s": round(measured.ended - measured.warm, 1),
        "moves": sum(not answer.opened for answer in answers),
        "moves_in_warm_up": sum(not answer.opened and answer.sent < measured.warm
                                for session in measured.sessions for answer in session.answers),
        "reruns_by_timer": sum(session.reruns for session in measured.sessions),
        "errors": [{"page": NAMES.get(page, page), "what": what, "times": times}
                   for (page, what), times in Counter(measured.errors).most_common()],
        "pages": {NAMES[page]: {"moved": _times(answers, page, opened=False),
                                "opened": _times(answers, page, opened=True)} for page in NAMES},
        "memory": {"after_warm_up": warm, "at_the_end": last,
                   "ratio": round(last["resident_mb"] / warm["resident_mb"], 4),
                   "course": [_sample(measured, sample) for sample in _every(measured.samples, STEP)]},
        "trainings": measured.trainings,
        "cores_used": {name: round(value, 2) for name, value in measured.cores.items()},
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
    }


def problems(report: dict[str, Any]) -> list[str]:
    """Why the benchmark is not passed, in sentences; empty when it is."""
    found = []
    if report["errors"]:
        found.append(f"{sum(error['times'] for error in report['errors'])} errors.")
    if not report["moves"]:
        found.append("No move was answered.")
    if report["memory"]["ratio"] > GROWTH:
        found.append(f"The memory grew by {report['memory']['ratio'] - 1:.1%}.")
    return found


def markdown(report: dict[str, Any]) -> str:
    """The report for people."""
    memory, machine, cores = report["memory"], report["machine"], report["cores_used"]
    warm, last = memory["after_warm_up"], memory["at_the_end"]
    outcome = " ".join(problems(report)) or "No error; the memory stayed within 10 %."
    lines = [
        "# Many sessions at once", "", f"Made by `{report['command']}` on {report['made']}. **{outcome}**", "",
        f"{report['sessions']} sessions, {report['warm_up_s']:.0f} s of warm-up with {report['moves_in_warm_up']:,} "
        f"moves, then {report['measured_s']:.0f} s with {report['moves']:,} moves, which the table is about; "
        f"{report['reruns_by_timer']:,} more reruns by the timer of the Train page. Beside them "
        f"{_count(report['trainings'], 'training')} of the small digits. Every session moves a slider a second after "
        "the last move, or when that one is answered if this takes longer; on Overview, which has none, the model "
        "picker. Seconds are from the request to the end of its script, at the other end of the connection; the "
        "pictures of Robustness are there before, and its averages are what takes longest.", "",
        "| page | moves | p50 | p95 | max | opened | p50 | max |", "|---|---|---|---|---|---|---|---|"]
    for name, page in report["pages"].items():
        moved, opened = page["moved"], page["opened"]
        lines.append(f"| {name} | {moved['count']:,} | {_seconds(moved, 'p50', 'p95', 'max')} | {opened['count']:,} | "
                     f"{_seconds(opened, 'p50', 'max')} |")
    lines += [
        "", "| memory of the server | after the warm-up | at the end | ratio |", "|---|---|---|---|",
        f"| resident (RSS), MB | {warm['resident_mb']:,.0f} | {last['resident_mb']:,.0f} | **{memory['ratio']:.3f}** |"]
    if warm["own_mb"] and last["own_mb"]:
        lines.append(f"| own (USS), MB | {warm['own_mb']:,.0f} | {last['own_mb']:,.0f} | "
                     f"{last['own_mb'] / warm['own_mb']:.3f} |")
    lines.append(f"| threads | {warm['threads']:.0f} | {last['threads']:.0f} | |")
    lines += ["", f"Medians of the first and the last {min(WINDOW, report['measured_s'] / 4):.0f} s. RSS in its "
              "course, seconds after the warm-up: "
              + ", ".join(f"{sample['at_s']:.0f}: {sample['resident_mb']:,.0f}" for sample in memory["course"]) + ".",
              "", f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, "
              f"{machine['system']}. Cores in use while it was measured: {cores['machine']:.2f}, of which the server "
              f"{cores['server']:.2f} and the sessions {cores['sessions']:.2f}; the other "
              f"{cores['machine'] - cores['server'] - cores['sessions']:.2f} are the training's and of whatever else "
              "ran on this machine. Where that is much, the times are those of a busy machine.",
              "", ", ".join(f"{name} {number}" for name, number in report["versions"].items()) + "."]
    if report["errors"]:
        lines += ["", "| page | times | what went wrong |", "|---|---|---|"]
        lines += [f"| {error['page']} | {error['times']} | {error['what'].replace('|', '/')} |"
                  for error in report["errors"][:SHOWN]]
    return "\n".join(lines)


def _times(answers: Sequence[Answer], page: str, opened: bool) -> dict[str, float]:
    seconds = sorted(answer.seconds for answer in answers if (answer.page, answer.opened) == (page, opened))
    if not seconds:
        return {"count": 0}
    return {"count": len(seconds), "p50": round(statistics.median(seconds), 3),
            "p95": round(seconds[math.ceil(0.95 * len(seconds)) - 1], 3), "max": round(seconds[-1], 3)}


def _seconds(times: dict[str, float], *names: str) -> str:
    return " | ".join(f"{times[name]:.2f} s" if name in times else "–" for name in names)


def _count(number: int, word: str) -> str:
    return f"one {word}" if number == 1 else f"{number} {word}s"


def _median(samples: Sequence[Memory], start: float, end: float) -> dict[str, float]:
    middle = (start + end) / 2
    chosen = ([sample for sample in samples if start <= sample.at <= end]
              or [min(samples, key=lambda sample: abs(sample.at - middle))])
    own = [sample.own for sample in chosen if sample.own is not None]
    return {"resident_mb": round(statistics.median(sample.resident for sample in chosen) / 1e6, 1),
            "own_mb": round(statistics.median(own) / 1e6, 1) if own else 0.0,
            "threads": statistics.median(sample.threads for sample in chosen)}


def _every(samples: Sequence[Memory], step: float) -> list[Memory]:
    chosen: list[Memory] = []
    for sample in samples:
        if not chosen or sample.at >= chosen[-1].at + step:
            chosen.append(sample)
    return chosen


def _sample(measured: Measured, sample: Memory) -> dict[str, float]:
    moves = sum(not answer.opened and answer.sent <= sample.at for session in measured.sessions
                for answer in session.answers)
    return {"at_s": round(sample.at - measured.warm, 1), "resident_mb": round(sample.resident / 1e6, 1),
            "own_mb": round((sample.own or 0) / 1e6, 1), "threads": sample.threads, "moves": moves}


def machine() -> dict[str, Any]:
    """Processor, cores, memory and system of this machine."""
    processor = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.is_file():
        named = [line.split(":", 1)[1].strip() for line in described.read_text().splitlines()
                 if line.startswith("model name")]
        processor = named[0] if named else processor
    return {"processor": processor, "cores": os.cpu_count(), "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
            "system": f"{platform.system()} {platform.release()}"}
