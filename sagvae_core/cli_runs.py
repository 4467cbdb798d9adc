"""The verbs that look at what is there: ``sagvae runs`` and ``sagvae datasets``."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import click

from .archive import archive_name, export_run, import_run
from .data import DATASETS, dataset_available
from .errors import SagvaeError, expected
from .runs import Run, find_run, list_runs, runs_folder, shipped_folder

SHOWN_METRICS = ("mse_clean", "psnr", "ssim", "f1", "average_precision")


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON list: name, dataset, model, device, seconds, metrics.")
@click.pass_context
def runs(context: click.Context, as_json: bool) -> None:
    """List runs, yours and the shipped ones, with their held-out metrics."""
    if context.invoked_subcommand is not None:
        return
    rows, broken = [], []
    for run in list_runs():
        try:
            rows.append(describe(run))
        except SagvaeError as error:
            broken.append((run.name, str(error)))
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        _print_table(rows)
    for name, error in broken:
        click.echo(f"{name} cannot be read: {error}", err=True)


def describe(run: Run) -> dict[str, Any]:
    """What ``sagvae runs --json`` says of one run."""
    config, status = run.config, run.status
    return {"name": run.name, "dataset": config.data.name, "model": config.role, "state": status.state,
            "device": status.device, "seconds": round(status.seconds, 1), "metrics": status.metrics,
            "shipped": run.folder.parent.resolve() == shipped_folder().resolve()}


def _print_table(rows: list[dict[str, Any]]) -> None:
    head = ["name", "dataset", "model", "state", "seconds", *SHOWN_METRICS]
    table = [head] + [[row["name"], row["dataset"], row["model"], row["state"], f"{row['seconds']:.0f}",
                       *(f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "" for name in SHOWN_METRICS)]
                      for row in rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


@runs.command()
@click.argument("name")
def show(name: str) -> None:
    """Settings, status and metrics of one run, as JSON."""
    run = find_run(name)
    click.echo(json.dumps({"folder": str(run.folder), "config": run.config.to_dict(),
                           "status": dataclasses.asdict(run.status)}, indent=1))


@runs.command()
@click.argument("name")
def stop(name: str) -> None:
    """Ask a training run to stop after its current step."""
    run = find_run(name)
    if run.status.state != "running":
        raise expected("run to stop", "one that is training", f"{name!r}, which is {run.status.state}")
    run.request_stop()
    click.echo(f"{name} stops after its current step. Go on later with `sagvae train --resume {name}`.")


@runs.command()
@click.argument("name")
@click.confirmation_option(prompt="Delete this run and its model?")
def delete(name: str) -> None:
    """Delete one of your runs."""
    run = find_run(name, runs_folder())
    if run.status.state == "running":
        raise expected("run to delete", "one that is not training", f"{name!r}, which is", "Stop it first.")
    shutil.rmtree(run.folder)
    click.echo(f"Deleted {name}.")


@runs.command("export")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Default: NAME.sagvae.zip, here.")
def export_(name: str, out: Path | None) -> None:
    """Write a run into one file, to move it to another machine.

    \b
    With it go settings, status, metrics, model and snapshots, and the checkpoints of a run that is not finished.
    Example:
      sagvae runs export karate-sagvae --out karate.sagvae.zip
    """
    run = find_run(name)
    target = out or Path(archive_name(run))
    export_run(run, target)
    click.echo(f"{target}  {target.stat().st_size / 2**20:.1f} MB. Read it elsewhere with `sagvae runs import`.")


@runs.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Of the new run. Default: the name it had, numbered when taken.")
def import_(file: Path, name: str | None) -> None:
    """Read a run that `sagvae runs export` has written.

    Everything in the file is checked first; a damaged or hostile one is refused and leaves nothing behind.
    """
    run = import_run(file, runs_folder(), name)
    state = run.status.state
    click.echo(f"{run.folder}  {state}" + ("" if state == "finished" else
                                           f". Go on with `sagvae train --resume {run.name}`."))


@click.command()
def datasets() -> None:
    """The data sets, and whether each is at hand or would be downloaded."""
    for info in DATASETS.values():
        there = "at hand" if dataset_available(info.name) else "would be downloaded (SAGVAE_DATA names the folder)"
        click.echo(f"{info.name:8}  {info.description}  [{there}]")
