"""The only colours of the app: one accent, one scale for each kind of number, one triple for edges.

The edge triple was chosen by its smallest CIE76 distance under simulated deuteranopia, protanopia and tritanopia (at
least 30, on white and on the dark page) and a contrast of at least 3.9 to the page; line styles say the same
again for print and for everybody whom colours don't reach.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dashboard.names import plotly_text

ACCENT = "#0E7490"
ACCENT_DARK = "#4CC3DB"

OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00", "#999999")
"""Groups of nodes. Orange and sky blue come first: with two groups nothing is as dark as an edge."""

CIVIDIS = ("#00224E", "#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838")
"""Probabilities from 0 to 1: lightness rises evenly, for colour-blind readers and in grey print alike."""

MARK = "#E4572E"
"""The frame around a selected cell: neither cividis nor a grey picture contains it."""

DIVERGING = ("#2166AC", "#67A9CF", "#D1E5F0", "#F7F7F7", "#FDDBC7", "#EF8A62", "#B2182B")
DIVERGING_DARK = ("#8CC4F5", "#4A8CC7", "#26486A", "#15181D", "#6B3524", "#C9694A", "#FFAA8C")
"""Signed differences, blue below and red above nought; the middle is the page's own colour, so that nought is quiet."""


class EdgeStyle(NamedTuple):
    """How one kind of edge is drawn wherever it appears."""

    color: str
    dash: str
    label: str


EDGE_KINDS = ("hit", "miss", "false")
_EDGES = {
    False: {"hit": EdgeStyle("#0B7A75", "solid", "found and true"),
            "miss": EdgeStyle("#8458B3", "dot", "true, not found"),
            "false": EdgeStyle("#D55E00", "dash", "found, not true"),
            "negative": EdgeStyle(DIVERGING[0], "dash", "negative")},
    True: {"hit": EdgeStyle("#2BB5A0", "solid", "found and true"),
           "miss": EdgeStyle("#C3A6F2", "dot", "true, not found"),
           "false": EdgeStyle("#F0722E", "dash", "found, not true"),
           "negative": EdgeStyle(DIVERGING_DARK[0], "dash", "negative")},
}


def edge_styles(dark: bool = False) -> dict[str, EdgeStyle]:
    """Colour, line style and words for ``"hit"``, ``"miss"`` and ``"false"``; and for ``"negative"``, beside which no
    truth is shown."""
    return _EDGES[bool(dark)]


def accent(dark: bool = False) -> str:
    """What the eye should find first: the selected thing, the current threshold, the best number."""
    return ACCENT_DARK if dark else ACCENT


def page(dark: bool = False) -> str:
    """The colour behind everything, as in .streamlit/config.toml, for outlines that cut a node out of its lines."""
    return "#0E1117" if dark else "#FFFFFF"


def ink(dark: bool = False) -> str:
    """Text and lines at full strength, where Streamlit's chart theme does not reach."""
    return "#E8EBEF" if dark else "#262A33"


def muted(dark: bool = False) -> str:
    """Captions, axes and edges of no special kind (contrast to the page of at least 4.5)."""
    return "#9AA5B1" if dark else "#5F6B76"


def hairline(dark: bool = False) -> str:
    """Frames and grid lines, barely there."""
    return "rgba(154,165,177,0.28)" if dark else "rgba(95,107,118,0.22)"


def empty_cell(dark: bool = False) -> str:
    """A cell in which there is nothing to see."""
    return "rgba(154,165,177,0.13)" if dark else "rgba(95,107,118,0.09)"


def diverging(dark: bool = False) -> tuple[str, ...]:
    """The scale of signed differences for this page."""
    return DIVERGING_DARK if dark else DIVERGING


def group_color(group: int) -> str:
    """The colour of a group of nodes; after eight groups the colours come round again, and -1 (no group) is grey."""
    return OKABE_ITO[-1] if group < 0 else OKABE_ITO[group % len(OKABE_ITO)]


SERIES = ("#D55E00", "#8458B3", "#B8860B", "#3B7DD8", "#4F8A10", "#C2408F", "#7A6A5A")
SERIES_DARK = ("#F0722E", "#B79CF0", "#E0B23C", "#79AEFF", "#9CCB4E", "#F08AC4", "#B7A795")
"""Methods that are compared with ours: none is near the accent, each has a contrast to its page of at least 3."""


def series_color(number: int, dark: bool = False) -> str:
    """The colour of a compared method or a task's size; after seven the colours come round again."""
    colors = SERIES_DARK if dark else SERIES
    return colors[number % len(colors)]


def tint(strength: float, dark: bool = False) -> str:
    """A cell's background: the accent from nothing at 0 to as much at 1 as text on it still reads well."""
    red, green, blue = rgb(accent(dark))
    return f"rgba({red},{green},{blue},{0.42 * min(max(strength, 0.0), 1.0):.3f})"


def faint(color: str, opacity: float = 0.35) -> str:
    """A colour for the spread around a mark or a line of that colour."""
    red, green, blue = rgb(color)
    return f"rgba({red},{green},{blue},{opacity:g})"


def rgb(color: str) -> tuple[int, int, int]:
    """``"#0E7490"`` -> (14, 116, 144)."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def ink_on(color: str) -> str:
    """Black or white text, whichever reads better on a fill."""
    red, green, blue = (channel / 255 for channel in rgb(color))
    return "#1B1E24" if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 > 0.2 else "#FFFFFF"


def lookup_table(colors: tuple[str, ...]) -> np.ndarray:
    """256 evenly spaced colours of a scale, uint8 (256, 3)."""
    anchors = np.array([rgb(color) for color in colors], dtype=float)
    places = np.linspace(0, len(anchors) - 1, 256)
    table = np.stack([np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)], axis=1)
    return np.round(table).astype(np.uint8)


def layout_defaults(dark: bool = False) -> dict[str, Any]:
    """What every Plotly figure of the app shares. Fonts and grid colours are left to Streamlit's chart theme."""
    return {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 0, "r": 0, "t": 8, "b": 0, "pad": 0},
            "hoverlabel": {"bgcolor": page(dark), "bordercolor": muted(dark), "font": {"color": ink(dark)}}}


def scale(colors: tuple[str, ...]) -> list[tuple[float, str]]:
    """A tuple of evenly spaced colours as Plotly's colour scale."""
    return [(index / (len(colors) - 1), color) for index, color in enumerate(colors)]


_BAR, _BAR_PAD = 190, 10  # pixels; without the padding the first number is cut off at the page's edge


def colorbar(**settings: Any) -> dict[str, Any]:
    """A thin colour bar above the top left corner: it stays beside a square figure however wide the page is."""
    return {"orientation": "h", "x": 0, "xanchor": "left", "xpad": _BAR_PAD,
            "y": 1, "yanchor": "bottom", "ypad": 6, "thickness": 8, "lenmode": "pixels", "len": _BAR,
            "outlinewidth": 0, "ticks": ""} | settings


def colorbar_title(text: str) -> dict[str, Any]:
    """The annotation behind the bar. Plotly's own title stands before a flat bar and is cut off at the page's edge."""
    return {"text": plotly_text(text), "xref": "paper", "x": 0, "xanchor": "left", "xshift": _BAR + 6,
            "yref": "paper", "y": 1, "yanchor": "bottom", "yshift": 18, "showarrow": False, "font": {"size": 13}}
