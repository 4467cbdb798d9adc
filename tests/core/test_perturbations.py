"""What is damaged, how much of it, and that nothing else moves: what holds for every kind, and the noises."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools

import pytest
import torch

from sagvae_core import damage
from sagvae_core.config import PerturbationConfig
from sagvae_core.config_data import PERTURBATIONS
from sagvae_core.errors import SagvaeError
from sagvae_core.perturbations import (
    Perturbed,
    block_mask,
    check_perturbation,
    gaussian_noise,
    perturb,
    reduce_contrast,
    salt_and_pepper,
    uniform_noise,
    with_strength,
)

# One of each kind that draws random numbers, on 8 x 8 pictures.
RANDOM = {
    "uniform": PerturbationConfig("uniform", pixels=30),
    "salt_pepper": PerturbationConfig("salt_pepper", pixels=30),
    "gaussian": PerturbationConfig("gaussian"),
    "block": PerturbationConfig("block", size=3, value=None),
    "blocks": PerturbationConfig("blocks", size=3, value=None),
    "rotated": PerturbationConfig("rotated", size=3, value=None),
    "stripes": PerturbationConfig("stripes", width=2, value=None),
    "stripes, one offset drawn": PerturbationConfig("stripes", count=1, width=3, value=None, direction="vertical"),
}
EVERYWHERE = ("gaussian", "contrast")


def rows(count: int = 6, nodes: int = 784, channels: int = 1) -> torch.Tensor:
    """Values outside [0, 1], so that no draw can be mistaken for an original."""
    return pictures(count, nodes, channels) + 5


def pictures(count: int = 6, nodes: int = 784, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, nodes, channels, generator=torch.Generator().manual_seed(99))


def same(one: Perturbed, other: Perturbed) -> bool:
    return torch.equal(one.x, other.x) and torch.equal(one.damaged, other.damaged)


# ---------------------------------------------------------------------- every kind

@pytest.mark.parametrize(("config", "image_shape", "channels", "seed", "digest"), [
    (PerturbationConfig("uniform", pixels=200), None, 1, 0, "a883b65df3170eb5"),
    (PerturbationConfig("uniform", pixels=9), None, 3, 2026, "69a96c25c76c5d76"),
    (PerturbationConfig("block"), (28, 28), 1, 0, "6e641ba6b513d4da"),
    (PerturbationConfig("block", size=11, value=None), (28, 28), 3, 5, "2a1e0a0cc1a81475"),
    (PerturbationConfig("block", size=4, value=0.0, position=(30, -2)), (28, 28), 1, 5, "cd7b7c85adbdd1b1"),
    (PerturbationConfig("block", size=5, value=None, position=(3, 9)), (16, 49), 2, 7, "400e18c452312957"),
])
def test_the_damage_of_the_shipped_runs_never_changes(config, image_shape, channels, seed, digest):
    """Their metrics and every figure rest on these bits."""
    result = perturb(rows(channels=channels), config, image_shape, seed)
    assert hashlib.sha256(result.x.numpy().tobytes() + result.damaged.numpy().tobytes()).hexdigest()[:16] == digest


def test_the_damage_of_the_shipped_runs_in_numbers():
    noise = uniform_noise(rows(2, 12), 3, seed=4)
    assert noise.damaged.nonzero().tolist() == [[0, 1], [0, 2], [0, 9], [1, 4], [1, 6], [1, 10]]
    assert noise.x[noise.damaged][:3, 0].tolist() == [0.21000319719314575, 0.03896188735961914, 0.038553476333618164]
    block = block_mask(rows(3, 30), (5, 6), 2, None, seed=4)
    assert block.damaged.nonzero()[:, 1].tolist() == [14, 15, 20, 21, 10, 11, 16, 17, 16, 17, 22, 23]
    assert block.x[block.damaged][:2, 0].tolist() == [0.7634844183921814, 0.2137027382850647]


def test_every_kind_is_tested_here():
    assert {config.kind for config in RANDOM.values()} | {"none", "contrast"} == set(PERTURBATIONS)


@pytest.mark.parametrize("config", RANDOM.values(), ids=RANDOM)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_does_not_depend_on_chunks_or_on_the_rows_after_it(config, channels, monkeypatch):
    x = pictures(count=50, nodes=64, channels=channels)
    whole = perturb(x, config, (8, 8), 7)
    for count in (0, 1, 9):
        assert same(perturb(x[:count], config, (8, 8), 7), Perturbed(whole.x[:count], whole.damaged[:count]))
    for held in (1, 500, 1700):
        monkeypatch.setattr(damage, "_CHUNK_DRAWS", held)
        assert same(perturb(x, config, (8, 8), 7), whole)
    assert same(perturb(x, config, (8, 8), 7), whole)
    assert not torch.equal(perturb(x, config, (8, 8), 8).x, whole.x)
    assert len({tuple((after - before).flatten().tolist()) for before, after in zip(x, whole.x)}) == 50


@pytest.mark.parametrize("config", [*RANDOM.values(), PerturbationConfig("contrast")], ids=lambda config: config.kind)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_values_stay_in_range_and_what_is_not_damaged_stays_as_it_was(config, dtype):
    x = pictures(nodes=64, channels=2).to(dtype)
    before, state = x.clone(), torch.get_rng_state()
    result = perturb(x, config, (8, 8), 3)
    assert torch.equal(x, before), "the input is never written to"
    assert torch.equal(torch.get_rng_state(), state), "global randomness is left alone"
    assert result.x.dtype == dtype and result.x.shape == x.shape
    assert result.damaged.dtype == torch.bool and result.damaged.shape == x.shape[:2]
    assert ((result.x >= 0) & (result.x <= 1)).all()
    assert torch.equal(result.x[~result.damaged], x[~result.damaged])
    assert bool(result.damaged.all()) == (config.kind in EVERYWHERE)
    assert (result.x[result.damaged] != x[result.damaged]).any()


@pytest.mark.parametrize("config", RANDOM.values(), ids=RANDOM)
def test_settings_of_other_kinds_change_nothing(config):
    used = {"uniform": ("pixels",), "salt_pepper": ("pixels",), "gaussian": ("sigma",), "block": ("size", "position"),
            "blocks": ("count", "size"), "rotated": ("size", "position", "angle"),
            "stripes": ("count", "width", "direction")}[config.kind]
    others = {"pixels": 1, "size": 1, "position": (0, 0), "sigma": 0.01, "count": 2, "width": 1, "angle": 45.0,
              "direction": "horizontal", "contrast": 0.1}
    x = pictures(nodes=64)
    changed = dataclasses.replace(config, **{name: value for name, value in others.items() if name not in used})
    assert same(perturb(x, changed, (8, 8), 1), perturb(x, config, (8, 8), 1))


def test_perturb_does_what_the_configuration_says():
    x = pictures()
    untouched = perturb(x, PerturbationConfig(), None, seed=0)
    assert untouched.x is x and untouched.damaged.shape == (6, 784) and not untouched.damaged.any()
    assert same(perturb(x, PerturbationConfig("uniform", pixels=150), None, seed=5), uniform_noise(x, 150, seed=5))
    assert same(perturb(x, PerturbationConfig("salt_pepper", pixels=9), None, seed=5), salt_and_pepper(x, 9, seed=5))
    assert same(perturb(x, PerturbationConfig("gaussian", sigma=0.3), None, seed=5), gaussian_noise(x, 0.3, seed=5))
    assert same(perturb(x, PerturbationConfig("contrast", contrast=0.3), None, seed=5), reduce_contrast(x, 0.3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("config", [*RANDOM.values(), PerturbationConfig("contrast", contrast=0.3)],
                         ids=lambda config: config.kind)
def test_the_damage_is_the_same_on_a_gpu(config):
    x = pictures(nodes=64, channels=2)
    here, there = perturb(x, config, (8, 8), 1), perturb(x.cuda(), config, (8, 8), 1)
    assert there.x.is_cuda and there.damaged.is_cuda
    assert same(Perturbed(there.x.cpu(), there.damaged.cpu()), here)


# ---------------------------------------------------------------------- uniform noise, salt and pepper

@pytest.mark.parametrize("noise", [uniform_noise, salt_and_pepper])
@pytest.mark.parametrize("pixels", [0, 1, 200, 783, 784])
def test_noise_hits_exactly_that_many_nodes_and_leaves_the_others(noise, pixels):
    x = rows()
    result = noise(x, pixels, seed=1)
    assert (result.damaged.sum(dim=1) == pixels).all()
    assert torch.equal(result.x[~result.damaged], x[~result.damaged])
    assert ((result.x[result.damaged] >= 0) & (result.x[result.damaged] <= 1)).all()


@pytest.mark.parametrize("noise", [uniform_noise, salt_and_pepper])
def test_noise_is_nested_in_the_number_of_pixels(noise):
    x = rows()
    few, many = noise(x, 100, seed=3), noise(x, 200, seed=3)
    assert (many.damaged | ~few.damaged).all()
    assert torch.equal(few.x[few.damaged], many.x[few.damaged])


def test_noise_replaces_all_channels_by_different_draws():
    x = rows(channels=3)
    result = uniform_noise(x, 100, seed=1)
    values = result.x[result.damaged]
    assert values.shape == (600, 3) and (values < 1).all()
    assert (values[:, 0] != values[:, 1]).any()


def test_tied_ranks_still_give_the_exact_count():
    tied = torch.zeros(2, 10)
    hit = damage.lowest(tied, 4)
    assert hit.sum(dim=1).tolist() == [4, 4]
    assert (damage.lowest(tied, 5) | ~hit).all()


def test_noise_is_uniform_over_nodes_and_values():
    result = uniform_noise(rows(count=2000, nodes=64), 16, seed=0)
    share = result.damaged.float().mean(dim=0)
    assert (share - 0.25).abs().max() < 5 * (0.25 * 0.75 / 2000) ** 0.5  # five standard deviations of a share
    values = result.x[result.damaged]
    assert abs(float(values.mean()) - 0.5) < 0.01 and abs(float(values.var()) - 1 / 12) < 0.003


def test_salt_and_pepper_are_black_and_white_in_all_channels_by_a_fair_coin():
    values = salt_and_pepper(rows(count=500, nodes=64, channels=3), 16, seed=0)
    values = values.x[values.damaged]
    assert set(values.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(values, values[:, :1].expand(-1, 3))
    assert abs(float(values[:, 0].mean()) - 0.5) < 5 * (0.25 / 8000) ** 0.5  # five standard deviations of a share


def test_salt_and_pepper_hit_the_nodes_of_uniform_noise():
    x = rows(channels=3)
    assert torch.equal(salt_and_pepper(x, 50, seed=2).damaged, uniform_noise(x, 50, seed=2).damaged)


# ---------------------------------------------------------------------- Gaussian noise, lost contrast

def test_gaussian_noise_is_normal_and_differs_between_channels():
    x = torch.full((400, 64, 2), 0.5)
    noise = (gaussian_noise(x, 0.05, seed=1).x - 0.5) / 0.05  # ten deviations to either end: nothing is clipped
    assert abs(float(noise.mean())) < 5 / noise.numel() ** 0.5
    assert abs(float(noise.var()) - 1) < 5 * (2 / noise.numel()) ** 0.5
    for level, share in ((1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)):
        assert abs(float((noise.abs() < level).float().mean()) - share) < 0.01
    assert abs(float((noise[..., 0] * noise[..., 1]).mean())) < 5 / noise[..., 0].numel() ** 0.5


def test_twice_the_sigma_moves_every_node_twice_as_far():
    x = torch.full((5, 784, 1), 0.5, dtype=torch.float64)
    little, more = (gaussian_noise(x, sigma, seed=1).x - x for sigma in (0.04, 0.08))
    torch.testing.assert_close(more, 2 * little, rtol=1e-12, atol=1e-12)


def test_gaussian_noise_is_clipped_and_more_of_it_moves_no_node_back():
    x = pictures()
    little, more = gaussian_noise(x, 0.2, seed=1), gaussian_noise(x, 0.4, seed=1)
    assert (more.x == 0).any() and (more.x == 1).any()
    assert ((more.x - x).abs() >= (little.x - x).abs()).all()
    assert (more.x[little.x == 1] == 1).all() and (more.x[little.x == 0] == 0).all()
    assert little.damaged.all()


def test_the_smallest_and_largest_draws_are_finite():
    ends = torch.tensor([0.0, 1 - 2**-24])
    normal = torch.special.ndtri(ends.double() + 2**-25)
    assert normal.isfinite().all() and float(normal.sum()) == pytest.approx(0)


@pytest.mark.parametrize("untouched", [lambda x: gaussian_noise(x, 0, seed=1), lambda x: reduce_contrast(x, 1)],
                         ids=["gaussian", "contrast"])
def test_no_noise_and_full_contrast_damage_nothing(untouched):
    x = pictures(channels=2)
    result = untouched(x)
    assert torch.equal(result.x, x) and result.x is not x
    assert result.damaged.shape == (6, 784) and not result.damaged.any()


def test_contrast_shrinks_the_distance_to_mid_grey():
    x = pictures(channels=2)
    for contrast in (0, 0.25, 0.5, 0.99):
        result = reduce_contrast(x, contrast)
        torch.testing.assert_close(result.x - 0.5, contrast * (x - 0.5))
        assert result.damaged.all()
    assert (reduce_contrast(x, 0).x == 0.5).all()
    ends = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1)
    assert reduce_contrast(ends, 0.5).x.flatten().tolist() == [0.25, 0.5, 0.75]


# ---------------------------------------------------------------------- strength

AT_ONE = {
    "none": {}, "uniform": {"pixels": 54}, "salt_pepper": {"pixels": 54}, "gaussian": {"sigma": 0.5},
    "block": {"size": 6}, "blocks": {"size": 6}, "rotated": {"size": 6}, "stripes": {"count": 3},
    "contrast": {"contrast": 0}}


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_strength_goes_from_nothing_to_the_stated_end_and_changes_one_control(kind):
    config = PerturbationConfig(kind, value=0.25, width=2, sigma=0.125)
    x = pictures(count=40, nodes=54)
    assert not perturb(x, with_strength(config, 0, 54, (6, 9)), (6, 9), 1).damaged.any()
    assert with_strength(config, 1, 54, (6, 9)) == dataclasses.replace(config, **AT_ONE[kind])
    moved = [torch.zeros_like(x)]
    for strength in (0.2, 0.5, 0.8, 1.0):
        spoiled = perturb(x, with_strength(config, strength, 54, (6, 9)), (6, 9), 1).x
        moved.append((spoiled - x).abs())
    for less, more in itertools.pairwise(moved):
        assert (more >= less - 1e-6).all(), "stronger damage contains the weaker"
    assert (float(moved[-1].mean()) > float(moved[1].mean())) == (kind != "none")


def test_strength_is_a_share():
    assert with_strength(PerturbationConfig("uniform"), 0.25, 784, None).pixels == 196
    assert with_strength(PerturbationConfig("gaussian"), 0.5, 34, None).sigma == 0.25
    assert with_strength(PerturbationConfig("blocks", count=5), 0.25, 784, (28, 28)).size == 7
    stripes = PerturbationConfig("stripes", direction="vertical")
    assert with_strength(stripes, 1 / 3, 54, (6, 9)).count == 3
    assert with_strength(PerturbationConfig("contrast"), 0.25, 34, None).contrast == 0.75


# ---------------------------------------------------------------------- errors

NO_PICTURES = ("got None. These rows are no pictures: choose perturbation kind 'uniform', 'salt_pepper' or 'none'.")


@pytest.mark.parametrize(("call", "words"), [
    (lambda: perturb(rows(nodes=64), PerturbationConfig("uniform"), (8, 8), 0),
     "perturbation.pixels must be a whole number from 0 to the 64 nodes of a row, got 200. A quarter"),
    (lambda: uniform_noise(rows(nodes=64), -1, 0), "from 0 to the 64 nodes"),
    (lambda: perturb(rows(nodes=64), PerturbationConfig("salt_pepper"), None, 0), "to the 64 nodes of a row, got 200."),
    (lambda: salt_and_pepper(rows(nodes=64), 2.0, 0), "from 0 to the 64 nodes of a row, got 2.0."),
    *((lambda kind=kind: perturb(rows(nodes=34), PerturbationConfig(kind), None, 0),
       f"image_shape must be (height, width) for {what}, {NO_PICTURES}")
      for kind, what in (("block", "a block mask"), ("blocks", "blocks"), ("rotated", "a rotated block"),
                         ("stripes", "stripes"))),
    (lambda: check_perturbation(PerturbationConfig("stripes", count=9), 64, (8, 8)), "from 0 to 8, the stripes of"),
    (lambda: uniform_noise(torch.zeros(3, 4), 1, 0), "shape (B, N, C), got torch.float32 of shape (3, 4)"),
    (lambda: uniform_noise(torch.zeros(3, 4, 1, dtype=torch.uint8), 1, 0), "got torch.uint8"),
    (lambda: gaussian_noise([1.0], 0.1, 0), "x must be a floating point tensor of shape (B, N, C), got list."),
    (lambda: gaussian_noise(pictures(), -0.1, 0), "perturbation.sigma must be in [0, 10], got -0.1."),
    (lambda: gaussian_noise(pictures() * 3 - 1, 0.1, 0), "x must be brightness in [0, 1], got values from -"),
    (lambda: gaussian_noise(torch.full((1, 2, 1), torch.nan), 0.1, 0), "got values from nan to nan. For rows that are "
     "no pictures choose perturbation kind 'uniform' or 'none'."),
    (lambda: reduce_contrast(pictures(), 1.5), "perturbation.contrast must be in [0, 1], got 1.5."),
    (lambda: reduce_contrast(rows(), 0.5), "x must be brightness in [0, 1], got values from 5"),
    (lambda: with_strength(PerturbationConfig("uniform"), 1.1, 64, None), "strength must be in [0, 1], got 1.1."),
    (lambda: with_strength(PerturbationConfig("block"), 0.5, 34, None), f"for a block mask, {NO_PICTURES}"),
    (lambda: with_strength(PerturbationConfig("stripes"), 0.5, 34, None), f"for stripes, {NO_PICTURES}"),
    (lambda: with_strength(PerturbationConfig("stripes", width=9), 0.5, 64, (8, 8)), "to the 8 lines across"),
    (lambda: with_strength(PerturbationConfig("block"), 0.5, 63, (8, 8)), "height * width = 63 nodes, got (8, 8)"),
])
def test_errors_say_what_was_expected_and_what_came(call, words):
    with pytest.raises(SagvaeError) as error:
        call()
    assert words in str(error.value)
