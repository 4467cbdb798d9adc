"""Digits a person draws or uploads, shown and spoiled like the held-out ones."""

from __future__ import annotations

import streamlit as st

from dashboard import drawings, pads, parts, spoiled, state
from dashboard.names import one_line
from sagvae_core.errors import SagvaeError

SIDE = 28  # of MNIST's and Fashion-MNIST's pictures
MOST = 10  # as many as the page shows side by side


def choose() -> tuple[bytes, ...]:
    """Pictures as :class:`spoiled.Shown` keeps them: the drawing on the pad first, then those kept and uploaded."""
    kept: list[bytes] = state.get(state.OWN, [])
    with st.container(horizontal=True, gap="large"):
        with st.container(width=290):
            pad = f"pad_{state.get(state.PAD, 0)}"
            drawn = pads.draw_pad(SIDE, key=pad)
            st.button("Keep it and draw another", on_click=_keep, args=(drawn,), icon=":material/add:",
                      disabled=drawn is None or len(kept) >= MOST)
        with st.container(width=420):
            files = st.file_uploader(f"Or pictures of {SIDE} x {SIDE} pixels", ["png", "jpg", "jpeg"],
                                     accept_multiple_files=True, key="uploads", max_upload_size=1,
                                     help="Grey, white on black, as in MNIST; nothing is stored.")
            inverted = st.toggle("They are black on white", key="inverted")
            uploaded = []
            for file in files:
                try:
                    uploaded.append(spoiled.own_picture(drawings.read_upload(file, inverted, SIDE)))
                except SagvaeError as error:
                    parts.complain(f"{one_line(file.name)}: {error}")
            st.button("Remove the kept drawings", on_click=state.put, args=(state.OWN, []), disabled=not kept,
                      icon=":material/delete:")
    now = [] if drawn is None else [spoiled.own_picture(drawn)]
    pictures = (*now, *kept, *uploaded)
    if len(pictures) > MOST:
        st.caption(f"The first {MOST} of {len(pictures)} pictures are shown.")
    return tuple(pictures[:MOST])


def _keep(drawn) -> None:
    """Callback: the drawing stays, and the pad is a new one."""
    st.session_state[state.OWN] = [*st.session_state[state.OWN], spoiled.own_picture(drawn)]
    state.add(state.PAD, 1)
