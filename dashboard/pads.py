"""Two things to touch: a pad on which a person draws a digit, and a picture on which a person moves a block.

Both live in the page itself and load nothing from anywhere. What they send back comes from a browser and is checked
before it is used; their state lasts, like any widget's, as long as each run of the page draws them. Every call has its
own ``key``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import streamlit as st

from dashboard import drawings, palette, parts, placing
from dashboard.placing import Placed
from sagvae_core.errors import expected

_FILES = Path(__file__).with_name("pad_files")
_SIDE = 280  # CSS pixels of a picture's longer side, as in shared.css
_BUTTON, _LINE = 42, 28  # below the picture, with the gap; heights are fixed, so that nothing moves when they appear


def _component(name: str):
    """The mounting command of ``pad_files/<name>``; made once, when this module is imported."""
    html, css, js = ((_FILES / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    shared = (_FILES / "shared.css").read_text(encoding="utf-8")
    return st.components.v2.component(f"sagvae_{name}", html=html, css=shared + css, js=js)


_DRAW, _PLACE = _component("draw"), _component("place")


def draw_pad(size: int = 28, key: str = "pad", box: int = 20,
             on_change: Callable[[], None] | None = None) -> np.ndarray | None:
    """A black pad to draw a digit on with mouse, pen or finger; the page runs again after every stroke.

    A drawing that cannot be read is said in place and counts as none.

    Args:
        size: side of the answer.
        key: of the component.
        box: side of the square the digit is scaled to fit, see :func:`drawings.as_mnist`.
        on_change: called without arguments before the page runs again.

    Returns:
        (size, size) float32 in [0, 1], white on black, scaled and centred as MNIST is; None while the pad is empty.
    """
    sent, digit = _state(key).get("pixels"), None
    with parts.guard():
        if sent not in (None, ""):
            digit = drawings.as_mnist(drawings.decode_pixels(sent), size, box)
    # What the pad has sent goes back to it: put on the page anew, for example in another place, it shows it again.
    _DRAW(key=key, data={"side": drawings.CANVAS, "pixels": "" if digit is None else sent}, width=_SIDE,
          height=_SIDE + _BUTTON, on_pixels_change=on_change or _nothing)
    return digit if digit is not None and digit.any() else None


def place_block(image: np.ndarray, size: int, value: float | None, position: tuple[int, int] | None = None,
                key: str = "block", on_change: Callable[[], None] | None = None) -> tuple[int, int]:
    """A picture and a block on it, to be dragged, clicked or moved with the arrow keys; the page runs on release.

    A place that cannot be read is said, and the block is where ``position`` has it.

    Args:
        image: (H, W) float in [0, 1].
        size: side of the block in pixels; 0 shows the picture alone.
        value: grey of the block in [0, 1]; None: random, drawn as hatched noise.
        position: (row, column) of the top left corner, None: in the middle. A new position moves the block there; as
            long as it stays the same, or is the last answer, the place that a person has chosen counts.
        key: of the component; what the page has asked for is remembered under ``<key>_asked``.
        on_change: called without arguments before the page runs again.

    Returns:
        (row, column) of the block's top left corner. The block is always fully inside: where its size or the picture
        has changed, it is moved there.

    Raises:
        SagvaeError: the block is larger than the picture's shorter side.
    """
    image = np.asarray(image)
    pixels = drawings.encode_pixels(image)
    if not 0 <= size <= min(image.shape):
        raise expected("the block's size", f"in [0, {min(image.shape)}]", size, "Choose a smaller block.")
    placed = Placed()
    with parts.guard():
        placed = placing.decode_placed(_state(key).get("placed"))
    memory = f"{key}_asked"
    corner, asked = placing.decide(placed, position, st.session_state.get(memory))
    corner = placing.inside(corner, image.shape, size)
    st.session_state[memory] = asked._replace(answer=corner)
    height = round(_SIDE * image.shape[0] / max(image.shape))
    _PLACE(key=key, width=_SIDE, height=height + _LINE, on_placed_change=on_change or _nothing, data={
        "image": pixels, "shape": list(image.shape), "size": int(size), "mark": palette.MARK, "corner": list(corner),
        "value": None if value is None else float(value), "turn": max(placed.turn, asked.turn)})
    return corner


def _state(key: str) -> Mapping:
    """What the component has sent, as of this run: its state is there before it is drawn."""
    state = st.session_state.get(key)
    return state if isinstance(state, Mapping) else {}


def _nothing() -> None:
    """A component's state has to have a callback."""
