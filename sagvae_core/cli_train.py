"""``sagvae train``: from options to a run folder, and a run folder trained with a progress bar."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from .config import TRACKERS
from .config_run import RunConfig
from .data import DATASETS
from .devices import is_main_process, part_processes
from .errors import SagvaeError, expected
from .experiment import execute
from .preflight import check_before_training
from .presets import MODELS, run_config
from .run_names import check_name
from .runs import Run, find_run, free_name, list_runs, runs_folder, shipped_folder
from .settings import parse_setting, with_epochs
from .training import Progress

SHOWN_METRICS = ("mse_clean", "psnr", "ssim", "f1", "average_precision")


@click.command()
@click.option("--dataset", default="karate", show_default=True, help="One of: " + ", ".join(DATASETS) + ".")
@click.option("--model", "model_name", default="sagvae", show_default=True,
              help="One of: " + ", ".join(f"{name} ({title})" for name, title in MODELS.items()) + ".")
@click.option("--latent", default="per_node", show_default=True,
              help="per_node: a Gaussian for every feature; per_sample: one code a row (karate).")
@click.option("--run", "name", help="Name of the run and its folder. Default: DATASET-MODEL, numbered when taken.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs in all, at least one for each stage of the recipe "
              "(SAG-VAE on pictures has up to five); stages keep their shares. Default: the recipe's.")
@click.option("--rows", type=click.IntRange(1), help="Train on this many rows. Default: the recipe's.")
@click.option("--noise", type=click.IntRange(0), metavar="PIXELS",
              help="Damage this many pixels of each image by uniform noise.")
@click.option("--block", type=click.IntRange(1), metavar="SIZE", help="Cover a SIZE x SIZE block of each image.")
@click.option("--seed", default=0, show_default=True, help="Weights, order of rows and sampling.")
@click.option("--data-seed", default=0, show_default=True, help="Everything drawn in the data: patterns, damage.")
@click.option("--device", help="auto, cpu, cuda or mps. Default: the recipe's, else the best there is.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Any other setting, as model.hidden=[8,8] or train.stages.0.kl_z_weight=0.3. Repeatable.")
@click.option("--tracker", "trackers", multiple=True, type=click.Choice(TRACKERS),
              help="Log the curves there too, below the run's folder where it writes files. Repeatable.")
@click.option("--runs-dir", type=click.Path(path_type=Path), help="Folder of runs. Default: $SAGVAE_RUNS or ./runs.")
@click.option("--resume", metavar="NAME", help="Go on with an unfinished run; of the other options only --device, "
              "--now and --quiet count.")
@click.option("--now", is_flag=True, help="Do not wait for other trainings on the same device.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(dataset: str, model_name: str, latent: str, name: str | None, epochs: int | None, rows: int | None,
          noise: int | None, block: int | None, seed: int, data_seed: int, device: str | None,
          settings: tuple[str, ...], trackers: tuple[str, ...], runs_dir: Path | None, resume: str | None, now: bool,
          quiet: bool) -> None:
    """Train a model into a run folder; the dashboard shows it while it trains.

    One training at a time on a device: others of the same folder of runs wait for their turn. Ctrl-C, or a signal to
    end, writes a checkpoint after the current step and leaves; a second Ctrl-C leaves at once.

    \b
    Examples:
      sagvae train --dataset karate                         one graph over 34 people, half a minute
      sagvae train --dataset mnist --model identity         the paper's VAE on noisy MNIST
      sagvae train --dataset digits --epochs 20 --set model.hidden=[32,32] --run wide
      sagvae train --resume wide                            go on after Ctrl-C
    """
    root = runs_dir or runs_folder()
    if resume is not None:
        resume_run(resume, root, device, now, quiet)
        return
    overrides = dict(parse_setting(text, "--set") for text in settings)
    if trackers:
        overrides["train.trackers"] = list(trackers)
    if rows is not None:
        overrides["data.train_rows"] = rows
    overrides |= _damage(dataset, noise, block)
    config = run_config(dataset, model_name, latent=latent, seed=seed, data_seed=data_seed, overrides=overrides)
    if epochs is not None:
        config = with_epochs(config, epochs)
    check_before_training(config, device)
    name = check_name(name) if name is not None else free_name(root, f"{dataset}-{model_name}")
    config = dataclasses.replace(config, command=_command(name))
    main = is_main_process()
    run = Run.create(root, name, config) if main else Run(root / name)
    if main:
        click.echo(_plan(name, config, epochs), err=True)
    try:
        _train_with_bar(run, device, now, quiet, config)
    except SagvaeError:
        if main and not run.records and run.read_checkpoint() is None:
            shutil.rmtree(run.folder)  # refused by its data or device before it trained: there is nothing to keep
        raise


def _damage(dataset: str, noise: int | None, block: int | None) -> dict[str, Any]:
    """The settings of --noise and --block, which are of pixels."""
    if noise is not None and block is not None:
        raise expected("the damage", "either --noise or --block", "both")
    if (noise or block) and dataset in DATASETS and DATASETS[dataset].image_shape is None:
        raise expected("--noise" if noise else "--block", f"left out with {dataset!r}", noise or block,
                       "It damages pixels, and these rows are no pictures.")
    if noise is not None:
        return {"data.perturbation.kind": "uniform" if noise else "none", "data.perturbation.pixels": noise}
    return {} if block is None else {"data.perturbation.kind": "block", "data.perturbation.size": block}


def _plan(name: str, config: RunConfig, asked: int | None) -> str:
    """How long a new run trains, and why that is more than was asked for."""
    lengths = [stage.epochs for stage in config.train.stages]
    total = sum(lengths)
    words = f"{name} trains {total} epoch{'s' * (total != 1)}"
    if len(lengths) > 1:
        words += f", in stages of {' + '.join(map(str, lengths))}"
    return words + ("." if asked in (None, total) else f": not {asked}, since every stage takes at least one.")


def find_own_run(name: str, root: Path, purpose: str, remedy: str) -> Run:
    """The user's run called ``name`` below ``root``, for what is not done to a shipped one.

    Args:
        purpose: as "delete". remedy: what to do instead where it is a shipped one.

    Raises:
        SagvaeError: there is none, or it is a shipped one.
    """
    own, shipped = ([run.name for run in list_runs(folder)] for folder in (root, shipped_folder()))
    if name not in own and name in shipped:
        raise not_yours(name, purpose, remedy)
    return find_run(name, root)


def not_yours(name: str, purpose: str, remedy: str) -> SagvaeError:
    """The error where something is to be done to a shipped run that is done to one's own alone."""
    return expected(f"run to {purpose}", "one of yours", f"{name!r}, which is shipped with the package", remedy)


def resume_run(name: str, root: Path, device: str | None = None, now: bool = False, quiet: bool = False) -> None:
    """Go on with an unfinished run below ``root`` in this process.

    Raises:
        SagvaeError: there is none, it is finished, or another process works on it.
    """
    run = find_own_run(name, root, "resume", "It is finished: train a new one with --run NAME.")
    state = ""
    with suppress(SagvaeError):  # going on writes a damaged status anew
        state = run.status.state
    if state == "finished":
        raise expected("run to resume", "unfinished", f"{run.name!r}, which is finished",
                       "Train a new one with --run NAME.")
    _train_with_bar(run, device, now, quiet)


def _train_with_bar(run: Run, device: str | None, now: bool, quiet: bool, config: RunConfig | None = None) -> None:
    from tqdm import tqdm

    def wait(names: list[str]) -> None:
        bar.write(f"{run.name} waits for {', '.join(names) or 'the device'}. Ctrl-C leaves the queue.", file=sys.stderr)

    def note(sentence: str) -> None:
        bar.write(f"{run.name}: {sentence}", file=sys.stderr)

    def show(progress: Progress, record: dict) -> None:
        bar.total = progress.total_steps
        bar.set_postfix(epoch=f"{progress.epoch + 1}/{progress.total_epochs}", refresh=False,
                        **({"elbo": f"{record['elbo']:.1f}"} if record else {}))
        bar.update(progress.step - bar.n)

    with tqdm(unit="step", desc=run.name, disable=quiet or not is_main_process(), file=sys.stderr) as bar:
        try:
            with _pausing_on_signals(run):
                status = execute(run, device, show, wait, not now, config, note)
                part_processes()
        except KeyboardInterrupt:
            status = run.status
    if not is_main_process():
        return
    if status.state in ("paused", "interrupted"):
        click.echo(f"{status.state.capitalize()} in epoch {status.epoch + 1}, after step {status.step}. Go on with "
                   f"`sagvae train --resume {run.name}`." + (f" {status.note}" if status.note else ""))
        return
    click.echo(f"{run.folder}  " + "  ".join(f"{name} {status.metrics[name]:.4g}" for name in SHOWN_METRICS
                                             if name in status.metrics))


@contextmanager
def _pausing_on_signals(run: Run) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks the run to pause after its step; the next Ctrl-C is an ordinary one."""
    def pause(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before[signal.SIGINT])
        if is_main_process():
            run.request("pause")

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, pause)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _command(name: str) -> str:
    """The command that repeats this run, from what was typed."""
    words = [word for word in sys.argv[1:] if word != "--quiet"]
    if "--runs-dir" in words:
        start = words.index("--runs-dir")
        del words[start:start + 2]
    return shlex.join(["sagvae", *words] + ([] if "--run" in words else ["--run", name]))
