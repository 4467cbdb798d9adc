"""A node-link graph as a picture to keep: SVG for print and editing, PNG for a slide. Pure; always on white.

Both are drawn from one list of marks, at the places the page shows, so that they differ in nothing but their format.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dashboard import palette
from dashboard.edges import STEADY, names_below, shown_edges, steady_bands
from dashboard.names import ALONG, BESIDE, html_text, one_line

_WIDTH, _HEIGHT, _MARGIN = 1200, 1000, 56  # at most; a flat graph is a lower picture
_ROW, _FONT, _SMALL = 26, 15.0, 13.0  # of the legend's lines, of names, of names inside nodes and the legend
_FEW = 60  # nodes up to which every name is written, as on the page
_SHARP, _SMOOTH = 2, 2  # the PNG has twice the SVG's pixels, each the mean of 2 x 2
_DASHES = {"solid": (), "dot": (2, 5), "dash": (9, 5)}
# The first that this machine has: Pillow's own knows few letters beyond English ones.
_LETTER = 0.62  # of a font's size that a letter is wide
_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "LiberationSans-Regular.ttf", "Helvetica.ttc")


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a figure of a graph is drawn from, whichever figure it is.

    Attributes:
        probabilities: (N, N).
        threshold: edges have p > threshold.
        positions: (N, 2) from ``network.layout``, y upwards.
        names: N labels, untrusted.
        groups: N group numbers for the colours.
        group_names: a name for each group number, for the legend; untrusted.
        truth: (N, N); if given, edges are told apart as hit, miss and false edge.
        steadiness: (N, N) in [0, 1], how opaque an edge is where that is not how sure it is; not with ``truth``.
        negative: bool (N, N), the pairs that go in opposite directions; not with ``truth``.
    """

    probabilities: np.ndarray
    threshold: float
    positions: np.ndarray
    names: Sequence[str]
    groups: Sequence[int] | None = None
    group_names: Sequence[str] | None = None
    truth: np.ndarray | None = None
    steadiness: np.ndarray | None = None
    negative: np.ndarray | None = None


class _Line(NamedTuple):
    ends: tuple[float, float, float, float]
    color: str
    width: float
    opacity: float = 1.0
    dashes: tuple[int, ...] = ()


class _Dot(NamedTuple):
    x: float
    y: float
    radius: float
    color: str
    title: str | None = None


class _Text(NamedTuple):
    x: float
    y: float  # of the middle of a line
    text: str
    size: float
    color: str
    anchor: str = "middle"  # or "start"
    halo: bool = False


class _Sheet(NamedTuple):
    width: int
    height: int
    marks: list[_Line | _Dot | _Text]  # from the back to the front


def svg(drawn: Drawn, max_edges: int = 4000) -> bytes:
    """The picture as SVG that loads nothing; in a browser a node shows its name when the mouse is over it.

    Args:
        drawn: what is drawn.
        max_edges: beyond it only the most probable edges are drawn, and the picture says so.
    """
    sheet = _sheet(drawn, max_edges)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{sheet.width}" height="{sheet.height}" '
             f'viewBox="0 0 {sheet.width} {sheet.height}" '
             'font-family="Source Sans Pro, Helvetica, Arial, sans-serif">',
             '<rect width="100%" height="100%" fill="#FFFFFF"/>']
    lines += map(_element, sheet.marks)
    return "\n".join([*lines, "</svg>", ""]).encode()


def png(drawn: Drawn, max_edges: int = 4000) -> bytes:
    """The picture as PNG, 2,400 pixels wide; see :func:`svg`."""
    sheet = _sheet(drawn, max_edges)
    scale = _SHARP * _SMOOTH
    image = Image.new("RGB", (sheet.width * scale, sheet.height * scale), "white")
    pen = ImageDraw.Draw(image, "RGBA")  # blends what is not opaque
    for mark in sheet.marks:
        _draw(pen, mark, scale)
    file = io.BytesIO()
    image.reduce(_SMOOTH).save(file, "PNG")
    return file.getvalue()


def _sheet(drawn: Drawn, limit: int) -> _Sheet:
    """Where everything is, in pixels from the top left."""
    count, names = len(drawn.names), [one_line(name) for name in drawn.names]
    points = np.asarray(drawn.positions, dtype=float).reshape(count, 2)
    low, high = (points.min(0), points.max(0)) if count else (np.zeros(2), np.zeros(2))
    room, extent = np.array([_WIDTH, _HEIGHT]) - 2 * _MARGIN, np.maximum(high - low, 1e-9)
    scale = float((room / extent).min()) if (high > low).any() else 1.0
    height = round((high - low)[1] * scale) + 2 * _MARGIN
    places = np.stack([_WIDTH / 2 + (points[:, 0] - (low + high)[0] / 2) * scale,
                       height / 2 - (points[:, 1] - (low + high)[1] / 2) * scale], axis=1)
    edges, said = _edges(drawn, places, limit)
    legend, height = _legend(drawn, said, height)
    return _Sheet(_WIDTH, height, [*edges, *_nodes(drawn, names, places), *legend])


def _edges(drawn: Drawn, places: np.ndarray, limit: int) -> tuple[list[_Line], tuple[list[str], str]]:
    """The edges, the surest on top; which kinds there are, and what is to be said about those left out."""
    pairs, kinds, total = shown_edges(drawn.probabilities, drawn.threshold, drawn.truth, limit, drawn.negative)
    thin = 1.0 if len(pairs) <= 400 else 0.7 if len(pairs) <= 1500 else 0.4  # many lines must not become a blot
    styles, lines = palette.edge_styles(), []
    steady = None if drawn.steadiness is None else np.array(STEADY)[steady_bands(drawn.steadiness)]
    for (first, second), kind in zip(pairs[::-1].tolist(), kinds[::-1].tolist()):
        ends = (*places[first].tolist(), *places[second].tolist())
        sure = float(drawn.probabilities[first, second])
        color, dashes = (styles[kind].color, _DASHES[styles[kind].dash]) if kind else (palette.muted(), ())
        if kind in palette.EDGE_KINDS:
            lines.append(_Line(ends, color, 2.2 * thin, 0.5 + 0.35 * thin, dashes))
        else:
            opacity = 0.25 + 0.55 * sure if steady is None else steady[first, second]
            lines.append(_Line(ends, color, thin * (0.6 + 2.2 * sure**2), thin**0.5 * float(opacity), dashes))
    said = "" if len(pairs) == total else f"the {len(pairs):,} surest of {total:,} edges"
    return lines, ([kind for kind in styles if kind in set(kinds.tolist())], said)


def _nodes(drawn: Drawn, names: list[str], places: np.ndarray) -> list[_Dot | _Text]:
    """The dots, each with its name inside or beside it where there are few."""
    count = len(names)
    inside = count <= _FEW and max(map(len, names), default=0) <= 3
    radius = 15.0 if inside else float(np.clip(80 / np.sqrt(max(count, 1)), 3, 10))
    groups = [0] * count if drawn.groups is None else [int(group) for group in drawn.groups]
    colors = [palette.accent() if drawn.groups is None else palette.group_color(group) for group in groups]
    dots = [_Dot(x, y, radius, color, name) for (x, y), color, name in zip(places.tolist(), colors, names)]
    if count > _FEW:
        return dots
    if inside:
        return dots + [_Text(dot.x, dot.y, name, _SMALL, palette.ink_on(dot.color)) for dot, name in zip(dots, names)]
    linked = np.asarray(drawn.probabilities) > drawn.threshold
    side = np.where(names_below(drawn.positions, linked if drawn.truth is None else linked | (drawn.truth != 0)), 1, -1)
    texts = (one_line(name, BESIDE) for name in names)
    return dots + [_Text(_inside(dot.x, text), dot.y + where * (radius + _FONT * 0.65), text, _FONT, palette.ink(),
                         halo=True) for dot, where, text in zip(dots, side.tolist(), texts)]


def _inside(middle: float, text: str) -> float:
    """Where the middle of a name has to be so that it is not cut off at the picture's edge."""
    half = _LETTER * _FONT * len(text) / 2 + 4
    return float(np.clip(middle, half, _WIDTH - half)) if 2 * half < _WIDTH else _WIDTH / 2


def _legend(drawn: Drawn, said: tuple[list[str], str], top: int) -> tuple[list[_Line | _Dot | _Text], int]:
    """Groups as dots, kinds of edges as short lines, in rows from ``top`` on; and the height of the whole picture."""
    kinds, note = said
    styles, named = palette.edge_styles(), drawn.group_names or ()
    groups = sorted({int(group) for group in drawn.groups}) if drawn.groups is not None else []
    items = [(one_line(named[group], ALONG), palette.group_color(group), None)
             for group in groups if 0 <= group < len(named)][:8]
    items += [(styles[kind].label, styles[kind].color, _DASHES[styles[kind].dash]) for kind in kinds]
    items += [(note, "", None)] if note else []
    marks: list[_Line | _Dot | _Text] = []
    left, middle = float(_MARGIN), top + _ROW / 2
    for text, color, dashes in items:
        before = 34 if dashes is not None else 16 if color else 0
        width = before + _LETTER * _SMALL * len(text) + 26
        if left > _MARGIN and left + width > _WIDTH - _MARGIN:
            left, middle = float(_MARGIN), middle + _ROW
        if dashes is not None:
            marks.append(_Line((left, middle, left + 26, middle), color, 2.2, dashes=dashes))
        elif color:
            marks.append(_Dot(left + 5, middle, 5, color))
        marks.append(_Text(left + before, middle, text, _SMALL, palette.muted(), "start"))
        left += width
    return marks, round(middle + _ROW) if items else top


def _element(mark: _Line | _Dot | _Text) -> str:
    """A mark in SVG."""
    if isinstance(mark, _Line):
        x1, y1, x2, y2 = (f"{place:.1f}" for place in mark.ends)
        dashes = f' stroke-dasharray="{" ".join(map(str, mark.dashes))}"' if mark.dashes else ""
        return (f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{mark.color}" stroke-width="{mark.width:.2f}" '
                f'stroke-opacity="{mark.opacity:.2f}"{dashes}/>')
    if isinstance(mark, _Dot):
        title = "" if mark.title is None else f"<title>{html_text(mark.title)}</title>"
        return (f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="{mark.radius:.1f}" fill="{mark.color}" '
                f'stroke="#FFFFFF" stroke-width="1.5">{title}</circle>')
    halo = ' stroke="#FFFFFF" stroke-width="3" stroke-linejoin="round" paint-order="stroke"' if mark.halo else ""
    return (f'<text x="{mark.x:.1f}" y="{mark.y + 0.35 * mark.size:.1f}" font-size="{mark.size:g}" '
            f'text-anchor="{mark.anchor}" fill="{mark.color}"{halo}>{html_text(mark.text)}</text>')


def _draw(pen: ImageDraw.ImageDraw, mark: _Line | _Dot | _Text, scale: int) -> None:
    """A mark in pixels."""
    if isinstance(mark, _Line):
        color = (*palette.rgb(mark.color), round(255 * mark.opacity))
        for ends in _strokes(mark):
            pen.line([place * scale for place in ends], color, max(1, round(mark.width * scale)))
    elif isinstance(mark, _Dot):
        for radius, color in ((mark.radius + 0.75, "#FFFFFF"), (mark.radius - 0.75, mark.color)):
            pen.ellipse([(mark.x - radius) * scale, (mark.y - radius) * scale, (mark.x + radius) * scale,
                         (mark.y + radius) * scale], color)
    else:
        pen.text((mark.x * scale, mark.y * scale), mark.text, mark.color, _font(mark.size * scale),
                 "mm" if mark.anchor == "middle" else "lm", stroke_width=scale if mark.halo else 0, stroke_fill="white")


def _strokes(line: _Line) -> list[tuple[float, ...]]:
    """The line, or the dashes of a dashed one, each as its two ends."""
    if not line.dashes:
        return [line.ends]
    start, end = np.array(line.ends).reshape(2, 2)
    length = float(np.linalg.norm(end - start))
    stroke, gap = line.dashes
    step = (end - start) / max(length, 1e-9)
    begins = np.arange(0, length, stroke + gap)
    return [(*(start + step * begin), *(start + step * min(begin + stroke, length))) for begin in begins]


@lru_cache(maxsize=8)
def _font(size: float) -> ImageFont.FreeTypeFont:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:  # not on this machine
            continue
    return ImageFont.load_default(size)
