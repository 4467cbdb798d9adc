"""The Sampling page without a browser: samples, corrupted codes, ways between pictures, the karate club's positions."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from reading import sound, words

from dashboard import listing, resources, sampled, state
from dashboard.sampled import Draw
from sagvae_core.data import dataset_available
from sagvae_core.runs import shipped_folder

DEFAULT = Draw("low rank", 0)


def page(open_page, state: dict | None = None, **query: str):
    app = open_page("sampling", state=state, **({"data": "digits"} | query))
    sound(app)
    assert not app.error
    return app


def grids(app) -> list[list[list[str]]]:
    """Every grid of pictures on the page as rows of data URIs."""
    found = []
    for element in app.html:
        rows = [re.findall(r'src="(data:image/png[^"]+)"', row) for row in element.value.split('class="sv-row"')[1:]]
        found.append([row for row in rows if row])
    return [grid for grid in found if grid]


def key(name: str) -> str:
    return next(info.key for info in listing.run_infos()[0] if info.name == name)


def test_every_class_in_a_column_clean_above_corrupted(open_page):
    samples, way = grids(page(open_page))
    assert [len(row) for row in samples] == [10] * 8, "two models, two draws, clean and corrupted"
    assert len({picture for row in samples for picture in row}) == 80
    assert [len(row) for row in way] == [11] * 3, "three models from one picture to another"


def test_corruption_leaves_what_was_drawn(open_page):
    app = page(open_page)
    before = grids(app)[0]
    app.slider(key="corrupted_64").set_value(30).run()
    sound(app)
    after = grids(app)[0]
    assert after[::2] == before[::2]
    assert all(one != other for row, old in zip(after[1::2], before[1::2]) for one, other in zip(row, old))
    app.slider(key="corrupted_64").set_value(0).run()
    none = grids(app)[0]
    assert none[1::2] == none[::2] == before[::2]


@pytest.mark.parametrize(("element", "name", "value", "clean_too"), [
    ("segmented_control", "sampler", "per pixel", True), ("number_input", "seed", 5, True),
    ("selectbox", "noise", "over the codes", False)])
def test_each_control_draws_others(open_page, element, name, value, clean_too):
    app = page(open_page)
    before = grids(app)[0]
    getattr(app, element)(key=name).set_value(value).run()
    sound(app)
    after = grids(app)[0]
    assert all((one != other) is clean_too for one, other in zip(after[::2], before[::2]))
    assert all(one != other for one, other in zip(after[1::2], before[1::2]))


def test_draw_again_counts_the_seed_and_a_seed_gives_the_same_again(open_page):
    app = page(open_page)
    first = grids(app)[0]
    next(button for button in app.button if button.label == "Draw again").click().run()
    sound(app)
    assert app.number_input(key=state.SAMPLE_SEED).value == 1
    assert grids(app)[0] != first
    app.number_input(key=state.SAMPLE_SEED).set_value(0).run()
    assert grids(app)[0] == first


@pytest.mark.parametrize(("link", "following"), [("", 1), ("2147483647", 0), ("7", 8)])
def test_draw_again_goes_on_from_any_link(open_page, link, following):
    app = page(open_page, seed=link)
    next(button for button in app.button if button.label == "Draw again").click().run()
    sound(app)
    assert app.number_input(key=state.SAMPLE_SEED).value == following


def test_ten_samples_of_one_class(open_page):
    app = page(open_page)
    app.selectbox(key="class").set_value("7").run()
    sound(app)
    samples = grids(app)[0]
    assert [len(row) for row in samples] == [10] * 4
    assert len(set(samples[0])) == 10


def test_models_come_and_go_and_none_says_what_to_do(open_page):
    app = page(open_page)
    app.button_group(key="drawn_digits").set_value(["digits-mlp_vae"]).run()
    sound(app)
    assert len(grids(app)[0]) == 4
    assert "5 of 20 corrupted" in next(element.value for element in app.html if "sv-row" in element.value)
    app.button_group(key="drawn_digits").set_value([]).run()
    sound(app)
    assert "Choose a model" in words(app)
    assert len(grids(app)) == 1, "the way between pictures stays"


def test_the_way_leads_from_one_picked_picture_to_the_other(open_page):
    app = page(open_page)
    before = grids(app)[1]
    assert len({row[0] for row in before}) == len({row[-1] for row in before}) == 1, "the same pictures for all models"
    app.number_input(key="from_number").set_value(3).run()
    sound(app)
    after = grids(app)[1]
    for row, old in zip(after, before, strict=True):
        assert row[0] != old[0] and row[1] != old[1]
        assert row[-2:] == old[-2:], "where it leads has not changed"
    app.selectbox(key="to_class").set_value("0").run()
    assert all(row[-1] != old[-1] for row, old in zip(grids(app)[1], after, strict=True))


def test_its_ends_are_the_reconstructions():
    run = key("digits-sagvae")
    way = sampled.way(run, (3, 0), (4, 1))
    ends = np.stack([sampled.picture(run, 3, 0), sampled.picture(run, 4, 1)])
    model, x = resources.model(run), resources.dataset(run).test.clean.new_tensor(ends)[..., None]
    assert way.shape == (sampled.STEPS, 64)
    assert np.allclose(way[[0, -1]], model.reconstruct(x, expectation="inliers").flatten(1).numpy(), atol=1e-6)


def test_a_share_of_a_small_code_is_corrupted_and_all_of_it_at_the_end():
    draw = Draw("low rank", 0, 32)
    assert sampled.corrupted(key("digits-sagvae"), draw) == (32, 64)
    assert sampled.corrupted(key("digits-mlp_vae"), draw) == (10, 20)
    assert sampled.corrupted(key("digits-mlp_vae"), Draw("low rank", 0, 64)) == (20, 20)


def test_samples_look_like_their_class():
    run = key("digits-sagvae")
    test = resources.dataset(run).test
    means = np.stack([test.clean[test.labels == label].mean(0).flatten().numpy() for label in range(10)])
    drawn = sampled.pictures(run, DEFAULT, tuple(range(10)), 20)
    assert drawn.shape == (10, 20, 64)
    nearest = ((drawn[:, :, None] - means) ** 2).sum(-1).argmin(-1)
    assert (nearest == np.arange(10)[:, None]).mean() > 0.7


def test_the_judge_of_the_study_stands_beside(open_page):
    app = page(open_page)
    assert {"SAG-VAE", "VAE (A = I)"} == {metric.label for metric in app.metric}
    assert all(0 <= float(metric.value) <= 10 for metric in app.metric)
    assert "corrupted dimensions" in app.get("plotly_chart")[0].proto.spec


def test_without_a_record_it_says_how_to_make_one(open_page, monkeypatch, tmp_path):
    monkeypatch.setenv("SAGVAE_STUDIES", str(tmp_path))
    app = page(open_page)
    assert "sagvae study sampling" in words(app)
    assert len(grids(app)) == 2 and not app.metric


def test_a_damaged_record_is_a_sentence_below_the_pictures(open_page, monkeypatch, tmp_path):
    monkeypatch.setenv("SAGVAE_STUDIES", str(tmp_path))
    (tmp_path / "sampling.json").write_text("{")
    app = open_page("sampling", data="digits")
    sound(app)
    assert len(app.error) == 1 and "valid JSON" in app.error[0].value
    assert len(grids(app)) == 2


def test_figure_three_for_the_karate_club(open_page):
    app = page(open_page, data="karate")
    assert not grids(app)
    before = app.get("plotly_chart")[0].proto.spec
    for label in ("held-out rows", "per node", "per sample"):
        assert label in before
    next(button for button in app.button if button.label == "Draw again").click().run()
    sound(app)
    drawn = app.get("plotly_chart")[0].proto.spec
    assert drawn != before
    app.segmented_control(key="pattern").set_value("pattern 3").run()
    sound(app)
    assert app.get("plotly_chart")[0].proto.spec != drawn
    assert "mean of pattern 3" in words(app)


def test_positions_are_drawn_around_the_mean_of_their_pattern():
    run = key("karate-sagvae")
    data = resources.dataset(run)
    one, other = (sampled.signals(run, pattern, 3, 0) for pattern in (0, 2))
    assert one.shape == (3, 34, 2)
    assert np.allclose(one - other, (data.offsets[0] - data.offsets[2]).numpy(), atol=1e-5)
    held = sampled.held_out(run, 1, 5, 0)
    rows = data.validation.clean[data.validation.labels == 1][:5]
    assert np.allclose(held, rows.numpy() * data.scale + data.offsets[1].numpy(), atol=1e-5)
    assert not np.allclose(held, sampled.held_out(run, 1, 5, 1))


@pytest.mark.parametrize("name", ["data", "sampler", "class", "noise", "seed", "from_class", "from_number"])
def test_a_link_without_a_value_shows_the_usual(open_page, name):
    assert grids(page(open_page, **{name: ""}))


def test_a_denoising_autoencoder_has_nothing_to_draw_from(open_page):
    infos = {info.name: sampled.can_sample(info) for info in listing.run_infos()[0]}
    assert infos["digits-sagvae"] and infos["digits-mlp_vae"] and not infos["digits-dae"]


def test_an_own_run_draws_beside_the_shipped_ones(open_page, copy_run):
    copy_run("digits-identity", "mine")
    app = page(open_page)
    app.button_group(key="drawn_digits").set_value(["mine"]).run()
    sound(app)
    assert "VAE (A = I) · mine" in next(element.value for element in app.html if "sv-row" in element.value)
    assert len(grids(app)[0]) == 4
    assert "of the shipped ones" in words(app), "nobody has judged this one"


def test_a_broken_model_does_not_take_the_others_with_it(open_page, copy_run):
    folder = copy_run("digits-identity", "mine")
    shutil.copy(shipped_folder() / "karate-sagvae" / "model.safetensors", folder)
    app = open_page("sampling", data="digits", state={"drawn_digits": ["digits-sagvae", "mine"]})
    sound(app)
    assert app.error
    assert len(grids(app)[0]) == 4 and len(grids(app)[1]) == 3


def test_missing_files_are_said_and_where_to_get_them(open_page, monkeypatch, tmp_path):
    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path))
    app = open_page("sampling", data="mnist")
    sound(app)
    assert "SAGVAE_DATA" in app.warning[0].value and "Robustness" in app.warning[0].value
    assert not grids(app)
    assert grids(page(open_page, data=""))


@pytest.mark.skipif(not dataset_available("mnist") or not (shipped_folder() / "mnist-sagvae").is_dir(),
                    reason="MNIST (set SAGVAE_DATA) or its shipped models are not here")
def test_what_a_median_filter_leaves_of_the_difference(open_page):
    app = page(open_page, data="mnist")
    before = {metric.label: float(metric.value) for metric in app.metric}
    assert before["SAG-VAE"] >= 9
    app.segmented_control(key="judged").set_value("_filtered").run()
    sound(app)
    after = {metric.label: float(metric.value) for metric in app.metric}
    assert after["VAE (A = I)"] > before["VAE (A = I)"]
