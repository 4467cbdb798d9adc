"""From the folder of a run of relations to what its methods find: in line for the CPU, stopped within a second.

Whatever happens meanwhile ends in the run's status as one sentence, and what was done before is kept.
"""

from __future__ import annotations

import _thread
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from .errors import SagvaeError
from .failures import is_out_of_memory, sentence, told
from .progress import TrainingStopped
from .relation_fits import METHODS, fit_relations
from .relation_runs import RelationRun
from .run_status import Status
from .turns import TurnGivenUp, join_line, turn

DEVICE = "cpu"
_STATUS_INTERVAL = 0.5  # seconds between two status files
_LOOK_INTERVAL = 0.3  # seconds between two looks at whether somebody asked to end


def fit_run(run: RelationRun, n_jobs: int | None = None, on_progress: Callable[[Status, str], None] | None = None,
            on_wait: Callable[[list[str]], None] | None = None, wait: bool = True) -> Status:
    """Fit the methods of ``run`` that are not done, one after the other, once the CPU is free.

    A method that cannot be fitted to the table is said in the status, and the others are fitted all the same.

    Args:
        n_jobs: resamples that are fitted at once.
        on_progress: told the status and the method after every fit.
        on_wait: told the names of the runs ahead in the line, whenever these change.
        wait: False fits at once, beside whatever works on the CPU.

    Returns:
        The final status: finished, or stopped.

    Raises:
        SagvaeError: nothing could be fitted, and its status is "failed" with the same sentence; or another process
            works on the run.
    """
    with run.claim(), ExitStack() as stack:
        status = join_line(run)
        status.device_key, status.device = DEVICE, f"CPU ({platform.machine()})"
        with told(run, status, _words):
            try:
                run.write_status(status)
                if wait:
                    stack.enter_context(turn(run, DEVICE, on_wait))
                with _ended_on_request(run):
                    _fit_all(run, status, n_jobs, on_progress)
                status.state = "finished"
            except (TurnGivenUp, TrainingStopped):
                status.state = "stopped"
    return status


def _words(error: BaseException, folder: Path) -> str:
    if is_out_of_memory(error):
        return ("The machine ran out of memory. Expected a table that fits, got one that does not: leave columns out, "
                "or save a random sample of the rows.")
    return sentence(error, folder)


def _fit_all(run: RelationRun, status: Status, n_jobs: int | None,
             on_progress: Callable[[Status, str], None] | None) -> None:
    settings, table = run.settings, run.table
    each = 1 + settings.resamples
    status.state, status.step, status.total_steps = "running", 0, each * len(settings.methods)
    status.seconds, before, started = 0.0, status.seconds, time.monotonic()
    refused: list[str] = []
    for place, method in enumerate(settings.methods):
        clock = _Clock(run, status, before, started, each * place, method, on_progress)
        clock.write()
        if not _is_done(run, method):
            try:
                graph = fit_relations(table, method, settings.resamples, settings.seed, settings.missing, n_jobs,
                                      clock.tell, partial(run.write_graph, method, first=True))
                run.write_graph(method, graph)
            except SagvaeError as error:
                refused.append(f"{METHODS[method]}: {error}")
                if len(refused) == len(settings.methods):
                    raise SagvaeError(" ".join(refused) if len(refused) > 1 else str(error)) from None
        clock.tell(each, each)
    status.note = " ".join(refused) or None


def _is_done(run: RelationRun, method: str) -> bool:
    """Whether an earlier process has fitted the method, and its file is whole."""
    try:
        run.graph(method)
    except SagvaeError:
        return False
    return True


class _Clock:
    """Where one method's fits are, as the status says it."""

    def __init__(self, run: RelationRun, status: Status, before: float, started: float, first: int, method: str,
                 on_progress: Callable[[Status, str], None] | None):
        self.run, self.status, self.method, self.on_progress = run, status, method, on_progress
        self.before, self.started, self.first = before, started, first
        self.first_fit: float | None = None
        self.written = 0.0

    def write(self) -> None:
        self.status.seconds = self.before + time.monotonic() - self.started
        with suppress(OSError):  # a status that cannot be written for once is no reason to stop
            self.run.write_status(self.status)
        self.written = time.monotonic()

    def tell(self, done: int, total: int) -> None:
        """After each fit: the first, to all rows, takes longest, so that it says nothing of the others."""
        status, now = self.status, time.monotonic()
        status.step = self.first + done
        if done == 1:
            self.first_fit = now
        elif self.first_fit is not None:  # else an earlier process has done the method
            status.eta_seconds = (now - self.first_fit) / (done - 1) * (status.total_steps - status.step)
        if now - self.written >= _STATUS_INTERVAL or done in (1, total):
            self.write()
        if self.on_progress is not None:
            self.on_progress(status, self.method)
        if self.run.requested() is not None:
            raise TrainingStopped


@contextmanager
def _ended_on_request(run: RelationRun) -> Iterator[None]:
    """End the block as soon as somebody asks for it: also in the middle of a fit, which may take minutes, by what
    Ctrl-C does. Outside the main thread, which alone can be interrupted, between two fits."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_INTERVAL):
            if run.requested() is not None:
                _thread.interrupt_main()
                return

    watcher = threading.Thread(target=look, daemon=True)
    try:
        try:
            if threading.current_thread() is threading.main_thread():
                watcher.start()
            yield
        finally:
            ended.set()
            if watcher.ident is not None:
                watcher.join()
    except KeyboardInterrupt:
        if run.requested() is None:
            raise
        raise TrainingStopped from None
