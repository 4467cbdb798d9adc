"""One training at a time on a device, in the order they came, whatever becomes of those ahead."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from sagvae_core import turns
from sagvae_core.config import DataConfig, ModelConfig, TrainConfig
from sagvae_core.run_lock import is_held, try_to_hold
from sagvae_core.run_status import own_process
from sagvae_core.runs import Run, RunConfig
from sagvae_core.turns import TurnGivenUp, line, turn

CONFIG = RunConfig(DataConfig("digits"), ModelConfig(num_nodes=64, hidden=(4,)), TrainConfig(epochs=3))
PATIENCE = 60


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(turns, "_INTERVAL", 0.01)


def waiting(root, name: str, since: float, device_key: str = "cpu", **changes) -> Run:
    run = Run.create(root, name, CONFIG)
    run.write_status(dataclasses.replace(run.status, device_key=device_key, queued_at=since,
                                         **own_process() | changes))
    return run


class Worker(threading.Thread):
    """A run that waits for its turn, has it, and says when."""

    def __init__(self, run: Run, device_key: str = "cpu"):
        super().__init__(daemon=True)
        self.run_folder, self.device_key = run, device_key
        self.told: list[list[str]] = []
        self.has_it, self.may_end, self.gave_up = threading.Event(), threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(self.run_folder.claim())
            try:
                stack.enter_context(turn(self.run_folder, self.device_key, self.told.append))
            except TurnGivenUp:
                self.gave_up.set()
                return
            self.write("running")
            self.has_it.set()
            assert self.may_end.wait(PATIENCE)
            self.write("finished")

    def write(self, state: str) -> None:
        self.run_folder.write_status(dataclasses.replace(self.run_folder.status, state=state))

    def end(self) -> None:
        self.may_end.set()
        self.join(PATIENCE)
        assert not self.is_alive()


def told(worker: Worker, names: list[str]) -> None:
    end = time.monotonic() + PATIENCE
    while worker.told[-1:] != [names]:
        assert time.monotonic() < end, f"told {worker.told}"
        time.sleep(0.01)


def test_runs_have_their_turn_one_by_one_in_the_order_they_came(tmp_path):
    first, late, middle = (waiting(tmp_path, name, since) for name, since in (("z", 1.0), ("a", 3.0), ("m", 2.0)))
    one = Worker(first)
    assert one.has_it.wait(PATIENCE)
    three, two = Worker(late), Worker(middle)
    told(two, ["z"])
    told(three, ["z", "m"])
    assert [(run.name, status.state) for run, status in line(tmp_path)] == [
        ("z", "running"), ("m", "queued"), ("a", "queued")]
    one.end()
    assert two.has_it.wait(PATIENCE)
    told(three, ["m"])
    assert not three.has_it.is_set()
    two.end()
    assert three.has_it.wait(PATIENCE)
    three.end()
    assert line(tmp_path) == []


def test_another_device_another_machine_and_another_folder_do_not_wait(tmp_path):
    one = Worker(waiting(tmp_path / "runs", "cpu", 1.0))
    assert one.has_it.wait(PATIENCE)
    waiting(tmp_path / "runs", "far", 0.5, host="elsewhere")
    others = [Worker(waiting(tmp_path / "runs", "gpu", 2.0, "cuda:0"), "cuda:0"),
              Worker(waiting(tmp_path / "more", "cpu", 2.0))]
    for worker in others:
        assert worker.has_it.wait(PATIENCE)
    assert {run.name for run, _ in line(tmp_path / "runs", "cpu")} == {"cpu", "far"}
    assert [run.name for run, _ in line(tmp_path / "runs", "cuda:0")] == ["gpu"]
    for worker in [one, *others]:
        worker.end()


def test_who_came_first_is_first_however_long_its_process_takes_to_say_its_device(tmp_path):
    first = waiting(tmp_path, "first", 1.0, device_key="")
    two = Worker(waiting(tmp_path, "second", 2.0))
    told(two, ["first"])
    first.write_status(dataclasses.replace(first.status, device_key="cuda:0"))
    assert two.has_it.wait(PATIENCE), "it turned out to be another device"
    two.end()


@pytest.mark.parametrize("what", ["pause", "stop"])
def test_who_is_asked_to_leaves_the_queue(tmp_path, what):
    one, run = Worker(waiting(tmp_path, "one", 1.0)), waiting(tmp_path, "two", 2.0)
    assert one.has_it.wait(PATIENCE)
    two = Worker(run)
    told(two, ["one"])
    run.request(what)
    assert two.gave_up.wait(PATIENCE)
    one.end()


def test_the_turn_of_a_killed_process_passes_to_the_next(tmp_path):
    run = waiting(tmp_path, "killed", 1.0)
    code = ("import sys, time, dataclasses\nfrom sagvae_core.runs import Run\nfrom sagvae_core.turns import turn\n"
            "run = Run(sys.argv[1])\nwith run.claim(), turn(run, 'cpu'):\n"
            "    run.write_status(dataclasses.replace(run.status, state='running'))\n"
            "    print('mine', flush=True)\n    time.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", code, str(run.folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "mine\n"
        two = Worker(waiting(tmp_path, "two", 2.0))
        told(two, ["killed"])
        process.kill()
    assert two.has_it.wait(PATIENCE)
    assert run.status.state == "interrupted"
    two.end()


def test_damaged_and_untended_runs_stand_in_nobodys_way(tmp_path):
    (waiting(tmp_path, "damaged", 0.1).folder / "status.json").write_text("{")
    Run.create(tmp_path, "never-started", CONFIG)
    waiting(tmp_path, "gone", 0.2, pid_started=own_process()["pid_started"] - 1000)
    one = Worker(waiting(tmp_path, "one", 1.0))
    assert one.has_it.wait(PATIENCE)
    one.end()


def test_a_lock_is_held_by_one_at_a_time_and_asking_leaves_it_alone(tmp_path):
    path = tmp_path / "lock"
    assert is_held(path) is None
    with try_to_hold(path) as mine:
        assert mine
        assert is_held(path)
        with try_to_hold(path, 0) as second:
            assert not second
        assert is_held(path)
    assert is_held(path) is False
    assert is_held(tmp_path / "nowhere" / "lock") is None
