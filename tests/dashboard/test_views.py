"""Every page as a person uses it, without a browser: what the controls change, and what bad input says."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from reading import errors, metric, picture_rows, sound, words

from sagvae_core import load_dataset
from sagvae_core.checkpoint import build_model, read_json, read_tensors, save_model, write_json, write_tensors
from sagvae_core.data import DATASETS, dataset_available
from sagvae_core.metrics import edge_scores
from sagvae_core.presets import run_config
from sagvae_core.run_status import Status
from sagvae_core.runs import Run, shipped_folder

PAGES_OF_RUNS = ("overview", "relations", "robustness", "train")
PAGES = (*PAGES_OF_RUNS, "evidence")
HEADINGS = {"relations": "Relations", "robustness": "Robustness", "evidence": "Evidence", "train": "Train"}


def shipped(wanted) -> list:
    """Shipped runs whose config.json is ``wanted``; those on data that is not here are skipped, and say so."""
    params = []
    for path in sorted(shipped_folder().glob("*/config.json")):
        config = json.loads(path.read_text())
        if wanted(config):
            name = config["data"]["name"]
            params.append(pytest.param(path.parent.name, marks=pytest.mark.skipif(
                not dataset_available(name), reason=f"the files of {name!r} are not here; set SAGVAE_DATA")))
    return params


def has_graph(config: dict) -> bool:
    return config["model"].get("graph") == "learned"


def has_images(config: dict) -> bool:
    return DATASETS[config["data"]["name"]].image_shape is not None


def plot(app, key: str) -> str:
    """The JSON of the figure with that key."""
    return next(element.proto.spec for element in app.get("plotly_chart") if element.key == key)


# ---------------------------------------------------------------------------------------------------- all pages

@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page_renders(open_page, page, theme):
    app = open_page(page)
    app.context["theme"] = theme
    app.run()
    sound(app)
    assert not app.error
    assert app.header, "a page begins with a heading"
    if page in HEADINGS:
        assert app.header[0].value == HEADINGS[page]


def test_overview_is_never_empty_and_has_four_doors(open_page):
    app = open_page("overview")
    assert app.get("plotly_chart")
    assert metric(app, "F1") > 0.5
    assert all(len(pictures) >= 5 for _, pictures in picture_rows(app))
    assert len({door.proto.page for door in app.get("page_link")}) == 4


@pytest.mark.parametrize("name", shipped(has_graph))
def test_overview_shows_every_model_with_a_graph(open_page, name):
    app = open_page("overview", run=name)
    sound(app)
    assert not app.error
    assert app.selectbox(key="run").value == name


# ---------------------------------------------------------------------------------------------------- relations

@pytest.mark.parametrize("name", shipped(has_graph))
def test_relations_follow_the_threshold(open_page, name):
    app = open_page("relations", run=name)
    sound(app)
    assert not app.error
    assert app.selectbox(key="run").value == name
    posterior = Run(shipped_folder() / name).load_model().edge_posterior.numpy()
    sure = np.sort(posterior[np.triu_indices(len(posterior), 1)])
    graphs, curves = {}, []
    for threshold in (0.05, 0.5, 0.95):
        app.select_slider(key="threshold").set_value(threshold).run()
        sound(app)
        edges = int((sure > threshold).sum())
        assert metric(app, "Edges") == edges
        assert metric(app, "Density") == pytest.approx(100 * edges / len(sure), abs=0.051)
        graphs[edges] = app.get("iframe")[0].proto.srcdoc if app.get("iframe") else plot(app, "network")
        curves.append(plot(app, "edge_curve"))
    assert len(set(graphs.values())) == len(graphs), "as many edges, as many drawings"
    assert len(set(curves)) == 3


@pytest.mark.parametrize("name", shipped(lambda config: has_graph(config) and has_images(config)))
def test_matrix_of_an_image_model_travels_in_less_than_a_megabyte(open_page, name):
    app = open_page("relations", run=name)
    assert 1_000 < len(plot(app, "matrix")) < 1_000_000


def test_relations_compared_with_the_truth(open_page):
    app = open_page("relations", run="karate-sagvae")
    alone = plot(app, "matrix"), app.get("iframe")[0].proto.srcdoc
    app.toggle(key="truth").set_value(True).run()
    sound(app)
    assert plot(app, "matrix") != alone[0]
    assert app.get("iframe")[0].proto.srcdoc != alone[1]
    assert metric(app, "F1") > 0.9
    model = Run(shipped_folder() / "karate-sagvae").load_model()
    for threshold in (0.05, 0.95):
        app.select_slider(key="threshold").set_value(threshold).run()
        scores = edge_scores(model.edge_posterior, load_dataset("karate").adjacency, threshold)
        for label, name in (("Precision", "precision"), ("Recall", "recall"), ("F1", "f1")):
            assert metric(app, label) == pytest.approx(scores[name], abs=6e-4)


def test_no_truth_no_scores(open_page):
    app = open_page("relations", run="digits-sagvae")
    assert "F1" not in [element.label for element in app.metric]
    assert not [element for element in app.toggle if element.key == "truth"]


@pytest.mark.parametrize("name", ["karate-sagvae", "digits-sagvae"])
def test_every_order_and_colour(open_page, name):
    app = open_page("relations", run=name)
    colours = ["label", "community"][-len(app.selectbox(key="colour").options):]
    assert len(app.selectbox(key="order").options) == 3
    matrices = []
    for order in ("original", "community", "degree"):
        app.selectbox(key="order").set_value(order).run()
        sound(app)
        matrices.append(plot(app, "matrix"))
    assert len(set(matrices)) == 3
    graphs = []
    for colour in colours:
        app.selectbox(key="colour").set_value(colour).run()
        sound(app)
        graphs.append(app.get("iframe")[0].proto.srcdoc if app.get("iframe") else plot(app, "network"))
    assert len(set(graphs)) == len(colours)


def test_figure_one_shows_another_row(open_page):
    app = open_page("relations", run="karate-sagvae")
    before = plot(app, "figure_one")
    app.number_input(key="figure_one_row").set_value(3).run()
    sound(app)
    assert plot(app, "figure_one") != before


def test_a_pixel_in_the_address_is_shown_and_can_be_changed(open_page):
    app = open_page("relations", run="digits-sagvae", row="2", column="5")
    assert "Pixel (2, 5)" in words(app)
    before = plot(app, "neighbourhood")
    app.number_input(key="column").set_value(6).run()
    sound(app)
    assert "Pixel (2, 6)" in words(app)
    assert plot(app, "neighbourhood") != before


def test_a_pixel_outside_the_image_is_pulled_inside(open_page):
    app = open_page("relations", {"row": 25}, run="digits-sagvae")  # as left by a model of larger images
    sound(app)
    assert app.number_input(key="row").value == 7
    app = open_page("relations", run="digits-sagvae", row="25", column="-1")
    sound(app)
    assert 0 <= app.number_input(key="row").value <= 7


@pytest.mark.parametrize("page", ["overview", "relations"])
def test_an_unknown_model_in_the_address_falls_back(open_page, page):
    app = open_page(page, run="<script>alert(1)</script>")
    sound(app)
    assert app.selectbox(key="run").value in [path.name for path in shipped_folder().iterdir()]


# ---------------------------------------------------------------------------------------------------- robustness

def robustness(open_page, name: str = "digits"):
    app = open_page("robustness", data=name)
    sound(app)
    assert not app.error
    return app


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.skipif(
    not dataset_available(name) or not (shipped_folder() / f"{name}-sagvae").is_dir(),
    reason=f"the files of {name!r} (set SAGVAE_DATA) or its shipped models are not here"))
    for name in ("digits", "mnist", "fashion")])
def test_noise_changes_pictures_and_scores(open_page, name):
    app = robustness(open_page, name)
    nodes = DATASETS[name].num_nodes
    rows = picture_rows(app)
    assert len(rows) >= 4, "perturbed, VAE, SAG-VAE, original"
    assert {len(pictures) for _, pictures in rows} == {10}
    seen = []
    for pixels in (0, nodes):
        app.slider(key=f"pixels_{nodes}").set_value(pixels).run()
        sound(app)
        rows, scores = picture_rows(app), [element.value for element in app.metric]
        seen.append((rows[0][1], rows[1][1], rows[-1][1], scores))
    none, all_of_them = seen
    assert none[0] == none[2], "without damage the input is the original"
    assert all_of_them[0] != none[0]
    assert all_of_them[1] != none[1]
    assert all_of_them[2] == none[2], "the originals stay"
    assert all_of_them[3] != none[3]


def test_block_is_where_and_what_was_asked(open_page):
    app = robustness(open_page)
    app.segmented_control(key="kind").set_value("block").run()
    sound(app)
    app.selectbox(key="place").set_value("top left")
    app.selectbox(key="fill").set_value("white")
    app.slider(key="size_64").set_value(3).run()
    sound(app)
    white = picture_rows(app)
    app.selectbox(key="fill").set_value("black").run()
    black = picture_rows(app)
    assert white[0][1] != black[0][1]
    app.selectbox(key="place").set_value("bottom right").run()
    assert picture_rows(app)[0][1] != black[0][1]
    app.slider(key="size_64").set_value(0).run()
    sound(app)
    rows = picture_rows(app)
    assert rows[0][1] == rows[-1][1], "a block of nothing damages nothing"
    app.slider(key="size_64").set_value(8).run()
    sound(app)
    assert len(set(picture_rows(app)[0][1])) == 1, "a block as large as the image hides all of it"


def test_another_draw_is_other_damage_on_the_same_images(open_page):
    app = robustness(open_page)
    before = picture_rows(app)
    next(button for button in app.button if "draw" in button.label).click().run()
    sound(app)
    after = picture_rows(app)
    assert all(one != other for one, other in zip(before[0][1], after[0][1], strict=True))
    assert before[-1] == after[-1]


def test_other_images_are_other_images(open_page):
    app = robustness(open_page)
    before, mean = picture_rows(app), [element.value for element in app.metric]
    for _ in range(50):  # beyond the 449 test images it begins again
        next(button for button in app.button if "images" in button.label).click().run()
    sound(app)
    after = picture_rows(app)
    assert not set(before[-1][1]) & set(after[-1][1])
    assert len(after[-1][1]) == 10
    assert [element.value for element in app.metric] == mean, "the averages are over a fixed batch"


def test_models_are_chosen_with_pills(open_page):
    app = robustness(open_page)
    pills = app.pills(key="models_digits")
    chosen = list(pills.value)
    assert {"digits-identity", "digits-sagvae"} <= set(chosen)
    rows, scores = len(picture_rows(app)), len(app.metric)
    pills.set_value(["digits-sagvae"]).run()
    sound(app)
    assert (len(picture_rows(app)), len(app.metric)) == (rows - len(chosen) + 1, scores - len(chosen) + 1)
    app.pills(key="models_digits").set_value([]).run()
    sound(app)
    assert len(picture_rows(app)) == rows - len(chosen), "the damage and the originals are left"


def test_every_image_model_can_be_compared(open_page):
    for param in shipped(lambda config: config["data"]["name"] == "digits"):
        app = robustness(open_page)
        app.pills(key="models_digits").set_value([param.values[0]]).run()
        sound(app)
        assert len(picture_rows(app)) == 3


def test_errors_on_demand(open_page):
    app = robustness(open_page)
    before = picture_rows(app)
    app.toggle(key="errors").set_value(True).run()
    sound(app)
    after = picture_rows(app)
    assert len(after) == len(before) + len(app.pills(key="models_digits").value)
    assert [row for row in after if row in before] == before, "the other rows stay as they were"


# ---------------------------------------------------------------------------------------------------- broken runs

def broken_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"kind": ')


def broken_status(folder: Path) -> None:
    (folder / "status.json").write_text("[]")


def no_model(folder: Path) -> None:
    (folder / "model.json").unlink()


def a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weights": [1.0] * 100}))


def another_shape(folder: Path) -> None:
    shutil.copy(shipped_folder() / "karate-sagvae" / "model.safetensors", folder)


def another_model(folder: Path) -> None:
    another_shape(folder)
    shutil.copy(shipped_folder() / "karate-sagvae" / "model.json", folder)


def nan_weights(folder: Path) -> None:
    tensors = read_tensors(folder / "model.safetensors")
    write_tensors(folder / "model.safetensors", {name: tensor * float("nan") if tensor.is_floating_point() else tensor
                                                 for name, tensor in tensors.items()})


def unknown_data(folder: Path) -> None:
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"data": config["data"] | {"name": "cats"}})


UNUSABLE = {broken_json: "config.json must be valid JSON", broken_status: "status.json must be",
            no_model: "model.json must be in 'spoiled', got no such file", a_pickle: "got a pickle",
            another_model: "model.json must be the model of config.json, got another model"}
UNLOADABLE = {another_shape: "belong to another configuration", nan_weights: "must be finite",
              unknown_data: "data.name must be one of"}


@pytest.mark.parametrize("page", PAGES_OF_RUNS)
@pytest.mark.parametrize(("spoil", "says"), UNUSABLE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_an_unusable_run_gets_a_sentence_and_the_others_stay(open_page, copy_run, page, spoil, says):
    spoil(copy_run("digits-sagvae", "spoiled"))
    app = open_page(page)
    sound(app)
    assert words(app).replace("\\", "").replace("\u2060", "").count(says) == 1
    if page in ("overview", "relations"):
        assert app.selectbox(key="run").value == "karate-sagvae"
        assert "spoiled" not in " ".join(app.selectbox(key="run").options)
        assert app.get("plotly_chart")
    elif page == "robustness":
        assert picture_rows(app)
    else:
        assert not next(button for button in app.button if button.label == "Start training").disabled


@pytest.mark.parametrize("page", ["overview", "relations"])
@pytest.mark.parametrize(("spoil", "says"), UNLOADABLE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_an_unloadable_model_gets_a_sentence_and_the_others_stay(open_page, copy_run, page, spoil, says):
    spoil(copy_run("digits-sagvae", "spoiled"))
    app = open_page(page, run="spoiled")
    assert app.selectbox(key="run").value == "spoiled"
    sound(app)
    assert says in errors(app)
    app.selectbox(key="run").set_value("karate-sagvae").run()
    sound(app)
    assert not app.error
    assert app.get("plotly_chart")


@pytest.mark.parametrize("spoil", [another_shape, nan_weights],
                         ids=lambda spoil: spoil.__name__)
def test_an_unloadable_model_on_robustness(open_page, copy_run, spoil):
    spoil(copy_run("digits-sagvae", "spoiled"))
    app = robustness(open_page)
    pills = app.pills(key="models_digits")
    pills.set_value([*pills.value, "spoiled"]).run()
    sound(app)
    assert UNLOADABLE[spoil] in errors(app)
    assert len(picture_rows(app)) == 4, "the others are compared all the same"
    app.pills(key="models_digits").set_value(["digits-sagvae"]).run()
    sound(app)
    assert not app.error
    assert len(picture_rows(app)) == 3


def test_a_folder_without_models(open_page, monkeypatch, tmp_path):
    from sagvae_core import runs

    monkeypatch.setattr(runs, "shipped_folder", lambda: tmp_path / "nothing")
    for page in PAGES_OF_RUNS:
        app = open_page(page)
        sound(app)
        assert app.info, "it says what to do"


# ---------------------------------------------------------------------------------------------------- no MNIST

@pytest.fixture
def no_files(monkeypatch, tmp_path, cold_caches):
    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path / "empty"))
    assert not dataset_available("mnist")


@pytest.fixture
def mnist_run(runs_folder):
    """A model for MNIST, shipped or not; nothing here needs it to be a good one."""
    config = run_config("mnist")
    run = Run.create(runs_folder, "mnist-mine", config)
    save_model(build_model(config.model), run.folder)
    run.write_status(Status(state="finished", metrics={"mse_clean": 0.1, "ssim": 0.5}))


def test_without_mnist_robustness_says_so_and_offers_digits(open_page, no_files, mnist_run):
    app = open_page("robustness")
    sound(app)
    control = app.segmented_control(key="data")
    assert control.value == "digits", "it starts with data that is there"
    assert picture_rows(app)
    control.set_value("mnist").run()
    sound(app)
    said = words(app)
    assert "SAGVAE_DATA" in said
    assert "digits" in said
    app.segmented_control(key="data").set_value("digits").run()
    sound(app)
    assert picture_rows(app)


def test_without_mnist_and_network_the_download_says_so(open_page, no_files, mnist_run, monkeypatch):
    from torchvision.datasets import MNIST

    def fail(self):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(MNIST, "download", fail)
    app = open_page("robustness", data="mnist")
    next(button for button in app.button if "Download" in button.label).click().run()
    sound(app)
    assert "SAGVAE_DATA" in errors(app)


def test_without_mnist_its_graph_can_still_be_explored(open_page, no_files, mnist_run, monkeypatch):
    from torchvision.datasets import MNIST

    asked = []
    monkeypatch.setattr(MNIST, "download", asked.append)
    for page in ("overview", "relations"):
        app = open_page(page, run="mnist-mine")
        sound(app)
        assert app.selectbox(key="run").value == "mnist-mine"
        # Either it needs no pictures for what it shows, or it says where they can be had.
        assert not app.error or "SAGVAE_DATA" in words(app)
        assert app.get("plotly_chart") or app.error
    assert not asked, "looking at a page downloads nothing unasked"


def test_without_mnist_training_says_so(open_page, no_files):
    app = open_page("train")
    assert "SAGVAE_DATA" not in words(app)
    app.selectbox(key="new_data").set_value("mnist").run()
    sound(app)
    said = words(app)
    assert "SAGVAE_DATA" in said
    assert "digits" in said


def test_digits_need_no_files(no_files):
    assert len(load_dataset("digits").test.clean) == 449
