"""The run folder: made, listed, found, read after crashes, and stored checkpoints that survive one another."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from sagvae_core import run_folder, trainer_state
from sagvae_core import runs as runs_module
from sagvae_core.checkpoint import build_model, save_model
from sagvae_core.config import DataConfig, ModelConfig, ReferenceConfig, TrainConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import run_config
from sagvae_core.run_names import check_name
from sagvae_core.run_status import Status, process_started
from sagvae_core.runs import Run, RunConfig, find_run, list_runs, runs_folder, shipped_folder

CONFIG = RunConfig(DataConfig("digits"), ModelConfig(num_nodes=64, hidden=(4,)), TrainConfig(epochs=3), title="A title",
                   command="sagvae train", family="digits", role="sagvae")
SCALER = torch.amp.GradScaler("cpu").state_dict()


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "runs", "one", CONFIG)


def state(epoch: int, value: float = 0.0) -> dict:
    return {"epoch": epoch, "step": epoch * 2, "batch": 1, "rows": 8, "sums": [1.5, 2.5, 3.5],
            "best_elbo": float("-inf"), "best_epoch": 0, "best_state": None, "scaler": None,
            "model": {"a.b": torch.full((2,), value)},
            "optimizer": {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.full((2,), value)}},
                          "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0]}]}}


# ---------------------------------------------------------------------- create, list, find

def test_a_new_run_is_queued_with_its_settings_on_disk(run):
    assert (run.folder / "config.json").is_file()
    assert run.config == CONFIG
    status = run.status
    assert (status.state, status.total_epochs, status.pid, status.error) == ("queued", 3, None, None)
    assert status.created > 1.7e9
    assert run.records == []
    assert run.snapshot() is None
    assert run.read_checkpoint() is None
    assert not run.has_model
    assert repr(run) == "Run('one')"


def test_an_existing_name_is_refused_and_nothing_is_overwritten(run):
    before = (run.folder / "config.json").read_bytes()
    with pytest.raises(SagvaeError) as caught:
        Run.create(run.folder.parent, "one", run_config("karate"))
    assert str(caught.value) == "run name must be new, got 'one'. Choose another name, or delete that run first."
    assert (run.folder / "config.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "-x", "é", "a" * 65, "a\n", "..", "a\x00b"])
def test_names_that_could_leave_the_folder_are_refused(name, tmp_path):
    with pytest.raises(SagvaeError, match="run name must be 1 to 64 letters, digits"):
        Run.create(tmp_path / "runs", name, CONFIG)
    assert not (tmp_path / "runs").exists()


def test_good_names_are_kept():
    for name in ("a", "0", "digits-sagvae.2_b", "a" * 64):
        assert check_name(name) == name


def test_a_root_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SagvaeError, match=r"The folder for runs must be writable, got .*Set SAGVAE_RUNS"):
        Run.create(tmp_path / "file", "one", CONFIG)


def test_runs_are_listed_by_name_and_the_users_own_wins(tmp_path, monkeypatch):
    mine, shipped = tmp_path / "mine", tmp_path / "shipped"
    for root, names in ((mine, ("b", "a")), (shipped, ("c", "a"))):
        for name in names:
            Run.create(root, name, CONFIG)
    (mine / "no-run").mkdir()
    (mine / "file").write_text("")
    found = list_runs(mine, shipped)
    assert [run.name for run in found] == ["a", "b", "c"]
    assert found[0].folder.parent == mine
    assert find_run("c", mine, shipped).folder == shipped / "c"
    assert list_runs(tmp_path / "nowhere") == []
    with pytest.raises(SagvaeError, match=r"run must be one of a, b, got 'c'\. See `sagvae runs`\."):
        find_run("c", mine)
    with pytest.raises(SagvaeError, match=r"one of \(there are none yet\), got 'c'"):
        find_run("c", tmp_path / "nowhere")
    monkeypatch.setenv("SAGVAE_RUNS", str(mine))
    monkeypatch.setattr(runs_module, "shipped_folder", lambda: shipped)
    assert [run.name for run in list_runs()] == ["a", "b", "c"]
    assert runs_folder() == mine
    monkeypatch.delenv("SAGVAE_RUNS")
    assert str(runs_folder()) == "runs"


def test_of_many_runs_a_sentence_names_the_closest_alone(tmp_path):
    for name in ("wide", "wide-2", "wade", "karate", "tide", "fashion", "other"):
        Run.create(tmp_path, name, CONFIG)
    with pytest.raises(SagvaeError) as caught:
        find_run("wide-3", tmp_path)
    words = str(caught.value)
    assert words.startswith("run must be one of wide-2, wide, ")
    assert words.endswith(", …, got 'wide-3'. See `sagvae runs`.")
    assert words.count(", ") == 6


# ---------------------------------------------------------------------- damage

def test_a_run_says_what_is_wrong_with_its_model_where_its_state_promises_one(run):
    assert run.problem is None
    for name in ("finished", "stopped"):
        run.write_status(Status(state=name))
        assert run.problem.startswith("model.json must be in 'one', got no such file.")
    save_model(build_model(CONFIG.model), run.folder)
    assert run.problem is None
    weights = (run.folder / "model.safetensors").read_bytes()
    (run.folder / "model.safetensors").write_bytes(weights[:-4])
    assert run.problem.startswith("model.safetensors must be ") and run.problem.endswith("restore it.")
    run.write_status(Status(state="paused"))
    assert run.problem is not None, "pages offer a model that is there, whatever the state"
    save_model(build_model(ModelConfig(num_nodes=63)), run.folder)
    assert run.problem.startswith("model.json must be the model of config.json, got another model.")
    (run.folder / "status.json").write_text("{")
    assert run.problem.startswith("status.json must be valid JSON, got text that is none")
    (run.folder / "config.json").unlink()
    assert run.problem.startswith("config.json must be in 'one', got no such file.")
    assert [found.name for found in list_runs(run.folder.parent)] == ["one"], "it must not vanish from the list"
    (run.folder / "status.json").unlink()
    assert list_runs(run.folder.parent) == []


def test_lists_may_ask_for_problems_since_no_weight_is_read(run, monkeypatch):
    save_model(build_model(CONFIG.model), run.folder)
    monkeypatch.setattr("safetensors.torch.load_file", lambda *_: pytest.fail("the weights were read"))
    run.write_status(Status(state="finished"))
    assert run.problem is None


def test_the_shipped_runs_are_beside_the_package():
    assert shipped_folder().parts[-2:] == ("assets", "runs")


@pytest.mark.parametrize("model", [CONFIG.model, ReferenceConfig("dae", 64, denoise=True)])
def test_a_configuration_comes_back_from_json(model):
    config = RunConfig(CONFIG.data, model, CONFIG.train, title="t", role="dae")
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_configurations_that_cannot_be_read(run):
    path = run.folder / "config.json"
    for text, words in (("[]", "config.json must be an object with kind, data, model and train, got list"),
                        ("{", "config.json must be valid JSON"),
                        (json.dumps(CONFIG.to_dict() | {"train": 3}), "train must be a JSON object, got int"),
                        (json.dumps(CONFIG.to_dict() | {"kind": []}), "model kind must be")):
        path.write_text(text)
        with pytest.raises(SagvaeError) as caught:
            _ = run.config
        assert words in str(caught.value)


# ---------------------------------------------------------------------- status

def test_a_run_whose_process_is_gone_is_interrupted(run):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    run.write_status(Status(state="running", pid=process.pid, pid_started=1.0, eta_seconds=9.0, epoch=2))
    status = run.status
    assert (status.state, status.eta_seconds, status.epoch) == ("interrupted", None, 2)
    assert json.loads((run.folder / "status.json").read_text())["state"] == "running"  # reading never changes a folder
    run.write_status(Status(state="running"))
    assert run.status.state == "interrupted"


def test_a_living_process_counts_unless_its_number_was_given_anew(run):
    started = process_started(os.getpid())
    for pid_started, wanted in ((started, "running"), (None, "running"), (started + 1, "running"),
                                (started - 1000, "interrupted")):
        run.write_status(Status(state="running", pid=os.getpid(), pid_started=pid_started))
        assert run.status.state == wanted, pid_started


def test_other_states_do_not_ask_for_a_process(run):
    for name in ("queued", "paused", "finished", "stopped", "failed"):
        run.write_status(Status(state=name, error="why"))
        assert (run.status.state, run.status.error) == (name, "why")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"state": "dancing"}', '{"state": []}', "{}",
                                  '{"state": "running", "pid": 0.5}', '{"state": "running", "pid": true}'])
def test_a_corrupt_status_is_a_sentence(run, text):
    (run.folder / "status.json").write_text(text)
    with pytest.raises(SagvaeError, match=r"status\.json must be .*, got .*"):
        _ = run.status


def test_a_status_of_a_later_version_keeps_what_is_known(run):
    (run.folder / "status.json").write_text('{"state": "finished", "epoch": 7, "colour": "red"}')
    assert (run.status.epoch, run.status.state) == (7, "finished")


def test_requests_are_made_read_and_cleared(run):
    assert run.requested() is None
    for what in ("pause", "stop"):
        run.request(what)
        assert run.requested() == what
    run.clear_request()
    run.clear_request()
    assert run.requested() is None
    with pytest.raises(SagvaeError, match="request must be one of 'pause', 'stop', got 'jump'"):
        run.request("jump")
    (run.folder / "request").write_bytes(b"\xff\x00 jump")
    assert run.requested() == "pause"  # somebody wants something: the gentlest is undone most easily


def test_a_lock_says_more_than_a_process_number(run):
    run.write_status(Status(state="running", pid=os.getpid(), pid_started=process_started(os.getpid())))
    with run.claim():
        assert run.status.state == "running"
        run.write_status(Status(state="running", pid=2**22 + 1, pid_started=1.0))
        assert run.status.state == "running"  # whatever the numbers say: clocks are set, numbers are given anew
        with pytest.raises(SagvaeError, match=r"run must be one that no other process works on, got 'one', which is"), \
                run.claim():
            pass
        with pytest.raises(SagvaeError, match="no other process works on"):
            run.delete()
    run.write_status(Status(state="running", pid=os.getpid(), pid_started=process_started(os.getpid())))
    assert run.status.state == "interrupted"  # the process lives, but it has let go of the run
    run.write_status(Status(state="queued", pid=os.getpid(), pid_started=process_started(os.getpid())))
    assert run.status.state == "queued"  # started a moment ago, on its way to the lock
    run.delete()
    assert not run.folder.exists()


def test_a_queued_run_whose_process_is_gone_is_interrupted(run):
    run.write_status(Status(state="queued", pid=os.getpid(), pid_started=process_started(os.getpid()) - 1000))
    assert run.status.state == "interrupted"


def test_a_run_of_another_machine_counts_as_long_as_it_is_heard_of(run):
    run.write_status(Status(state="running", pid=1, pid_started=1.0, host="elsewhere"))
    assert run.status.state == "running"
    long_ago = os.stat(run.folder / "status.json").st_mtime - 3600
    os.utime(run.folder / "status.json", (long_ago, long_ago))
    assert run.status.state == "interrupted"


def test_a_folder_that_cannot_be_written_is_a_sentence(run, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(run_folder, "try_to_hold", refuse)
    with pytest.raises(SagvaeError, match=r"folder of run 'one' must be writable, got Read-only file system\. Copy"):
        run.delete()


# ---------------------------------------------------------------------- records

def test_records_leave_out_half_a_line_and_keep_the_last_try_of_an_epoch(run):
    for epoch, elbo in ((1, -3.0), (2, -2.0), (3, -9.0), (2, -2.5), (3, -1.0)):
        run.append_record({"epoch": epoch, "elbo": elbo})
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('[1]\n3\n{"elbo": 1}\n{"epoch": "x"}\n{"epoch": 1, "elbo": "<b>"}\n{"epoch": Infinity}\n')
        file.write('{"epoch": 4, "el')
    assert [(record["epoch"], record["elbo"]) for record in run.records] == [(1, -3.0), (2, -2.5), (3, -1.0)]


def test_a_record_after_half_a_line_is_not_lost_with_it(run):
    run.append_record({"epoch": 1})
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "el')
    run.append_record({"epoch": 2})
    run.append_record({"epoch": 3})
    assert [record["epoch"] for record in run.records] == [1, 2, 3]
    assert (run.folder / "metrics.jsonl").read_text().count("\n") == 4


def test_bytes_that_are_no_text_cost_their_line_alone(run):
    run.append_record({"epoch": 1})
    with (run.folder / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\x00\n")
    run.append_record({"epoch": 2})
    assert [record["epoch"] for record in run.records] == [1, 2]


# ---------------------------------------------------------------------- checkpoints and snapshots

def test_the_newest_two_checkpoints_are_kept(run):
    for epoch in (8, 9, 10, 11):
        run.write_checkpoint(state(epoch, epoch))
    assert sorted(path.name for path in (run.folder / "checkpoints").iterdir()) == [
        "step-000000020", "step-000000022"]
    stored = run.read_checkpoint()
    assert (stored["epoch"], stored["step"], stored["best_elbo"]) == (11, 22, float("-inf"))
    assert stored["model"]["a.b"].tolist() == [11, 11]
    assert stored["best_state"] is None
    assert stored["optimizer"]["state"][0]["exp_avg"].tolist() == [11, 11]
    run.write_checkpoint(state(11, 5.0))  # the same epoch again, after a resume
    assert run.read_checkpoint()["model"]["a.b"].tolist() == [5, 5]
    run.remove_checkpoints()
    assert run.read_checkpoint() is None


@pytest.mark.parametrize(("file", "data"), [
    ("state.json", b"{"), ("state.json", None), ("state.json", b"{}"), ("state.json", b"[]"),
    ("state.safetensors", b"short"), ("state.safetensors", None)])
def test_a_corrupt_newest_checkpoint_falls_back_to_the_one_before(run, file, data):
    run.write_checkpoint(state(1, 1.0))
    run.write_checkpoint(state(2, 2.0))
    path = run.folder / "checkpoints" / "step-000000004" / file
    path.unlink() if data is None else path.write_bytes(data)
    stored, skipped = run.newest_checkpoint()
    assert (stored["epoch"], skipped) == (1, [4])
    assert run.read_checkpoint()["epoch"] == 1
    (run.folder / "checkpoints" / "step-000000002" / file).unlink()
    assert run.newest_checkpoint() == (None, [2, 4])
    assert run.read_checkpoint() is None


def test_checkpoints_that_the_training_went_back_behind_make_room(run):
    for epoch in (1, 2, 9):
        run.write_checkpoint(state(epoch))
    damaged = run.folder / "checkpoints" / "step-000000018"
    (damaged / "state.json").write_text("{")
    run.write_checkpoint(state(3))
    assert sorted(path.name for path in damaged.parent.iterdir()) == ["step-000000004", "step-000000006"]
    assert run.newest_checkpoint()[1] == []


@pytest.mark.parametrize("scaler", [[], {}, {"scale": 1.0}, "scale", SCALER | {"scale": 0.0}, SCALER | {"more": 1},
                                    SCALER | {"scale": float("inf")}, SCALER | {"_growth_tracker": None},
                                    SCALER | {"growth_factor": True}])
def test_a_checkpoint_with_another_thing_for_a_loss_scaler_is_damaged(run, scaler):
    run.write_checkpoint(state(1) | {"scaler": SCALER})
    assert run.read_checkpoint()["scaler"] == SCALER
    run.write_checkpoint(state(2) | {"scaler": scaler})
    assert run.newest_checkpoint()[1] == [4]


def test_a_checkpoint_of_before_loss_scalers_were_stored_is_one_without(run):
    run.write_checkpoint(state(1))
    path = run.folder / "checkpoints" / "step-000000002" / "state.json"
    values = json.loads(path.read_text())
    del values["scaler"]
    path.write_text(json.dumps(values))
    assert run.read_checkpoint()["scaler"] is None


def test_a_checkpoint_cut_off_while_it_was_written_is_ignored(run, monkeypatch):
    run.write_checkpoint(state(1, 1.0))

    def full(*_):
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(trainer_state, "write_json", full)
        with pytest.raises(OSError, match="full"):
            run.write_checkpoint(state(2))
    assert run.read_checkpoint()["epoch"] == 1
    run.write_checkpoint(state(2))
    assert run.read_checkpoint()["epoch"] == 2
    assert not (run.folder / "checkpoints" / ".writing").exists()


@pytest.mark.parametrize(("name", "value"), [("seconds", "long"), ("metrics", [1, 2]), ("metrics", {"f1": "good"}),
                                             ("eta_seconds", [])])
def test_an_edited_status_gives_a_sentence(run, name, value):
    path = run.folder / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(SagvaeError, match=r"in status\.json must be a number, got .*Go on with the run"):
        _ = run.status


def test_a_shipped_name_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(runs_module, "shipped_folder", lambda: tmp_path / "shipped")
    (tmp_path / "shipped" / "digits-sagvae").mkdir(parents=True)
    mine = tmp_path / "mine"
    assert runs_module.free_name(mine, "digits-sagvae") == "digits-sagvae-2"
    assert runs_module.free_name(mine, "other") == "other"
    (tmp_path / "shipped" / "digits-sagvae" / "config.json").write_text("{}")
    with pytest.raises(SagvaeError, match="run name must be new, got 'digits-sagvae'. .* that of a shipped run"):
        Run.create(mine, "digits-sagvae", run_config("digits"))
    assert not (mine / "digits-sagvae").exists()
