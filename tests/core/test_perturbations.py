"""What is damaged, how much of it, and that nothing else moves."""

from __future__ import annotations

import pytest
import torch

from sagvae_core import perturbations
from sagvae_core.config import PerturbationConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.perturbations import block_mask, perturb, uniform_noise


def rows(count: int = 6, nodes: int = 784, channels: int = 1) -> torch.Tensor:
    """Values outside [0, 1], so that no draw can be mistaken for an original."""
    return torch.rand(count, nodes, channels, generator=torch.Generator().manual_seed(99)) + 5


def damaged_box(mask: torch.Tensor, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height, width of the damaged nodes' bounding box."""
    row, column = mask.reshape(shape).nonzero(as_tuple=True)
    top, left = int(row.min()), int(column.min())
    return top, left, int(row.max()) - top + 1, int(column.max()) - left + 1


@pytest.mark.parametrize("pixels", [0, 1, 200, 783, 784])
def test_noise_hits_exactly_that_many_nodes_and_leaves_the_others(pixels):
    x = rows()
    result = uniform_noise(x, pixels, seed=1)
    assert (result.damaged.sum(dim=1) == pixels).all()
    assert torch.equal(result.x[~result.damaged], x[~result.damaged])
    assert ((result.x[result.damaged] >= 0) & (result.x[result.damaged] < 1)).all()


def test_noise_replaces_all_channels_by_different_draws():
    x = rows(channels=3)
    result = uniform_noise(x, 100, seed=1)
    values = result.x[result.damaged]
    assert values.shape == (600, 3) and (values < 1).all()
    assert (values[:, 0] != values[:, 1]).any()


def test_noise_is_nested_in_the_number_of_pixels():
    x = rows()
    few, many = uniform_noise(x, 100, seed=3), uniform_noise(x, 200, seed=3)
    assert (many.damaged | ~few.damaged).all()
    assert torch.equal(few.x[few.damaged], many.x[few.damaged])


def test_tied_ranks_still_give_the_exact_count():
    tied = torch.zeros(2, 10)
    hit = perturbations._lowest(tied, 4)
    assert hit.sum(dim=1).tolist() == [4, 4]
    assert (perturbations._lowest(tied, 5) | ~hit).all()


def test_noise_is_uniform_over_nodes_and_values():
    result = uniform_noise(rows(count=2000, nodes=64), 16, seed=0)
    share = result.damaged.float().mean(dim=0)
    assert (share - 0.25).abs().max() < 5 * (0.25 * 0.75 / 2000) ** 0.5  # five standard deviations of a share
    values = result.x[result.damaged]
    assert abs(float(values.mean()) - 0.5) < 0.01 and abs(float(values.var()) - 1 / 12) < 0.003


@pytest.mark.parametrize("damage", [
    lambda x, seed: uniform_noise(x, 30, seed),
    lambda x, seed: block_mask(x, (8, 8), 3, None, None, seed),
], ids=["uniform", "block"])
def test_a_row_does_not_depend_on_chunks_or_on_the_rows_after_it(damage, monkeypatch):
    x = rows(count=50, nodes=64)
    whole = damage(x, 7)
    first = damage(x[:9], 7)
    assert torch.equal(first.x, whole.x[:9]) and torch.equal(first.damaged, whole.damaged[:9])
    monkeypatch.setattr(perturbations, "_CHUNK_DRAWS", 500)
    chunked = damage(x, 7)
    assert torch.equal(chunked.x, whole.x) and torch.equal(chunked.damaged, whole.damaged)
    assert not torch.equal(damage(x, 8).damaged, whole.damaged)
    assert len({tuple(row.tolist()) for row in whole.damaged}) > 10  # rows get different damage


def test_the_input_is_never_written_to_and_global_randomness_is_left_alone():
    x = rows()
    before, state = x.clone(), torch.get_rng_state()
    uniform_noise(x, 300, seed=0)
    block_mask(x, (28, 28), 9, None, None, seed=0)
    assert torch.equal(x, before) and torch.equal(torch.get_rng_state(), state)


def test_half_precision_input_keeps_its_type():
    assert uniform_noise(rows().double(), 10, seed=0).x.dtype == torch.float64
    assert block_mask(rows().half(), (28, 28), 4, 1.0).x.dtype == torch.float16


def test_block_at_a_position_is_that_square_in_that_colour():
    x = rows(count=2, nodes=6 * 9)
    result = block_mask(x, (6, 9), 3, 0.25, position=(2, 5))
    assert (result.x[result.damaged] == 0.25).all()
    assert torch.equal(result.x[~result.damaged], x[~result.damaged])
    for mask in result.damaged:
        assert mask.sum() == 9 and damaged_box(mask, (6, 9)) == (2, 5, 3, 3)


@pytest.mark.parametrize(("position", "corner"), [((-4, 100), (0, 6)), ((5, -1), (3, 0)), ((0, 7), (0, 6))])
def test_a_block_that_would_stick_out_is_moved_inside(position, corner):
    result = block_mask(rows(count=1, nodes=54), (6, 9), 3, 1.0, position=position)
    assert damaged_box(result.damaged[0], (6, 9)) == (*corner, 3, 3)


def test_random_blocks_lie_inside_and_reach_every_place():
    result = block_mask(rows(count=400, nodes=30), (5, 6), 3, 1.0, seed=4)
    boxes = [damaged_box(mask, (5, 6)) for mask in result.damaged]
    assert {box[2:] for box in boxes} == {(3, 3)}
    assert {box[:2] for box in boxes} == {(top, left) for top in range(3) for left in range(4)}


def test_colour_does_not_move_a_random_block_and_noise_keeps_its_values():
    x = rows()
    white, noise = block_mask(x, (28, 28), 7, 1.0, seed=2), block_mask(x, (28, 28), 7, None, seed=2)
    assert torch.equal(white.damaged, noise.damaged)
    small = block_mask(x, (28, 28), 5, None, position=(3, 3), seed=2)
    large = block_mask(x, (28, 28), 8, None, position=(3, 3), seed=2)
    assert torch.equal(small.x[small.damaged], large.x[small.damaged])
    assert len(small.x[small.damaged].unique()) > 100


def test_a_block_may_be_empty_or_cover_everything():
    x = rows(nodes=64)
    assert not block_mask(x, (8, 8), 0, 1.0).damaged.any()
    assert (block_mask(x, (8, 8), 8, 0.0).x == 0).all()


def test_perturb_does_what_the_configuration_says():
    x = rows()
    untouched = perturb(x, PerturbationConfig(), None, seed=0)
    assert untouched.x is x and untouched.damaged.shape == (6, 784) and not untouched.damaged.any()
    noisy = perturb(x, PerturbationConfig("uniform", pixels=150), None, seed=5)
    assert torch.equal(noisy.x, uniform_noise(x, 150, seed=5).x)
    config = PerturbationConfig("block", size=4, value=None, position=(1, 2))
    assert torch.equal(perturb(x, config, (28, 28), seed=5).x, block_mask(x, (28, 28), 4, None, (1, 2), seed=5).x)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: perturb(rows(nodes=64), PerturbationConfig("uniform"), (8, 8), 0),
     "perturbation.pixels must be a whole number from 0 to the 64 nodes of a row, got 200. A quarter"),
    (lambda: uniform_noise(rows(nodes=64), -1, 0), "from 0 to the 64 nodes"),
    (lambda: perturb(rows(nodes=34), PerturbationConfig("block"), None, 0),
     "image_shape must be (height, width) for a block mask, got None. These rows are no pictures"),
    (lambda: block_mask(rows(nodes=54), (6, 9), 7, 1.0), "a whole number from 0 to 6, the shorter side of a 6 x 9"),
    (lambda: block_mask(rows(nodes=54), (6, 8), 3, 1.0), "height * width = 54 nodes, got (6, 8)"),
    (lambda: block_mask(rows(nodes=54), (6, 9), 3, 1.5), "value must be in [0, 1], or None for noise, got 1.5"),
    (lambda: uniform_noise(torch.zeros(3, 4), 1, 0), "shape (B, N, C), got torch.float32 of shape (3, 4)"),
    (lambda: uniform_noise(torch.zeros(3, 4, 1, dtype=torch.uint8), 1, 0), "got torch.uint8"),
])
def test_errors_say_what_was_expected_and_what_came(call, words):
    with pytest.raises(SagvaeError) as error:
        call()
    assert words in str(error.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_damage_is_the_same_on_a_gpu():
    x = rows()
    for damage in (lambda v: uniform_noise(v, 200, 1), lambda v: block_mask(v, (28, 28), 7, None, None, 1)):
        here, there = damage(x), damage(x.cuda())
        assert there.x.is_cuda and there.damaged.is_cuda
        assert torch.equal(there.x.cpu(), here.x) and torch.equal(there.damaged.cpu(), here.damaged)
