"""Training as a process of its own, seen through its folder."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard import jobs, listing, resources
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import apply_overrides, run_config
from sagvae_core.run_status import Status, process_started
from sagvae_core.runs import Run, RunConfig, list_runs

PATIENCE = 180  # seconds; a training may run beside the tests


def tiny(epochs: int = 2, **settings) -> RunConfig:
    """Small digits, 100 rows: an epoch takes a fraction of a second."""
    config = run_config("digits", overrides={"data.train_rows": 100} | settings)
    return apply_overrides(config, {f"train.stages.{stage}.epochs": 1 if stage else epochs
                                    for stage in range(len(config.train.stages))})


def wait(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def log(run: Run) -> str:
    return (run.folder / "log.txt").read_text()


def ended(run: Run) -> Callable[[], bool]:
    return lambda: run.status.state in ("finished", "paused", "stopped", "failed", "interrupted")


def active() -> list[str]:
    return [run.name for run, _ in jobs.active()]


@pytest.fixture(autouse=True)
def nothing_left(runs_folder: Path):
    """No training outlives its test."""
    yield
    for run in list_runs(runs_folder):
        run.request("pause")
    for child in jobs._children:
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def test_a_run_is_trained_to_its_end_and_found(runs_folder):
    run = jobs.start("tiny", tiny())
    assert active() == ["tiny"], "it counts from the click on, not from its first step"
    wait(ended(run), "it never ended")
    status = run.status
    assert status.state == "finished", log(run)
    assert status.epoch == len(run.records) == tiny().train.total_epochs
    assert {"mse_clean", "psnr", "ssim"} <= set(status.metrics)
    assert log(run).strip(), "the log says where the model is"
    info = next(info for info in listing.run_infos()[0] if info.name == "tiny")
    assert info.has_model and info.has_graph and not info.shipped
    assert resources.edge_posterior(info.key).shape == (64, 64)
    assert not active()
    assert not (run.folder / "checkpoints").exists()


def test_pause_and_go_on(runs_folder):
    run = jobs.start("long", tiny(epochs=5000))
    wait(lambda: len(run.records) >= 1, "no first epoch")
    assert run.status.state == "running"
    assert active() == ["long"]
    with pytest.raises(SagvaeError, match="one that nobody trains, got 'long', which is running"):
        jobs.resume(run)
    run.request("pause")
    wait(ended(run), "it did not pause")
    assert run.status.state == "paused", log(run)
    epochs, step = len(run.records), run.status.step
    assert run.read_checkpoint()["step"] == step
    wait(lambda: not active(), "it still counts as running")
    jobs.resume(run)
    assert active() == ["long"]
    wait(lambda: len(run.records) > epochs, "it did not go on")
    assert [record["epoch"] for record in run.records] == list(range(1, len(run.records) + 1)), "no epoch is repeated"
    run.request("stop")
    wait(ended(run), "it did not stop")
    assert run.status.state == "stopped", log(run)
    assert run.has_model and {"mse_clean", "psnr", "ssim"} <= set(run.status.metrics)


def test_the_second_waits_for_the_first_and_what_was_asked_while_it_waited_counts(runs_folder):
    first, second = jobs.start("first", tiny(epochs=5000)), jobs.start("second", tiny())
    asked = second.status.queued_at
    wait(lambda: second.status.device_key, "the second process never began")
    assert second.status.queued_at == asked, "its place is that of the click, not of when its process was ready"
    wait(lambda: len(first.records) >= 1, "no first epoch")
    third = jobs.start("third", tiny())
    third.request("pause")  # before its process has read anything
    wait(ended(third), "it did not leave the queue")
    assert third.status.state == "paused", log(third)
    assert active() == ["first", "second"]
    assert second.status.state == "queued" and not second.records
    first.request("pause")
    wait(ended(second), "its turn never came")
    assert second.status.state == "finished", log(second)


def test_a_taken_name_is_refused_and_nothing_starts(runs_folder):
    Run.create(runs_folder, "mine", tiny())
    with pytest.raises(SagvaeError, match=r"run name must be new, got 'mine'\."):
        jobs.start("mine", tiny())
    assert not (runs_folder / "mine" / "log.txt").exists()
    with pytest.raises(SagvaeError, match="run name must be"):
        jobs.start("../mine", tiny())
    assert not active()


def untrainable() -> RunConfig:
    """More damaged pixels than there are."""
    config = tiny()
    damage = dataclasses.replace(config.data.perturbation, pixels=65)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, perturbation=damage))


def test_what_cannot_be_trained_is_refused_before_it_has_a_folder(runs_folder):
    with pytest.raises(SagvaeError, match="64 nodes of a row, got 65"):
        jobs.start("wrong", untrainable())
    assert not (runs_folder / "wrong").exists()


def test_what_cannot_be_trained_says_why_in_its_status(runs_folder):
    run = Run.create(runs_folder, "wrong", untrainable())  # as a file that somebody has edited
    jobs.resume(run)
    wait(ended(run), "it never ended")
    status = run.status
    assert status.state == "failed"
    assert "65" in status.error and "64" in status.error
    assert "Traceback" not in status.error + log(run)


def test_a_killed_process_is_an_interrupted_run(runs_folder):
    run = jobs.start("killed", tiny(epochs=5000))
    wait(lambda: run.status.state == "running", "it never started")
    os.kill(run.status.pid, 9)
    wait(lambda: run.status.state == "interrupted", "a dead process must not look alive")
    assert not active()


def test_a_number_that_another_process_got_is_not_ours(runs_folder):
    run = Run.create(runs_folder, "old", tiny())
    for state in ("running", "queued"):
        run.write_status(Status(state=state, pid=os.getpid(), pid_started=process_started(os.getpid()) - 1000))
        assert not active()
    run.write_status(Status(state="running", pid=os.getpid(), pid_started=process_started(os.getpid())))
    assert active() == ["old"]


def test_a_process_that_dies_before_its_first_step_can_be_started_again(runs_folder, monkeypatch):
    monkeypatch.setattr(jobs.sys, "executable", "/bin/false" if os.path.exists("/bin/false") else "/usr/bin/false")
    run = jobs.start("stillborn", tiny())
    jobs._children[-1].wait(30)
    assert run.status.state == "interrupted"
    assert "Its process ended" in jobs.last_words(run)
    assert not active()


def test_the_last_words_of_a_process_are_the_end_of_its_log(runs_folder, monkeypatch):
    run = Run.create(runs_folder, "mine", tiny())
    assert jobs.last_words(run) == ("Its process ended without a word: it was killed, or the machine restarted. "
                                    "Nothing before its last checkpoint is lost.")
    (run.folder / "log.txt").write_bytes(b"x" * 10_000 + b"\nKilled \xff\n\n  ")
    assert "The last it said: Killed \ufffd Nothing" in jobs.last_words(run)
    with (run.folder / "log.txt").open("a") as log:
        log.write(f"{jobs._BEGINS}mine waits for other. Ctrl-C leaves the queue.\n")
    assert "without a word" in jobs.last_words(run)  # what an earlier process said, or one that waited, is no reason
    monkeypatch.setattr(jobs, "_FULL_DISK", 2**70)
    assert "The disk of its folder is full" in jobs.last_words(run)


def test_a_damaged_status_does_not_keep_a_run_from_going_on(runs_folder):
    run = Run.create(runs_folder, "mine", tiny())
    (run.folder / "status.json").write_text("{")
    jobs.resume(run)
    wait(ended(run), "it never ended")
    assert run.status.state == "finished", log(run)


def test_an_unreadable_run_stops_nobody(runs_folder):
    run = Run.create(runs_folder, "broken", tiny())
    (run.folder / "status.json").write_text("{")
    assert not active()


def test_the_job_outlives_the_process_that_started_it(runs_folder):
    Run.create(runs_folder, "orphan", tiny(epochs=3))
    code = "from dashboard import jobs; from sagvae_core.runs import find_run; jobs.resume(find_run('orphan'))"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=PATIENCE,
                   cwd=Path(__file__).parents[2])
    run = Run(runs_folder / "orphan")
    wait(ended(run), "it never ended")
    assert run.status.state == "finished", log(run)


def test_the_device_is_said_in_words():
    assert jobs.device()
