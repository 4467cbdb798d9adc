"""Where the block on a picture is: what a browser says, what the page asks for, and which of the two counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sagvae_core.errors import expected

Corner = tuple[int, int]
_LARGEST = 10**6  # of a row, a column and a turn; far beyond any picture


class Placed(NamedTuple):
    """What a person has done: the block's corner, None before the first time, and how often it was moved."""

    corner: Corner | None = None
    turn: int = 0


class Asked(NamedTuple):
    """What the page has asked for: ``turn`` is the last of the person's turns that this came after."""

    position: Corner | None
    turn: int
    answer: Corner | None = None


def decode_placed(value: object) -> Placed:
    """Read ``{"corner": [row, column], "turn": n}`` from a browser; None is nothing yet.

    Raises:
        SagvaeError: it is anything else.
    """
    if value is None:
        return Placed()
    corner, turn = (value.get("corner"), value.get("turn")) if isinstance(value, dict) else (None, None)
    if not (isinstance(corner, list) and len(corner) == 2 and all(map(_whole, [*corner, turn]))):
        raise expected("the block's place", "a row, a column and a turn in whole numbers", "something else",
                       "Move the block again.")
    return Placed((corner[0], corner[1]), turn)


def inside(corner: Sequence[int] | None, shape: tuple[int, int], size: int) -> Corner:
    """The nearest corner at which a ``size`` x ``size`` block is fully inside ``shape`` (H, W); None: in the middle."""
    free = [side - size for side in shape]
    if corner is None:
        return free[0] // 2, free[1] // 2
    row, column = (min(max(int(place), 0), most) for place, most in zip(corner, free, strict=True))
    return row, column


def decide(placed: Placed, position: Sequence[int] | None, before: Asked | None) -> tuple[Corner | None, Asked]:
    """The page and a person both move the block: whoever did so last is right.

    The page has moved it when ``position`` is neither what it was nor the last answer, which a page may well hand back.

    Args:
        placed: from :func:`decode_placed`.
        position: (row, column) the page asks for, None: in the middle.
        before: what the last call remembered, None the first time.

    Returns:
        The corner, not yet moved inside, and what to remember. Its ``answer`` is for the caller to fill in.
    """
    wanted = None if position is None else (int(position[0]), int(position[1]))
    if before is None:
        asked = Asked(wanted, 0)
    elif wanted in (before.position, before.answer):
        asked = before
    else:
        asked = Asked(wanted, placed.turn)
    return (placed.corner if placed.turn > asked.turn else asked.position), asked


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _LARGEST
