"""Every session-state key of the app, and what may be kept under it. Widgets keep theirs in the URL where they can."""

from __future__ import annotations

import streamlit as st

RUN = "run"  # str: name of the model on Overview and Relations
PIXEL_ROW, PIXEL_COLUMN = "row", "column"  # int: the picked pixel
DRAW = "draw"  # int: seed of the damage on Robustness
FIRST_IMAGE = "first_image"  # int: number of the first test image shown on Robustness
OWN = "own"  # list[bytes]: the digits a person has drawn and kept, as spoiled.Shown has them
PAD = "pad"  # int: how many pads were used up; the next is a new one
SAMPLE_SEED = "seed"  # int: of what Sampling draws
PRESENT = "present"  # bool: Robustness without anything around it
STUDY, TASK, TOLD, SIZE = "study", "task", "told", "size"  # str: which table Evidence shows
PICTURES_OF, DAMAGED_BY, TRAINED_ON = "pictures_of", "damaged_by", "trained_on"  # str: which table of images it shows
METHOD = "method"  # str: label of the method whose graph Evidence shows
WATCHED = "watch"  # str: name of the run the Train page follows
COMPARED = "compared"  # list[str]: runs whose curves stand beside its own
TERM = "term"  # str: what is compared
FRAME = "frame"  # int: epoch of the snapshot that is shown
MODE = "snapshots"  # str, one for each run: whether the newest snapshot is shown, a chosen one, or all in turn
PLAYED = "played"  # int: epoch of the snapshot that stands where they are shown in turn
SEEDED = "seeded"  # str: name of the run whose settings the form starts from
NEXT = "watch_next"  # str: the run to be watched from the next run of the page on
FIT = "fit"  # str: name of the fit that Your data shows
FIT_NEXT = "fit_next"  # str: the fit to be shown from the next run of the page on
CREATED, IMPORTED = "created", "imported"  # int: runs started and read from files; their fields are new after each


def get(key: str, default):
    """The value under ``key``; sets it to ``default`` the first time."""
    return st.session_state.setdefault(key, default)


def fit_to(key: str, options, first=None) -> None:
    """Give a widget whose value its options no longer hold the ``first`` one.

    It has to be set: where the value is only dropped, the browser goes on showing the old one.
    """
    if key in st.session_state and st.session_state[key] not in options:
        st.session_state[key] = first if first in options else options[0]


def add(key: str, amount: int) -> None:
    """Callback: count ``key`` up."""
    st.session_state[key] = st.session_state.get(key, 0) + amount


def put(key: str, value) -> None:
    """Callback: set ``key``."""
    st.session_state[key] = value
