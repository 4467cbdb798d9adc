"""kill -9 at any moment of a training, also in the middle of a checkpoint: going on ends where it would have ended."""

from __future__ import annotations

import random
import time
from multiprocessing import Process
from pathlib import Path

import pytest
import torch
from training_process import FULL, REFUSED, small_config, start

from sagvae_core import experiment
from sagvae_core.runs import Run

PATIENCE = 600  # seconds; a machine may be busy with other things


def wait(what, message: str) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, message
        time.sleep(0.001)


def comparable(records: list[dict]) -> list[dict]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def assert_same_end(run: Run, whole: Run) -> None:
    assert run.status.state == "finished"
    assert run.status.metrics == whole.status.metrics
    assert comparable(run.records) == comparable(whole.records)
    found, wanted = run.load_model().state_dict(), whole.load_model().state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Run:
    """The same training, left alone."""
    run = Run.create(tmp_path_factory.mktemp("whole"), "whole", small_config())
    process = start(run.folder)
    process.join(PATIENCE)
    assert run.status.state == "finished"
    return run


def newest_step(run: Run) -> int:
    checkpoint = run.read_checkpoint()
    return 0 if checkpoint is None else checkpoint["step"]


def test_killed_again_and_again_it_ends_where_it_would_have_ended(tmp_path, whole):
    moments = random.Random(0)
    kills, in_checkpoint, trainings = 50 if FULL else 6, 0, 0
    while kills > 0:
        trainings += 1
        run = Run.create(tmp_path, f"killed-{trainings}", small_config())
        while kills > 0:
            before = newest_step(run)
            process = start(run.folder)
            in_checkpoint += kill_somewhere(run, process, moments, whole.status.total_steps // 6)
            if process.exitcode == 0:  # it was quicker
                break
            kills -= 1
            assert run.status.state in ("interrupted", "queued")  # the latter before it had said anything
            saved = newest_step(run)
            # Nothing lost but the steps since the last checkpoint: with one a step, at most the step it was in.
            assert saved >= run.status.saved_step >= run.status.step - 1
            assert saved >= before
        last = start(run.folder)
        last.join(PATIENCE)
        assert last.exitcode == 0
        assert_same_end(run, whole)
    assert in_checkpoint > 0, "no kill fell into the writing of a checkpoint"


def kill_somewhere(run: Run, process: Process, moments: random.Random, reach: int) -> bool:
    """Kill a training at a random moment; whether that was while a checkpoint was written."""
    writing = run.folder / "checkpoints" / ".writing"
    goal = newest(run) + moments.randint(0, max(1, reach))
    wait(lambda: newest(run) >= goal or process.exitcode is not None, "it does not get on")
    if moments.random() < 0.5:
        wait(lambda: writing.exists() or process.exitcode is not None, "no checkpoint was written")
    else:
        time.sleep(moments.random() * 0.05)
    process.kill()
    process.join(PATIENCE)
    return writing.exists()


def newest(run: Run) -> int:
    """Step of the newest checkpoint by its folder's name, without reading it."""
    folders = sorted((run.folder / "checkpoints").glob("step-*"))
    return int(folders[-1].name.removeprefix("step-")) if folders else 0


def test_two_processes_on_one_run_are_one_that_trains_and_one_that_is_told(tmp_path, whole):
    run = Run.create(tmp_path, "two", small_config())
    processes = [start(run.folder), start(run.folder)]
    for process in processes:
        process.join(PATIENCE)
    codes = sorted(process.exitcode for process in processes)
    assert codes in ([0, REFUSED], [0, 0])  # the second may come when the first is done
    if codes == [0, REFUSED]:
        assert "one that no other process works on" in (run.folder / "refused.txt").read_text()
    assert_same_end(run, whole)


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, whole, monkeypatch):
    now = [2e9]

    def back() -> float:
        now[0] -= 600.0
        return now[0]

    monkeypatch.setattr(experiment, "_STATUS_INTERVAL", 0.0)
    run, etas = Run.create(tmp_path, "clock", small_config()), []
    monkeypatch.setattr(experiment.time, "time", back)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the other one: sums of floats depend on it
    try:
        experiment.execute(run, on_progress=lambda progress, _: etas.append((progress.step, run.status)))
    finally:
        torch.set_num_threads(threads)
    assert [step for step, _ in etas] == [status.step for _, status in etas]  # a status was written after every step
    assert all(status.state == "running" for _, status in etas)
    assert all(status.eta_seconds >= 0 for _, status in etas[3:])
    assert_same_end(run, whole)
    assert 0 < run.status.seconds < 3600


def test_the_folder_of_a_run_is_all_there_is(tmp_path, whole):
    """A run that was killed can be carried elsewhere and goes on there."""
    run = Run.create(tmp_path, "here", small_config())
    process = start(run.folder)
    wait(lambda: newest(run) >= 3, "no step was taken")
    process.kill()
    process.join(PATIENCE)
    there = tmp_path / "there"
    there.mkdir()
    moved = Run(Path(run.folder).rename(there / "moved"))
    last = start(moved.folder)
    last.join(PATIENCE)
    assert_same_end(moved, whole)
