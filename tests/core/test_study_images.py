"""The study of damaged images: its quick form from the shell, what it measures, and who is ahead on real noise."""

from __future__ import annotations

import itertools

import pytest
import torch
from click.testing import CliRunner

from sagvae_core.cli import cli
from sagvae_core.data import DATASETS, dataset_available, load_dataset
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import MODELS
from sagvae_core.runs import Run, shipped_folder
from sagvae_core.studies import images
from sagvae_core.studies.cells import Cell
from sagvae_core.studies.image_methods import (
    DAMAGES,
    FILTERS,
    INPUT,
    MEAN_IMAGE,
    METHODS,
    OURS,
    SAME_RULE,
    config_of,
    damage,
    pictures,
    repairer,
    trained,
)
from sagvae_core.studies.images import EDGES, TRAINING, image_rows, plan, task_name, together
from sagvae_core.studies.reading import read_record, table

NOISE, WHITE, CLEAN = "trained on noise", "trained on white blocks", "trained on clean images"
ALONE = f"{OURS}, decoder alone"


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "quick.json"
    done = CliRunner().invoke(cli, ["study", "images", "--quick", "--quiet", "--test-images", "40", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith(str(out))
    return read_record(out)


def test_the_quick_study_puts_every_method_on_every_damage(record):
    assert (record["study"], record["command"], record["seeds"]) == ("images", "sagvae study images --quick", [0])
    assert not any("Not measured" in note or "Not finished" in note for note in record["notes"])
    errors = table(record, "mse_clean")
    assert set(errors) == {task_name("digits", what) for what in (*DAMAGES, TRAINING)}
    for what in DAMAGES:
        found = errors[task_name("digits", what)]
        assert {(INPUT, ""), *((title, "") for title in FILTERS), (MEAN_IMAGE, NOISE), (OURS, NOISE), (OURS, WHITE),
                (OURS, CLEAN), (ALONE, NOISE), (SAME_RULE, WHITE), (MODELS["identity"], CLEAN),
                (MODELS["conv_dae"], NOISE), (MODELS["dae"], NOISE)} <= set(found)
    counts = table(record, "test_images")
    assert {mean for found in counts.values() for mean, _, _ in found.values()} == {40}


def test_trivial_rows_are_what_they_say(record):
    noise, undamaged = task_name("digits", "noise"), task_name("digits", "undamaged")
    assert table(record, "mse_perturbed")[noise][INPUT, ""][0] == 0
    assert table(record, "mse_clean")[undamaged][INPUT, ""][0] == 0
    assert table(record, "ssim")[undamaged][INPUT, ""][0] == pytest.approx(1)
    mean = load_dataset("digits").train.clean.mean(0)
    by_hand = (load_dataset("digits").test.clean[:40] - mean).square().mean()
    assert table(record, "mse_clean")[noise][MEAN_IMAGE, CLEAN][0] == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_shipped_model_repairs_noise_and_is_no_copy_of_its_input(record):
    error = table(record, "mse_clean")[task_name("digits", "noise")]
    ours = error[OURS, NOISE][0]
    assert ours < 0.6 * error[MODELS["identity"], NOISE][0] < error[INPUT, ""][0]
    assert all(ours < error[title, ""][0] for title in FILTERS)
    assert error[ALONE, NOISE] != error[OURS, NOISE]
    hidden = table(record, "hidden_log_likelihood")
    assert set(hidden[task_name("digits", "noise")]) == {(OURS, NOISE), (SAME_RULE, NOISE)}
    assert hidden[task_name("digits", "noise")][OURS, NOISE][0] > hidden[task_name("digits", "noise")][
        SAME_RULE, NOISE][0], "neighbours tell more than a pixel's own histogram"


def test_learned_edges_join_neighbours(record):
    edges = task_name("digits", EDGES)
    near, chance = (table(record, f"{name}_1")[edges][OURS, NOISE][0] for name in ("within", "chance_within"))
    assert near > 2 * chance > 0
    assert table(record, "within_1")[edges][OURS, NOISE] <= table(record, "within_3")[edges][OURS, NOISE]


def test_figure_six_has_both_errors_along_the_training(record):
    found = {metric: table(record, metric)[task_name("digits", TRAINING)] for metric in ("mse_clean", "mse_perturbed")}
    for method in (OURS, MODELS["identity"]):
        seen = [int(setting.split()[0]) for name, setting in found["mse_clean"] if name == method]
        assert len(seen) > 3 and seen == sorted(seen)
        for metric in found:  # four epochs of 256 pictures teach nothing: moving is all there is to see
            errors = [found[metric][method, f"{count} images seen"][0] for count in seen]
            assert len(set(errors)) == len(errors) and 0.005 < min(errors) < max(errors) < 0.3


def test_a_share_of_pixels_is_damaged_whatever_the_size():
    assert damage("noise", "mnist").pixels == 200 and damage("noise", "digits").pixels == 16
    assert damage("white block", "fashion").size == 7 and damage("white block", "digits").size == 2
    assert damage("white stripes", "mnist").count == 3 and damage("white stripes", "digits").count == 1
    assert damage("three white blocks", "digits").count == 3


def test_a_seed_draws_the_damage_and_not_the_pictures():
    one, other = (pictures("digits", "noise", "test", seed, 20) for seed in (1, 2))
    assert torch.equal(one.clean, other.clean) and not torch.equal(one.damaged, other.damaged)
    assert config_of("digits", METHODS[OURS], NOISE, 3).train.seed == config_of(
        "digits", METHODS[OURS], NOISE, 3).data.seed == 3


def test_seed_zero_takes_the_shipped_run_and_other_settings_never_do():
    shipped = Run(shipped_folder() / "digits-sagvae").load_model()
    found = trained("digits", "sagvae", (), NOISE, 0, False).model
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in shipped.state_dict().items())
    assert trained("digits", "sagvae", (), NOISE, 1, True).model.state_dict().keys() == shipped.state_dict().keys()
    assert not torch.equal(trained("digits", "sagvae", (), NOISE, 1, True).model.posterior_pairs,
                           shipped.posterior_pairs)


def test_the_recipes_of_the_settings_are_those_of_the_shipped_runs():
    for name in ("mnist-sagvae", "mnist-identity", "mnist-dae", "mnist-mlp_vae", "mnist-block-sagvae",
                 "mnist-block-identity", "mnist-clean-sagvae", "mnist-clean-identity", "fashion-sagvae"):
        config = Run(shipped_folder() / name).config
        setting = {"block": WHITE, "clean": CLEAN}.get(name.split("-")[1], NOISE)
        own = config_of(config.data.name, METHODS[OURS if config.role == "sagvae" else MODELS[config.role]], setting, 0)
        assert (own.data, own.model, own.train) == (config.data, config.model, config.train), name


def test_every_method_can_be_built_for_every_setting_of_the_plan():
    for cell in plan(("digits",), (0,)):
        if cell.method in METHODS and TRAINING not in cell.task:
            for name in images.IMAGE_SETS:
                config_of(name, METHODS[cell.method], cell.setting, cell.seed)


def test_the_plan_has_every_cell_once_and_those_of_a_training_side_by_side():
    cells = list(plan(("digits",), (0, 1), quick=False))
    assert len(cells) == len(set(cells))
    keys = [together(cell) for cell in cells if cell.method in METHODS]
    runs = [key for key, _ in itertools.groupby(keys)]
    assert len(runs) == len(set(runs)), "a training would be made twice"
    places = {key: max(index for index, cell in enumerate(cells) if (cell.method, cell.setting, cell.seed) == key)
              for key in ((OURS, CLEAN, 0), (OURS, NOISE, 1), (OURS, CLEAN, 1), ("tried: 2 layers", NOISE, 0))}
    assert list(places.values()) == sorted(places.values()), "what the claims rest on comes first"


def test_filters_are_tuned_on_the_damage_they_meet():
    x = pictures("digits", "noise", "test", 0, 5).damaged
    gaussian = next(title for title in FILTERS if title.startswith("Gaussian"))
    for what in ("noise", "undamaged"):
        repaired = repairer("digits", what, gaussian, "", 0, False)(x)
        assert repaired.shape == x.shape
        assert (repaired - x).abs().mean() > 0.02 if what == "noise" else (repaired - x).abs().mean() < 0.02


def test_bad_requests_are_sentences(tmp_path):
    with pytest.raises(SagvaeError, match="dataset must be one of 'mnist', 'fashion', 'digits', got 'karate'"):
        images.images_study(tmp_path / "a.json", ("karate",))
    with pytest.raises(SagvaeError, match="test_images must be at least 1, got 0"):
        images.images_study(tmp_path / "a.json", ("digits",), test_images=0)


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_on_real_noise_the_shipped_model_is_ahead_of_who_saw_clean_images(name):
    if not dataset_available(name):
        pytest.skip(f"no {name} files: set SAGVAE_DATA to a folder that has them")
    cells = [Cell(task_name(name, "noise"), method, setting, 0) for method, setting in (
        (OURS, NOISE), (MODELS["dae"], NOISE), (MODELS["identity"], NOISE), (INPUT, ""))]
    found = image_rows(cells, test_images=100)
    values = {(row["method"], row["metric"]): row["mean"] for row in found}
    assert values[OURS, "mse_clean"] < values[MODELS["dae"], "mse_clean"] < values[INPUT, "mse_clean"]
    assert values[OURS, "ssim"] > values[MODELS["dae"], "ssim"]
    assert values[OURS, "psnr"] > values[MODELS["identity"], "psnr"] + 8
    assert values[OURS, "test_images"] == 100 and DATASETS[name].title in found[0]["task"]
