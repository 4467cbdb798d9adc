"""Where the block is: inside, wherever it comes from; and the last to move it, page or person, is right."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.placing import Asked, Placed, decide, decode_placed, inside
from sagvae_core.errors import SagvaeError


def test_a_browser_s_place_is_read():
    assert decode_placed(None) == Placed(None, 0)
    assert decode_placed({"corner": [3, 5], "turn": 2}) == Placed((3, 5), 2)


@pytest.mark.parametrize("value", [
    5, "3,5", [3, 5], {}, {"corner": [3, 5]}, {"corner": 3, "turn": 1}, {"corner": [3], "turn": 1},
    {"corner": [3, 5, 7], "turn": 1}, {"corner": [3, 5.5], "turn": 1}, {"corner": ["3", 5], "turn": 1},
    {"corner": [True, 5], "turn": 1}, {"corner": [-1, 5], "turn": 1}, {"corner": [10**9, 5], "turn": 1},
    {"corner": [3, float("nan")], "turn": 1}, {"corner": [3, 5], "turn": float("inf")}, {"corner": [3, 5], "turn": "1"},
    {"corner": {"0": 3, "1": 5}, "turn": 1},
])
def test_anything_else_is_said(value):
    with pytest.raises(SagvaeError, match=r"must be a row, a column and a turn in whole numbers, .*\. Move the block"):
        decode_placed(value)


@pytest.mark.parametrize(("corner", "expected"), [
    (None, (10, 3)), ((4, 5), (4, 5)), ((-3, 99), (0, 6)), ((99, -3), (20, 0)), (np.array([7, 2]), (7, 2)),
])
def test_a_block_is_always_inside(corner, expected):
    answer = inside(corner, (28, 14), 8)
    assert answer == expected
    assert all(type(place) is int for place in answer)


def test_a_block_as_large_as_the_picture_has_one_place():
    assert inside(None, (8, 8), 8) == inside((5, 5), (8, 8), 8) == (0, 0)


def test_a_person_s_place_counts_until_the_page_asks_for_another():
    corner, asked = decide(Placed(), (1, 1), None)
    assert corner == (1, 1)
    asked = asked._replace(answer=(1, 1))
    corner, asked = decide(Placed((5, 6), 1), (1, 1), asked)
    assert corner == (5, 6), "a person has moved it"
    corner, asked = decide(Placed((5, 6), 1), (9, 9), asked._replace(answer=(5, 6)))
    assert corner == (9, 9), "the page has moved it"
    corner, asked = decide(Placed((5, 6), 1), (9, 9), asked._replace(answer=(9, 9)))
    assert corner == (9, 9), "and it stays there"
    corner, asked = decide(Placed((2, 2), 2), (9, 9), asked._replace(answer=(9, 9)))
    assert corner == (2, 2), "until a person moves it again"
    corner, asked = decide(Placed((2, 2), 2), None, asked._replace(answer=(2, 2)))
    assert corner is None, "the middle is a place as well"


def test_a_page_may_hand_back_the_last_answer_while_the_next_move_is_on_its_way():
    _, asked = decide(Placed(), None, None)
    _, asked = decide(Placed((5, 6), 1), None, asked._replace(answer=(10, 10)))
    corner, asked = decide(Placed((7, 8), 2), (5, 6), asked._replace(answer=(5, 6)))
    assert corner == (7, 8)
    assert asked.turn == 0


def test_a_component_that_was_away_begins_where_the_page_wants_it():
    corner, _ = decide(Placed(), (3, 3), Asked((3, 3), 4, answer=(7, 7)))
    assert corner == (3, 3)
