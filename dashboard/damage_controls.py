"""The controls that say how pictures are spoiled: a kind, and the few settings that kind has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from dashboard import pads, parts
from sagvae_core.config import PerturbationConfig
from sagvae_core.perturbations import STRONGEST_SIGMA

KINDS = {"uniform": "Noise", "salt_pepper": "Salt and pepper", "gaussian": "Gaussian", "block": "Block",
         "blocks": "Several blocks", "rotated": "Turned block", "stripes": "Stripes", "contrast": "Contrast"}
_FILLS = {"white": 1.0, "black": 0.0, "random": None}
_PLACES = ("random", "by hand", "centre", "top left", "bottom right")
_WIDTH = 340  # CSS pixels of a slider
# What a sweep counts along its axis: the words, and where the configuration keeps it.
_STRENGTHS: dict[str, tuple[str, Callable[[PerturbationConfig], float]]] = {
    "uniform": ("noisy pixels", lambda damage: damage.pixels),
    "salt_pepper": ("pixels set to black or white", lambda damage: damage.pixels),
    "gaussian": ("standard deviation of the noise", lambda damage: damage.sigma),
    "block": ("side of the block, pixels", lambda damage: damage.size),
    "blocks": ("side of each block, pixels", lambda damage: damage.size),
    "rotated": ("side of the block, pixels", lambda damage: damage.size),
    "stripes": ("stripes", lambda damage: damage.count),
    "contrast": ("contrast taken away", lambda damage: 1 - damage.contrast),
}


def strength(damage: PerturbationConfig) -> float:
    """How strong the damage is, in the unit of :func:`strength_words`."""
    return float(_STRENGTHS[damage.kind][1](damage))


def strength_words(kind: str) -> str:
    """What :func:`strength` counts."""
    return _STRENGTHS[kind][0]


def choose_kind() -> str:
    """A key of :data:`KINDS`."""
    return parts.one_of("Damage", list(KINDS), "kind", format_func=KINDS.get, bind="query-params")


def choose_settings(kind: str, picture: np.ndarray, usual: PerturbationConfig) -> PerturbationConfig:
    """Strength and place of one kind of damage.

    Args:
        kind: a key of :data:`KINDS`.
        picture: (H, W), what a block is placed on by hand.
        usual: uniform noise as the models were trained with it.
    """
    shape: tuple[int, int] = picture.shape
    settings: dict = {}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        _strength_controls(kind, shape, usual, settings)
        if kind in ("block", "blocks", "rotated", "stripes"):
            settings["value"] = _FILLS[st.selectbox("Filled with", list(_FILLS), key="fill", bind="query-params",
                                                    width=130)]
        place = "random"
        if kind in ("block", "rotated"):
            place = st.selectbox("Where", _PLACES, key="place", width=150, bind="query-params",
                                 help="By hand: drag the block on a picture.")
        if kind == "rotated":
            angle = st.select_slider("Turned by", ["random", *range(0, 91, 15)], key="angle", width=200,
                                     bind="query-params",
                                     format_func=lambda angle: angle if angle == "random" else f"{angle}°")
            settings["angle"] = None if angle == "random" else float(angle)
    if place != "random":
        settings["position"] = _corner(place, picture, settings["size"], settings["value"])
    return PerturbationConfig(kind, **settings)


def _strength_controls(kind: str, shape: tuple[int, int], usual: PerturbationConfig, settings: dict) -> None:
    nodes, side = shape[0] * shape[1], min(shape)
    if kind in ("uniform", "salt_pepper"):
        trained = f" The models were trained with {usual.pixels} noisy ones." if usual.kind == "uniform" else ""
        settings["pixels"] = st.slider(
            "Noisy pixels", 0, nodes, usual.pixels if usual.kind == "uniform" else nodes // 4, max(1, nodes // 196),
            key=f"pixels_{nodes}", width=_WIDTH, bind="query-params",
            help=f"How many of the {nodes} pixels are replaced.{trained}")
    elif kind == "gaussian":
        settings["sigma"] = st.slider("Standard deviation", 0.0, STRONGEST_SIGMA, 0.2, 0.01, key="sigma", width=_WIDTH,
                                      bind="query-params",
                                      help="Of the noise added to every pixel; black is 0, white is 1.")
    elif kind == "contrast":
        settings["contrast"] = 1 - st.slider("Contrast taken away", 0.0, 1.0, 0.5, 0.02, key="contrast", width=_WIDTH,
                                             bind="query-params",
                                             help="At 1 every pixel is the same grey.")
    elif kind == "stripes":
        settings["direction"] = parts.one_of("Direction", ["horizontal", "vertical"], "direction",
                                               bind="query-params")
        lines = shape[0] if settings["direction"] == "horizontal" else shape[1]
        settings["count"] = st.slider("Stripes", 0, lines, max(1, lines // 9), key=f"stripes_{lines}", width=_WIDTH,
                                      bind="query-params",
                                      help="Lines of one pixel that are lost.")
    else:
        if kind == "blocks":
            settings["count"] = st.slider("Blocks", 1, 8, 3, key="count", width=180, bind="query-params")
        settings["size"] = st.slider("Size of the block", 0, side, max(1, side // 4), key=f"size_{nodes}",
                                     width=_WIDTH, bind="query-params", help="Pixels along one side.")


def _corner(place: str, picture: np.ndarray, size: int, value: float | None) -> tuple[int, int]:
    """Row and column of the block's top left corner."""
    free = (picture.shape[0] - size, picture.shape[1] - size)
    if place != "by hand":
        return {"centre": (free[0] // 2, free[1] // 2), "top left": (0, 0), "bottom right": free}[place]
    with st.container(horizontal=True, gap="medium"):
        corner = pads.place_block(picture, size, value, key="placed")
        st.caption("Drag the block, click where it should be, or use the arrow keys. It covers the same place on all "
                   "pictures.", width=240)
    return corner
