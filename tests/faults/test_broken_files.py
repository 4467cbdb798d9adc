"""Full disks, damaged files, too little memory: a sentence for each, and nothing else is touched."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from test_kill import assert_same_end
from training_process import FULL, small_config

from sagvae_core import experiment, run_status, trainer_state
from sagvae_core.errors import SagvaeError
from sagvae_core.experiment import execute
from sagvae_core.objective import Objective
from sagvae_core.runs import Run


@pytest.fixture(autouse=True)
def everything_at_once(monkeypatch):
    for name in ("_STATUS_INTERVAL", "_SNAPSHOT_INTERVAL", "_CHECKPOINT_INTERVAL"):
        monkeypatch.setattr(experiment, name, 0.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Run:
    run = Run.create(tmp_path_factory.mktemp("whole"), "whole", small_config())
    execute(run)
    return run


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "runs", "one", small_config())


def at_step(run: Run, step: int, act) -> None:
    """Train, and do something after a step."""
    execute(run, on_progress=lambda progress, _: act() if progress.step == step else None)


def paused(run: Run, step: int = 10) -> None:
    at_step(run, step, lambda: run.request("pause"))
    assert run.status.state == "paused"


def full(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_disk_is_a_sentence_and_nothing_is_lost(run, whole):
    def fill() -> None:
        (run.folder / "metrics.jsonl").unlink(missing_ok=True)
        (run.folder / "metrics.jsonl").symlink_to("/dev/full")

    with pytest.raises(SagvaeError, match=r"The disk of the run's folder must have room for a checkpoint, got \d+ MB"):
        at_step(run, 2, fill)
    assert run.status.state == "failed"
    assert "Free some space and go on" in run.status.error
    assert run.read_checkpoint()["step"] == run.status.saved_step > 2
    (run.folder / "metrics.jsonl").unlink()
    execute(run)
    assert run.status.metrics == whole.status.metrics


def test_a_disk_that_is_full_in_the_middle_of_a_checkpoint_leaves_the_one_before(run, whole, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(SagvaeError, match="must have room for a checkpoint"):
        at_step(run, 6, lambda: patch.setattr(trainer_state, "write_json", full))
    assert run.read_checkpoint()["step"] == 6
    execute(run)
    assert_same_end(run, whole)


def test_where_not_even_the_status_can_be_written_the_run_is_interrupted(run, whole, monkeypatch):
    def fill() -> None:
        patch.setattr(trainer_state, "write_json", full)
        patch.setattr(run_status, "write_json", full)

    with monkeypatch.context() as patch, pytest.raises(SagvaeError, match="must have room for a checkpoint"):
        at_step(run, 6, fill)
    assert run.status.state == "interrupted"
    execute(run)
    assert_same_end(run, whole)


def test_a_status_that_cannot_be_written_for_once_stops_nothing(run, whole, monkeypatch):
    original = run_status.write_json
    calls = []

    def sometimes(path, value) -> None:
        calls.append(path)
        if len(calls) in (4, 5, 6):
            full()
        original(path, value)

    monkeypatch.setattr(run_status, "write_json", sometimes)
    execute(run)
    assert len(calls) > 6
    assert_same_end(run, whole)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
                                   RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
                                   MemoryError()])
def test_too_little_memory_is_a_sentence_and_the_run_can_go_on(run, whole, monkeypatch, error):
    original = Objective.forward

    def forward(self, *args, **kwargs):
        if self.training and len(steps) >= 7:
            raise error
        steps.append(1)
        return original(self, *args, **kwargs)

    steps: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Objective, "forward", forward)
        with pytest.raises(SagvaeError, match=r"The device ran out of memory\. .* lower train\.batch_size"):
            execute(run)
    assert (run.status.state, run.read_checkpoint()["step"]) == ("failed", 7)
    execute(run)
    assert_same_end(run, whole)


@pytest.mark.parametrize("keep", [0, 1, 40, 0.5, 0.98] if FULL else [0, 0.5])
@pytest.mark.parametrize("file", ["status.json", "metrics.jsonl", "state.json", "state.safetensors"])
def test_cut_files_cost_no_more_than_what_stood_in_them(run, whole, file, keep):
    paused(run)
    path = max(run.folder.rglob(file))  # of checkpoints: the newest
    size = path.stat().st_size
    os.truncate(path, keep if isinstance(keep, int) else int(size * keep))
    if file.startswith("state"):
        assert run.read_checkpoint()["step"] == 9
    execute(run)
    if file == "metrics.jsonl":  # a record that is cut off is gone; all later ones are there
        assert run.status.metrics == whole.status.metrics
        assert run.records[-1]["epoch"] == whole.records[-1]["epoch"]
    else:
        assert_same_end(run, whole)


def test_without_any_readable_checkpoint_it_starts_again(run, whole):
    paused(run)
    for path in run.folder.glob("checkpoints/*/state.json"):
        path.write_text("{}")
    assert run.read_checkpoint() is None
    execute(run)
    assert_same_end(run, whole)


def test_a_checkpoint_of_another_model_is_a_sentence(run):
    paused(run)
    config = json.loads((run.folder / "config.json").read_text())
    config["model"]["hidden"] = [5]
    (run.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SagvaeError, match="checkpoint"):
        execute(run)
    assert run.status.state == "failed"


def test_the_pages_stay_up_beside_broken_runs(run, whole, tmp_path, monkeypatch):
    from streamlit.testing.v1 import AppTest

    root = run.folder.parent
    whole_copy = root / "good"
    whole_copy.mkdir()
    for path in whole.folder.iterdir():
        if path.is_file():
            (whole_copy / path.name).write_bytes(path.read_bytes())
    for name, file, text in (("a", "status.json", "{"), ("b", "config.json", "[]"), ("c", "metrics.jsonl", "\0" * 99),
                             ("d", "snapshot.safetensors", "x"), ("e", "status.json", '{"state": "running"}')):
        broken = Run.create(root, name, small_config())
        (broken.folder / file).write_text(text)
    monkeypatch.setenv("SAGVAE_RUNS", str(root))
    before = {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    app = AppTest.from_file(str(Path(__file__).parents[2] / "dashboard" / "app.py"), default_timeout=300)
    app.run()
    app.switch_page("views/train.py").run()
    for name in ("a", "b", "c", "d", "e", "good"):
        next(box for box in app.selectbox if box.label == "Run").set_value(name).run()
        assert not app.exception, name
    assert {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()} == before
    sys.modules.pop("dashboard.app", None)
