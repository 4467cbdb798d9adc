"""An interrupted and resumed training takes exactly the steps of an uninterrupted one, also through a run folder.

It may be interrupted after any step, in the middle of an epoch as between two.
"""

from __future__ import annotations

import contextlib
import functools
import json

import pytest
import torch

from sagvae_core.config import DataConfig, ModelConfig, ReferenceConfig, StageConfig, TrainConfig
from sagvae_core.model import SAGVAE
from sagvae_core.reference import MLPVAE
from sagvae_core.runs import Run, RunConfig
from sagvae_core.training import Trainer, TrainingStopped

N = 6
GENERATOR = torch.Generator().manual_seed(0)
TRAIN, HELD_OUT = torch.rand(20, N, 1, generator=GENERATOR), torch.rand(9, N, 1, generator=GENERATOR)
SAGVAE_CONFIG = ModelConfig(num_nodes=N, encoder_hidden=6, hidden=(4,), attention=(1,), edge_logits="both",
                            likelihood="robust", edge_regulariser="density", edge_weights="positive")
PLAIN = TrainConfig(stages=(StageConfig(epochs=2, likelihood="bernoulli", learning_rate=0.02),
                            StageConfig(epochs=3, learning_rate=0.01, constant_share=0.3, final_rate=0.1)),
                    batch_size=8, temperature=(1.0, 0.3), density_interval=4, device="cpu")
PATIENT = TrainConfig(stages=(StageConfig(epochs=2), StageConfig(epochs=60, learning_rate=0.1)), batch_size=8,
                      density_interval=4, device="cpu", patience=2)


def build(kind: str):
    return SAGVAE(SAGVAE_CONFIG) if kind == "sagvae" else MLPVAE(ReferenceConfig("mlp_vae", N, hidden=(6,)))


def redraw(epoch: int) -> torch.Tensor:
    return torch.rand(20, N, 1, generator=torch.Generator().manual_seed(epoch))


def finish(trainer: Trainer, **kwargs) -> tuple[list[dict], dict[str, torch.Tensor]]:
    records = trainer.fit(TRAIN, 1 - HELD_OUT, **kwargs)
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records], trainer.model.state_dict()


def stop_after(kind: str, config: TrainConfig, epochs: int, **kwargs) -> dict:
    """The state of a training that was left after ``epochs``, as it was at that moment."""
    trainer = Trainer(build(kind), config)
    for _ in trainer.epochs(TRAIN, 1 - HELD_OUT, **kwargs):
        if trainer.epoch == epochs:
            state = trainer.state()
        if trainer.epoch == epochs + 1:
            break
    assert state["epoch"] == epochs
    return state  # a copy: the epochs since have not changed it


def through_a_folder(state: dict, tmp_path) -> dict:
    run = Run.create(tmp_path, "one", RunConfig(DataConfig(), SAGVAE_CONFIG, PLAIN))
    run.write_checkpoint(state)
    return run.read_checkpoint()


@functools.lru_cache
def uninterrupted(kind: str, config: TrainConfig, redrawn: bool = False) -> tuple[list[dict], dict[str, torch.Tensor]]:
    return finish(Trainer(build(kind), config), **({"redraw": redraw} if redrawn else {}))


def assert_same_end(kind: str, config: TrainConfig, state: dict, **kwargs) -> list[dict]:
    whole_records, whole_weights = uninterrupted(kind, config, bool(kwargs))
    trainer = Trainer(build(kind), config)
    for parameter in trainer.model.parameters():
        parameter.data.fill_(0.123)  # only the state may decide how it goes on
    trainer.load_state(state)
    records, weights = finish(trainer, **kwargs)
    assert records == whole_records[state["epoch"]:]
    for name, tensor in whole_weights.items():
        assert torch.equal(tensor, weights[name]), name
    return records


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5])  # 2 is the border of the stages, 5 the end
@pytest.mark.parametrize("kind", ["sagvae", "mlp_vae"])
def test_resumed_is_uninterrupted_exactly(kind, epochs, tmp_path):
    config = PLAIN if kind == "sagvae" else TrainConfig(
        stages=(StageConfig(epochs=2), PLAIN.stages[1]), batch_size=8, device="cpu")
    state = stop_after(kind, config, epochs)
    assert_same_end(kind, config, state)
    stored = through_a_folder(state, tmp_path)
    assert stored["epoch"] == epochs
    assert_same_end(kind, config, stored)


def states_of_all_steps(kind: str, config: TrainConfig, **kwargs) -> list[dict]:
    states: list[dict] = []
    trainer = Trainer(build(kind), config, on_step=lambda _: states.append(trainer.state()))
    trainer.fit(TRAIN, 1 - HELD_OUT, **kwargs)
    return states


@pytest.mark.parametrize("kind", ["sagvae", "mlp_vae"])
def test_any_step_is_as_good_to_go_on_from_as_an_epochs_last(kind, tmp_path):
    config = PLAIN if kind == "sagvae" else TrainConfig(
        stages=(StageConfig(epochs=2), PLAIN.stages[1]), batch_size=8, device="cpu")
    states = states_of_all_steps(kind, config)
    assert [state["step"] for state in states] == list(range(1, 16))
    assert [state["batch"] for state in states] == [1, 2, 3] * 5
    for state in states:
        records = assert_same_end(kind, config, through_a_folder(state, tmp_path / str(state["step"])))
        assert len(records) == 5 - state["epoch"]


def test_fresh_damage_of_a_half_done_epoch_is_that_epochs(tmp_path):
    config = TrainConfig(epochs=5, batch_size=8, device="cpu")
    for state in states_of_all_steps("mlp_vae", config, redraw=redraw)[3:8]:
        assert_same_end("mlp_vae", config, through_a_folder(state, tmp_path / str(state["step"])), redraw=redraw)


def test_a_training_that_ends_early_leaves_a_model_that_is_ready_for_use():
    trainer = Trainer(build("sagvae"), PLAIN, should_stop=lambda: trainer.step == 8)
    with pytest.raises(TrainingStopped, match="Stopped in epoch 3"):
        trainer.fit(TRAIN, 1 - HELD_OUT)
    before = trainer.state()
    trainer.end_here(TRAIN, 1 - HELD_OUT)
    model = trainer.model
    assert not model.training
    exact = torch.stack([model.graph_encoder(row[None]).probs for row in TRAIN]).mean(0)
    assert torch.allclose(model.posterior_pairs, exact, atol=1e-6)
    assert not torch.equal(before["model"]["posterior_pairs"], model.posterior_pairs)  # the state is from before
    assert_same_end("sagvae", PLAIN, before)


def test_fresh_damage_resumes_with_the_right_epochs_rows(tmp_path):
    state = through_a_folder(stop_after("mlp_vae", TrainConfig(epochs=5, device="cpu"), 2, redraw=redraw), tmp_path)
    records = assert_same_end("mlp_vae", TrainConfig(epochs=5, device="cpu"), state, redraw=redraw)
    assert len(records) == 3


def test_patience_and_the_best_state_survive(tmp_path, monkeypatch):
    script = [9.0, 9.0, 1.0, 2.0, 4.0, 3.0, 5.0, 4.0, 4.5, 6.0]
    monkeypatch.setattr(Trainer, "_held_out", lambda self, _: {"validation_elbo": script[self.epoch - 1]})
    whole, _ = uninterrupted("sagvae", PATIENT)
    assert len(whole) == 9
    for epochs in (1, 3, 6, 9):  # the last: cut off right after patience had run out
        state = stop_after("sagvae", PATIENT, epochs)
        assert (state["best_state"] is None) == (epochs <= 2)
        records = assert_same_end("sagvae", PATIENT, through_a_folder(state, tmp_path / str(epochs)))
        assert len(records) == len(whole) - epochs


def test_a_checkpoint_is_tensors_and_plain_json_and_keeps_every_bit(tmp_path):
    state = stop_after("sagvae", PATIENT, 4)
    stored = through_a_folder(state, tmp_path)
    json.loads((tmp_path / "one" / "checkpoints" / "step-000000012" / "state.json").read_text())
    for part in ("model", "best_state"):
        assert stored[part].keys() == state[part].keys()
        assert all(torch.equal(stored[part][name], tensor) for name, tensor in state[part].items())
    for index, entry in state["optimizer"]["state"].items():
        assert all(torch.equal(stored["optimizer"]["state"][index][name], tensor) for name, tensor in entry.items())
    plain = ("epoch", "step", "batch", "rows", "sums", "best_elbo", "best_epoch")
    assert {name: stored[name] for name in plain} == {name: state[name] for name in plain}


# ---------------------------------------------------------------------- half precision

class Scaler(torch.amp.GradScaler):
    """The loss scaler of a GPU, on the CPU; it counts how often gradients were divided by the scale."""

    unscaled = 0

    def unscale_(self, optimizer) -> None:
        self.unscaled += 1
        super().unscale_(optimizer)


def scaled_trainer(monkeypatch, config: TrainConfig, **settings) -> Trainer:
    """A trainer whose loss is scaled as in half precision, while its numbers stay in single precision."""
    trainer = Trainer(build("sagvae"), config)
    accelerator = trainer.accelerator
    accelerator.scaler, accelerator.native_amp = Scaler("cpu", **settings), True
    monkeypatch.setattr(type(accelerator), "mixed_precision", "fp16")
    monkeypatch.setattr(accelerator, "autocast", contextlib.nullcontext)
    return trainer


def test_a_scaled_loss_takes_the_same_steps_in_every_stage(monkeypatch):
    whole_records, whole_weights = uninterrupted("sagvae", PLAIN)
    trainer = scaled_trainer(monkeypatch, PLAIN, init_scale=1024.0)  # a power of two costs no bit
    records, weights = finish(trainer)
    assert trainer.accelerator.scaler.unscaled == trainer.step == 15
    assert records == whole_records
    assert all(torch.equal(weights[name], tensor) for name, tensor in whole_weights.items())


def test_the_loss_scaler_goes_on_where_it_was(monkeypatch, tmp_path):
    settings = {"init_scale": 2.0**127, "growth_interval": 4}  # the first steps overflow and are left out
    whole = scaled_trainer(monkeypatch, PLAIN, **settings)
    states = []
    whole.on_step = lambda _: states.append(whole.state())
    records, weights = finish(whole)
    assert 1.0 < states[-1]["scaler"]["scale"] < 2.0**127
    for state in states[2:9:3]:
        stored = through_a_folder(state, tmp_path / str(state["step"]))
        assert stored["scaler"] == state["scaler"]
        trainer = scaled_trainer(monkeypatch, PLAIN, **settings)
        trainer.load_state(stored)
        later, found = finish(trainer)
        assert later == records[state["epoch"]:]
        assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
        assert trainer.state()["scaler"] == states[-1]["scaler"]


def test_a_state_with_a_scaler_goes_on_without_one_and_the_other_way_round(monkeypatch):
    plain = stop_after("sagvae", PLAIN, 1)
    assert plain["scaler"] is None
    trainer = scaled_trainer(monkeypatch, PLAIN)
    trainer.load_state(plain)
    assert trainer.accelerator.scaler.get_scale() == 65536
    monkeypatch.undo()
    trainer = Trainer(build("sagvae"), PLAIN)
    trainer.load_state(plain | {"scaler": Scaler("cpu").state_dict()})
    assert trainer.accelerator.scaler is None
