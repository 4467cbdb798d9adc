"""Which device a training would use, asked without one; how many processes a launcher started."""

from __future__ import annotations

import pytest
import torch

from sagvae_core import devices
from sagvae_core.config import TrainConfig
from sagvae_core.errors import SagvaeError

LAUNCHED = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "ACCELERATE_USE_CPU")


@pytest.fixture
def launched(monkeypatch):
    """Pretend to be process ``rank`` of ``processes``, the ``local``-th of its machine."""
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)

    def pretend(processes: int, rank: int, local: int) -> None:
        for name, value in zip(LAUNCHED, (processes, rank, local)):
            monkeypatch.setenv(name, str(value))

    return pretend


@pytest.fixture
def machine(monkeypatch, launched):
    """Pretend that this machine has ``count`` GPUs of ``kind``."""
    def pretend(kind: str | None, count: int = 1) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: kind == "cuda")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: kind == "mps")
        monkeypatch.setattr(torch.accelerator, "current_accelerator",
                            lambda check_available=False: None if kind is None else torch.device(kind))
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: count if kind else 0)

    return pretend


def test_the_best_device_there_is(machine):
    for kind, count, key in ((None, 0, "cpu"), ("mps", 1, "mps"), ("cuda", 2, "cuda:0"), ("xpu", 1, "xpu:0")):
        machine(kind, count)
        assert devices.device_key("auto") == key
        assert devices.device_key("cpu") == "cpu"
    machine("cuda", 2)
    assert [devices.device_key(name) for name in ("cuda", "cuda:0", "cuda:1")] == ["cuda:0", "cuda:0", "cuda:1"]
    machine("mps")
    assert devices.device_key("mps") == "mps"


def test_every_process_has_an_own_gpu_of_its_machine(machine, launched):
    machine("cuda", 4)
    assert (devices.launched_processes(), devices.is_main_process()) == (1, True)
    launched(8, 6, 2)
    assert (devices.launched_processes(), devices.is_main_process()) == (8, False)
    assert devices.device_key("auto") == devices.device_key("cuda") == "cuda:2"
    launched(8, 0, 0)
    assert devices.is_main_process()
    with pytest.raises(SagvaeError, match="must be 'cuda' or 'auto' for a training in several processes, got 'c"):
        devices.device_key("cuda:1")
    machine("mps")
    with pytest.raises(SagvaeError, match="must be 'cpu' for a training in several processes on this machine, got"):
        devices.device_key("auto")
    machine(None)
    assert devices.device_key("auto") == "cpu"


def test_the_cpu_can_be_asked_for_by_the_launcher(machine, monkeypatch):
    machine("cuda", 2)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert devices.device_key("auto") == "cpu"
    with pytest.raises(SagvaeError, match="must be 'auto' or 'cpu' under `accelerate launch --cpu`, got 'cuda'"):
        devices.device_key("cuda")


def test_names_that_are_no_device_are_refused(machine):
    machine("cuda", 2)
    for name in ("abacus", "cuda:", "cuda:one", "cuda:-1", "cpu:1", ""):
        with pytest.raises(SagvaeError, match="train.device must be 'auto', 'cpu', 'cuda' or 'mps'"):
            devices.device_key(name)
    with pytest.raises(SagvaeError, match="must be one of 'cuda:0' to 'cuda:1' on this machine, got 'cuda:2'"):
        devices.device_key("cuda:2")
    machine(None)
    with pytest.raises(SagvaeError, match="No CUDA GPU is visible"):
        devices.device_key("cuda:0")


def test_a_named_gpu_is_the_one_that_is_used(machine):
    machine("cuda", 2)
    assert devices.build_accelerator(TrainConfig(device="cuda:1")).device == torch.device("cuda:1")
    machine(None)
    assert devices.build_accelerator(TrainConfig(device="auto")).device.type == "cpu"


def test_a_launch_that_would_cut_the_model_up_is_refused(machine, monkeypatch):
    machine(None)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(SagvaeError, match="must be one with a whole model in every process .*, got FSDP"):
        devices.build_accelerator(TrainConfig())


def test_half_precision_needs_a_gpu(machine):
    machine(None)
    with pytest.raises(SagvaeError, match="train.precision must be 'no' or 'bf16' on a CPU, got 'fp16'"):
        devices.build_accelerator(TrainConfig(precision="fp16"))


def test_a_single_process_goes_first_and_has_nobody_to_part_from(launched):
    with devices.first_on_machine(TrainConfig(device="cpu")):
        devices.part_processes()
