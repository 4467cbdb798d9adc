"""The Train page without a browser: the form, the queue, one run's view, and what bad input says."""

from __future__ import annotations

import dataclasses
import io
import json
import os

import pytest
import torch
from reading import metric, sound, words

from sagvae_core import snapshots
from sagvae_core.archive import export_run
from sagvae_core.data import DATASETS
from sagvae_core.presets import MODELS, run_config
from sagvae_core.run_status import Status, process_started
from sagvae_core.runs import Run, shipped_folder


def plot(app, key: str) -> dict:
    """The figure with that key."""
    return json.loads(next(element.proto.spec for element in app.get("plotly_chart") if element.key == key))


def button(app, label: str):
    return next(element for element in app.button if element.label == label)


def plain_words(app) -> str:
    """As :func:`reading.words`, without what Markdown needs to show a name letter by letter."""
    return words(app).replace("\\", "").replace("*", "").replace("\u2060", "")


def errors(app) -> str:
    return "\n".join(element.value for element in app.error).replace("\\", "").replace("\u2060", "")


def start_button(app):
    return button(app, "Start training")


@pytest.fixture
def no_process(monkeypatch):
    """Starting makes the run's folder and remembers it, but no process."""
    from dashboard import jobs

    started = []
    monkeypatch.setattr(jobs, "resume", started.append)
    return started


@pytest.mark.parametrize(("line", "says"), [
    ("model.hidden", "must be NAME=VALUE, got 'model.hidden'"),
    ("model.hiden=[8]", "'model.hiden' is not a setting"),
    ("model.hidden=8", "model.hidden must be a list, got 8"),
    ("model.hidden=[0]", "model.hidden must be at most 64 widths of at least 1"),
    ("train.batch_size=many", "train.batch_size must be of type int, got 'many'"),
    ("train.stages.7.epochs=3", "is not a setting"),
])
def test_bad_settings_get_a_sentence_and_no_start(open_page, line, says):
    app = open_page("train")
    app.text_area(key="new_settings").set_value(line).run()
    sound(app)
    assert says in errors(app)
    assert start_button(app).disabled


@pytest.mark.parametrize("name", ["../up", "", "a b", ".hidden", "<img src=x>"])
def test_bad_names_get_a_sentence_and_no_start(open_page, name):
    app = open_page("train")
    app.text_input[0].set_value(name).run()
    sound(app)
    assert "run name must be" in plain_words(app)
    assert start_button(app).disabled


def test_starting_makes_the_run_that_was_asked_for(open_page, no_process, runs_folder):
    app = open_page("train")
    app.selectbox(key="new_model").set_value("identity").run()
    app.number_input(key="epochs_digits").set_value(4)
    app.text_area(key="new_settings").set_value("model.hidden=[3]\n\ntrain.batch_size = 32")
    app.number_input(key="rows_digits").set_value(200)
    app.slider(key="new_noise_digits").set_value(5)
    app.number_input(key="new_seed").set_value(11)
    app.text_input[0].set_value("mine").run()
    start_button(app).click().run()
    sound(app)
    assert [run.name for run in no_process] == ["mine"]
    config = Run(runs_folder / "mine").config
    assert (config.role, config.model.graph, config.model.hidden) == ("identity", "identity", (3,))
    assert (config.train.total_epochs, config.train.batch_size, config.train.seed) == (4, 32, 11)
    assert (config.data.train_rows, config.data.perturbation.pixels) == (200, 5)
    assert app.selectbox(key="watch").value == "mine"


def test_a_name_that_is_taken_gets_a_sentence(open_page, no_process, runs_folder):
    Run.create(runs_folder, "mine", run_config("digits"))
    before = {path: path.read_bytes() for path in (runs_folder / "mine").iterdir()}
    app = open_page("train")
    assert app.text_input[0].proto.live_debounce_ms, "it is said while somebody types"
    app.number_input(key="epochs_digits").set_value(7)
    app.text_input[0].set_value("mine").run()
    sound(app)
    assert "“mine” is taken; “mine-2” is free." in plain_words(app)
    assert start_button(app).disabled
    app.text_input[0].set_value("mine-2").run()
    assert not start_button(app).disabled
    assert app.number_input(key="epochs_digits").value == 7
    assert not no_process
    assert before == {path: path.read_bytes() for path in (runs_folder / "mine").iterdir()}


def test_the_proposed_name_is_free(open_page, no_process, runs_folder):
    app = open_page("train")
    first = app.text_input[0].value
    start_button(app).click().run()
    sound(app)
    assert (runs_folder / first).is_dir()
    assert app.text_input[0].value != first


def test_a_name_that_is_taken_at_the_last_moment_loses_no_setting(open_page, monkeypatch, runs_folder):
    from dashboard import jobs

    def taken(name: str, config: object) -> None:
        Run.create(runs_folder, name, run_config("digits"))
        Run.create(runs_folder, name, config)

    monkeypatch.setattr(jobs, "start", taken)
    app = open_page("train")
    app.number_input(key="epochs_digits").set_value(7)
    app.text_area(key="new_settings").set_value("train.batch_size=32")
    app.text_input[0].set_value("mine").run()
    start_button(app).click().run()
    sound(app)
    assert "run name must be new, got 'mine'" in errors(app)
    app.run()
    assert (app.number_input(key="epochs_digits").value, app.text_input[0].value) == (7, "mine")
    assert app.text_area(key="new_settings").value == "train.batch_size=32"


def test_settings_that_cannot_be_trained_are_refused_and_kept(open_page, no_process, runs_folder):
    app = open_page("train")
    app.number_input(key="epochs_digits").set_value(7)
    app.text_area(key="new_settings").set_value("train.stages.0.likelihood=gaussian")
    app.text_input[0].set_value("mine").run()
    assert not app.error
    start_button(app).click().run()
    sound(app)
    assert "stage.likelihood must be" in errors(app)
    assert not no_process and not (runs_folder / "mine").exists()
    app.run()
    assert (app.number_input(key="epochs_digits").value, app.text_input[0].value) == (7, "mine")
    assert app.text_area(key="new_settings").value == "train.stages.0.likelihood=gaussian"


def test_a_training_is_seen_and_asked_to_pause_or_stop(open_page, runs_folder):
    run = Run.create(runs_folder, "busy", run_config("digits"))
    run.write_status(Status(state="running", pid=os.getpid(), pid_started=process_started(os.getpid()), step=3,
                            saved_step=2, total_steps=10, epoch=1, total_epochs=4, eta_seconds=7.0, device="CPU"))
    app = open_page("train")
    sound(app)
    assert not start_button(app).disabled  # it would wait for its turn
    assert "1 run trains or waits already" in words(app)
    assert "nothing before step 2 can be lost" in words(app)
    assert "goes on later where it was" in words(app)
    progress = app.get("progress")
    assert progress and progress[0].value == 30
    assert "7 s left" in progress[0].proto.text
    run.write_status(dataclasses.replace(run.status, eta_seconds=None, device="CPU (x86_64, 1 threads)"))
    app.run()
    assert "time left not known yet" in app.get("progress")[0].proto.text
    assert "CPU (x86_64, 1 thread)" in plain_words(app)
    for label, what in (("Stop", "stop"), ("Pause", "pause")):
        app = open_page("train")
        button(app, label).click().run()
        sound(app)
        assert run.requested() == what
        assert all(other.disabled for other in app.button if other.label in ("Stop", "Pause"))
        run.clear_request()


def test_a_run_that_is_about_to_train_is_not_started_twice(open_page, runs_folder):
    run = Run.create(runs_folder, "mine", run_config("digits"))
    run.write_status(Status(state="queued", pid=os.getpid(), pid_started=process_started(os.getpid())))
    app = open_page("train")
    sound(app)
    assert "About to begin" in words(app)
    assert all(other.label != "Go on" for other in app.button)


def test_the_queue_is_seen_in_its_order(open_page, runs_folder):
    for name, since in (("z", 1.0), ("a", 3.0), ("m", 2.0)):
        run = Run.create(runs_folder, name, run_config("digits"))
        run.write_status(Status(state="running" if name == "z" else "queued", pid=os.getpid(), queued_at=since,
                                pid_started=process_started(os.getpid()), device_key="cpu", created=since))
    app = open_page("train", watch="a")
    sound(app)
    assert "Waits for z (running), m (queued)." in plain_words(app)
    assert [other.key for other in app.button if other.label == "Watch"] == ["watch_z", "watch_m", "watch_a"]
    next(other for other in app.button if other.key == "pause_m").click().run()
    sound(app)
    assert Run(runs_folder / "m").requested() == "pause"
    next(other for other in app.button if other.key == "watch_z").click().run()
    sound(app)
    assert next(box for box in app.selectbox if box.label == "Run").value == "z"


@pytest.mark.parametrize("state", ["queued", "paused", "stopped", "failed", "interrupted"])
def test_an_unfinished_run_can_go_on(open_page, no_process, runs_folder, state):
    run = Run.create(runs_folder, "mine", run_config("digits"))
    error = "train.batch_size must be smaller, got 7." if state == "failed" else None
    run.write_status(Status(state=state, error=error))
    app = open_page("train")
    sound(app)
    assert state in words(app)
    assert ("Paused: it can go on where it was" in words(app)) == (state == "paused")
    if state == "failed":
        assert "got 7." in plain_words(app)
    button(app, "Go on").click().run()
    assert [job.name for job in no_process] == ["mine"]


@pytest.mark.parametrize("file", ["status.json", "config.json"])
def test_a_damaged_run_says_so_and_can_be_deleted(open_page, copy_run, runs_folder, file):
    (copy_run("digits-sagvae", "mine") / file).write_text("{")
    app = open_page("train")
    sound(app)
    assert f"{file} must be valid JSON" in errors(app)
    assert button(app, "Go on")
    button(app, "Delete for good").click().run()
    sound(app)
    assert not (runs_folder / "mine").exists()


def test_a_damaged_model_is_said_in_its_view_and_beside_that_of_another_run(open_page, copy_run):
    copy_run("digits-sagvae", "sound")
    (copy_run("digits-sagvae", "mine") / "model.safetensors").unlink()
    sentence = "model.safetensors must be in 'mine', got no such file."
    app = open_page("train", watch="mine")
    sound(app)
    assert sentence in errors(app) and not app.warning
    assert metric(app, "SSIM") > 0.5, "all else about it is shown"
    assert "in the pickers of the other pages" not in words(app)
    assert app.get("download_button")[0].proto.disabled
    app = open_page("train", watch="sound")
    sound(app)
    assert not app.error
    assert f"A run cannot be used. mine: {sentence}" in app.warning[0].value.replace("\\", "").replace("\u2060", "")
    assert "in the pickers of the other pages" in words(app)
    assert not app.get("download_button")[0].proto.disabled


@pytest.mark.parametrize("state", ["running", "paused", "finished"])
def test_what_became_of_a_training_otherwise_than_asked_for_is_said(open_page, copy_run, state):
    run, note = Run(copy_run("digits-sagvae", "mine")), "The checkpoint of step 8 cannot be read. <b>"
    run.write_status(dataclasses.replace(run.status, state=state, note=note, pid=os.getpid(),
                                         pid_started=process_started(os.getpid()), host=""))
    app = open_page("train")
    sound(app)
    assert state in words(app)
    assert [box.value.replace("\\", "") for box in app.info] == [note]
    run.write_status(dataclasses.replace(run.status, note=None))
    assert not app.run().info


def test_a_finished_run_shows_its_metrics_and_curves(open_page, copy_run):
    folder = copy_run("karate-sagvae", "mine")
    percent = torch.eye(34, dtype=torch.uint8)
    for epoch in (1, 5, 9):
        Run(folder).write_snapshot(epoch, {
            "edge_percent": percent * epoch, "inputs": torch.zeros(1, 34, 2), "clean": torch.ones(1, 34, 2),
            "reconstruction": torch.ones(1, 34, 2) / 2})
    app = open_page("train")
    sound(app)
    assert metric(app, "F1") > 0.9
    assert plot(app, "curves")
    assert plot(app, "more_curves")
    assert plot(app, "live_matrix")
    slider = app.select_slider[0]
    assert (slider.options, slider.value) == (["1", "5", "9"], 9)
    slider.set_value(5).run()
    sound(app)
    assert app.select_slider[0].value == 5
    for mode, shown in (("Newest", "After epoch 9"), ("Play", "After epoch 1 of 9")):
        next(group for group in app.button_group if group.label == "Snapshots").set_value(mode).run()
        sound(app)
        assert not app.select_slider
        assert shown in plain_words(app) + "".join(bar.proto.text for bar in app.get("progress"))
    app.run()
    assert app.get("progress")[0].proto.text == "After epoch 5 of 9"


def test_a_snapshot_that_is_thinned_out_while_the_page_is_drawn_is_not_missed(open_page, copy_run, monkeypatch):
    run = Run(copy_run("karate-sagvae", "mine"))
    tensors = {"edge_percent": torch.eye(34, dtype=torch.uint8)} | {
        name: torch.zeros(1, 34, 2) for name in ("inputs", "clean", "reconstruction")}
    for epoch in (1, 5, 9):
        run.write_snapshot(epoch, tensors)
    app = open_page("train")
    read = snapshots.read

    def thinned_out(folder, epoch=None):
        (folder / snapshots.FOLDER / "epoch-00005.safetensors").unlink(missing_ok=True)
        return read(folder, epoch)

    monkeypatch.setattr(snapshots, "read", thinned_out)
    app.select_slider[0].set_value(5).run()
    sound(app)
    assert (app.select_slider[0].options, app.select_slider[0].value) == (["1", "9"], 9)
    assert plot(app, "live_matrix")


def test_a_stopped_run_says_what_became_of_it(open_page, copy_run):
    run = Run(copy_run("digits-sagvae", "mine"))
    run.write_status(dataclasses.replace(run.status, state="stopped", epoch=4))
    app = open_page("train")
    sound(app)
    assert "Stopped: it ended early, in epoch 5 of 80, and its model is kept." in words(app)
    assert "Thin lines part the stages of the recipe." in words(app)
    assert "Up to epoch 40 the ELBO finds the graph" in words(app)


def test_curves_of_several_runs_stand_in_one_picture(open_page, copy_run):
    copy_run("karate-sagvae", "mine")
    copy_run("digits-sagvae", "other")
    app = open_page("train", watch="mine")
    app.multiselect[0].set_value(["other"]).run()
    sound(app)
    figure = plot(app, "rivals")
    assert {trace["name"] for trace in figure["data"]} == {"mine", "other", "training", "held out", "a stage begins"}
    assert "A curve is broken where" in words(app)
    app.button_group[0].set_value("kl_z").run()
    sound(app)
    assert "KL(z)" in plot(app, "rivals")["layout"]["yaxis"]["title"]["text"]


def test_a_finished_runs_settings_are_the_start_of_a_new_run(open_page, no_process, copy_run, runs_folder):
    copy_run("digits-identity", "mine")
    app = open_page("train")
    button(app, "Use these settings").click().run()
    sound(app)
    assert "All settings of mine" in plain_words(app).replace("**", "")
    next(field for field in app.number_input if field.label == "Seed").set_value(7).run()
    start_button(app).click().run()
    sound(app)
    new, old = Run(runs_folder / "mine-2").config, Run(runs_folder / "mine").config
    assert new.train.seed == 7
    assert new == dataclasses.replace(old, train=dataclasses.replace(old.train, seed=7))
    assert [job.name for job in no_process] == ["mine-2"]
    assert app.selectbox[0].label == "Data"  # back to recipes


def exported(name: str) -> bytes:
    file = io.BytesIO()
    export_run(Run(shipped_folder() / name), file)
    return file.getvalue()


def test_a_run_from_a_file_is_there_at_once_under_a_free_name(open_page, runs_folder):
    app = open_page("train")
    upload(app, "x.sagvae.zip", exported("digits-mlp_vae"))
    sound(app)
    assert (runs_folder / "digits-mlp_vae-2").is_dir()
    upload(app, "x.sagvae.zip", exported("digits-identity"))  # while another run is on show
    sound(app)
    assert not app.error
    assert next(box for box in app.selectbox if box.label == "Run").value == "digits-identity-2"
    run = Run(runs_folder / "digits-identity-2")
    assert run.config == Run(shipped_folder() / "digits-identity").config
    assert run.has_model and run.status.state == "finished"
    app.run()
    assert sorted(path.name for path in runs_folder.iterdir()) == ["digits-identity-2", "digits-mlp_vae-2"], "read once"


@pytest.mark.parametrize("spoil", [lambda data: b"no archive", lambda data: data[:len(data) // 2]])
def test_a_file_that_is_no_run_is_a_sentence_and_leaves_nothing(open_page, runs_folder, spoil):
    app = open_page("train")
    upload(app, "x.sagvae.zip", spoil(exported("digits-identity")))
    sound(app)
    assert "must be" in errors(app)
    assert not runs_folder.exists() or not list(runs_folder.iterdir())


def upload(app, name: str, data: bytes) -> None:
    app.file_uploader[0].set_value((name, data, "application/zip")).run()


def test_a_run_is_deleted_for_good(open_page, copy_run, runs_folder):
    copy_run("digits-sagvae", "mine")
    copy_run("digits-sagvae", "other")
    app = open_page("train", watch="mine")
    button(app, "Delete for good").click().run()
    sound(app)
    assert [path.name for path in runs_folder.iterdir()] == ["other"]


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_every_recipe_makes_a_valid_form(open_page, dataset):
    app = open_page("train")
    app.selectbox(key="new_data").set_value(dataset).run()
    sound(app)
    for model in MODELS if dataset != "karate" else ("sagvae", "identity"):
        app.selectbox(key="new_model").set_value(model).run()
        sound(app)
        assert not app.error
        assert not start_button(app).disabled
