"""Records go to experiment trackers too: what TensorBoard reads back is what the training said."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest
import torch

from sagvae_core.config import TRACKERS, ModelConfig, TrainConfig
from sagvae_core.config_io import from_dict, to_dict
from sagvae_core.errors import SagvaeError
from sagvae_core.model import SAGVAE
from sagvae_core.tracking import flat
from sagvae_core.training import Trainer, TrainingStopped

ROWS = torch.rand(20, 5, 1, generator=torch.Generator().manual_seed(0))
TRACKED = TrainConfig(epochs=3, batch_size=8, device="cpu", trackers=("tensorboard",))


def build() -> SAGVAE:
    return SAGVAE(ModelConfig(num_nodes=5, hidden=(4,), attention=(0, 1)))


def scalars(folder) -> dict[str, dict[int, float]]:
    """Every scalar by step in the event files of a folder, read in a process of its own: the reader loads much."""
    code = ("import sys, json\n"
            "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
            "events = EventAccumulator(sys.argv[1]).Reload()\n"
            "print(json.dumps({tag: {event.step: event.value for event in events.Scalars(tag)}\n"
            "                  for tag in events.Tags()['scalars']}))")
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    return {tag: {int(step): value for step, value in values.items()}
            for tag, values in json.loads(done.stdout.splitlines()[-1]).items()}


def test_tensorboard_reads_back_the_records(tmp_path):
    trainer = Trainer(build(), TRACKED, log_folder=tmp_path, log_name="one")
    records = trainer.fit(ROWS, ROWS[:5])
    read = scalars(tmp_path / "sagvae")
    assert {"elbo", "kl_z", "validation_elbo", "learning_rate", "attention_gates.0", "attention_gates.1"} <= set(read)
    for record in records:
        for name, value in flat(record).items():
            assert read[name][record["epoch"]] == pytest.approx(value, rel=1e-6), name
    settings = next(tmp_path.glob("sagvae/*/hparams.yml")).read_text()
    assert "model.kind: sagvae" in settings
    assert "train.stages.0.epochs: 3" in settings
    assert trainer.accelerator.trackers == []


def test_a_training_that_goes_on_is_tracked_on(tmp_path):
    first = Trainer(build(), TRACKED, log_folder=tmp_path, should_stop=lambda: first.step == 4)
    with pytest.raises(TrainingStopped):
        first.fit(ROWS)
    assert first.accelerator.trackers == []  # closed, so that everything is in the file
    second = Trainer(build(), TRACKED, log_folder=tmp_path)
    second.load_state(first.state())
    second.fit(ROWS)
    assert sorted(scalars(tmp_path / "sagvae")["elbo"]) == [1, 2, 3]


def test_nothing_is_tracked_unless_asked_for(tmp_path):
    Trainer(build(), TrainConfig(epochs=1, device="cpu"), log_folder=tmp_path).fit(ROWS)
    assert list(tmp_path.iterdir()) == []


def test_trackers_that_are_not_there_are_a_sentence(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else real(name))
    missing = TrainConfig(epochs=1, device="cpu", trackers=("wandb",))
    with pytest.raises(SagvaeError, match="must be trackers that are installed, got 'wandb'. Run `pip install wandb`"):
        Trainer(build(), missing, log_folder=tmp_path)
    with pytest.raises(SagvaeError, match="log_folder must be a folder for the files of the tracker 'tensorboard'"):
        Trainer(build(), TRACKED)
    with pytest.raises(SagvaeError, match=r"train\.trackers must be .*'mlflow'.*, got 'mlfow'"):
        TrainConfig(trackers=("mlfow",))


def test_trackers_are_part_of_the_configuration_on_disk():
    assert from_dict(TrainConfig, json.loads(json.dumps(to_dict(TRACKED))) | {"epochs": None}) == TRACKED
    older = {name: value for name, value in to_dict(TRACKED).items() if name != "trackers"}
    assert from_dict(TrainConfig, json.loads(json.dumps(older))).trackers == ()


def test_accelerate_knows_all_trackers():
    from accelerate.utils import LoggerType

    assert set(TRACKERS) == set(LoggerType.list()) - {"all"}


def test_nested_settings_get_flat_names():
    nested = {"a": 1, "b": {"c": [0.5, {"d": "x"}], "e": None, "f": ()}}
    assert flat(nested) == {"a": 1, "b.c.0": 0.5, "b.c.1.d": "x"}
