"""What the folders of all runs share, whether a model is trained or relations of a table are learned in it.

Whoever works on one holds its lock and writes its status; everybody else reads, and may ask for something.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

from .config_data import one_of
from .errors import SagvaeError, expected
from .run_lock import try_to_hold
from .run_names import is_name
from .run_status import ACTIVE, LOCK, STATUS, Status

REQUESTS = ("pause", "stop")
SETTINGS = {"training": ("config.json",), "relations": ("relations.json", "table.parquet")}
"""Kind of run -> files that only its folders have."""


class RunFolder:
    """A run of any kind. Reading never changes it; only the process that works on it writes its status."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.name = self.folder.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def kind(self) -> str:
        """"training", or "relations" of a table."""
        return "relations" if is_of_relations(self.folder) else "training"

    @property
    def status(self) -> Status:
        """The status, with a run whose process is gone shown as interrupted."""
        status = Status.read(self.folder)
        if status.state in ACTIVE and not status.is_tended(self.folder):
            status = dataclasses.replace(status, state="interrupted", eta_seconds=None)
        return status

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """This process works on the run until the block ends, and no other does.

        Raises:
            SagvaeError: another process has it, or the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                mine = stack.enter_context(try_to_hold(self.folder / LOCK))
            except OSError as error:
                raise SagvaeError(f"The folder of run {self.name!r} must be writable, got {error.strerror}. Copy the "
                                  "run to a folder you may write to, and set SAGVAE_RUNS to that.") from None
            if not mine:
                doing, remedy = (("trained", "Wait for it, or pause it with `sagvae runs pause`.")
                                 if self.kind == "training" else
                                 ("fitted", "Wait for it, or stop it with `sagvae runs stop`."))
                raise expected("run", "one that no other process works on", f"{self.name!r}, which is being {doing}",
                               remedy)
            yield

    def write_status(self, status: Status) -> None:
        """Replace the status."""
        status.write(self.folder)

    def delete(self) -> None:
        """Remove the folder, for good.

        Raises:
            SagvaeError: a process works on it, or it cannot be removed.
        """
        with self.claim():
            pass
        try:
            shutil.rmtree(self.folder)
        except OSError as error:
            raise SagvaeError(f"The folder of run {self.name!r} must be removable, got {error.strerror}.") from None

    def request(self, what: str) -> None:
        """Ask the process that works on the run to end.

        Args:
            what: of a training, after its current step. "pause": write a checkpoint there, so that the device is free.
                "stop": end the training there, and keep the model as it is. Of relations both end the fit and keep
                the methods that are done.
        """
        one_of("request", what, REQUESTS)
        (self.folder / "request").write_text(what)

    def requested(self) -> str | None:
        """What was asked for; a file that says anything else asks for the gentlest."""
        try:
            words = (self.folder / "request").read_text(errors="replace").strip()
        except FileNotFoundError:
            return None
        return words if words in REQUESTS else "pause"

    def clear_request(self) -> None:
        """Nothing is asked for any more."""
        (self.folder / "request").unlink(missing_ok=True)


def is_of_relations(folder: Path) -> bool:
    """Whether it is the folder of a run of relations, damaged or not."""
    return any((folder / name).is_file() for name in SETTINGS["relations"])


def is_of_training(folder: Path) -> bool:
    """Whether it is the folder of a training, damaged or not: one whose settings are lost must not vanish from lists.
    """
    return not is_of_relations(folder) and any((folder / name).is_file() for name in (*SETTINGS["training"], STATUS))


def list_folders(root: Path | str) -> list[RunFolder]:
    """The runs below ``root``, of any kind, by name."""
    return [RunFolder(folder) for folder in sorted(Path(root).glob("*"))
            if is_name(folder.name) and (is_of_relations(folder) or is_of_training(folder))]
