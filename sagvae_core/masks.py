"""Shapes that cover a part of every picture: a block, several blocks, a turned block, stripes.

Each fills what it covers with one colour or with noise; ``damage.py`` says how randomness is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .config_data import DIRECTIONS, in_range, one_of
from .damage import Perturbed, check_whole, draws, lowest, sizes
from .errors import expected


def block_mask(x: Tensor, image_shape: tuple[int, int], size: int, value: float | None,
               position: tuple[int, int] | None = None, seed: int = 0) -> Perturbed:
    """Cover a ``size`` x ``size`` block of every picture.

    Nested in ``size``: a bigger block covers all that a smaller one of the same seed does.

    Args:
        x: (B, N, C), floating point; the nodes are the pixels, row by row.
        image_shape: (height, width) with height * width = N.
        size: side of the block in pixels, 0 to the shorter side of the picture.
        value: colour of the block, in [0, 1]; None fills it with draws from U(0, 1).
        position: (row, column) of the top left corner, moved inside if the block would stick out; None draws one per
            row, uniform over all places fully inside.
        seed: seed of the generator; unused when both ``value`` and ``position`` are given.

    Raises:
        SagvaeError: a shape, ``size`` or ``value`` is out of range.
    """
    check_block(size, sizes(x)[1], image_shape)

    def covered(numbers: Tensor) -> Tensor:
        corner = _corner(numbers, image_shape, size) if position is None else _inside(position, image_shape, size)
        return _square(corner.expand(len(numbers), 2), image_shape, size)

    return _fill(x, value, seed, 2, covered)


def blocks_mask(x: Tensor, image_shape: tuple[int, int], count: int, size: int, value: float | None,
                seed: int = 0) -> Perturbed:
    """Cover ``count`` blocks of ``size`` x ``size`` of every picture, each anywhere fully inside; they may overlap.

    Nested in ``count`` (a further block leaves those before it where they are) and in ``size`` like :func:`block_mask`.

    Args:
        x: (B, N, C), floating point; the nodes are the pixels, row by row.
        image_shape: (height, width) with height * width = N.
        count: blocks per picture, 0 to N.
        size: side of a block in pixels, 0 to the shorter side of the picture.
        value: colour of the blocks, in [0, 1]; None fills them with draws from U(0, 1).
        seed: seed of the generator.

    Raises:
        SagvaeError: a shape, ``count``, ``size`` or ``value`` is out of range.
    """
    nodes = sizes(x)[1]
    check_blocks(count, size, nodes, image_shape)

    def covered(numbers: Tensor) -> Tensor:
        hit = torch.zeros(len(numbers), *image_shape, dtype=torch.bool)
        for block in range(count):
            hit |= _square(_corner(numbers[:, 2 * block:2 * block + 2], image_shape, size), image_shape, size)
        return hit

    # Corners for as many blocks as there can be, so that count does not move the rows that follow.
    return _fill(x, value, seed, 2 * nodes, covered)


def rotated_block_mask(x: Tensor, image_shape: tuple[int, int], size: int, value: float | None,
                       angle: float | None = None, position: tuple[int, int] | None = None,
                       seed: int = 0) -> Perturbed:
    """Cover a ``size`` x ``size`` block of every picture, turned about its centre; what sticks out is cut off.

    It covers the pixels whose centres lie in it, about ``size``^2. Nested in ``size`` when the place is drawn: the
    centre is uniform over the picture for the smallest block, and a bigger one's moves towards the middle, just slowly
    enough to keep the smaller one covered at every angle.

    Args:
        x: (B, N, C), floating point; the nodes are the pixels, row by row.
        image_shape: (height, width) with height * width = N.
        size: side of the block in pixels, 0 to the shorter side of the picture.
        value: colour of the block, in [0, 1]; None fills it with draws from U(0, 1).
        angle: clockwise, 0 to 90 degrees, where a square looks as at 0; None draws one per row from U(0, 90).
        position: (row, column) of the top left corner before it is turned, moved inside as in :func:`block_mask`; None
            draws a place per row, entirely or partly inside.
        seed: seed of the generator; unused when ``value``, ``angle`` and ``position`` are given.

    Raises:
        SagvaeError: a shape, ``size``, ``value`` or ``angle`` is out of range.
    """
    height, width = check_block(size, sizes(x)[1], image_shape)
    if angle is not None:
        in_range("perturbation.angle", angle, 0, 90)
    sides = torch.tensor([height, width], dtype=torch.float64)

    def covered(numbers: Tensor) -> Tensor:
        if position is None:
            # One more pixel of size moves each coordinate by at most half its side / diagonal, hence the centre by at
            # most half a pixel in any direction: no further than the block's own edge moves outwards.
            reach = 1 - size / math.hypot(height, width)
            centre = (sides - 1) / 2 + (numbers[:, :2].double() - 0.5) * sides * reach
        else:
            centre = (_inside(position, image_shape, size) + (size - 1) / 2).double().expand(len(numbers), 2)
        # One by one: a vectorised cosine may end in another digit, depending on a row's place in the batch.
        turns = [math.radians(90 * number if angle is None else angle) for number in numbers[:, 2].tolist()]
        cosine, sine = (torch.tensor([of(turn) for turn in turns], dtype=torch.float64)[:, None, None]
                        for of in (math.cos, math.sin))
        down = (torch.arange(height) - centre[:, :1])[:, :, None]
        right = (torch.arange(width) - centre[:, 1:])[:, None, :]
        along, across = right * cosine + down * sine, down * cosine - right * sine
        half = size / 2
        return (along >= -half) & (along < half) & (across >= -half) & (across < half)

    return _fill(x, value, seed, 3, covered)


def stripe_mask(x: Tensor, image_shape: tuple[int, int], count: int, width: int, value: float | None,
                direction: str = "horizontal", seed: int = 0) -> Perturbed:
    """Cover ``count`` stripes of every picture, from border to border: exactly ``count`` * ``width`` lines.

    The lines are cut into places of ``width``, side by side (the lines left over before the first place are drawn), and
    the stripes lie on distinct places. Nested in ``count``: a further stripe leaves those before it where they are.
    Where ``width`` divides the number of lines, stripes also cover what their ``count`` one-pixel stripes would.

    Args:
        x: (B, N, C), floating point; the nodes are the pixels, row by row.
        image_shape: (height, width) with height * width = N.
        count: stripes per picture, 0 to as many as lie side by side.
        width: lines per stripe, 1 to the number of lines.
        value: colour of the stripes, in [0, 1]; None fills them with draws from U(0, 1).
        direction: "horizontal" stripes cover rows of the picture, "vertical" ones its columns.
        seed: seed of the generator.

    Raises:
        SagvaeError: a shape, ``count``, ``width``, ``value`` or ``direction`` is out of range.
    """
    lines = check_stripes(count, width, direction, sizes(x)[1], image_shape)
    used = lines // width * width

    def covered(numbers: Tensor) -> Tensor:
        first = (numbers[:, :1] * (lines - used + 1)).long().clamp(max=lines - used)
        order = first + torch.arange(used)
        # A place counts by its lowest line: so it lies around the line that a thinner stripe would have taken.
        scores = numbers[:, 1:].gather(1, order).unflatten(1, (-1, width)).amin(dim=2)
        hit = torch.zeros(len(numbers), lines, dtype=torch.bool)
        hit.scatter_(1, order, lowest(scores, count).repeat_interleave(width, dim=1))
        return (hit[:, :, None] if direction == "horizontal" else hit[:, None, :]).expand(-1, *image_shape)

    # A score for every line of the longer side, so that the direction does not move the rows that follow.
    return _fill(x, value, seed, 1 + max(image_shape), covered)


def check_block(size: int, nodes: int, image_shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the picture; raises SagvaeError unless it has ``nodes`` pixels and room for the block."""
    height, width = _check_picture(nodes, image_shape)
    shorter = min(height, width)
    check_whole("size", size, 0, shorter, f"{shorter}, the shorter side of a {height} x {width} picture",
                f"A quarter of it would be {shorter // 4}.")
    return height, width


def check_blocks(count: int, size: int, nodes: int, image_shape: tuple[int, int]) -> None:
    """Raise SagvaeError unless ``count`` blocks of ``size`` can lie on a picture of ``nodes`` pixels."""
    check_block(size, nodes, image_shape)
    check_whole("count", count, 0, nodes, f"the {nodes} pixels of a picture")


def check_stripes(count: int, width: int, direction: str, nodes: int, image_shape: tuple[int, int]) -> int:
    """Number of lines of the picture across ``direction``; raises SagvaeError unless the stripes fit side by side."""
    shape = _check_picture(nodes, image_shape)
    one_of("perturbation.direction", direction, DIRECTIONS)
    lines = shape[DIRECTIONS.index(direction)]
    check_whole("width", width, 1, lines, f"the {lines} lines across {direction} stripes")
    check_whole("count", count, 0, lines // width, f"{lines // width}, the stripes of width {width} that fit side by "
                f"side on {lines} lines", "Choose fewer or thinner stripes.")
    return lines


def _check_picture(nodes: int, image_shape: tuple[int, int]) -> tuple[int, int]:
    height, width = image_shape
    if height * width != nodes:
        raise expected("image_shape", f"(height, width) with height * width = {nodes} nodes", tuple(image_shape))
    return height, width


def _fill(x: Tensor, value: float | None, seed: int, own: int, covered: Callable[[Tensor], Tensor]) -> Perturbed:
    """Fill with ``value`` what ``covered`` says: it maps a row's first draws (b, ``own``) to bool (b, height, width).

    Noise is drawn for every pixel, needed or not: so neither shape nor colour moves it, or the rows that follow.
    """
    rows, nodes, channels = sizes(x)
    if value is not None and not 0 <= value <= 1:
        raise expected("value", "in [0, 1], or None for noise", value)
    filled = x.detach().clone()
    damaged = torch.zeros(rows, nodes, dtype=torch.bool, device=x.device)
    for part, numbers in draws(rows, (own + nodes * channels,), seed):
        hit = covered(numbers[:, :own]).flatten(1).to(x.device)
        noise = numbers[:, own:].reshape(-1, nodes, channels)
        fill = noise.to(filled) if value is None else filled.new_tensor(value)
        filled[part] = torch.where(hit[..., None], fill, filled[part])
        damaged[part] = hit
    return Perturbed(filled, damaged)


def _last_corner(image_shape: tuple[int, int], size: int) -> Tensor:
    return torch.tensor([side - size for side in image_shape])


def _corner(numbers: Tensor, image_shape: tuple[int, int], size: int) -> Tensor:
    """Top left corners (b, 2) of blocks fully inside, all equally likely, from U(0, 1) draws (b, 2)."""
    last = _last_corner(image_shape, size)
    # The float product can round up to the excluded end for draws next to 1.
    return (numbers * (last + 1)).long().minimum(last)


def _inside(position: tuple[int, int], image_shape: tuple[int, int], size: int) -> Tensor:
    """``position`` (2,), moved so that the block lies inside."""
    return torch.tensor(position).clamp(min=0).minimum(_last_corner(image_shape, size))


def _square(corner: Tensor, image_shape: tuple[int, int], size: int) -> Tensor:
    """bool (b, height, width), True on the block at ``corner`` (b, 2)."""
    down = torch.arange(image_shape[0]) - corner[:, :1]
    right = torch.arange(image_shape[1]) - corner[:, 1:]
    return ((down >= 0) & (down < size))[:, :, None] & ((right >= 0) & (right < size))[:, None, :]
