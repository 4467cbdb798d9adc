"""Shapes on pictures: where they lie, how large they are, and that moving one control moves nothing else."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sagvae_core.config import PerturbationConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.masks import block_mask, blocks_mask, rotated_block_mask, stripe_mask
from sagvae_core.perturbations import Perturbed, perturb


def rows(count: int = 6, nodes: int = 784, channels: int = 1) -> torch.Tensor:
    """Values outside [0, 1], so that no draw can be mistaken for an original."""
    return torch.rand(count, nodes, channels, generator=torch.Generator().manual_seed(99)) + 5


def damaged_box(mask: torch.Tensor, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height, width of the damaged nodes' bounding box."""
    row, column = mask.reshape(shape).nonzero(as_tuple=True)
    top, left = int(row.min()), int(column.min())
    return top, left, int(row.max()) - top + 1, int(column.max()) - left + 1


def contains(larger: Perturbed, smaller: Perturbed) -> bool:
    """Whether all damage of ``smaller`` is in ``larger`` too, with the same values."""
    inside = bool((larger.damaged | ~smaller.damaged).all())
    return inside and torch.equal(larger.x[smaller.damaged], smaller.x[smaller.damaged])


SHAPES = {
    "block": lambda x, value: block_mask(x, (28, 28), 7, value, seed=2),
    "blocks": lambda x, value: blocks_mask(x, (28, 28), 3, 7, value, seed=2),
    "rotated": lambda x, value: rotated_block_mask(x, (28, 28), 7, value, seed=2),
    "stripes": lambda x, value: stripe_mask(x, (28, 28), 3, 2, value, seed=2),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_colour_moves_no_shape_and_fills_it_in_all_channels(shape):
    x = rows(channels=3)
    white, grey, noise = shape(x, 1.0), shape(x, 0.25), shape(x, None)
    assert torch.equal(white.damaged, noise.damaged) and torch.equal(white.damaged, grey.damaged)
    assert (white.x[white.damaged] == 1).all() and (grey.x[grey.damaged] == 0.25).all()
    values = noise.x[noise.damaged]
    assert ((values >= 0) & (values < 1)).all() and len(values.unique()) > 100
    for result in (white, grey, noise):
        assert torch.equal(result.x[~result.damaged], x[~result.damaged])


def test_the_configuration_reaches_every_setting_of_a_shape():
    x = rows(nodes=54)
    for config, result in (
        (PerturbationConfig("block", size=4, value=None, position=(1, 2)), block_mask(x, (6, 9), 4, None, (1, 2), 5)),
        (PerturbationConfig("blocks", count=2, size=4, value=0.5), blocks_mask(x, (6, 9), 2, 4, 0.5, 5)),
        (PerturbationConfig("rotated", size=4, value=None, angle=20.0, position=(1, 2)),
         rotated_block_mask(x, (6, 9), 4, None, 20.0, (1, 2), 5)),
        (PerturbationConfig("stripes", count=2, width=3, value=None, direction="vertical"),
         stripe_mask(x, (6, 9), 2, 3, None, "vertical", 5)),
    ):
        again = perturb(x, config, (6, 9), 5)
        assert torch.equal(again.x, result.x) and torch.equal(again.damaged, result.damaged)


# ---------------------------------------------------------------------- one block

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


@pytest.mark.parametrize("position", [None, (3, 3)])
def test_a_bigger_block_contains_the_smaller_and_noise_keeps_its_values(position):
    x = rows(count=50)
    results = [block_mask(x, (28, 28), size, None, position, seed=2) for size in range(26)]
    assert all(contains(larger, smaller) for smaller, larger in itertools.pairwise(results))


def test_a_block_may_be_empty_or_cover_everything():
    x = rows(nodes=64)
    assert not block_mask(x, (8, 8), 0, 1.0).damaged.any()
    assert (block_mask(x, (8, 8), 8, 0.0).x == 0).all()


# ---------------------------------------------------------------------- several blocks

def test_each_further_block_leaves_the_others_where_they_are():
    x = rows(count=40)
    results = [blocks_mask(x, (28, 28), count, 5, None, seed=2) for count in range(12)]
    assert not results[0].damaged.any()
    assert (results[1].damaged.sum(dim=1) == 25).all()
    for mask in results[1].damaged:
        assert damaged_box(mask, (28, 28))[2:] == (5, 5)
    for count, (fewer, more) in enumerate(itertools.pairwise(results)):
        assert contains(more, fewer)
        added = (more.damaged & ~fewer.damaged).sum(dim=1)
        assert (added <= 25).all() and (count > 2 or (added > 0).any())


def test_blocks_may_overlap_and_bigger_ones_contain_the_smaller():
    x = rows(count=40)
    few, big = blocks_mask(x, (28, 28), 6, 8, None, seed=2), blocks_mask(x, (28, 28), 6, 9, None, seed=2)
    covered = few.damaged.sum(dim=1)
    assert (covered < 6 * 64).any() and (covered >= 64).all() and (covered <= 6 * 64).all()
    assert contains(big, few)


def test_blocks_reach_every_place_inside():
    result = blocks_mask(rows(count=400, nodes=30), (5, 6), 1, 3, 1.0, seed=4)
    corners = {damaged_box(mask, (5, 6))[:2] for mask in result.damaged}
    assert corners == {(top, left) for top in range(3) for left in range(4)}


def test_blocks_may_be_empty_or_as_many_as_pixels():
    x = rows(count=2, nodes=16)
    assert not blocks_mask(x, (4, 4), 3, 0, 1.0).damaged.any()
    assert (blocks_mask(x, (4, 4), 1, 4, 0.5).x == 0.5).all()
    assert blocks_mask(x, (4, 4), 16, 3, 1.0).damaged.float().mean() > 0.9


# ---------------------------------------------------------------------- a turned block

@pytest.mark.parametrize("angle", [0, 90])
@pytest.mark.parametrize(("size", "position"), [(0, (1, 1)), (1, (2, 7)), (3, (2, 5)), (4, (-3, 100)), (6, (0, 2))])
def test_unturned_or_turned_by_a_quarter_it_is_the_block_mask(angle, size, position):
    x = rows(count=3, nodes=54)
    turned = rotated_block_mask(x, (6, 9), size, None, float(angle), position)
    assert torch.equal(turned.damaged, block_mask(x, (6, 9), size, None, position).damaged)


def test_turned_by_an_eighth_it_is_a_diamond():
    result = rotated_block_mask(rows(count=1, nodes=81), (9, 9), 5, 1.0, 45.0, (2, 2))
    down, right = torch.meshgrid(torch.arange(9) - 4, torch.arange(9) - 4, indexing="ij")
    assert torch.equal(result.damaged.reshape(9, 9), down.abs() + right.abs() < 2.5 * math.sqrt(2))


def test_it_turns_clockwise():
    result = rotated_block_mask(rows(count=1), (28, 28), 11, 1.0, 20.0, (8, 8))
    top, *_ = damaged_box(result.damaged[0], (28, 28))
    highest = result.damaged.reshape(28, 28)[top].nonzero()
    assert top < 8 and (highest < 13).all(), "the top left corner goes up, towards the middle"


@pytest.mark.parametrize("size", [5, 9, 14])
def test_it_covers_about_its_area_and_is_cut_off_at_the_border(size):
    inside = rotated_block_mask(rows(count=60), (28, 28), size, 1.0, None, (14 - size // 2,) * 2, seed=3)
    covered = inside.damaged.sum(dim=1).float()
    assert (covered - size**2).abs().max() <= 1.5 * size and abs(float(covered.mean()) - size**2) < 0.05 * size**2
    at_the_border = rotated_block_mask(rows(count=1), (28, 28), size, 1.0, 45.0, (0, 0), seed=3).damaged
    assert 0 < int(at_the_border.sum()) < size**2
    placed = rotated_block_mask(rows(count=300), (28, 28), size, 1.0, seed=3).damaged.sum(dim=1)
    assert (placed > 0.5 * size**2).all() and (placed < 0.95 * size**2).any(), "entirely or partly inside"


def test_angles_are_drawn_for_every_row_and_reach_all_slants():
    result = rotated_block_mask(rows(count=300), (28, 28), 13, 1.0, None, (7, 7), seed=1)
    heights = {damaged_box(mask, (28, 28))[2] for mask in result.damaged}
    assert {13, 15, 17} <= heights, "13 upright, 18 as a diamond"


@pytest.mark.parametrize("shape", [(28, 28), (16, 49), (49, 16)])
def test_a_bigger_turned_block_at_a_drawn_place_contains_the_smaller(shape):
    x = rows(count=200)
    results = [rotated_block_mask(x, shape, size, None, seed=6) for size in range(17)]
    assert not results[0].damaged.any()
    assert all(contains(larger, smaller) for smaller, larger in itertools.pairwise(results))


def test_neither_a_fixed_angle_nor_a_fixed_place_moves_the_noise():
    x = rows()
    free = rotated_block_mask(x, (28, 28), 9, None, seed=2)
    for angle, position in ((30.0, None), (None, (9, 9)), (30.0, (9, 9))):
        fixed = rotated_block_mask(x, (28, 28), 9, None, angle, position, seed=2)
        both = free.damaged & fixed.damaged
        assert both.any() and torch.equal(free.x[both], fixed.x[both])


def test_drawn_places_reach_every_pixel():
    assert rotated_block_mask(rows(count=2000), (28, 28), 7, 1.0, seed=0).damaged.any(dim=0).all()


# ---------------------------------------------------------------------- stripes

@pytest.mark.parametrize(("direction", "lines"), [("horizontal", 6), ("vertical", 9)])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 6])
def test_stripes_are_exactly_that_many_lines_and_nested_in_their_count(direction, lines, width):
    x = rows(count=50, nodes=54, channels=2)
    results = [stripe_mask(x, (6, 9), count, width, None, direction, seed=1) for count in range(lines // width + 1)]
    for count, result in enumerate(results):
        picture = result.damaged.reshape(-1, 6, 9)
        struck = picture.all(dim=2 if direction == "horizontal" else 1)
        assert (struck.sum(dim=1) == count * width).all()
        assert (picture.flatten(1).sum(dim=1) == count * width * (54 // lines)).all(), "whole lines and nothing else"
    assert all(contains(more, fewer) for fewer, more in itertools.pairwise(results))


@pytest.mark.parametrize(("width", "firsts"), [(1, set(range(9))), (3, {0, 3, 6}), (4, {0, 1, 4, 5})])
def test_stripes_lie_on_places_side_by_side_and_reach_every_line(width, firsts):
    result = stripe_mask(rows(count=300, nodes=54), (6, 9), 1, width, 1.0, "vertical", seed=1)
    boxes = [damaged_box(mask, (6, 9)) for mask in result.damaged]
    assert {box[2:] for box in boxes} == {(6, width)}
    assert {box[1] for box in boxes} == firsts
    assert result.damaged.any(dim=0).all()


def test_stripes_are_even_over_the_lines():
    hit = stripe_mask(rows(count=3000, nodes=64), (8, 8), 2, 1, 1.0, seed=5).damaged.reshape(-1, 8, 8)[:, :, 0]
    assert (hit.float().mean(dim=0) - 0.25).abs().max() < 5 * (0.25 * 0.75 / 3000) ** 0.5  # five deviations of a share


@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
def test_wider_stripes_cover_the_thin_ones_where_the_width_divides_the_lines(direction):
    x = rows()
    thin = stripe_mask(x, (28, 28), 4, 1, None, direction, seed=2)
    assert all(contains(stripe_mask(x, (28, 28), 4, width, None, direction, seed=2), thin) for width in (2, 4, 7))


def test_the_direction_turns_the_stripes_of_a_square_picture():
    x = rows(nodes=64)
    across, down = (stripe_mask(x, (8, 8), 3, 1, None, direction, seed=2) for direction in ("horizontal", "vertical"))
    assert torch.equal(across.damaged.reshape(-1, 8, 8).mT, down.damaged.reshape(-1, 8, 8))
    both = across.damaged & down.damaged
    assert torch.equal(across.x[both], down.x[both])


# ---------------------------------------------------------------------- errors

@pytest.mark.parametrize(("call", "words"), [
    (lambda x: block_mask(x, (6, 9), 7, 1.0), "perturbation.size must be a whole number from 0 to 6, the shorter side "
     "of a 6 x 9 picture, got 7. A quarter of it would be 1."),
    (lambda x: block_mask(x, (6, 8), 3, 1.0), "height * width = 54 nodes, got (6, 8)"),
    (lambda x: block_mask(x, (6, 9), 3, 1.5), "value must be in [0, 1], or None for noise, got 1.5"),
    (lambda x: blocks_mask(x, (6, 9), 55, 2, 1.0),
     "perturbation.count must be a whole number from 0 to the 54 pixels of a picture, got 55."),
    (lambda x: blocks_mask(x, (6, 9), 2.0, 2, 1.0), "to the 54 pixels of a picture, got 2.0."),
    (lambda x: blocks_mask(x, (6, 9), 2, 7, 1.0), "the shorter side of a 6 x 9"),
    (lambda x: rotated_block_mask(x, (6, 9), 7, 1.0), "the shorter side of a 6 x 9"),
    (lambda x: rotated_block_mask(x, (6, 9), 3, 1.0, 100), "perturbation.angle must be in [0, 90], got 100."),
    (lambda x: rotated_block_mask(x, (6, 9), 3, -1), "value must be in [0, 1], or None for noise, got -1"),
    (lambda x: stripe_mask(x, (6, 9), 4, 2, 1.0), "perturbation.count must be a whole number from 0 to 3, the stripes "
     "of width 2 that fit side by side on 6 lines, got 4. Choose fewer or thinner stripes."),
    (lambda x: stripe_mask(x, (6, 9), 1, 7, 1.0),
     "perturbation.width must be a whole number from 1 to the 6 lines across horizontal stripes, got 7."),
    (lambda x: stripe_mask(x, (6, 9), 1, 0, 1.0), "perturbation.width must be a whole number from 1"),
    (lambda x: stripe_mask(x, (6, 9), 1, 1, 1.0, "diagonal"), "perturbation.direction must be one of 'horizontal'"),
    (lambda x: stripe_mask(x, (6, 8), 1, 1, 1.0), "height * width = 54 nodes, got (6, 8)"),
    (lambda x: stripe_mask(x[0], (6, 9), 1, 1, 1.0), "shape (B, N, C), got torch.float32 of shape (54, 1)"),
])
def test_errors_say_what_was_expected_and_what_came(call, words):
    with pytest.raises(SagvaeError) as error:
        call(rows(nodes=54))
    assert words in str(error.value)
