"""The command line as a person or a script meets it: results, exit codes, and one sentence instead of a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sagvae_core import __version__, cli_train, relation_runs
from sagvae_core import cli as cli_module
from sagvae_core import runs as runs_module
from sagvae_core.checkpoint import build_model, save_model
from sagvae_core.cli import cli
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import run_config
from sagvae_core.run_status import Status, process_started
from sagvae_core.runs import Run, free_name
from sagvae_core.settings import with_epochs

TINY = ["--rows", "32", "--epochs", "2", "--device", "cpu", "--quiet", "--set", "model.hidden=[4]", "--set",
        "model.attention=[]", "--set", "train.batch_size=16"]


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """An own folder for runs, and no shipped ones."""
    monkeypatch.setenv("SAGVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(runs_module, "shipped_folder", lambda: tmp_path / "shipped")
    for module in (cli_train, relation_runs):
        monkeypatch.setattr(module, "shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.setattr(sys, "argv", ["sagvae"])
    return tmp_path / "runs"


def call(*words: str, **kwargs) -> Result:
    return CliRunner().invoke(cli, list(words), **kwargs)


def refused(*words: str) -> str:
    """The sentence on stderr of a call that has to end with exit code 2 and nothing but words."""
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


def queued(root: Path, name: str = "one") -> Run:
    return Run.create(root, name, run_config("digits", overrides={
        "data.train_rows": 32, "model.hidden": [4], "model.attention": [],
        **{f"train.stages.{index}.epochs": 1 for index in range(5)}}))


# ---------------------------------------------------------------------- train

def test_train_makes_a_finished_run_and_prints_its_metrics(root, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sagvae", "train", "--dataset", "digits", "--quiet", "--runs-dir", "x"])
    result = call("train", "--dataset", "digits", *TINY)
    assert result.exit_code == 0, result.output
    run = Run(root / "digits-sagvae")
    assert run.status.state == "finished"
    assert result.stdout.startswith(f"{run.folder}  mse_clean {run.status.metrics['mse_clean']:.4g}  psnr ")
    config = run.config
    assert (config.model.hidden, config.train.batch_size, config.data.train_rows) == ((4,), 16, 32)
    assert [stage.epochs for stage in config.train.stages] == [1, 1, 1, 1, 1]
    assert result.stderr == ("digits-sagvae trains 5 epochs, in stages of 1 + 1 + 1 + 1 + 1: not 2, since every stage "
                             "takes at least one.\n")
    assert config.command == "sagvae train --dataset digits --run digits-sagvae"
    assert run.has_model


def test_a_tracker_gets_the_curves_too(root):
    pytest.importorskip("tensorboard")
    result = call("train", "--dataset", "digits", "--run", "mine", "--tracker", "tensorboard", *TINY)
    assert result.exit_code == 0, result.output
    assert Run(root / "mine").config.train.trackers == ("tensorboard",)
    assert list((root / "mine" / "logs").rglob("events.out.tfevents.*"))
    assert "'abacus' is not one of" in refused("train", "--tracker", "abacus")


def test_options_reach_the_configuration(root, monkeypatch):
    monkeypatch.setattr(cli_train, "execute", lambda *_: Status(state="paused", epoch=4, step=50))
    result = call("train", "--dataset", "digits", "--model", "identity", "--run", "mine", "--seed", "3", "--data-seed",
                  "4", "--noise", "5", "--set", "model.activation=tanh")
    assert result.exit_code == 0, result.output
    assert result.stdout == "Paused in epoch 5, after step 50. Go on with `sagvae train --resume mine`.\n"
    config = Run(root / "mine").config
    assert (config.train.seed, config.data.seed, config.model.activation) == (3, 4, "tanh")
    assert (config.data.perturbation.kind, config.data.perturbation.pixels) == ("uniform", 5)
    assert config.model.graph == "identity"
    call("train", "--dataset", "digits", "--block", "3", "--run", "block", "--runs-dir", str(root / "else"))
    config = Run(root / "else" / "block").config
    assert (config.data.perturbation.kind, config.data.perturbation.size) == ("block", 3)
    call("train", "--dataset", "digits", "--noise", "0", "--run", "clean")
    assert Run(root / "clean").config.data.perturbation.kind == "none"
    call("train", "--latent", "per_sample", "--run", "karate")
    assert Run(root / "karate").config.model.latent == "per_sample"


def test_names_are_numbered_when_taken_and_refused_when_chosen(root):
    assert free_name(root, "a") == "a"
    for name in ("a", "a-2"):
        (root / name).mkdir(parents=True)
    assert free_name(root, "a") == "a-3"
    queued(root, "mine")
    assert "run name must be new, got 'mine'. Choose another name" in refused("train", "--run", "mine")
    queued(root.parent / "shipped", "theirs")
    assert "Choose another name: it is that of a shipped run." in refused("train", "--run", "theirs")
    assert "run name must be 1 to 64 letters" in refused("train", "--run", "../out")


def test_stages_keep_their_share_of_the_epochs():
    for total, wanted in ((100, [15, 10, 25, 25, 25]), (16, [2, 2, 4, 4, 4]), (8, [1, 1, 2, 2, 2]),
                          (1, [1, 1, 1, 1, 1])):
        assert [stage.epochs for stage in with_epochs(run_config("digits"), total).train.stages] == wanted
    uneven = with_epochs(run_config("mnist", overrides={"train.stages.0.epochs": 40}), 5)
    assert [stage.epochs for stage in uneven.train.stages] == [2, 1, 1, 1], "the total is what was asked for"


@pytest.mark.parametrize(("words", "plan"), [
    (["--dataset", "digits", "--epochs", "8"], "one trains 8 epochs, in stages of 1 + 1 + 2 + 2 + 2.\n"),
    (["--epochs", "1"], "one trains 1 epoch.\n"), ([], "one trains 40 epochs.\n")])
def test_a_new_run_says_how_long_it_trains(root, monkeypatch, words, plan):
    monkeypatch.setattr(cli_train, "execute", lambda *_: Status(state="paused"))
    assert call("train", "--run", "one", *words).stderr.startswith(plan)
    assert "at least one for each stage" in " ".join(call("train", "--help").stdout.split())


def test_a_stopped_run_goes_on(root):
    run = queued(root)
    result = call("train", "--resume", "one", "--device", "cpu", "--quiet")
    assert result.exit_code == 0, result.output
    assert run.status.state == "finished"


@pytest.mark.parametrize(("words", "sentence"), [
    (["--dataset", "cats"], "dataset must be one of 'karate', 'digits', 'mnist', 'fashion', got 'cats'. See `sagvae"),
    (["--model", "gan"], "model must be one of 'sagvae', 'identity', 'mlp_vae', 'dae', 'conv_dae', got"),
    (["--model", "dae"], "model must be 'sagvae' or 'identity' on 'karate', got 'dae'. Its question is the graph"),
    (["--latent", "odd"], "model.latent must be one of 'per_node', 'per_sample', got 'odd'."),
    (["--set", "model.hidden"], "--set must be NAME=VALUE, got 'model.hidden'. For example --set model.hidden=[8,8]."),
    (["--set", "model.wings=2"], "'model.wings' is not a setting. At 'wings' there are: num_nodes"),
    (["--set", "model.num_nodes.x=2"], "'model.num_nodes.x' is not a setting."),
    (["--set", "model.hidden=wide"], "model.hidden must be a list, got 'wide'."),
    (["--dataset", "digits", "--noise", "3", "--block", "3"], "the damage must be either --noise or --block, got"),
    (["--noise", "3"], "--noise must be left out with 'karate', got 3. It damages pixels, and these rows are no"),
    (["--block", "3"], "--block must be left out with 'karate', got 3."),
    (["--dataset", "digits", "--noise", "1000"], "perturbation.pixels must be a whole number from 0 to the 64 nodes"),
    (["--dataset", "mnist", "--block", "29"], "perturbation.size must be a whole number from 0 to"),
    (["--dataset", "mnist", "--set", "data.classes=[10]"], "data.classes must be different whole numbers from 0 to 9"),
    (["--set", "data.classes=[0]"], "data.classes must be None for 'karate'"),
    (["--dataset", "mnist", "--rows", "60000"], "data.train_rows must be at most 55000, the training rows of 'mnist'"),
    (["--dataset", "digits", "--set", "model.num_nodes=9"], "model.num_nodes must be 64, as the data set 'digits' has"),
    (["--dataset", "mnist", "--device", "abacus"], "train.device must be 'auto', 'cpu', 'cuda' or 'mps', got 'abacus'"),
    (["--device", "cpu", "--set", "train.precision=fp16"], "train.precision must be 'no' or 'bf16' on a CPU"),
    (["--dataset", "mnist", "--set", "train.stages.0.likelihood=gaussian"], "stage.likelihood must be 'bernoulli' or"),
    (["--set", "train.stages.0.objective=completion"], "stage.objective must be"),
    (["--resume", "nothing"], "run must be one of (there are none yet), got 'nothing'. See `sagvae runs`."),
    (["--epochs", "0"], "0 is not in the range x>=1"),
])
def test_bad_options_are_a_sentence_and_nothing_is_made_or_read(root, monkeypatch, words, sentence):
    monkeypatch.setattr(cli_train, "execute", lambda *_: pytest.fail("it came to the training"))
    monkeypatch.setattr(Run, "create", lambda *_: pytest.fail("a folder was made"))
    assert sentence in refused("train", *words)
    assert not root.exists()


def test_no_noise_is_what_the_karate_club_has_anyway(root, monkeypatch):
    monkeypatch.setattr(cli_train, "execute", lambda *_: Status(state="paused"))
    assert call("train", "--noise", "0", "--run", "one").exit_code == 0
    assert Run(root / "one").config.data.perturbation.kind == "none"


def test_what_only_the_data_can_refuse_is_a_sentence_too(root, monkeypatch):
    def unreadable(config: object) -> None:
        raise SagvaeError("The files cannot be read.")

    monkeypatch.setattr("sagvae_core.experiment.load_dataset", unreadable)
    assert "The files cannot be read." in refused("train", "--dataset", "digits", "--quiet")
    assert not (root / "digits-sagvae").exists(), "a run that never trained leaves nothing behind"


@pytest.mark.parametrize("name", ["running", "finished"])
def test_only_unfinished_runs_go_on(root, name):
    run = queued(root)
    with run.claim() if name == "running" else nullcontext():
        run.write_status(Status(state=name, pid=os.getpid(), pid_started=process_started(os.getpid())))
        for words in (("train", "--resume", "one"), ("runs", "resume", "one")):
            sentence = refused(*words)
            assert ("run must be one that no other process works on" if name == "running" else
                    "run to resume must be unfinished, got 'one', which is finished") in sentence


# ---------------------------------------------------------------------- runs

def test_runs_as_json_have_a_fixed_schema_also_when_there_are_none(root, tmp_path):
    assert json.loads(call("runs", "--json").stdout) == []
    queued(root, "b")
    finished = queued(root, "a")
    save_model(build_model(finished.config.model), finished.folder)
    finished.write_status(Status(state="finished", seconds=12.34, device="CPU", metrics={"f1": 0.5}))
    queued(tmp_path / "shipped", "c")
    assert call("runs", "list", "--json").stdout == call("runs", "--json").stdout
    rows = json.loads(call("runs", "--json").stdout)
    assert rows[0] == {"kind": "training", "name": "a", "dataset": "digits", "model": "sagvae", "state": "finished",
                       "device": "CPU", "seconds": 12.3, "metrics": {"f1": 0.5}, "shipped": False, "problem": None}
    assert [(row["name"], row["state"], row["shipped"]) for row in rows[1:]] == [
        ("b", "queued", False), ("c", "queued", True)]


def test_the_table_lines_up_and_a_broken_run_hides_no_other(root):
    run = queued(root, "good")
    save_model(build_model(run.config.model), run.folder)
    run.write_status(Status(state="finished", metrics={"mse_clean": 0.01234}))
    queued(root, "bad")
    (root / "bad" / "status.json").write_text("{")
    result = call("runs")
    assert result.exit_code == 0
    head, bad, line = result.stdout.splitlines()
    assert bad.split() == ["bad", "digits", "sagvae", "damaged"]
    assert head.split() == ["name", "dataset", "model", "state", "seconds", "mse_clean", "psnr", "ssim", "f1",
                            "average_precision"]
    assert line.split() == ["good", "digits", "sagvae", "finished", "0", "0.0123"]
    assert line.index("digits") == head.index("dataset")
    assert result.stderr.startswith("bad is damaged: status.json must be valid JSON, got text that is none (")


def test_a_run_without_its_settings_is_listed_as_damaged_and_can_be_deleted(root):
    (queued(root).folder / "config.json").unlink()
    row, = json.loads(call("runs", "--json").stdout)
    assert (row["name"], row["dataset"], row["model"], row["state"], row["metrics"]) == (
        "one", None, None, "queued", {})
    assert row["problem"].startswith("config.json must be in 'one', got no such file. Restore it")
    assert call("runs", "delete", "one", "--yes").exit_code == 0
    assert json.loads(call("runs", "--json").stdout) == []


def test_show_prints_settings_and_status(root):
    run = queued(root)
    shown = json.loads(call("runs", "show", "one").stdout)
    assert shown["folder"] == str(run.folder)
    assert shown["config"] == json.loads((run.folder / "config.json").read_text())
    assert (shown["status"]["state"], shown["problem"]) == ("queued", None)
    run.write_status(Status(state="finished"))
    assert json.loads(call("runs", "show", "one").stdout)["problem"].startswith("model.json must be in 'one', got no")
    assert "run must be one of one, got 'two'" in refused("runs", "show", "two")
    (run.folder / "config.json").write_text("{")
    assert "config.json must be valid JSON, got text that is none (Expecting" in refused("runs", "show", "one")
    run.write_status(Status(state="paused"))
    assert "config.json must be valid JSON" in refused("train", "--resume", "one", "--quiet")


@pytest.mark.parametrize(("what", "words"), [("stop", "keeps its model"), ("pause", "sagvae runs resume one")])
def test_stop_and_pause_ask_a_living_run_only(root, what, words):
    run = queued(root)
    run.write_status(Status(state="paused"))
    assert f"run to {what} must be one that trains or waits, got 'one', which is paused" in refused("runs", what, "one")
    assert run.requested() is None
    run.write_status(Status(state="running", pid=os.getpid(), pid_started=process_started(os.getpid())))
    result = call("runs", what, "one")
    assert result.exit_code == 0
    assert words in result.stdout
    assert run.requested() == what
    run.write_status(Status(state="queued", pid=os.getpid(), pid_started=process_started(os.getpid())))
    assert "leaves the queue" in call("runs", what, "one").stdout
    run.clear_request()
    run.write_status(Status())
    assert "which is not started yet" in refused("runs", what, "one")
    assert run.requested() is None


def test_what_a_training_notes_is_said(root, monkeypatch):
    def train(run, *arguments):
        arguments[-1]("A checkpoint is gone.")
        return Status(state="paused", note="It was asked to stop.")

    monkeypatch.setattr(cli_train, "execute", train)
    queued(root)
    result = call("train", "--resume", "one")
    assert "one: A checkpoint is gone." in result.stderr
    assert result.stdout.endswith("`sagvae train --resume one`. It was asked to stop.\n")


def test_delete_asks_first_and_spares_training_and_shipped_runs(root, tmp_path):
    run = queued(root)
    assert call("runs", "delete", "one", input="n\n").exit_code == 1
    assert run.folder.exists()
    with run.claim():
        assert "run must be one that no other process works on" in refused("runs", "delete", "one", "--yes")
    assert run.folder.exists()
    run.write_status(Status(state="stopped"))
    assert call("runs", "delete", "one", "--yes").stdout == "Deleted one.\n"
    assert not run.folder.exists()
    queued(tmp_path / "shipped", "theirs")
    for spared, why in (("theirs", "must be one of yours"), ("nobody", "")):
        assert "Delete this run" not in call("runs", "delete", spared).output, "nothing is asked about what stays"
        assert why in refused("runs", "delete", spared)
    assert refused("runs", "delete", "theirs", "--yes").endswith(
        "run to delete must be one of yours, got 'theirs', which is shipped with the package. It cannot be deleted.")
    for words in (("runs", "resume", "theirs"), ("train", "--resume", "theirs")):
        assert "run to resume must be one of yours, got 'theirs', which is shipped" in refused(*words)
    assert (tmp_path / "shipped" / "theirs").exists()


# ---------------------------------------------------------------------- the other verbs

def test_datasets_say_what_is_at_hand(monkeypatch, tmp_path):
    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path))
    lines = call("datasets").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["karate", "digits", "mnist", "fashion"]
    assert ["at hand" in line for line in lines] == [True, True, False, False]


def test_dashboard_starts_streamlit_with_the_runs_of_this_folder(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(cli_module, "serve", calls.append)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGVAE_RUNS", "mine")
    monkeypatch.setenv("SAGVAE_DATA", "data")
    app = Path(cli_module.__file__).parents[1] / "dashboard" / "app.py"
    monkeypatch.setattr(Path, "is_file", lambda self: self == app)
    assert call("dashboard", "--port", "1234", "--no-browser").exit_code == 0
    assert calls[0] == ["run", str(app), "--server.port", "1234", "--server.address", "localhost",
                           "--server.headless", "true"]
    assert Path.cwd() == app.parents[1]
    assert os.environ["SAGVAE_RUNS"] == str(tmp_path / "mine")
    assert os.environ["SAGVAE_DATA"] == str(tmp_path / "data")
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    assert "the dashboard must be at" in refused("dashboard")


def test_a_server_for_others_says_by_which_names_they_come(monkeypatch):
    monkeypatch.setattr(cli_module, "serve", lambda _: None)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "")
    monkeypatch.delenv("STREAMLIT_SERVER_ALLOWED_HOSTS")
    assert "say which with --name" in call("dashboard", "--host", "0.0.0.0").stderr
    assert "STREAMLIT_SERVER_ALLOWED_HOSTS" not in os.environ
    assert not call("dashboard", "--host", "0.0.0.0", "--name", "a.example", "--name", "10.0.0.7").stderr
    assert os.environ["STREAMLIT_SERVER_ALLOWED_HOSTS"] == "a.example 10.0.0.7 localhost 127.0.0.1 ::1"


def every_command(group: click.Group, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [prefix]
    for name, command in group.commands.items():
        found += every_command(command, (*prefix, name)) if isinstance(command, click.Group) else [(*prefix, name)]
    return found


@pytest.mark.parametrize("words", every_command(cli), ids=" ".join)
def test_every_command_explains_itself(words):
    for flag in ("--help", "-h"):
        result = call(*words, flag)
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: ")
        assert len(result.stdout.splitlines()) > 4


def test_version():
    assert call("--version").stdout == f"sagvae, version {__version__}\n"


def test_as_a_process_bad_input_is_one_sentence_and_exit_code_two(tmp_path):
    result = subprocess.run([sys.executable, "-m", "sagvae_core", "train", "--dataset", "cats"], capture_output=True,
                            text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])})
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "Error: dataset must be one of 'karate', 'digits', 'mnist', 'fashion', got 'cats'." in result.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"] or not list(tmp_path.iterdir())


def test_ctrl_c_says_how_to_go_on(root, monkeypatch):
    def interrupted(run, *_):
        run.write_status(Status(state="interrupted", epoch=1, step=7))
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_train, "execute", interrupted)
    result = call("train", "--dataset", "digits", "--run", "cut", *TINY)
    assert result.exit_code == 0
    assert "Interrupted in epoch 2, after step 7. Go on with `sagvae train --resume cut`." in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_pauses_after_the_step_and_a_second_ctrl_c_leaves_at_once(root, monkeypatch, number):
    seen = []

    def train(run, *_):
        signal.raise_signal(number)
        seen.append(run.requested())
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return Status(state="paused")

    before = signal.getsignal(number)
    monkeypatch.setattr(cli_train, "execute", train)
    assert call("train", "--dataset", "digits", "--run", "cut", *TINY).exit_code == 0
    assert seen == ["pause"]
    assert signal.getsignal(number) is before
