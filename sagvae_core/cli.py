"""The command line: ``sagvae train | runs | datasets | dashboard``. The same verbs as the browser, the same folders."""

from __future__ import annotations

import dataclasses
import importlib
import os
import runpy
import shlex
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import click

from . import __version__
from .cli_runs import SHOWN_METRICS, datasets, runs
from .cli_studies import study
from .data import DATASETS
from .errors import SagvaeError, expected
from .experiment import execute
from .presets import MODELS, run_config
from .runs import Run, check_name, find_run, free_name, runs_folder
from .settings import parse_setting, with_epochs


class _Cli(click.Group):
    """Turns our errors into one sentence and exit code 2: bad input is no reason for a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SagvaeError as error:
            raise click.UsageError(str(error)) from None


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sagvae")
def cli() -> None:
    """SAG-VAE: learn a representation of the data and one graph over its features, together.

    \b
    Start here:
      sagvae dashboard                              explore finished models in the browser
      sagvae runs                                   what is there, with held-out metrics
      sagvae train --dataset digits --model sagvae  train one yourself (a minute)
    """


@cli.command()
@click.option("--dataset", default="karate", show_default=True, help="One of: " + ", ".join(DATASETS) + ".")
@click.option("--model", "model_name", default="sagvae", show_default=True,
              help="One of: " + ", ".join(f"{name} ({title})" for name, title in MODELS.items()) + ".")
@click.option("--latent", default="per_node", show_default=True,
              help="per_node: a Gaussian for every feature; per_sample: one code a row (karate).")
@click.option("--run", "name", help="Name of the run and its folder. Default: DATASET-MODEL, numbered when taken.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs in all; stages keep their shares. Default: recipe.")
@click.option("--rows", type=click.IntRange(1), help="Train on this many rows. Default: the recipe's.")
@click.option("--noise", type=click.IntRange(0), metavar="PIXELS", help="Damage this many pixels by uniform noise.")
@click.option("--block", type=click.IntRange(1), metavar="SIZE", help="Cover a SIZE x SIZE block of each image.")
@click.option("--seed", default=0, show_default=True, help="Weights, order of rows and sampling.")
@click.option("--data-seed", default=0, show_default=True, help="Everything drawn in the data: patterns, damage.")
@click.option("--device", help="auto, cpu, cuda or mps. Default: the recipe's, else the best there is.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Any other setting, as model.hidden=[8,8] or train.stages.0.kl_z_weight=0.3. Repeatable.")
@click.option("--runs-dir", type=click.Path(path_type=Path), help="Folder of runs. Default: $SAGVAE_RUNS or ./runs.")
@click.option("--resume", metavar="NAME", help="Go on with an interrupted, stopped or queued run; other options but "
              "--device are ignored.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(dataset: str, model_name: str, latent: str, name: str | None, epochs: int | None, rows: int | None,
          noise: int | None, block: int | None, seed: int, data_seed: int, device: str | None,
          settings: tuple[str, ...], runs_dir: Path | None, resume: str | None, quiet: bool) -> None:
    """Train a model into a run folder; the dashboard shows it while it trains.

    \b
    Examples:
      sagvae train --dataset karate                         one graph over 34 people, half a minute
      sagvae train --dataset mnist --model identity         the paper's VAE on noisy MNIST
      sagvae train --dataset digits --epochs 20 --set model.hidden=[32,32] --run wide
      sagvae train --resume wide                            go on after Ctrl-C
    """
    root = runs_dir or runs_folder()
    if resume is not None:
        run = find_run(resume, root)
        if run.status.state == "running":
            raise expected("run to resume", "one that is not training", f"{resume!r}, which is",
                           f"Stop it with `sagvae runs stop {resume}`.")
        if run.status.state == "finished":
            raise expected("run to resume", "unfinished", f"{resume!r}, which is finished",
                           "Train a new one with --run NAME.")
    else:
        overrides = dict(parse_setting(text, "--set") for text in settings)
        if rows is not None:
            overrides["data.train_rows"] = rows
        if noise is not None and block is not None:
            raise expected("the damage", "either --noise or --block", "both")
        if noise is not None:
            overrides |= {"data.perturbation.kind": "uniform" if noise else "none", "data.perturbation.pixels": noise}
        if block is not None:
            overrides |= {"data.perturbation.kind": "block", "data.perturbation.size": block}
        config = run_config(dataset, model_name, latent=latent, seed=seed, data_seed=data_seed, overrides=overrides)
        if epochs is not None:
            config = with_epochs(config, epochs)
        name = check_name(name) if name is not None else free_name(root, f"{dataset}-{model_name}")
        config = dataclasses.replace(config, command=_command(name))
        run = Run.create(root, name, config)
    try:
        _run_with_bar(run, device, quiet)
    except SagvaeError:
        if resume is None and not run.records:
            shutil.rmtree(run.folder)  # refused by its data or device before it trained: there is nothing to keep
        raise


def _run_with_bar(run: Run, device: str | None, quiet: bool) -> None:
    from tqdm import tqdm

    with tqdm(unit="step", desc=run.name, disable=quiet, file=sys.stderr) as bar:
        def show(progress, record) -> None:
            bar.total = progress.total_steps
            bar.set_postfix(epoch=f"{progress.epoch + 1}/{progress.total_epochs}", refresh=False,
                            **({"elbo": f"{record['elbo']:.1f}"} if record else {}))
            bar.update(progress.step - bar.n)

        try:
            status = execute(run, device, show)
        except KeyboardInterrupt:
            status = run.status
    if status.state == "stopped":
        click.echo(f"Stopped after epoch {status.epoch}. Go on with `sagvae train --resume {run.name}`.")
        return
    click.echo(f"{run.folder}  " + "  ".join(f"{name} {status.metrics[name]:.4g}" for name in SHOWN_METRICS
                                             if name in status.metrics))


def _command(name: str) -> str:
    """The command that repeats this run, from what was typed."""
    words = [word for word in sys.argv[1:] if word != "--quiet"]
    if "--runs-dir" in words:
        start = words.index("--runs-dir")
        del words[start:start + 2]
    return shlex.join(["sagvae", *words] + ([] if "--run" in words else ["--run", name]))


@cli.command()
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="localhost", show_default=True, help="0.0.0.0 opens it to the network.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def dashboard(port: int, host: str, no_browser: bool) -> None:
    """Open the dashboard in the browser."""
    app = Path(__file__).parents[1] / "dashboard" / "app.py"
    if not app.is_file():
        raise expected("the dashboard", f"at {app}", "no such file", "Install the project from its repository.")
    # Streamlit reads its settings from the folder it starts in; the caller's relative folders must survive that.
    os.environ["SAGVAE_RUNS"] = str(runs_folder().resolve())
    if "SAGVAE_DATA" in os.environ:
        os.environ["SAGVAE_DATA"] = str(Path(os.environ["SAGVAE_DATA"]).resolve())
    os.chdir(app.parents[1])
    # The first page needs it, and it takes seconds: load it while the server starts and the browser opens.
    threading.Thread(target=importlib.import_module, args=("torchmetrics.functional.image",), daemon=True).start()
    # The server runs in this process: PyTorch is loaded already, and whoever stops `sagvae dashboard` stops it all.
    serve(["run", str(app), "--server.port", str(port), "--server.address", host,
           "--server.headless", "true" if no_browser else "false"])


def serve(arguments: list[str]) -> None:
    """``python -m streamlit`` with these arguments, in this process."""
    sys.argv = ["streamlit", *arguments]
    runpy.run_module("streamlit", run_name="__main__")


for command in (runs, datasets, study):
    cli.add_command(command)


def main() -> None:
    """Entry point of the ``sagvae`` script."""
    cli(prog_name="sagvae")
