"""A page with nothing but the two components, and beside each what Python got from it."""

import time

import numpy as np
import streamlit as st

from dashboard import pads, parts, pictures, state

YS, XS = np.mgrid[:28, :28]
RING = np.clip(2.5 - np.abs(np.hypot(YS - 13.5, XS - 13.5) - 8), 0, 1)
FILLS = {"white": 1.0, "grey": 0.5, "black": 0.0, "random": None}
PLACES = {"middle": None, "top left": (0, 0), "bottom right": (99, 99), "as answered": "answer"}


@st.fragment
@parts.guard()
def drawing() -> None:
    """The pad, and the digit Python made of it."""
    with st.container(horizontal=True):
        elsewhere = st.toggle("Elsewhere", key="elsewhere")
        slow = st.toggle("Slow", key="slow")
        st.button("Another", key="another", on_click=state.add, args=("number", 1))
    if slow:
        time.sleep(1)
    key = f"pad{state.get('number', 0)}"
    with st.container(horizontal=True):
        with st.container(key="pad", width=300), st.container(key="other" if elsewhere else "usual"):
            digit = pads.draw_pad(key=key, on_change=lambda: state.add("strokes", 1))
        if digit is not None:
            st.html(pictures.picture_strip(digit[None], (28, 28), ["digit"], parts.is_dark(), size=140))
    st.text(f"strokes {state.get('strokes', 0)}, {'nothing' if digit is None else f'ink {digit.sum():.1f}'}")


@st.fragment
@parts.guard()
def placing() -> None:
    """The block, and where Python has it."""
    with st.container(horizontal=True):
        size = st.number_input("Size", 0, 40, 8, key="size", width=110)
        fill = st.selectbox("Fill", list(FILLS), key="fill", width=110)
        ask = st.selectbox("Position", list(PLACES), key="ask", width=130)
    image = RING[:14] if st.toggle("Wide", key="wide") else RING
    position = st.session_state.get("answer") if PLACES[ask] == "answer" else PLACES[ask]
    corner = pads.place_block(image, size, FILLS[fill], position, key="block")
    st.session_state["answer"] = corner
    state.add("runs", 1)
    st.text(f"run {st.session_state['runs']}, corner {corner}")


st.set_page_config(layout="wide")
st.header("Pads", anchor=False)
left, right = st.columns(2)
with left:
    drawing()
with right:
    placing()
