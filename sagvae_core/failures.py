"""What ends a run other than its end, as one sentence with the remedy, and the status that says so."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from .errors import SagvaeError, reason
from .run_folder import RunFolder
from .run_status import Status


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, had no room for what was asked of it."""
    # On the CPU PyTorch has no class of its own for it.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def sentence(error: BaseException, folder: Path) -> str:
    """Why the training of the run in ``folder`` ended, for a person; of a mistake of ours what Python says."""
    if is_out_of_memory(error):
        return ("The device ran out of memory. Expected a batch that fits, got one that does not: lower "
                "train.batch_size, or train on the CPU.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free / 2**20
        return (f"The disk of the run's folder must have room for a checkpoint, got {free:.0f} MB free. Free some "
                "space and go on: nothing before the last checkpoint is lost.")
    if isinstance(error, OSError):
        return (f"The run's folder must be writable, got {error.strerror or reason(error)}. Nothing before the "
                "last checkpoint is lost: go on once it is.")
    return str(error) if isinstance(error, SagvaeError) else f"{type(error).__name__}: {error}"


@contextmanager
def told(run: RunFolder, status: Status, words: Callable[[BaseException, Path], str] = sentence) -> Iterator[None]:
    """Write down how the block, which does the work of ``run``, has ended: its ``status``, or what went wrong.

    Raises:
        SagvaeError: what a person can mend, with the sentence of the status. Any other error as it came.
    """
    try:
        yield
    except KeyboardInterrupt:
        status.state = "interrupted"
        raise
    except Exception as error:
        status.state, status.error = "failed", words(error, run.folder)
        if isinstance(error, (SagvaeError, OSError)) or is_out_of_memory(error):
            raise SagvaeError(status.error) from None
        raise
    finally:
        status.eta_seconds = None
        with suppress(OSError):  # on a full disk not even this can be said: the page says "interrupted"
            run.write_status(status)
            run.clear_request()
