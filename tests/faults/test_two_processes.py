"""`accelerate launch ... -m sagvae_core train` in two processes: one run, with the numbers of a single process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sagvae_core.runs import Run, list_runs

# For several processes on one machine, GPUs or not: `--cpu` would start a single one unless it is told of MPI.
LAUNCH = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
          "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m"]
TRAIN = ["sagvae_core", "train", "--dataset", "digits", "--rows", "90", "--epochs", "5", "--device", "cpu", "--quiet"]


def train(root: Path, *words: str, launched: bool) -> Run:
    """The only run below ``root`` after this training."""
    command = [sys.executable, "-m", *(LAUNCH if launched else []), *TRAIN, "--runs-dir", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    run, = list_runs(root)
    assert done.stdout.count(str(run.folder)) == 1, "one process says how it ended"
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Run, Run]:
    """The same training by one process and by two."""
    return tuple(train(tmp_path_factory.mktemp(name), launched=name == "two") for name in ("one", "two"))


def test_two_processes_make_the_run_of_one(runs):
    one, two = runs
    assert one.status.state == two.status.state == "finished"
    assert one.status.step == two.status.step
    assert len(one.records) == len(two.records) > 4
    for first, second in zip(one.records, two.records):
        assert first.keys() == second.keys()
        for name in first.keys() - {"seconds"}:
            assert second[name] == pytest.approx(first[name], rel=1e-4, abs=1e-4), (name, first["epoch"])
    assert two.status.metrics == pytest.approx(one.status.metrics, rel=1e-2)


def test_two_processes_leave_the_weights_of_one(runs):
    one, two = (load_file(run.folder / "model.safetensors") for run in runs)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor.double(), two[name].double(), rtol=1e-3, atol=1e-3), name
