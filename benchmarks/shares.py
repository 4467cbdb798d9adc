"""What several processes divide: seconds of a training step with all rows of a batch, and with one process's share.

    python benchmarks/shares.py [--dataset digits ...] [--of 8] [--batch ROWS] [--repeats 15] [--json FILE]

Trains each data set's recipe of SAG-VAE by the last of its stages that maximise the ELBO, once as a single process and
once as one of several does, with the graph of the whole batch and its own rows (sagvae_core/shares.py); no message is
sent. Beside it the graph alone is inferred, drawn and differentiated. A repeat is as many steps as lie between two
matchings of the edges' density, the three take turns, and the medians of the repeats are told.

Times are those of one core that works on it (``time.process_time``), so that other work on the machine hardly shows.
The report goes to stdout as Markdown. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.load_report import machine  # noqa: E402
from sagvae_core.config import TrainConfig  # noqa: E402
from sagvae_core.data import DATASETS, dataset_available, load_dataset  # noqa: E402
from sagvae_core.distributions import edge_kl, pairs_to_matrix  # noqa: E402
from sagvae_core.model import SAGVAE  # noqa: E402
from sagvae_core.presets import run_config  # noqa: E402
from sagvae_core.processes import Processes  # noqa: E402
from sagvae_core.shares import Share  # noqa: E402
from sagvae_core.training import Trainer  # noqa: E402

MEASURED = ("digits", "mnist", "karate")
WARM_UP = 2  # repeats that are not counted


class OneOf(Processes):
    """The first of ``of`` processes, the others of which never answer: it takes its share and adds nothing up."""

    def __init__(self, accelerator: Any, of: int):
        super().__init__(accelerator)
        self._of = of

    def share(self, total: int) -> Share | None:
        return None if self._of == 1 else Share(total, 0, self._of)


def step_seconds(model: SAGVAE, config: TrainConfig, rows: torch.Tensor, of: int) -> Iterator[float]:
    """Seconds of a step with an ``of``-th of each batch, a mean over all ``rows``; without what ends an epoch."""
    ended = 0.0

    def note(progress: object) -> None:
        nonlocal ended
        ended = time.process_time()

    trainer = Trainer(model, config, on_step=note)
    trainer.processes = OneOf(trainer.accelerator, of)
    epochs = trainer.epochs(rows)
    while True:
        started, before = time.process_time(), trainer.step
        next(epochs)
        yield (ended - started) / (trainer.step - before)


def graph_seconds(model: SAGVAE, rows: torch.Tensor, temperature: float, calls: int) -> Iterator[float]:
    """Seconds to infer, draw and differentiate the one graph of a batch ``rows``, a mean over ``calls``."""
    while True:
        started = time.process_time()
        for _ in range(calls):
            edges = model.graph_encoder(rows, temperature)
            adjacency = pairs_to_matrix(edges.rsample(), model.config.num_nodes)
            (adjacency.sum() + edge_kl(edges.logits, model.config.edge_prior).sum()).backward()
            model.zero_grad(set_to_none=True)
        yield (time.process_time() - started) / calls


def measure(dataset: str, of: int, batch: int | None, repeats: int) -> dict[str, Any]:
    """The medians for one data set, with another ``batch`` than the recipe's if one is given."""
    recipe = run_config(dataset)
    stage = [stage for stage in recipe.train.stages if stage.objective == "elbo"][-1]
    # An epoch more than are asked for: the last one would also average the graph.
    stage = dataclasses.replace(stage, epochs=WARM_UP + repeats + 1)
    config = dataclasses.replace(recipe.train, epochs=None, stages=(stage,), patience=None, device="cpu",
                                 batch_size=batch or recipe.train.batch_size)
    steps, batch = config.density_interval, config.batch_size
    inputs = load_dataset(recipe.data).train.inputs
    rows = inputs[torch.arange(steps * batch) % len(inputs)]
    sources = {"step_s": step_seconds(SAGVAE(recipe.model, seed=0), config, rows, 1),
               "share_s": step_seconds(SAGVAE(recipe.model, seed=0), config, rows, of),
               "graph_s": graph_seconds(SAGVAE(recipe.model, seed=0), rows[:batch], config.temperature[0], steps)}
    found = [{name: next(source) for name, source in sources.items()} for _ in range(WARM_UP + repeats)][WARM_UP:]
    medians = {name: statistics.median(one[name] for one in found) for name in sources}
    return {"dataset": dataset, "title": DATASETS[dataset].title, "nodes": recipe.model.num_nodes,
            "edge_logits": recipe.model.edge_logits, "batch": batch, **medians,
            "share_of_step": medians["share_s"] / medians["step_s"],
            "graph_of_step": medians["graph_s"] / medians["step_s"]}


def markdown(report: dict[str, Any]) -> str:
    """The report as a person reads it."""
    lines = [f"Made by `{report['command']}`; medians of {report['repeats']} repeats, milliseconds of one core.", "",
             f"| data | nodes | graph from | batch | step | with a share of 1/{report['of']} | of the step | the graph "
             "alone | of the step |", "|---|---|---|---|---|---|---|---|---|"]
    for row in report["rows"]:
        lines.append(f"| {row['title']} | {row['nodes']} | {row['edge_logits']} | {row['batch']} | "
                     f"{1000 * row['step_s']:.1f} | {1000 * row['share_s']:.1f} | {row['share_of_step']:.0%} | "
                     f"{1000 * row['graph_s']:.1f} | {row['graph_of_step']:.0%} |")
    described = report["machine"]
    return "\n".join([*lines, "", f"{described['processor']}, {described['system']}, torch {report['torch']}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", choices=sorted(DATASETS), help="repeatable; default: "
                        + ", ".join(MEASURED))
    parser.add_argument("--of", type=int, default=8, help="processes")
    parser.add_argument("--batch", type=int, metavar="ROWS", help="default: as the recipe has it")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report's numbers there too")
    options = parser.parse_args()
    if options.of < 2 or options.repeats < 1 or (options.batch is not None and options.batch < options.of):
        parser.error("--of must be at least 2, --batch no less than that, --repeats at least 1")
    torch.set_num_threads(1)
    rows = []
    for dataset in options.dataset or MEASURED:
        if dataset_available(dataset):
            rows.append(measure(dataset, options.of, options.batch, options.repeats))
        else:
            print(f"{DATASETS[dataset].title} is not on this machine: set SAGVAE_DATA to a folder that has it.",
                  file=sys.stderr)
    command = " ".join(["python benchmarks/shares.py", *(f"--dataset {name}" for name in options.dataset or ())])
    command += "".join(f" --{name} {getattr(options, name)}" for name in ("of", "batch", "repeats")
                       if getattr(options, name) != parser.get_default(name))
    report = {"command": command, "of": options.of, "repeats": options.repeats, "rows": rows, "machine": machine(),
              "torch": torch.__version__}
    print(markdown(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
