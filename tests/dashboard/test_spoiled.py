"""Spoiled pictures: the same damage for every model, means over a batch that nothing moves, files to take away."""

from __future__ import annotations

import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dashboard import comparison_files, damage_controls, figures_robustness, listing, resources, spoiled, waiting
from dashboard.pictures import Row
from dashboard.spoiled import Shown
from sagvae_core.config import PerturbationConfig
from sagvae_core.data import load_dataset
from sagvae_core.metrics import reconstruction_scores, summarise
from sagvae_core.perturbations import with_strength
from sagvae_core.runs import Run, shipped_folder

NOISE = PerturbationConfig("uniform", pixels=16)
BLOCK = PerturbationConfig("block", size=3, value=None)


@pytest.fixture
def keys() -> tuple[str, str]:
    infos = {info.name: info.key for info in listing.run_infos()[0]}
    return infos["digits-sagvae"], infos["digits-identity"]


@pytest.mark.parametrize("damage", [NOISE, BLOCK], ids=["noise", "block"])
def test_every_model_sees_exactly_the_same_damage(keys, damage, monkeypatch, cold_caches):
    seen = {}
    for key in keys:
        model = resources.model(key)
        monkeypatch.setattr(model, "reconstruct", lambda x, key=key: seen.setdefault(key, x.clone()))
        spoiled.pictures(key, damage, 3, Shown(20))
    torch.testing.assert_close(seen[keys[0]], seen[keys[1]], rtol=0, atol=0)
    hurt = spoiled.pictures(keys[0], damage, 3, Shown(20), repair=False).images
    np.testing.assert_array_equal(hurt, seen[keys[0]].flatten(1).numpy())
    assert (hurt != spoiled.clean(keys[0], Shown(20))).any(1).all()


def test_another_seed_is_another_damage(keys):
    one, other, again = (spoiled.pictures(keys[0], NOISE, seed, Shown(), repair=False).images for seed in (0, 1, 0))
    assert (one != other).any(1).all()
    np.testing.assert_array_equal(one, again)


def test_the_last_images_are_followed_by_the_first(keys):
    test = load_dataset("digits").test.clean.flatten(1).numpy()
    np.testing.assert_array_equal(spoiled.clean(keys[0], Shown(len(test) - 4, 10)),
                                  np.concatenate([test[-4:], test[:6]]))


def test_own_pictures_take_the_place_of_the_held_out_ones(keys):
    mine = np.linspace(0, 1, 64).reshape(8, 8)
    shown = Shown(own=(spoiled.own_picture(mine), spoiled.own_picture(1 - mine)))
    np.testing.assert_allclose(spoiled.clean(keys[0], shown), [mine.ravel(), 1 - mine.ravel()], atol=0.5 / 255 + 1e-6)
    answer = spoiled.pictures(keys[0], NOISE, 0, shown)
    assert answer.images.shape == (2, 64) and len(answer.scores) == 2


def test_scores_are_those_of_the_shown_and_of_the_batch(keys):
    clean, hurt = spoiled.clean(keys[0], Shown()), spoiled.pictures(keys[0], NOISE, 0, Shown(), repair=False)
    answer = spoiled.pictures(keys[0], NOISE, 0, Shown())
    assert answer.images.shape == (10, 64)
    assert len(answer.scores) == len(hurt.scores) == 10
    model = Run(shipped_folder() / "digits-sagvae").load_model()
    original, inputs = (torch.from_numpy(part).unsqueeze(-1) for part in (clean, hurt.images))
    repaired = model.reconstruct(inputs)
    np.testing.assert_allclose(answer.images, repaired.flatten(1).numpy(), atol=1e-6)
    assert answer.scores[4]["mse_clean"] == pytest.approx(
        float(reconstruction_scores(repaired, original, (8, 8))["mse_clean"][4]), rel=1e-5)
    mean, untouched = (spoiled.mean_scores(keys[0], NOISE, 0, repair=repair) for repair in (True, False))
    batch = resources.dataset(keys[0]).test.clean[:spoiled.BATCH]
    from sagvae_core.perturbations import perturb

    expected = summarise(reconstruction_scores(model.reconstruct(perturb(batch, NOISE, (8, 8), 0).x), batch, (8, 8)))
    assert mean == pytest.approx(expected, rel=1e-5)
    assert mean["mse_clean"] < untouched["mse_clean"]


def test_the_mean_comes_in_parts_that_can_be_left_and_taken_up_again(keys):
    count, asked = 21, []
    whole = spoiled.mean_scores(keys[0], NOISE, 3, count)
    one_by_one = [spoiled._scores(keys[0], NOISE, 3, count, start, 1, True) for start in range(count)]
    for name, value in whole.items():
        assert value == pytest.approx(np.mean([float(scores[name]) for scores in one_by_one]), rel=1e-5), name

    def leave_after_two():
        asked.append(None)
        if len(asked) == 3:
            raise waiting.Overtaken

    with pytest.raises(waiting.Overtaken):
        spoiled.mean_scores(keys[0], NOISE, 4, count, between=leave_after_two)
    assert spoiled.mean_scores(keys[0], NOISE, 4, count) != whole


def test_a_waiting_rerun_is_noticed_and_nothing_else(monkeypatch):
    from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests

    requests = ScriptRequests()
    context = SimpleNamespace(script_requests=requests, fragment_ids_this_run=["lab"])
    monkeypatch.setattr(waiting, "get_script_run_ctx", lambda **_: context)
    waiting.give_way()
    requests.request_rerun(RerunData(fragment_id="lab"))
    assert requests.on_scriptrunner_yield() is None, "Streamlit itself would let it wait: what give_way is for"
    with pytest.raises(waiting.Overtaken):
        waiting.give_way()
    context.fragment_ids_this_run = None
    assert waiting.draws_the_whole_page()
    waiting.give_way()  # the whole page is drawn to its end
    context.fragment_ids_this_run = ["lab"]
    requests.on_scriptrunner_ready()
    waiting.give_way()
    monkeypatch.setattr(waiting, "get_script_run_ctx", lambda **_: None)  # outside of a page
    waiting.give_way()


@pytest.mark.parametrize("kind", damage_controls.KINDS)
def test_a_sweep_has_an_axis_that_grows(kind):
    damage = PerturbationConfig(kind, pixels=16)
    values = [damage_controls.strength(with_strength(damage, share, 64, (8, 8))) for share in (0, 0.5, 1)]
    assert values[0] == 0 and values[0] < values[1] < values[2]
    assert damage_controls.strength_words(kind)


def test_sweep_draws_a_mean_and_a_band():
    line = figures_robustness.Line("SAG-VAE", np.array([[1.0, 3.0], [5.0, 9.0]]), ours=True)
    untouched = figures_robustness.Line("as it is", np.array([[2.0, 2.0], [0.0, 0.0]]), reference=True)
    figure = figures_robustness.sweep([0, 7], [line, untouched], "side", "PSNR", current=3.5)
    bands, means = figure.data[::2], figure.data[1::2]
    assert [trace.name for trace in means] == ["as it is", "SAG-VAE"], "ours is drawn last, over the others"
    assert list(means[1].y) == [2, 7]
    assert list(bands[1].y) == [3, 9, 5, 1]
    assert figure.layout.shapes[0].x0 == 3.5


def test_the_comparison_as_a_picture():
    rng = np.random.default_rng(0)
    images = rng.random((3, 16))
    scores = [{"MSE": 0.01, "PSNR": 20.0}] * 3
    rows = [Row("Perturbed", images, scores=scores), Row("error", images - 0.5, errors=True), Row("Original", images)]
    picture = Image.open(io.BytesIO(comparison_files.png(rows, (4, 4), "digits, noise")))
    width, height = picture.size
    assert width > 3 * 140 and height > 3 * 140
    pixels = np.asarray(picture)
    assert {tuple(pixel) for pixel in pixels[:5, :5].reshape(-1, 3)} == {(255, 255, 255)}
    assert (pixels[:40] < 128).any(), "the title is written"
    greys = {tuple(pixel) for pixel in pixels.reshape(-1, 3)}
    assert {(value, value, value) for value in np.round(images * 255).astype(int).ravel()} <= greys


def test_the_numbers_as_a_table():
    text = comparison_files.csv_text("uniform, noisy pixels: 16", 4, [
        ("=VAE", [{"mse_clean": 0.25}, {"mse_clean": 0.5}], {"mse_clean": 0.375})], 64)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["picture"] for row in rows] == ["1", "2", "mean of 64 test images"]
    assert [float(row["value"]) for row in rows] == [0.25, 0.5, 0.375]
    assert {row["model"] for row in rows} == {"'=VAE"}, "no spreadsheet may take a name for a formula"
    assert {row["draw"] for row in rows} == {"4"}
