"""The robustness lab without a browser: every kind of damage, present mode, the sweep, a person's own pictures."""

from __future__ import annotations

import numpy as np
import pytest
from reading import picture_rows, sound, words

from dashboard import damage_controls, listing, pictures, spoiled, state, waiting
from sagvae_core.data import dataset_available
from sagvae_core.runs import shipped_folder

# What to move for another picture, by kind: element type, key, a value unlike the first one.
CONTROLS = {
    "uniform": ("slider", "pixels_64", 40), "salt_pepper": ("slider", "pixels_64", 40),
    "gaussian": ("slider", "sigma", 0.4), "block": ("slider", "size_64", 4), "blocks": ("slider", "count", 6),
    "rotated": ("select_slider", "angle", 45), "stripes": ("segmented_control", "direction", "vertical"),
    "contrast": ("slider", "contrast", 0.9),
}


def lab(open_page, state: dict | None = None, **query: str):
    app = open_page("robustness", state=state, **({"data": "digits"} | query))
    sound(app)
    assert not app.error
    return app


def test_the_controls_know_every_kind_of_damage():
    assert set(CONTROLS) == set(damage_controls.KINDS)


@pytest.mark.parametrize("kind", damage_controls.KINDS)
def test_every_kind_damages_and_its_control_changes_how(open_page, kind):
    app = lab(open_page)
    app.segmented_control(key="kind").set_value(kind).run()
    sound(app)
    rows = picture_rows(app)
    assert rows[0][1] != rows[-1][1], "the input is damaged"
    element, key, value = CONTROLS[kind]
    getattr(app, element)(key=key).set_value(value).run()
    sound(app)
    moved = picture_rows(app)
    assert moved[0][1] != rows[0][1]
    assert moved[1][1] != rows[1][1], "and so is what a model makes of it"
    assert moved[-1] == rows[-1], "the originals stay"


@pytest.mark.parametrize("key", ["kind", "data", "fill", "place"])
def test_a_link_without_a_value_shows_the_usual(open_page, key):
    app = lab(open_page, **{key: ""})
    assert picture_rows(app)


def test_a_link_leads_to_the_same_lab(open_page):
    app = lab(open_page, pixels_64="40", errors="true")
    assert app.slider(key="pixels_64").value == 40
    assert app.toggle(key="errors").value
    same = lab(open_page)
    same.slider(key="pixels_64").set_value(40).run()
    assert picture_rows(app)[0] == picture_rows(same)[0]
    app = lab(open_page, kind="Turned block", angle="45°", size_64="3", fill="black")
    assert (app.select_slider(key="angle").value, app.slider(key="size_64").value) == (45, 3)


@pytest.mark.parametrize("value", ["", "999", "-1", "many", "nan", "3.7"])
def test_a_link_with_a_strength_that_is_none_shows_the_usual(open_page, value):
    app = lab(open_page, pixels_64=value, errors=value)
    assert picture_rows(app)
    assert 0 <= app.slider(key="pixels_64").value <= 64
    app = lab(open_page, kind="Gaussian", sigma=value)
    assert picture_rows(app)
    app = lab(open_page, kind="Turned block", angle=value)
    assert picture_rows(app)


@pytest.mark.skipif(not dataset_available("mnist"), reason="no mnist files: set SAGVAE_DATA")
def test_masks_are_first_shown_to_those_who_learned_from_masks(open_page):
    app = lab(open_page, data="mnist")
    assert set(app.pills(key="models_mnist").value) == {"mnist-identity", "mnist-sagvae"}
    assert f"Means over {spoiled.BATCH} held-out images" in words(app)
    app.segmented_control(key="kind").set_value("rotated").run()
    sound(app)
    assert set(app.pills(key="models_mnist-block").value) == {"mnist-block-identity", "mnist-block-sagvae"}
    assert f"Means over {spoiled.FEW} held-out images" in words(app), "who looks for regions takes long for each"
    app.pills(key="models_mnist-block").set_value(["mnist-sagvae"]).run()
    sound(app)
    assert f"Means over {spoiled.BATCH} held-out images" in words(app)


def test_nothing_to_repair_is_no_loss(open_page):
    app = lab(open_page)
    app.slider(key="pixels_64").set_value(0).run()
    sound(app)
    assert app.metric[0].value == "unchanged"
    assert {metric.delta for metric in app.metric[1:]} == {"nothing to repair"}


def test_a_block_turned_by_nothing_is_a_block(open_page):
    app = lab(open_page, state={"kind": "rotated", "place": "centre", "angle": 0, "fill": "white"})
    turned = picture_rows(app)[0]
    app.segmented_control(key="kind").set_value("block").run()
    sound(app)
    app.selectbox(key="place").set_value("centre").run()
    assert picture_rows(app)[0] == turned


def test_present_mode_shows_fewer_pictures_and_leads_back(open_page):
    app = lab(open_page)
    usual = picture_rows(app)
    next(button for button in app.button if button.label == "Present").click().run()
    sound(app)
    large = picture_rows(app)
    assert {len(pictures) for _, pictures in large} == {8}
    assert large[0][1] == usual[0][1][:8], "the same damage on the same images"
    next(button for button in app.button if button.label == "Leave").click().run()
    sound(app)
    assert picture_rows(app) == usual


def test_the_sweep_shows_every_model_against_strength(open_page):
    app = lab(open_page)
    assert not app.get("plotly_chart")
    app.toggle(key="sweep").set_value(True).run()
    sound(app)
    before = app.get("plotly_chart")[0].proto.spec
    for title in ("Perturbed, as it is", "SAG-VAE", "noisy pixels"):
        assert title in before
    app.segmented_control(key="swept").set_value("ssim").run()
    sound(app)
    assert app.get("plotly_chart")[0].proto.spec != before


def test_who_has_moved_on_waits_for_no_average(open_page, monkeypatch):
    app = lab(open_page)
    app.toggle(key="sweep").set_value(True).run()
    full = [metric.label for metric in app.metric]
    with monkeypatch.context() as patched:
        def overtaken():
            raise waiting.Overtaken

        patched.setattr(waiting, "give_way", overtaken)
        app.slider(key="pixels_64").set_value(20).run()
        sound(app)
        assert [metric.label for metric in app.metric] == full
        assert {metric.value for metric in app.metric} == {"…"}
        assert picture_rows(app), "the pictures are there"
        assert not app.get("plotly_chart")
        assert app.toggle(key="sweep").value, "and no widget has lost what it was set to"
        assert len(app.get("download_button")) == 2
    app.slider(key="pixels_64").set_value(24).run()
    sound(app)
    assert all(metric.value.endswith("dB") for metric in app.metric)
    assert app.get("plotly_chart")


def test_what_is_quick_does_not_wait_for_what_takes_long(open_page, monkeypatch):
    app = lab(open_page)
    drawn = []
    grid = pictures.comparison_grid
    monkeypatch.setattr(pictures, "comparison_grid", lambda rows, *args, **options: drawn.append(rows) or grid(
        rows, *args, **options))
    app.toggle(key="errors").set_value(True).run()
    drawn.clear()
    names = [label for label, _ in picture_rows(app)]
    key = next(info.key for info in listing.run_infos()[0] if info.name == "digits-sagvae")
    monkeypatch.setattr(spoiled, "takes_long", lambda asked: asked == key)
    app.slider(key="pixels_64").set_value(21).run()
    sound(app)
    first, last = drawn
    assert [row.label for row in first] == [row.label for row in last] == names, "nobody changes places"
    assert [row.label for row in first if row.waiting] == ["SAG-VAE", "error"]
    assert not any(row.waiting for row in last)
    assert [label for label, _ in picture_rows(app)] == names


mnist = pytest.mark.skipif(not dataset_available("mnist") or not (shipped_folder() / "mnist-sagvae").is_dir(),
                           reason="MNIST (set SAGVAE_DATA) or its shipped models are not here")


@mnist
def test_a_kept_drawing_is_spoiled_and_repaired(open_page):
    mine = np.zeros((28, 28))
    mine[6:22, 12:16] = 1
    app = lab(open_page, data="mnist", state={"source": "your own", state.OWN: [spoiled.own_picture(mine)]})
    rows = picture_rows(app)
    assert {len(pictures) for _, pictures in rows} == {1}
    assert rows[0][1] != rows[-1][1]
    next(button for button in app.button if button.label == "Remove the kept drawings").click().run()
    sound(app)
    assert app.info and "Draw a digit" in app.info[0].value
    assert not any("sv-row" in element.value for element in app.html)


@mnist
def test_an_upload_that_is_no_digit_is_a_sentence(open_page):
    app = lab(open_page, data="mnist", state={"source": "your own"})
    app.file_uploader(key="uploads").set_value([("cat.png", b"not a picture", "image/png")]).run()
    sound(app)
    assert len(app.error) == 1
    assert "must be" in app.error[0].value
    assert app.info, "and what to do stands there still"
