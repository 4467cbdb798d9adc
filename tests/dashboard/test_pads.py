"""The two components as a script meets them, with the states a browser might send."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.drawings import CANVAS, encode_pixels

STROKE = np.zeros((CANVAS, CANVAS))
STROKE[20:80, 50:56] = 1


def script() -> None:
    import numpy as np
    import streamlit as st

    from dashboard import pads

    digit = pads.draw_pad(key="pad")
    st.text("nothing" if digit is None else f"{digit.shape} {digit.max():.0f}")
    st.text(pads.place_block(np.zeros((28, 28)), 8, None, st.session_state.get("position"), key="block"))


def run(**state):
    app = AppTest.from_function(script, default_timeout=120)
    for key, value in state.items():
        app.session_state[key] = value
    return app.run()


def texts(app) -> list[str]:
    assert not app.exception
    return [text.value for text in app.text]


def test_untouched_they_are_there_and_have_no_digit_and_the_middle():
    app = run()
    assert texts(app) == ["nothing", "(10, 10)"]
    assert len(app.get("bidi_component")) == 2
    assert texts(run(position=(2, 99))) == ["nothing", "(2, 20)"]


def test_what_a_person_does_comes_back():
    app = run(pad={"pixels": encode_pixels(STROKE)}, block={"placed": {"corner": [300, 5], "turn": 1}})
    assert texts(app) == ["(28, 28) 1", "(20, 5)"]
    assert not app.error


@pytest.mark.parametrize("pixels", ["", None, encode_pixels(np.zeros((CANVAS, CANVAS)))])
def test_an_empty_pad_has_no_digit(pixels):
    app = run(pad={"pixels": pixels})
    assert texts(app)[0] == "nothing"
    assert not app.error


@pytest.mark.parametrize("state", [
    {"pad": {"pixels": "###"}, "block": {"placed": {"corner": ["<b>", 1], "turn": 1}}},
    {"pad": {"pixels": 5}, "block": {"placed": "x"}},
    {"pad": {"pixels": {"a": [1]}}, "block": {"placed": {"corner": [1e300, 0], "turn": 1}}},
])
def test_what_cannot_be_read_is_said_and_ignored(state):
    app = run(**state)
    assert texts(app) == ["nothing", "(10, 10)"]
    assert [error.value.split(" must")[0] for error in app.error] == ["the drawing", "the block's place"]


def test_a_block_that_does_not_fit_is_said():
    from dashboard.pads import place_block
    from sagvae_core.errors import SagvaeError

    with pytest.raises(SagvaeError, match=r"the block's size must be in \[0, 14\], got 15\. Choose a smaller"):
        place_block(np.zeros((28, 14)), 15, 1.0)
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        place_block(np.zeros(784), 3, 1.0)
