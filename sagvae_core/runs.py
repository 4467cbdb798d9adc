"""The run folder: one training on disk, made and read alike by the command line and the dashboard.

    <name>/config.json            data, model, training and the command that repeats it
           status.json            state, process, progress, error, held-out metrics; replaced atomically
           metrics.jsonl          one record an epoch, append only
           snapshot.safetensors   the graph and a few reconstructions of the last epoch
           snapshots/epoch-N...   those of epochs spread over the training
           checkpoints/step-N/    what an interrupted run goes on from
           request                "pause" or "stop", from another process
           model.safetensors, model.json   the finished model
"""

from __future__ import annotations

import difflib
import os
import shutil
import time
from pathlib import Path
from typing import Any

from . import run_records, snapshots, trainer_state
from .checkpoint import DESCRIPTION, WEIGHTS, check_stored_model, load_model, read_json, write_json
from .config_run import RunConfig
from .errors import SagvaeError, expected
from .run_folder import RunFolder, is_of_training
from .run_names import check_name, is_name
from .run_status import Status

_NAMED = 5  # runs that a sentence names


class Run(RunFolder):
    """The folder of one training. Reading never changes it; only the process that trains writes its status."""

    @classmethod
    def create(cls, root: Path | str, name: str, config: RunConfig) -> Run:
        """A new queued run; an existing name is refused, so that nothing is ever overwritten or hidden."""
        folder = new_folder(root, name)
        run = cls(folder)
        write_json(folder / "config.json", config.to_dict())
        run.write_status(Status(created=time.time(), total_epochs=config.train.total_epochs))
        return run

    # ------------------------------------------------------------------ reading

    @property
    def config(self) -> RunConfig:
        return RunConfig.from_dict(read_json(self.folder / "config.json"))

    @property
    def records(self) -> list[dict[str, Any]]:
        """One an epoch, see :mod:`.run_records`."""
        return run_records.read(self.folder)

    @property
    def has_model(self) -> bool:
        return (self.folder / WEIGHTS).is_file() and (self.folder / DESCRIPTION).is_file()

    def check(self) -> tuple[RunConfig, Status]:
        """Settings and status of a run that is what its state says; lists can ask, since no weight is read.

        Raises:
            SagvaeError: config.json or status.json is damaged, or a model is missing, cut off or another
                configuration's.
        """
        config, status = self.config, self.status
        if status.state in ("finished", "stopped") or self.has_model:
            check_stored_model(self.folder, config.model)
        return config, status

    @property
    def problem(self) -> str | None:
        """The sentence of :meth:`check`; None where nothing is known to be wrong."""
        try:
            self.check()
        except (SagvaeError, OSError) as error:
            return str(error)
        return None

    def load_model(self, device: str = "cpu"):
        """The finished model in eval mode; see :func:`sagvae_core.checkpoint.load_model`."""
        return load_model(self.folder, device)

    def snapshot(self, epoch: int | None = None) -> dict[str, Any] | None:
        """Graph and reconstructions of the last epoch, or of one in :attr:`snapshot_epochs`; see :mod:`.snapshots`."""
        return snapshots.read(self.folder, epoch)

    @property
    def snapshot_epochs(self) -> list[int]:
        return snapshots.epochs(self.folder)

    # ------------------------------------------------------------------ writing

    def append_record(self, record: dict[str, Any]) -> None:
        run_records.append(self.folder, record)

    def write_snapshot(self, epoch: int, tensors: dict[str, Any]) -> None:
        snapshots.write(self.folder, epoch, tensors)

    def write_checkpoint(self, state: dict[str, Any]) -> None:
        """Store a :meth:`Trainer.state`; the last good checkpoint is never touched."""
        trainer_state.write(self.folder / "checkpoints", state)

    def read_checkpoint(self) -> dict[str, Any] | None:
        """The newest readable checkpoint as a :meth:`Trainer.state`, or None."""
        return self.newest_checkpoint()[0]

    def newest_checkpoint(self) -> tuple[dict[str, Any] | None, list[int]]:
        """:meth:`read_checkpoint`, and the steps of later checkpoints, which cannot be read."""
        return trainer_state.read_newest(self.folder / "checkpoints")

    def remove_checkpoints(self) -> None:
        """A finished run needs none."""
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)


def free_name(root: Path, stem: str) -> str:
    """``stem``, or ``stem-2``, ``stem-3`` ... when it is taken."""
    names = [stem, *(f"{stem}-{number}" for number in range(2, 10_000))]
    return next(name for name in names if not is_taken(root, name))


def new_folder(root: Path | str, name: str) -> Path:
    """Make the folder of a new run, of any kind; an existing name is refused.

    Raises:
        SagvaeError: the name is taken or none that a run can have, or ``root`` cannot be written.
    """
    folder = Path(root) / check_name(name)
    try:
        if is_taken(root, name):
            raise FileExistsError
        folder.mkdir(parents=True)
    except FileExistsError:
        raise name_taken(name) from None
    except OSError as error:
        raise SagvaeError(f"The folder for runs must be writable, got {error.strerror} for {str(root)!r}. "
                          "Set SAGVAE_RUNS to a folder you may write to.") from None
    return folder


def is_taken(root: Path | str, name: str) -> bool:
    """Whether a run below ``root`` or a shipped one has this name: a namesake would hide the shipped model."""
    return (Path(root) / name).exists() or (shipped_folder() / name).exists()


def name_taken(name: str) -> SagvaeError:
    """The error for a new run under a name that :func:`is_taken`."""
    return expected("run name", "new", repr(name), "Choose another name: it is that of a shipped run."
                    if (shipped_folder() / name).exists() else "Choose another name, or delete that run first.")


def runs_folder() -> Path:
    """Where new runs go: the environment variable SAGVAE_RUNS, else ``runs`` in the current folder."""
    return Path(os.environ.get("SAGVAE_RUNS", "runs"))


def shipped_folder() -> Path:
    """The finished runs that come with the package."""
    inside = Path(__file__).parent / "assets" / "runs"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "assets" / "runs"


def is_shipped(run: RunFolder) -> bool:
    """Whether a run, of any kind, comes with the package."""
    return run.folder.parent.resolve() == shipped_folder().resolve()


def list_runs(*roots: Path | str) -> list[Run]:
    """Every run folder below ``roots`` (default: the user's, then the shipped ones), by name within each root.

    A name that stands in two roots is listed once: the user's own run wins.
    """
    found: dict[str, Run] = {}
    for root in roots or (runs_folder(), shipped_folder()):
        for folder in sorted(Path(root).glob("*")):
            if is_name(folder.name) and is_of_training(folder):
                found.setdefault(folder.name, Run(folder))
    return list(found.values())


def find_run(name: str, *roots: Path | str) -> Run:
    """The run called ``name``.

    Raises:
        SagvaeError: there is none; the message names the closest.
    """
    runs = {run.name: run for run in list_runs(*roots)}
    if name not in runs:
        names = list(runs)
        if len(names) > _NAMED:
            names = [*difflib.get_close_matches(name, names, _NAMED, cutoff=0.0), "…"]
        listed = ", ".join(names) or "(there are none yet)"
        raise expected("run", f"one of {listed}", repr(name), "See `sagvae runs`.")
    return runs[name]
