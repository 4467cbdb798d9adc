"""``sagvae fit``: from a person's table to files of its relations, or to a run folder that the dashboard shows."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .cli_fit_words import columns_of, edges_of
from .errors import SagvaeError, expected
from .graph_files import FORMATS, RelationGraph, write_graph
from .relation_fits import METHODS, fit_relations
from .relation_runs import MOST_RESAMPLES, RelationRun, find_relation_run
from .relation_work import fit_run
from .run_status import Status
from .runs import find_run, is_shipped, runs_folder, shipped_folder
from .tables.examples import EXAMPLES

if TYPE_CHECKING:
    from tqdm import tqdm

    from .tables import Table

_ALL = "all"


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--example", type=click.Choice(list(EXAMPLES)), help="A real table that comes along, in place of FILE.")
@click.option("--method", "methods", multiple=True, type=click.Choice([*METHODS, _ALL]), default=["sagvae"],
              show_default=True, help="How relations are found; repeatable, or all.")
@click.option("--bootstrap", "resamples", default=0, show_default=True, type=click.IntRange(0, MOST_RESAMPLES),
              metavar="N", help="Fit N random halves of the rows too: how often is each pair chosen? 50 is good.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Ends with .csv (a row for every pair), .graphml or .gexf (the selected edges), .adjacency.csv or "
              ".npz. Several methods: a file each, as relations-correlation.csv.")
@click.option("--kind", "kinds", multiple=True, metavar="NAME=KIND",
              help="What a column is: continuous, ordinal, binary or \"left out\". Repeatable.")
@click.option("--missing", type=click.Choice(["model", "complete"]), help="Rows with gaps: learn from what is there, "
              "which only sagvae can, or drop them. Default: the first where the method can.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Halves and model.")
@click.option("--jobs", type=int, help="Halves that are fitted at once; -1: one on each core.")
@click.option("--run", "name", help="Keep the fit in a run folder of this name, which the dashboard shows.")
@click.option("--runs-dir", type=click.Path(path_type=Path), help="Folder of runs. Default: $SAGVAE_RUNS or ./runs.")
@click.option("--resume", metavar="NAME", help="Go on with a run that has ended early, or write what a finished one "
              "found; only --out, --jobs, --now and --quiet count beside it, and no FILE.")
@click.option("--now", is_flag=True, help="With --run: do not wait for other runs on the CPU.")
@click.option("--quiet", is_flag=True, help="No progress bar, and no tables.")
def fit(file: Path | None, example: str | None, methods: tuple[str, ...], resamples: int, out: Path | None,
        kinds: tuple[str, ...], missing: str | None, seed: int, jobs: int | None, name: str | None,
        runs_dir: Path | None, resume: str | None, now: bool, quiet: bool) -> None:
    """Learn which columns of FILE (CSV, TSV or Parquet) belong together.

    \b
    Examples:
      sagvae fit people.csv --out relations.graphml         a graph for networkx, Gephi or Cytoscape
      sagvae fit people.csv --bootstrap 50 --out pairs.csv  every pair, and how often halves of the rows chose it
      sagvae fit --example wine                             13 measurements of 178 wines
      sagvae fit people.csv --method all --run people       all methods, side by side on the page "Your data"
    """
    root = runs_dir or runs_folder()
    if resume is not None:
        if file is not None or example is not None:
            raise expected("FILE", "none beside --resume, which takes the run's own table", repr(str(file or example)),
                           "Leave it out, or fit it anew with --run NAME.")
        run = find_relation_run(resume, root, shipped_folder()) or _no_run(resume, root)
        graphs = _graphs(run) if is_shipped(run) else _fit_run(run, jobs, now, quiet)
    else:
        if (file is None) == (example is None):
            raise expected("FILE", "a table to fit, or --example", "none" if file is None else "both",
                           "For example: sagvae fit people.csv")
        chosen = tuple(METHODS) if _ALL in methods else tuple(dict.fromkeys(methods))
        _check(out, jobs)
        if quiet and out is None and name is None:
            raise expected("--quiet", "used with --out or --run", "alone", "Nothing would be kept, nor shown.")
        table = _read(file, example, kinds, quiet)
        if resamples % 2:
            resamples += 1
            click.echo(f"{resamples} halves: a split of the rows gives two.", err=True)
        if name is not None:
            source = file.name if file else EXAMPLES[example].title
            run = RelationRun.create(root, name, table, source, chosen, resamples, seed, missing or "auto")
            graphs = _fit_run(run, jobs, now, quiet)
        else:
            graphs = _fit(table, chosen, resamples, seed, missing or "auto", jobs, quiet)
    if not quiet:
        for method, graph in graphs.items():
            click.echo(edges_of(graph, METHODS[method]))
    if out is not None:
        _write(graphs, out)


def _no_run(name: str, root: Path) -> RelationRun:
    find_run(name, root)  # its sentence where there is nothing of that name
    raise expected("run to go on with", "a fit of relations", f"{name!r}, which is a training",
                   f"Use `sagvae train --resume {name}`.")


def _check(out: Path | None, jobs: int | None) -> None:
    """Refuse before anything is fitted what could not be done after."""
    if jobs == 0:
        raise expected("--jobs", "a number other than 0", jobs)
    if out is not None and not any(out.name.lower().endswith(f".{ending}") for ending in FORMATS):
        raise expected("--out", "a file that ends with " + ", ".join(f".{ending}" for ending in FORMATS),
                       repr(out.name))
    if out is not None and not out.parent.is_dir():
        raise expected("the folder of --out", "one that exists", repr(str(out.parent)), "Make it first.")


def _read(file: Path | None, example: str | None, kinds: Sequence[str], quiet: bool) -> Table:
    from .tables import example_frame, read_table, recognise

    wishes = {}
    for text in kinds:
        name, equals, kind = text.rpartition("=")
        if not equals:
            raise expected("--kind", "NAME=KIND, as age=ordinal", repr(text))
        wishes[name] = kind.strip()
    if file is not None:
        table = read_table(file, kinds=wishes)
    else:
        table = recognise(example_frame(example), wishes)
        table = replace(table, notes=(EXAMPLES[example].words, *table.notes))
    if not quiet:
        click.echo(columns_of(table))
    return table


def _fit(table: Table, methods: Sequence[str], resamples: int, seed: int, missing: str, jobs: int | None,
         quiet: bool) -> dict[str, RelationGraph]:
    """Fit in this process alone; a method that the table does not suit is no reason to lose the others."""
    graphs: dict[str, RelationGraph] = {}
    with _bar(quiet, len(methods) * (1 + resamples)) as bar:
        for place, method in enumerate(methods):
            bar.set_description(METHODS[method])

            def tell(done: int, total: int, before: int = place * (1 + resamples)) -> None:
                bar.update(before + done - bar.n)

            try:
                graphs[method] = fit_relations(table, method, resamples, seed, missing, jobs, tell)
            except SagvaeError as error:
                if place == len(methods) - 1 and not graphs:
                    raise
                bar.write(f"{METHODS[method]}: {error}", file=sys.stderr)
    return graphs


def _fit_run(run: RelationRun, jobs: int | None, now: bool, quiet: bool) -> dict[str, RelationGraph]:
    """Fit in the run's folder, in line with others."""
    with _bar(quiet, run.status.total_steps) as bar, _ending_on_signals():
        def wait(names: list[str]) -> None:
            bar.write(f"{run.name} waits for {', '.join(names) or 'the CPU'}. Ctrl-C leaves the queue.",
                      file=sys.stderr)

        def show(status: Status, method: str) -> None:
            bar.set_description(METHODS[method])
            bar.update(status.step - bar.n)

        try:
            status = fit_run(run, jobs, show, wait, not now)
        except KeyboardInterrupt:
            status = run.status
    if status.note:
        click.echo(status.note, err=True)
    if status.state != "finished":
        click.echo(f"{status.state.capitalize()}. Go on with `sagvae fit --resume {run.name}`.", err=True)
    click.echo(str(run.folder), err=True)
    return _graphs(run)


def _graphs(run: RelationRun) -> dict[str, RelationGraph]:
    """What the methods that are done have found."""
    return {method: run.graph(method) for method in run.settings.methods if run.has_graph(method)}


def _bar(quiet: bool, total: int) -> tqdm:
    from tqdm import tqdm

    return tqdm(total=total, unit="fit", disable=quiet, file=sys.stderr)


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does; and Ctrl-C ends also where a shell started this in the background."""
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(graphs: dict[str, RelationGraph], out: Path) -> None:
    name = out.name.lower()
    ending = next(ending for ending in sorted(FORMATS, key=len, reverse=True) if name.endswith(f".{ending}"))
    stem = out.name[:-len(ending) - 1]
    for method, graph in graphs.items():
        path = out if len(graphs) == 1 else out.with_name(f"{stem}-{method}.{ending}")
        try:
            write_graph(graph, path)
        except OSError as error:
            raise SagvaeError(f"{path.name!r} must be a file that can be written, got {error.strerror}. Choose another "
                              "with --out.") from None
        click.echo(str(path))
