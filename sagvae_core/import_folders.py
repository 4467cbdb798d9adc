"""The hidden folders in which a run that comes from elsewhere is unpacked and checked before it gets its name.

A process that is killed meanwhile leaves its folder behind, up to two gigabytes of it: the next import removes it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .run_lock import is_held, try_to_hold

_PREFIX, _LOCK = ".import-", "lock"
_YOUNG = 600.0  # seconds in which a folder is left alone: its owner may not have its lock yet, or be on a machine
# whose locks cannot be seen from here


@contextlib.contextmanager
def hidden_folder(root: Path) -> Iterator[Path]:
    """An empty folder in ``root`` that no list of runs shows; what is still there at the end is removed.

    ``root`` is made where it is missing, and removed again when the block fails. What killed imports have left in it is
    removed too.

    Raises:
        OSError: ``root`` cannot be written.
    """
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        remove_abandoned(root)
        outside = Path(tempfile.mkdtemp(dir=root, prefix=_PREFIX))
        try:
            with try_to_hold(outside / _LOCK):
                folder = outside / "run"  # one deeper: a list of runs looks for */config.json
                folder.mkdir()
                yield folder
        finally:
            shutil.rmtree(outside, ignore_errors=True)
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def remove_abandoned(root: Path) -> None:
    """Remove the hidden folders in ``root`` that are some minutes old and that no process works on.

    What cannot be looked at or removed stays where it is.
    """
    for folder in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            # A held lock is believed at any age: unpacking a large run on a slow disk may take long.
            if time.time() - folder.lstat().st_mtime > _YOUNG and not is_held(folder / _LOCK):
                shutil.rmtree(folder, ignore_errors=True)
