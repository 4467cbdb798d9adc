"""A run from its configuration to held-out metrics: finished, stopped and resumed, failed, on tiny digits."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from sagvae_core import experiment
from sagvae_core.config import DataConfig, PerturbationConfig
from sagvae_core.data import load_dataset
from sagvae_core.errors import SagvaeError
from sagvae_core.evaluation import evaluate
from sagvae_core.experiment import execute
from sagvae_core.metrics import edge_scores, reconstruction_scores
from sagvae_core.model import SAGVAE
from sagvae_core.presets import run_config
from sagvae_core.run_status import own_process
from sagvae_core.runs import Run, RunConfig
from sagvae_core.training import Trainer
from sagvae_core.turns import TurnGivenUp

TINY = {"data.train_rows": 48, "train.batch_size": 16, "train.device": "cpu", "model.hidden": [4],
        "model.attention": []}


def tiny(model: str = "sagvae", epochs: int = 2, **overrides) -> RunConfig:
    config = run_config("digits", model, overrides=TINY | overrides if model in ("sagvae", "identity") else {
        "data.train_rows": 48, "train.device": "cpu"} | overrides)
    stages = tuple(dataclasses.replace(stage, epochs=epochs) for stage in config.train.stages)
    return dataclasses.replace(config, train=dataclasses.replace(config.train, stages=stages))


@pytest.fixture(autouse=True)
def one_status_a_step(monkeypatch):
    monkeypatch.setattr(experiment, "_STATUS_INTERVAL", 0.0)


@pytest.mark.parametrize("model", ["sagvae", "identity", "mlp_vae", "dae", "conv_dae"])
def test_a_run_finishes_with_held_out_metrics_and_a_model(model, tmp_path):
    run, progress = Run.create(tmp_path, "one", tiny(model)), []
    status = execute(run, on_progress=lambda step, record: progress.append((step.step, record.get("epoch", 0))))
    epochs = run.config.train.total_epochs
    assert (status.state, status.epoch, status.error, status.eta_seconds) == ("finished", epochs, None, None)
    assert run.status == status
    assert status.step == status.total_steps == len(progress)
    assert [epoch for _, epoch in progress] == sorted(epoch for _, epoch in progress)
    assert progress[-1][1] == epochs - 1  # the last epoch's record comes after its last step
    assert status.seconds > 0
    assert status.device.startswith("CPU")
    assert len(run.records) == epochs
    assert set(status.metrics) == {"mse_clean", "psnr", "ssim", "input_mse_clean", "input_psnr", "input_ssim",
                                   "test_rows"}
    assert not (run.folder / "checkpoints").exists()
    data = load_dataset(run.config.data)
    loaded = run.load_model()
    found = reconstruction_scores(loaded.reconstruct(data.test.inputs), data.test.clean, (8, 8))
    assert status.metrics["mse_clean"] == pytest.approx(found["mse_clean"].mean().item(), rel=1e-4)
    assert status.metrics["input_mse_clean"] == pytest.approx(
        (data.test.inputs - data.test.clean).square().mean().item(), rel=1e-4)
    assert status.metrics["test_rows"] == len(data.test)
    snapshot = run.snapshot()
    assert torch.equal(snapshot["inputs"], data.validation.inputs[:8])
    assert torch.equal(snapshot["clean"], data.validation.clean[:8])
    assert torch.allclose(snapshot["reconstruction"], loaded.reconstruct(snapshot["inputs"]), atol=1e-5)
    if model == "sagvae":
        assert snapshot["edge_percent"].dtype == torch.uint8
        assert torch.equal(snapshot["edge_percent"], (loaded.edge_posterior * 100).round().to(torch.uint8))
    else:
        assert "edge_percent" not in snapshot


def test_edges_are_scored_where_the_graph_is_known_and_positions_have_no_peak_value():
    data = load_dataset("karate", train_rows=20)
    config = run_config("karate").model
    model = SAGVAE(config).eval()
    metrics = evaluate(model, data)
    wanted = edge_scores(model.edge_posterior, data.adjacency)
    assert set(metrics) == {"mse_clean", "precision", "recall", "f1", "average_precision", "test_rows"}
    assert metrics["average_precision"] == wanted["average_precision"]
    assert "f1" not in evaluate(SAGVAE(run_config("karate", "identity").model).eval(), data)


def ask_at(run: Run, step: int, what: str):
    return lambda progress, _: run.request(what) if progress.step == step else None


@pytest.mark.parametrize("what", ["pause", "stop"])
def test_a_run_that_was_held_up_says_where_and_goes_on_to_the_same_end(what, tmp_path):
    whole = Run.create(tmp_path, "whole", tiny())
    execute(whole)
    run = Run.create(tmp_path, "cut", tiny())
    status = execute(run, on_progress=ask_at(run, 8, what))
    state = {"pause": "paused", "stop": "stopped"}[what]
    assert (status.state, status.epoch, status.step, status.saved_step, status.eta_seconds) == (state, 2, 8, 8, None)
    assert run.status == status
    assert run.requested() is None
    assert run.read_checkpoint()["step"] == 8
    assert run.has_model == (what == "stop")
    assert bool(status.metrics) == (what == "stop")
    if what == "stop":  # a model to use, as it is after eight steps
        data = load_dataset(run.config.data)
        found = reconstruction_scores(run.load_model().reconstruct(data.test.inputs), data.test.clean, (8, 8))
        assert status.metrics["mse_clean"] == pytest.approx(found["mse_clean"].mean().item(), rel=1e-4)
    assert [record["epoch"] for record in run.records] == [1, 2]
    first_seconds = status.seconds
    status = execute(run)
    assert status.state == "finished"
    assert status.seconds > first_seconds
    assert [record["epoch"] for record in run.records] == list(range(1, 11))
    assert status.metrics == whole.status.metrics
    wanted, found = whole.load_model().state_dict(), run.load_model().state_dict()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_the_stopped_epoch_is_right_even_between_two_status_files(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "_STATUS_INTERVAL", 1e9)
    run = Run.create(tmp_path, "one", tiny())
    status = execute(run, on_progress=ask_at(run, 8, "pause"))
    assert (status.state, status.epoch, status.step) == ("paused", 2, 8)


def test_checkpoints_are_written_in_the_middle_of_an_epoch_too(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "_CHECKPOINT_INTERVAL", 0.0)
    run, saved = Run.create(tmp_path, "one", tiny()), []
    execute(run, on_progress=lambda progress, _: saved.append(
        (progress.step, run.status.saved_step, run.read_checkpoint()["step"])))
    assert saved[4] == (5, 5, 5)  # the second step of an epoch of three


def test_what_is_asked_before_the_first_step_counts_if_it_was_asked_of_this_process(tmp_path):
    run = Run.create(tmp_path, "one", tiny())
    run.request("pause")  # left by an earlier process that was killed
    assert execute(run, on_progress=ask_at(run, 4, "pause")).step == 4
    run.write_status(dataclasses.replace(run.status, state="queued", **own_process()))  # as whoever starts it does
    run.request("pause")
    status = execute(run)
    assert (status.state, status.step) == ("paused", 4)
    assert run.requested() is None


def test_a_damaged_status_is_no_reason_not_to_go_on(tmp_path):
    run = Run.create(tmp_path, "one", tiny())
    execute(run, on_progress=ask_at(run, 8, "pause"))
    (run.folder / "status.json").write_text("{")
    assert execute(run).state == "finished"
    assert [record["epoch"] for record in run.records] == list(range(1, 11))


def test_no_two_processes_train_one_run(tmp_path):
    run = Run.create(tmp_path, "one", tiny())
    with run.claim(), pytest.raises(SagvaeError, match="one that no other process works on"):
        execute(run)
    assert run.status.state == "queued"


def test_an_interrupt_leaves_a_run_that_can_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "_CHECKPOINT_INTERVAL", 0.0)
    run = Run.create(tmp_path, "one", tiny())

    def interrupt(progress, _) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(run, on_progress=interrupt)
    assert run.status.state == "interrupted"
    assert run.read_checkpoint()["step"] == 5
    assert execute(run).state == "finished"


def test_while_it_trains_the_status_says_so_with_this_process(tmp_path):
    run, seen = Run.create(tmp_path, "one", tiny()), []
    execute(run, on_progress=lambda progress, _: seen.append((progress.step, run.status)))
    step, status = seen[4]
    assert (status.state, status.step, status.total_steps, status.total_epochs) == ("running", step, 30, 10)
    assert status.eta_seconds >= 0
    assert set(status.terms) == {"elbo", "log_likelihood", "kl_z", "kl_graph"}
    assert status.memory > 2**20
    assert status.device_key == "cpu"


@pytest.mark.parametrize(("overrides", "words"), [
    ({"train.device": "abacus"}, "train.device must be 'auto', 'cpu', 'cuda' or 'mps', got 'abacus'"),
    ({"train.stages.0.likelihood": "gaussian"}, "stage.likelihood must be"),
])
def test_a_run_that_cannot_be_trained_fails_with_the_sentence_in_its_status(overrides, words, tmp_path):
    run = Run.create(tmp_path, "one", tiny(**overrides))
    with pytest.raises(SagvaeError) as caught:
        execute(run)
    assert words in str(caught.value)
    assert (run.status.state, run.status.error) == ("failed", str(caught.value))


def test_a_model_for_other_data_fails_too(tmp_path):
    config = tiny()
    run = Run.create(tmp_path, "one", dataclasses.replace(config, model=dataclasses.replace(config.model, num_nodes=9)))
    with pytest.raises(SagvaeError, match=r"x must be of shape \(B, 9, 1\)"):
        execute(run)


def damage_checkpoints(run: Run, newest: int) -> None:
    for folder in sorted(run.folder.glob("checkpoints/*"))[-newest:]:
        (folder / "state.json").write_text("{")


@pytest.mark.parametrize(("newest", "sentence"), [
    (1, "The checkpoint of step 8 cannot be read, so the training went back to step 7."),
    (2, "The checkpoints of the steps 7 and 8 cannot be read, so the training went back to its beginning.")])
def test_checkpoints_that_had_to_be_left_out_are_said_and_stay_in_the_status(newest, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "_CHECKPOINT_INTERVAL", 0.0)
    run, notes, seen = Run.create(tmp_path, "one", tiny()), [], []
    execute(run, on_progress=ask_at(run, 8, "pause"))
    damage_checkpoints(run, newest)
    status = execute(run, on_note=notes.append, on_progress=lambda progress, _: seen.append(
        (progress.step, run.status.saved_step)))
    assert seen[0] == (9 - newest, 9 - newest) if newest == 1 else seen[0] == (1, 1)
    assert notes == [sentence]
    assert (status.state, status.note, run.status.note) == ("finished", sentence, sentence)


def test_a_run_that_goes_on_where_it_was_has_nothing_to_note(tmp_path):
    run = Run.create(tmp_path, "one", tiny())
    assert execute(run, on_progress=ask_at(run, 8, "pause")).note is None
    assert execute(run, on_note=lambda _: pytest.fail("what?")).note is None


def ask_in_the_queue(run: Run, what: str, monkeypatch):
    """Execute a run that is asked for something before its turn comes."""
    def wait(run, *_):
        run.request(what)
        raise TurnGivenUp

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "turn", wait)
        return execute(run)


def test_a_run_asked_to_stop_before_its_turn_is_paused_and_says_why(tmp_path, monkeypatch):
    run = Run.create(tmp_path, "one", tiny())
    status = ask_in_the_queue(run, "stop", monkeypatch)
    assert status.state == "paused"
    assert status.note == ("It was asked to stop while it waited for its turn, and is paused, since it has no model "
                           "yet: it has not trained.")
    execute(run, on_progress=ask_at(run, 8, "pause"))
    assert run.status.note is None
    status = ask_in_the_queue(run, "stop", monkeypatch)
    assert (status.state, status.step) == ("paused", 8)
    assert status.note.endswith("since it has no model yet of its 8 steps.")
    assert ask_in_the_queue(run, "pause", monkeypatch).note is None
    assert run.status.state == "paused"


def test_a_stopped_run_that_is_stopped_again_before_its_turn_keeps_its_model_and_metrics(tmp_path, monkeypatch):
    run = Run.create(tmp_path, "one", tiny())
    stopped = execute(run, on_progress=ask_at(run, 8, "stop"))
    # As the Train page does: its status says "queued" before the process says anything.
    run.write_status(dataclasses.replace(stopped, state="queued", **own_process()))
    again = ask_in_the_queue(run, "stop", monkeypatch)
    assert (again.state, again.step, again.metrics, again.note) == ("stopped", 8, stopped.metrics, None)
    assert execute(run, on_progress=ask_at(run, 12, "pause")).metrics == {}, "the model is behind the training now"
    assert ask_in_the_queue(run, "stop", monkeypatch).state == "paused"


def test_the_time_left_does_not_count_the_start_and_is_unknown_before_a_few_steps(tmp_path, monkeypatch):
    now = [0.0]

    def step(progress, _) -> None:
        seen.append(run.status.eta_seconds)
        now[0] += 2.0

    def load(config):
        now[0] += 1000.0
        return load_dataset(config)

    monkeypatch.setattr(experiment.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(experiment, "load_dataset", load)
    run, seen = Run.create(tmp_path, "one", tiny()), []
    status = execute(run, on_progress=lambda *words: step(*words) if words[0].step < 15 else run.request("pause"))
    assert seen == [None] * 3 + [2.0 * (30 - done) for done in range(4, 15)]
    assert (status.state, status.step) == ("paused", 15)
    run.clear_request()
    seen.clear()
    execute(run, on_progress=step)
    assert seen == [None] * 3 + [2.0 * (30 - done) for done in range(19, 31)], "what was trained before is no pace"


def test_one_thread_is_one(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert experiment._device_name(torch.device("cpu")).endswith(", 1 thread)")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert experiment._device_name(torch.device("cpu")).endswith(", 2 threads)")


@pytest.mark.parametrize(("error", "raised", "words"), [
    (torch.OutOfMemoryError("CUDA out of memory"), SagvaeError, "The device ran out of memory. Expected a batch that"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), SagvaeError, "device ran out of memory"),
    (OSError(28, "No space left on device"), SagvaeError, "The disk of the run's folder must have room"),
    (OSError(5, "Input/output error"), SagvaeError, "The run's folder must be writable, got Input/output error"),
    (KeyError("bug"), KeyError, "KeyError: 'bug'")])
def test_running_out_of_memory_is_a_sentence_and_a_bug_is_a_bug(error, raised, words, tmp_path, monkeypatch):
    def broken(*_):
        raise error

    monkeypatch.setattr(Trainer, "_run_epoch", broken)
    run = Run.create(tmp_path, "one", tiny())
    with pytest.raises(raised):
        execute(run)
    assert run.status.state == "failed"
    assert words in run.status.error


def test_the_device_can_be_another_than_the_configurations(tmp_path):
    run = Run.create(tmp_path, "one", tiny(**{"train.device": "abacus"}))
    assert execute(run, device="cpu").state == "finished"
    assert json.loads((run.folder / "config.json").read_text())["train"]["device"] == "abacus"


def test_only_models_with_clean_targets_see_new_damage_every_epoch(tmp_path, monkeypatch):
    asked = []
    original = experiment.load_dataset

    def spy(config: DataConfig):
        data = original(config)
        redraw = data.redraw
        data.redraw = lambda epoch: asked.append(epoch) or redraw(epoch)
        return data

    monkeypatch.setattr(experiment, "load_dataset", spy)
    for model, wanted in (("mlp_vae", []), ("dae", [1]), ("conv_dae", [1])):
        asked.clear()
        config = tiny(model)
        assert config.data.perturbation == PerturbationConfig("uniform", pixels=16)
        execute(Run.create(tmp_path, model, config))
        assert asked == wanted
