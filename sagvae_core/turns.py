"""One run at a time on a device: the others wait in line, each in its own process, and everybody can see it.

The line is made of what the run folders of one root say, and of a lock for every device that the operating system drops
with the process that has it: nobody has to be alive to let the next one in, and nothing is left behind by a crash.
"""

from __future__ import annotations

import itertools
import platform
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import SagvaeError
from .run_folder import RunFolder, list_folders
from .run_lock import try_to_hold
from .run_status import ACTIVE, Status, own_process

_FOLDER = ".queue"
_INTERVAL = 0.5  # seconds between two looks at the line


class TurnGivenUp(Exception):
    """Raised out of the wait when the run was asked to pause or stop before its turn came."""


def join_line(run: RunFolder) -> Status:
    """The status of a run that waits for its turn; what an earlier process left of it is taken over."""
    try:
        previous = run.status
    except SagvaeError:  # a damaged file is no reason not to go on: what is stored says where
        previous = Status(created=time.time())
    own = own_process()
    queued_at = previous.queued_at
    if (previous.state, previous.pid) != ("queued", own["pid"]):  # else it is ours, as are its place and what was asked
        queued_at = time.time()
        run.clear_request()
    kept = {name: getattr(previous, name) for name in ("created", "seconds", "step", "total_steps", "saved_step",
                                                       "epoch", "device", "memory", "metrics")}
    return Status(state="queued", queued_at=queued_at, **kept, **own)


def line(root: Path, device_key: str = "") -> list[tuple[RunFolder, Status]]:
    """The runs of a root that train or wait, in order, those that train first; on one device or, by default, on all.

    A run whose process has not said yet what it trains on counts on every device: it may turn out to be this one, and
    who came first must not depend on whose process starts faster.
    """
    found = []
    for run in list_folders(root):
        try:
            status = run.status
        except (SagvaeError, OSError):
            continue  # it says so itself wherever it is shown; here it stands in nobody's way
        if status.state in ACTIVE and status.pid is not None and (
                device_key in ("", status.device_key) or not status.device_key):
            found.append((run, status))
    return sorted(found, key=lambda entry: (entry[1].state == "queued", entry[1].queued_at, entry[0].name))


@contextmanager
def turn(run: RunFolder, device_key: str, on_wait: Callable[[list[str]], None] | None = None) -> Iterator[None]:
    """Wait until ``device_key`` of this machine is free and nobody is ahead, then have it until the block ends.

    The run's status must say "queued", with this device and since when.

    Args:
        on_wait: told the names of the runs ahead, the one that trains first, whenever these change.

    Raises:
        TurnGivenUp: the run was asked to pause or stop meanwhile.
    """
    root = run.folder.parent
    folder = root / _FOLDER
    folder.mkdir(exist_ok=True)
    lock = folder / f"{re.sub('[^A-Za-z0-9.-]', '-', f'{platform.node()}-{device_key}')}.lock"
    told: list[str] | None = None
    while True:
        if run.requested() is not None:
            raise TurnGivenUp
        here = [(other.name, status.state) for other, status in line(root, device_key)
                if status.host == platform.node()]
        ahead = list(itertools.takewhile(lambda entry: entry[0] != run.name, here))
        # Only those who wait are really ahead: of a run that trains, the lock says whether it still does.
        if all(state != "queued" for _, state in ahead):
            with try_to_hold(lock) as mine:
                if mine:
                    yield
                    return
        names = [name for name, _ in ahead]
        if names != told and on_wait is not None:
            on_wait(names)
        told = names
        time.sleep(_INTERVAL)
