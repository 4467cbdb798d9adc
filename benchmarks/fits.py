"""How long a person waits for the relations of a table, and what the graphical lasso takes in the same run.

    python benchmarks/fits.py [--page TASK ...] [--wide TASK ...] [--resamples 50] [--json FILE]

"From the button": a run folder is made and `sagvae fit --resume` started, as the page Your data does, with one half on
each core; seconds until what all rows say is there to be shown, and until all halves are done. Tables of 11 columns and
7,500 rows, and the two examples. "Wide": 256 columns and 2,000 rows, seconds of one core (``time.process_time``) for
one fit each of SAG-VAE and of scikit-learn's GraphicalLassoCV, with the average precision of both.

Waiting is measured by the clock on the wall, so nothing else should run. The report goes to stdout as Markdown. Nothing
here is asserted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.load_report import machine  # noqa: E402
from sagvae_core.data.synthetic import TASKS, make_task  # noqa: E402
from sagvae_core.learners import BASELINES, RelationLearner, SAGVAERelations  # noqa: E402
from sagvae_core.relation_runs import RelationRun  # noqa: E402
from sagvae_core.studies.record import edge_metrics  # noqa: E402
from sagvae_core.tables import EXAMPLES, example_frame, recognise  # noqa: E402

PAGE = ("gmrf-er-signed", "sem-nonlinear", "diffusion", *EXAMPLES)
WIDE = ("gmrf-er-signed", "gmrf-ba-positive", "sem-linear")
PAGE_SIZE, WIDE_SIZE = (11, 7500), (256, 2000)  # columns, rows
SEED = 1
LOOK = 0.05  # seconds between two looks into a run's folder


def _table(name: str, columns: int, rows: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows (M, N), and the true graph where there is one."""
    if name in EXAMPLES:
        return recognise(example_frame(name)).values, None
    task = make_task(name, columns, rows, SEED)
    return task.x[:, :, 0], task.truths.get("moral", task.truths.get("graph"))


def from_the_button(name: str, resamples: int, folder: Path) -> dict[str, Any]:
    """What a person waits for on the page."""
    x, truth = _table(name, *PAGE_SIZE)
    frame = example_frame(name) if name in EXAMPLES else pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])
    started = time.perf_counter()
    run = RelationRun.create(folder, name, recognise(frame), name, ("sagvae",), resamples)
    process = subprocess.Popen([sys.executable, "-m", "sagvae_core", "fit", "--jobs", "-1", "--resume", name,
                                "--quiet", "--runs-dir", str(folder)])
    first = None
    while process.poll() is None:
        if first is None and (run.has_graph("sagvae", first=True) or run.has_graph("sagvae")):
            first = time.perf_counter() - started
        time.sleep(LOOK)
    whole = time.perf_counter() - started
    if process.returncode or run.status.state != "finished":
        raise SystemExit(f"The fit of {name} ended as {run.status.state}: {run.status.error}")
    graph = run.graph("sagvae")
    lasso, seconds = _timed(BASELINES["graphical_lasso"](), x, time.perf_counter)
    found = {"table": name, "columns": x.shape[1], "rows": len(x), "variant": graph.graph_attributes["variant"],
             "first_s": first, "whole_s": whole, "lasso_s": seconds}
    if truth is not None:
        found |= {"ap": _precision(graph.scores, truth), "lasso_ap": _precision(lasso.scores_, truth)}
    return found


def wide(name: str) -> dict[str, Any]:
    """One fit each on one core."""
    x, truth = _table(name, *WIDE_SIZE)
    with threadpool_limits(1):
        ours, seconds = _timed(SAGVAERelations(seed=SEED), x, time.process_time)
        lasso, lasso_seconds = _timed(BASELINES["graphical_lasso"](), x, time.process_time)
    return {"table": name, "columns": x.shape[1], "rows": len(x), "variant": ours.variant_, "s": seconds,
            "ap": _precision(ours.scores_, truth), "lasso_s": lasso_seconds,
            "lasso_ap": _precision(lasso.scores_, truth)}


def _timed(learner: RelationLearner, x: np.ndarray, clock: Callable[[], float]) -> tuple[RelationLearner, float]:
    started = clock()
    learner.fit(x)
    return learner, clock() - started


def _precision(scores: np.ndarray, truth: np.ndarray) -> float:
    return edge_metrics(scores, 0.0, truth)["average_precision"]


def markdown(report: dict[str, Any]) -> str:
    """The report as a person reads it."""
    lines = [f"Made by `{report['command']}`.", ""]
    if report["page"]:
        lines += [f"From the button, seconds until there is something to see, and until {report['resamples']} halves "
                  "are done; and one fit of GraphicalLassoCV:", "",
                  "| table | columns × rows | kind | all rows | all halves | lasso | AP | AP, lasso |",
                  "|---|---|---|---|---|---|---|---|"]
        lines += [f"| {row['table']} | {row['columns']} × {row['rows']:,} | {row['variant']} | {row['first_s']:.1f} | "
                  f"{row['whole_s']:.0f} | {row['lasso_s']:.1f} | {_number(row.get('ap'))} | "
                  f"{_number(row.get('lasso_ap'))} |" for row in report["page"]]
    if report["wide"]:
        lines += ["", "Wide tables, one fit each, seconds of one core:", "",
                  "| table | columns × rows | kind | SAG-VAE | lasso | ratio | AP | AP, lasso |",
                  "|---|---|---|---|---|---|---|---|"]
        lines += [f"| {row['table']} | {row['columns']} × {row['rows']:,} | {row['variant']} | {row['s']:.1f} | "
                  f"{row['lasso_s']:.1f} | {row['s'] / row['lasso_s']:.2f} | {_number(row['ap'])} | "
                  f"{_number(row['lasso_ap'])} |" for row in report["wide"]]
    described = report["machine"]
    return "\n".join([*lines, "", f"{described['processor']}, {described['cores']} cores, {described['system']}."])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", nargs="*", choices=[*TASKS, *EXAMPLES], metavar="TASK", default=list(PAGE),
                        help="default: " + ", ".join(PAGE))
    parser.add_argument("--wide", nargs="*", choices=list(TASKS), metavar="TASK", default=list(WIDE),
                        help="default: " + ", ".join(WIDE))
    parser.add_argument("--resamples", type=int, default=50, help="halves; even")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report's numbers there too")
    options = parser.parse_args()
    if options.resamples < 2 or options.resamples % 2:
        parser.error("--resamples must be even and at least 2")
    with tempfile.TemporaryDirectory() as folder:
        page = [from_the_button(name, options.resamples, Path(folder)) for name in options.page]
    command = "python benchmarks/fits.py" + "".join(
        f" --{name} {' '.join(getattr(options, name))}".rstrip() for name in ("page", "wide")
        if getattr(options, name) != parser.get_default(name))
    if options.resamples != parser.get_default("resamples"):
        command += f" --resamples {options.resamples}"
    report = {"command": command, "resamples": options.resamples, "page": page,
              "wide": [wide(name) for name in options.wide], "machine": machine()}
    print(markdown(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
