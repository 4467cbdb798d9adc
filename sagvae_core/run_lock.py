"""Who works on a folder right now: a lock the operating system drops when its process ends, however it ends.

A process number in a file cannot say that: numbers are given anew, and start times move with the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE = 0.5  # seconds; whoever only asks whether a lock is held has it for less than a thousandth of that


@contextmanager
def try_to_hold(path: Path, patience: float = _PATIENCE) -> Iterator[bool]:
    """Whether this process now holds the lock file ``path`` (it is made where missing), until the block ends.

    Raises:
        OSError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_held(path: Path) -> bool | None:
    """Whether a process, this one included, holds the lock; None where it was never made or cannot be asked."""
    if not path.is_file():
        return None
    try:
        with try_to_hold(path, 0) as free:
            return not free
    except OSError:
        return None
