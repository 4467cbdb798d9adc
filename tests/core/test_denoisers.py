"""Classical filters: they clean a noisy picture, keep range, shape and order, and say what is wrong or missing."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys

import pytest
import torch

from sagvae_core.data import dataset_available, load_dataset
from sagvae_core.denoisers import DENOISERS, Denoiser, tune
from sagvae_core.errors import SagvaeError
from sagvae_core.perturbations import uniform_noise

SHAPE = (12, 10)
HALF = Denoiser("half", "Half", "share kept", (0.25, 0.5, 1.0), lambda picture, strength: strength * picture)

needs_scikit_image = pytest.mark.skipif(importlib.util.find_spec("skimage") is None,
                                        reason="scikit-image is not installed")
every_filter = pytest.mark.parametrize("denoiser", DENOISERS.values(), ids=DENOISERS.keys())


def pictures(count: int = 4) -> torch.Tensor:
    """Bright rectangles on black, each at another place."""
    x = torch.zeros(count, *SHAPE)
    for index in range(count):
        x[index, 1 + index:8 + index, 2:8] = 0.9
    return x.reshape(count, -1, 1)


def noisy(x: torch.Tensor) -> torch.Tensor:
    return uniform_noise(x, 20, seed=1).x


# ---------------------------------------------------------------------- the filters

@needs_scikit_image
@every_filter
def test_the_tuned_filter_is_closer_to_the_clean_picture_than_the_noise_is(denoiser):
    clean = pictures()
    strength = tune(denoiser, noisy(clean), clean, SHAPE)
    assert strength in denoiser.strengths
    unseen = uniform_noise(clean, 20, seed=2).x
    filtered = denoiser.apply(unseen, SHAPE, strength)
    assert (filtered - clean).square().mean() < 0.8 * (unseen - clean).square().mean()


@needs_scikit_image
@every_filter
def test_shape_type_and_range_stay_and_the_input_is_left_alone(denoiser):
    for x in (noisy(pictures()), noisy(pictures()).double(), torch.zeros(2, 120, 1), torch.ones(1, 120, 1)):
        before = x.clone()
        for strength in denoiser.strengths:
            filtered = denoiser.apply(x, SHAPE, strength)
            assert (filtered.shape, filtered.dtype) == (x.shape, x.dtype)
            assert filtered.min() >= 0 and filtered.max() <= 1
        assert torch.equal(x, before)
    assert denoiser.apply(torch.zeros(0, 120, 1), SHAPE, denoiser.strengths[0]).shape == (0, 120, 1)


@needs_scikit_image
@every_filter
def test_every_picture_is_filtered_by_itself_and_the_same_way_each_time(denoiser):
    x, strength = noisy(pictures()), denoiser.strengths[-2]
    together = denoiser.apply(x, SHAPE, strength)
    alone = torch.cat([denoiser.apply(row[None], SHAPE, strength) for row in x])
    assert torch.equal(together, alone)
    assert not torch.equal(together, x)


@needs_scikit_image
@every_filter
def test_a_mirrored_picture_is_filtered_to_the_mirror_image(denoiser):
    x, strength = noisy(pictures()).view(-1, *SHAPE), denoiser.strengths[3]
    straight = denoiser.apply(x.reshape(len(x), -1, 1), SHAPE, strength).view(-1, *SHAPE)
    mirrored = denoiser.apply(x.transpose(1, 2).reshape(len(x), -1, 1), SHAPE[::-1], strength).view(-1, *SHAPE[::-1])
    assert torch.allclose(mirrored.transpose(1, 2), straight, atol=1e-5)


@needs_scikit_image
@every_filter
def test_strengths_go_from_weak_to_strong(denoiser):
    assert denoiser.strengths == tuple(sorted(set(denoiser.strengths)))
    x = noisy(pictures())
    changes = [(denoiser.apply(x, SHAPE, strength) - x).square().mean()
               for strength in (denoiser.strengths[0], denoiser.strengths[-1])]
    assert changes[0] < changes[1]


@needs_scikit_image
def test_a_median_of_radius_one_and_a_half_is_the_usual_three_by_three():
    picture = torch.rand(1, 5, 5, generator=torch.Generator().manual_seed(0))
    filtered = DENOISERS["median"].apply(picture.reshape(1, 25, 1), (5, 5), 1.5).view(5, 5)
    assert filtered[2, 2] == picture[0, 1:4, 1:4].median()
    cross = DENOISERS["median"].apply(picture.reshape(1, 25, 1), (5, 5), 1.0).view(5, 5)
    assert cross[2, 2] == torch.cat([picture[0, 1:4, 2], picture[0, 2, [1, 3]]]).median()


@needs_scikit_image
@pytest.mark.parametrize("shape", [(8, 8), (3, 4), (1, 6), (1, 1)])
def test_small_pictures_are_filtered_too(shape):
    x = torch.rand(2, shape[0] * shape[1], 1, generator=torch.Generator().manual_seed(0))
    for denoiser in DENOISERS.values():
        assert torch.isfinite(denoiser.apply(x, shape, denoiser.strengths[2])).all(), denoiser.title


@needs_scikit_image
@every_filter
def test_real_digits_get_cleaner(denoiser):
    if not dataset_available("mnist"):
        pytest.skip("no mnist files: set SAGVAE_DATA to a folder that has them")
    clean = load_dataset("mnist").validation.clean[:40]
    x = uniform_noise(clean, 200, seed=0).x
    filtered = denoiser.apply(x, (28, 28), tune(denoiser, x, clean, (28, 28)))
    assert (filtered - clean).square().mean() < 0.5 * (x - clean).square().mean()


# ---------------------------------------------------------------------- choosing the strength

def test_tuning_takes_the_smallest_error_and_the_weakest_of_equals():
    x = pictures()
    assert tune(HALF, x, x / 2, SHAPE) == 0.5
    assert tune(HALF, x, x, SHAPE) == 1.0
    assert tune(HALF, torch.zeros_like(x), x, SHAPE) == 0.25


def test_what_leaves_the_range_by_rounding_is_brought_back():
    wild = dataclasses.replace(HALF, _filter=lambda picture, strength: picture * 3 - 1)
    filtered = wild.apply(pictures(), SHAPE, 1.0)
    assert set(filtered.unique().tolist()) == {0.0, 1.0}


# ---------------------------------------------------------------------- what is refused

@pytest.mark.parametrize(("x", "shape", "strength", "message"), [
    (torch.zeros(2, 120), SHAPE, 1.0, "x must be a floating point tensor of shape (B, N, 1), got torch.float32 of "
                                      "shape (2, 120)."),
    (torch.zeros(2, 120, 3), SHAPE, 1.0, "x must be a floating point tensor of shape (B, N, 1), got"),
    (torch.zeros(2, 120, 1).long(), SHAPE, 1.0, "x must be a floating point tensor of shape (B, N, 1), got torch.int"),
    ([[0.0]], SHAPE, 1.0, "x must be a floating point tensor of shape (B, N, 1), got list."),
    (torch.zeros(2, 120, 1), (12, 11), 1.0, "image_shape must be (height, width) with height * width = 120 nodes, got "
                                            "(12, 11)."),
    (torch.zeros(2, 120, 1), (-12, -10), 1.0, "image_shape must be (height, width)"),
    (torch.zeros(2, 120, 1), (120,), 1.0, "image_shape must be (height, width)"),
    (torch.full((2, 120, 1), 255.0), SHAPE, 1.0, "x must be in [0, 1] everywhere, got a value outside, NaN or "
                                                 "infinity. Scale the pictures"),
    (torch.full((2, 120, 1), float("nan")), SHAPE, 1.0, "x must be in [0, 1] everywhere"),
    (torch.zeros(2, 120, 1), SHAPE, 0, "strength (radius in pixels) must be in (0, 100), got 0."),
    (torch.zeros(2, 120, 1), SHAPE, float("nan"), "strength (radius in pixels) must be in (0, 100), got nan."),
])
def test_wrong_input_is_a_sentence(x, shape, strength, message):
    with pytest.raises(SagvaeError) as caught:
        DENOISERS["median"].apply(x, shape, strength)
    assert str(caught.value).startswith(message)


def test_wrong_pictures_to_tune_on_are_a_sentence():
    x = pictures()
    with pytest.raises(SagvaeError, match=r"clean must be of the shape of perturbed, \(4, 120, 1\), got \(3, 120, 1\)"):
        tune(HALF, x, x[:3], SHAPE)
    with pytest.raises(SagvaeError, match=r"clean must be in \[0, 1\] everywhere"):
        tune(HALF, x, x + 1, SHAPE)
    with pytest.raises(SagvaeError, match="perturbed must be at least one picture, got none"):
        tune(HALF, x[:0], x[:0], SHAPE)


@every_filter
def test_a_missing_library_is_a_sentence_with_the_remedy(denoiser, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "skimage"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(SagvaeError) as caught:
        denoiser.apply(pictures(), SHAPE, 1.0)
    message = str(caught.value)
    assert message.startswith("scikit-image must be installed for the classical filters, got No module named ")
    assert message.endswith("Run `pip install scikit-image`.")


def test_a_description_is_frozen_and_says_what_its_strength_is():
    for name, denoiser in DENOISERS.items():
        assert denoiser.name == name and denoiser.title and denoiser.strength_name
        with pytest.raises(dataclasses.FrozenInstanceError):
            denoiser.title = "other"
