"""The verbs that look at what is there: ``sagvae runs`` and ``sagvae datasets``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .archive import archive_name, export_run, import_run
from .cli_train import SHOWN_METRICS, find_own_run, not_yours, resume_run
from .data import DATASETS, dataset_available
from .errors import SagvaeError, expected
from .import_folders import remove_abandoned
from .relation_runs import RelationRun, find_relation_run, list_relation_runs
from .run_folder import RunFolder
from .run_status import ACTIVE
from .runs import Run, find_run, is_shipped, list_runs, runs_folder
from .tables.names import one_line

T = TypeVar("T")


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True,
              help="One JSON list: kind, name, dataset, model, state, device, seconds, metrics, problem.")
@click.pass_context
def runs(context: click.Context, as_json: bool) -> None:
    """List runs, yours and the shipped ones, with their held-out metrics; of a damaged one, what is wrong with it.

    Fits of your own tables (`sagvae fit --run NAME`) stand below, with their methods and the table's file.
    """
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    remove_abandoned(runs_folder())
    rows = [*map(describe, list_runs()), *map(describe_fit, list_relation_runs())]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        _print_table([row for row in rows if row["kind"] == "training"])
        _print_fits([row for row in rows if row["kind"] == "relations"])
    for row in rows:
        if row["problem"] is not None:
            click.echo(f"{row['name']} is damaged: {row['problem']}", err=True)


def describe(run: Run) -> dict[str, Any]:
    """What ``sagvae runs --json`` says of one run; of a damaged one what can still be read, and the problem."""
    config, status = _read(lambda: run.config), _read(lambda: run.status)
    return {"kind": run.kind, "name": run.name, "dataset": config and config.data.name, "model": config and config.role,
            "state": status and status.state, "device": status and status.device,
            "seconds": status and round(status.seconds, 1), "metrics": status.metrics if status else {},
            "shipped": is_shipped(run), "problem": run.problem}


def describe_fit(run: RelationRun) -> dict[str, Any]:
    """The same of a fit of relations: "dataset" is the table's file, "model" its methods."""
    settings, status = _read(lambda: run.settings), _read(lambda: run.status)
    return {"kind": run.kind, "name": run.name, "dataset": settings and settings.source,
            "model": settings and ", ".join(settings.methods), "state": status and status.state,
            "device": status and status.device, "seconds": status and round(status.seconds, 1), "metrics": {},
            "shipped": is_shipped(run), "problem": run.problem}


def _read(what: Callable[[], T]) -> T | None:
    try:
        return what()
    except (SagvaeError, OSError):  # the run's problem says it
        return None


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = [["name", "dataset", "model", "state", "seconds", *SHOWN_METRICS]]
    for row in rows:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
        table.append([row["name"], row["dataset"] or "", row["model"] or "",
                      "damaged" if row["problem"] is not None else row["state"], seconds,
                      *(f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "" for name in SHOWN_METRICS)])
    _print_aligned(table)


def _print_fits(rows: list[dict[str, Any]]) -> None:
    if rows:
        click.echo()
        _print_aligned([["relations", "table", "methods", "state", "seconds"], *(
            [row["name"], one_line(row["dataset"] or "", 40), row["model"] or "",
             "damaged" if row["problem"] is not None else row["state"],
             "" if row["seconds"] is None else f"{row['seconds']:.0f}"] for row in rows)])


def _print_aligned(table: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


@runs.command("list")
@click.option("--json", "as_json", is_flag=True, help="As with `sagvae runs --json`.")
def list_(as_json: bool) -> None:
    """The same list as without a command."""
    _list(as_json)


@runs.command()
@click.argument("name")
def show(name: str) -> None:
    """Settings, status, metrics of one run, and what is wrong with it if it is damaged, as JSON."""
    fit = find_relation_run(name)
    if fit is not None:
        click.echo(json.dumps({"folder": str(fit.folder), "settings": dataclasses.asdict(fit.settings),
                               "status": dataclasses.asdict(fit.status), "problem": fit.problem}, indent=1))
        return
    run = find_run(name)
    click.echo(json.dumps({"folder": str(run.folder), "config": run.config.to_dict(),
                           "status": dataclasses.asdict(run.status), "problem": run.problem}, indent=1))


@runs.command()
@click.argument("name")
def pause(name: str) -> None:
    """Ask a run to write a checkpoint after its current step and free the device."""
    if find_relation_run(name) is not None:
        raise expected("run to pause", "a training", f"{name!r}, which is a fit of relations",
                       f"Use `sagvae runs stop {name}`: the methods that are done are kept.")
    when = "now, and leaves the queue" if _ask(name, "pause") == "queued" else "after its current step"
    click.echo(f"{name} pauses {when}. Go on with `sagvae runs resume {name}`.")


@runs.command()
@click.argument("name")
def stop(name: str) -> None:
    """Ask a run to end its training after its current step and keep the model it has by then.

    One that waits for its turn leaves the queue: it is paused, unless it was stopped before and so has a model. A fit
    of relations ends at once and keeps the methods that are done.
    """
    state = _ask(name, "stop")
    if find_relation_run(name) is not None:
        click.echo(f"{name} ends. Go on with `sagvae fit --resume {name}`.")
    elif state == "queued":
        click.echo(f"{name} leaves the queue. `sagvae runs show {name}` says what it has by now.")
    else:
        click.echo(f"{name} stops after its current step, and keeps its model as it is then.")


def _ask(name: str, what: str) -> str:
    """Make the request; returns the state the run was in."""
    run: RunFolder = find_relation_run(name) or find_run(name)
    status = run.status
    if status.state not in ACTIVE or status.pid is None:
        state = status.state if status.state not in ACTIVE else "not started yet"
        raise expected(f"run to {what}", "one that trains or waits", f"{name!r}, which is {state}")
    run.request(what)
    return status.state


@runs.command()
@click.argument("name")
@click.option("--device", help="Another than the run's: auto, cpu, cuda or mps.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def resume(name: str, device: str | None, quiet: bool) -> None:
    """Go on with a paused, stopped, failed or interrupted run, from its last checkpoint."""
    if find_relation_run(name) is not None:
        raise expected("run to resume", "a training", f"{name!r}, which is a fit of relations",
                       f"Use `sagvae fit --resume {name}`.")
    resume_run(name, runs_folder(), device, quiet=quiet)


@runs.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete one of your runs."""
    fit = find_relation_run(name)
    if fit is not None and is_shipped(fit):
        raise not_yours(name, "delete", "It cannot be deleted.")
    run = fit or find_own_run(name, runs_folder(), "delete", "It cannot be deleted.")
    if not yes:  # asked once it is known that there is something to delete
        click.confirm("Delete this run and all that it found?", abort=True)
    run.delete()
    click.echo(f"Deleted {name}.")


@runs.command("export")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Default: NAME.sagvae.zip, here.")
def export_(name: str, out: Path | None) -> None:
    """Write a run into one file, to move it to another machine.

    \b
    With it go settings, status, metrics, model and snapshots, and the checkpoints of a run that is not finished.
    All of it is checked: a damaged run is refused, and no file is written.
    Example:
      sagvae runs export karate-sagvae --out karate.sagvae.zip
    """
    if find_relation_run(name) is not None:
        raise expected("run to export", "a training", f"{name!r}, which is a fit of relations",
                       f"Write what it found with `sagvae fit --resume {name} --out FILE`, or copy its folder.")
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
