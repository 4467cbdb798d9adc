"""Several processes train the model that one would: the same records, the same weights, stopped at the same step."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from trainings_to_share import CASES, stopped, tensors_of, trained

from sagvae_core.shares import Share, spread, take

PROCESSES = 3  # a last batch of one row leaves two without any, and 8 rows are no equal shares


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """The folder into which three processes wrote what each has got."""
    folder = tmp_path_factory.mktemp("together")
    program, root = Path(__file__).with_name("trainings_to_share.py"), Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1",
                                "WORLD_SIZE": str(PROCESSES), "LOCAL_WORLD_SIZE": str(PROCESSES),
                                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [subprocess.Popen([sys.executable, program, folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
               for rank in range(PROCESSES)]
    try:
        said = [process.communicate(timeout=900)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * PROCESSES, "\n".join(said)
    return folder


def results(folder: Path, rank: int) -> dict:
    return json.loads((folder / f"{rank}.json").read_text())


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor.double(), other[name].double(), rtol=tolerance, atol=tolerance), name


@pytest.mark.parametrize("name", CASES)
def test_many_processes_train_the_model_that_one_would(together, name):
    records, trainer = trained(CASES[name])
    shared = results(together, 0)[name]
    exact = 1e-5 if name != "bfloat16" else 2e-2
    assert len(shared) == len(records)
    for one, other in zip(records, shared):
        assert one.keys() == other.keys()
        for key in one.keys() - {"seconds"}:
            assert other[key] == pytest.approx(one[key], rel=exact, abs=exact), (key, one["epoch"])
    # bfloat16 has three digits: where they are rounded to depends on how many rows are multiplied at once.
    tolerance = 1e-4 if name != "bfloat16" else 2e-2
    close(tensors_of(trainer.state()), load_file(together / f"{name}.0.safetensors"), tolerance)


def test_early_ends_are_early(together):
    assert 4 <= len(results(together, 0)["sagvae, early end"]) < 32


@pytest.mark.parametrize("name", [*CASES, "stopped"])
def test_all_processes_have_exactly_the_same(together, name):
    first = load_file(together / f"{name}.0.safetensors")
    for rank in range(1, PROCESSES):
        assert results(together, rank)["processes"] == PROCESSES
        assert results(together, rank)[name] == results(together, 0)[name]
        other = load_file(together / f"{name}.{rank}.safetensors")
        assert first.keys() == other.keys()
        assert all(torch.equal(first[key], other[key]) for key in first)


def test_all_stop_when_the_main_process_is_asked_to(together):
    alone = stopped().state()
    shared = results(together, 0)["stopped"]
    assert (shared["step"], shared["epoch"], shared["batch"], shared["rows"]) == (6, 1, 1, 8)
    assert shared["sums"] == pytest.approx(alone["sums"], rel=1e-5)
    close(tensors_of(alone), load_file(together / "stopped.0.safetensors"), 1e-4)


def test_the_first_process_of_a_machine_goes_first(together):
    assert results(together, 0)["here before"] == []
    assert all("0.here" in results(together, rank)["here before"] for rank in range(1, PROCESSES))


# ---------------------------------------------------------------------- shares

@pytest.mark.parametrize("total", [1, 2, 3, 7, 8, 128])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_shares_are_disjoint_complete_and_even(total, count):
    batch = torch.arange(1.0, total + 1).view(total, 1)
    shares = [Share(total, index, count) for index in range(count)]
    counted = [share.counted for share in shares]
    assert sum(counted) == total
    assert max(counted) - min(counted) <= 1
    assert all(len(take(batch, share)) == max(1, share.counted) for share in shares)
    assert torch.equal(sum(spread(take(batch, share), share) for share in shares), batch)
    mean = sum(take(batch, share).mean() * share.counted / total for share in shares)
    assert mean == pytest.approx(batch.mean().item())
    assert take(batch, None) is batch
    assert spread(batch, None) is batch
