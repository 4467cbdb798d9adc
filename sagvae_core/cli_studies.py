"""``sagvae study``: the measurements behind the project's numbers, each one command that prints its record's path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .errors import expected
from .runs import shipped_folder

_MINUTES = "Begin nothing after so many; the same command goes on where it stopped."


@click.group()
def study() -> None:
    """The measurements behind the project's numbers, each one command."""


@study.command("kl-weight")
@click.option("--dataset", default="mnist", show_default=True, type=click.Choice(["digits", "mnist", "fashion"]))
@click.option("--model", default="identity", show_default=True, type=click.Choice(["identity", "mlp_vae"]))
@click.option("--damage", default="noise", show_default=True, type=click.Choice(["noise", "block", "none"]),
              help="What it learns from; none is measured on masked images.")
@click.option("--rows", default=20_000, show_default=True, type=click.IntRange(100), help="Training rows.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path),
              help="Default: assets/studies/kl-weight-DATASET-MODEL-DAMAGE.json.")
def kl_weight(dataset: str, model: str, damage: str, rows: int, seed: int, out: Path | None) -> None:
    """Tune a baseline's KL weight on clean validation images."""
    from .checkpoint import write_json
    from .studies.kl_weight import tune_kl_weight
    from .studies.record import check_out

    out = out or shipped_folder().parent / "studies" / f"kl-weight-{dataset}-{model}-{damage}.json"
    check_out(out, "kl-weight")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise expected("out", "a path in a folder that can be written", f"{out} ({error.strerror})",
                       "Choose another with --out.") from None

    def show(row: dict[str, Any]) -> None:
        click.echo(f"{row['setting']:28} MSE to clean {row['mean']:.4f}")

    record = tune_kl_weight(dataset, model, damage, rows, seed, show)
    write_json(out, record)
    click.echo("Chosen: {likelihood}, KL(z) x {kl_z_weight:g}".format(**record["chosen"]))
    click.echo(out)


def _study_options(command: Callable) -> Callable:
    """What all studies with a record of cells take."""
    for option in (
            click.option("--quiet", is_flag=True, help="No progress bar."),
            click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64),
                         help="Processes side by side; the numbers stay the same."),
            click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
                         help="The record. Default: assets/studies/NAME.json; --quick: NAME-quick.json here."),
            click.option("--quick", is_flag=True, help="A small version in minutes: does it run, and no more.")):
        command = option(command)
    return command


def _record_path(name: str, out: Path | None, quick: bool) -> Path:
    if out is not None:
        return out
    return Path(f"{name}-quick.json") if quick else shipped_folder().parent / "studies" / f"{name}.json"


@study.command("karate")
@click.option("--seeds", default=10, show_default=True, type=click.IntRange(1, 1000), help="Fresh draws of the data.")
@click.option("--ablations/--no-ablations", default=True, show_default=True, help="The recipe with one thing changed.")
@_study_options
def karate(seeds: int, ablations: bool, quick: bool, out: Path | None, workers: int, quiet: bool) -> None:
    """Table 1 of the paper: who finds the friendships of the karate club.

    An interrupted study goes on where it was when it is started again.
    """
    from .studies.karate import karate_study

    click.echo(karate_study(_record_path("karate", out, quick), seeds, quick, workers, quiet, ablations))


@study.command("graphs")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1, 1000),
              help="Draws of the copies of the single graphs.")
@click.option("--copies", default=400, show_default=True, type=click.IntRange(10), help="Noisy copies of every graph.")
@_study_options
def graphs(seeds: int, copies: int, quick: bool, out: Path | None, workers: int, quiet: bool) -> None:
    """Table 2 of the paper: who finds the edges of PROTEINS, ENZYMES and COIL-RAG from noisy node features.

    The collections are read from the folder that SAGVAE_DATA names, or downloaded. An interrupted study goes on where
    it was when it is started again.
    """
    from .studies.graphs import graphs_study

    click.echo(graphs_study(_record_path("graphs", out, quick), seeds, copies, quick, workers, quiet))


@study.command("suite")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1, 1000), help="Fresh draws of every task.")
@click.option("--nodes", multiple=True, default=(40, 100), show_default=True, type=click.IntRange(10, 1000))
@click.option("--rows", multiple=True, default=(200, 1000, 5000), show_default=True, type=click.IntRange(50))
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help=_MINUTES)
@_study_options
def suite(seeds: int, nodes: tuple[int, ...], rows: tuple[int, ...], minutes: float | None, quick: bool,
          out: Path | None, workers: int, quiet: bool) -> None:
    """Tasks with a known graph: the SAG-VAE learner with its label-free choice against classical methods.

    An interrupted study goes on where it was when it is started again.
    """
    from .studies.suite import suite_study

    click.echo(suite_study(_record_path("suite", out, quick), seeds, nodes, rows, quick, workers, quiet, minutes))


@study.command("confidence")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 1000), help="Fresh draws of every task.")
@click.option("--nodes", default=20, show_default=True, type=click.IntRange(10, 1000))
@click.option("--rows", multiple=True, default=(200, 1000), show_default=True, type=click.IntRange(50))
@click.option("--resamples", default=20, show_default=True, type=click.IntRange(2, 1000),
              help="Halves, and bootstraps, of every fit; even.")
@click.option("--tables", default=5, show_default=True, type=click.IntRange(1, 1000),
              help="Independent tables whose mean score an interval should cover.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help=_MINUTES)
@_study_options
def confidence(seeds: int, nodes: int, rows: tuple[int, ...], resamples: int, tables: int, minutes: float | None,
               quick: bool, out: Path | None, workers: int, quiet: bool) -> None:
    """Is a confidence worth its number? Of edges called 90 % sure, how many are there where the graph is known.

    An interrupted study goes on where it was when it is started again.
    """
    from .studies.confidence import confidence_study

    click.echo(confidence_study(_record_path("confidence", out, quick), seeds, nodes, rows, resamples, tables, quick,
                                workers, quiet, minutes))


@study.command("sampling")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 1000),
              help="Draws of the fitted pictures, the samples and the noise.")
@click.option("--dataset", "datasets", multiple=True, default=("mnist", "fashion", "digits"), show_default=True,
              type=click.Choice(["mnist", "fashion", "digits"]))
@_study_options
def sampling(seeds: int, datasets: tuple[str, ...], quick: bool, out: Path | None, workers: int, quiet: bool) -> None:
    """Figure 10 of the paper: which classes do pictures show whose codes were corrupted, model by model.

    The shipped models draw, a classifier judges. An interrupted study goes on where it was when it is started again.
    """
    from .studies.noisy_sampling import noisy_sampling_study

    click.echo(noisy_sampling_study(_record_path("sampling", out, quick), datasets, seeds, quick, workers, quiet))


@study.command("images")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 1000), help="Trainings, from seed 0 on.")
@click.option("--dataset", "datasets", multiple=True, default=("mnist", "fashion"), show_default=True,
              type=click.Choice(["mnist", "fashion", "digits"]))
@click.option("--test-images", type=click.IntRange(1), help="At most so many for every task.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help=_MINUTES)
@_study_options
def images(seeds: int, datasets: tuple[str, ...], test_images: int | None, minutes: float | None, quick: bool,
           out: Path | None, workers: int, quiet: bool) -> None:
    """Section 4.2 of the paper: who repairs noisy and masked pictures of MNIST and Fashion-MNIST.

    All training pictures and several seeds take many hours on a CPU. An interrupted study goes on where it was.
    """
    from .studies.images import images_study

    click.echo(images_study(_record_path("images", out, quick), datasets, seeds, quick, workers, quiet, minutes,
                            test_images))
