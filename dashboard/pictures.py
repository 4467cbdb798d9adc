"""Images -> HTML with crisp pixels, for ``st.html``: every picture the same size, grey, labelled once at the left.

Charts smooth or shrink small pictures and weigh a hundred times more. A 28 x 28 digit is a PNG of some 300 bytes,
written here by hand into the page; the browser enlarges it without smoothing.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dashboard import palette
from dashboard.names import ALONG, html_text

_SMALLER_IS_BETTER = {"mse", "mae", "rmse"}
_WORDS = {"mse": "MSE", "mae": "MAE", "rmse": "RMSE", "psnr": "PSNR dB", "ssim": "SSIM"}
_USUAL, _LARGE = (14, 17), (20, 24)  # size and line height of a row's label, in CSS pixels
_DIGITS = {"psnr": 1, "mse": 4, "ssim": 3}


@dataclass(frozen=True)
class Row:
    """One row of a comparison: the same M inputs as somebody (or nobody) reconstructed them.

    Attributes:
        label: what the row is, in a person's words.
        images: (M, N), (M, H, W) or (M, N, 1) in [0, 1]; signed differences in [-1, 1] if ``errors``.
        sublabel: a smaller second line.
        scores: for each picture ``{"mse": ..., "psnr": ..., "ssim": ...}``, in the order in which they are shown.
        errors: draw signed differences on the diverging scale, which all such rows of a grid share: its ends are the
            largest difference, but never less than a quarter.
        competes: its scores may be the best of a column; turn it off for the untouched input.
        waiting: nothing is known of it yet: empty frames stand for its pictures, "–" for its numbers.
        spoken: what a screen reader says of its pictures instead of the label, for rows that go on without one.
    """

    label: str
    images: np.ndarray
    sublabel: str = ""
    scores: Sequence[dict[str, float]] | None = None
    errors: bool = False
    competes: bool = True
    waiting: bool = False
    spoken: str = ""


def png_data_uri(image: np.ndarray, diverging: bool = False, dark: bool = False) -> str:
    """A picture as a ``data:`` URI.

    Args:
        image: (H, W) float in [0, 1], grey; or in [-1, 1] with ``diverging``. Values outside are clipped, NaN is 0.
        diverging: blue below and red above nought instead of grey.
        dark: the diverging scale for a dark page.
    """
    image = np.nan_to_num(np.asarray(image, dtype=np.float32))
    if image.ndim != 2:
        raise ValueError(f"image must have shape (H, W), got {image.shape}.")
    if diverging:
        codes = np.round((np.clip(image, -1, 1) + 1) * 127.5).astype(np.uint8)
        pixels = palette.lookup_table(palette.diverging(dark))[codes]
    else:
        pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)[:, :, None]
    return "data:image/png;base64," + base64.b64encode(_png(pixels)).decode("ascii")


def comparison_grid(rows: Sequence[Row], image_shape: tuple[int, int], dark: bool = False, size: int = 60,
                    column_labels: Sequence[str] | None = None, large: bool = False) -> str:
    """Pictures in rows and columns, with their scores below and the best score of every column emphasised.

    Args:
        rows: from top to bottom, all with the same number of pictures.
        image_shape: (H, W).
        dark: the page is dark.
        size: of a picture's longer side, in CSS pixels.
        column_labels: M short labels above the columns, for example the class of each image.
        large: labels that can be read from the back of a room.

    Returns:
        HTML without scripts. It scrolls sideways where it is too narrow, and is a table to a screen reader.
    """
    stacks = [_stack(row.images, image_shape, row.label) for row in rows]
    count = len(stacks[0]) if stacks else 0
    for row, stack in zip(rows, stacks):
        if len(stack) != count or (row.scores is not None and len(row.scores) != count):
            raise ValueError(f"every row must have {count} pictures and scores, but {row.label!r} has {len(stack)} "
                             f"and {'none' if row.scores is None else len(row.scores)}.")
    best = _best(rows, count)
    largest = max((float(np.abs(stack).max(initial=0)) for row, stack in zip(rows, stacks) if row.errors), default=1.0)
    stacks = [stack / max(largest, 0.25) if row.errors else stack for row, stack in zip(rows, stacks)]
    body = []
    if column_labels is not None:
        cells = "".join(f'<div role="columnheader" class="sv-col">{html_text(label, ALONG)}</div>'
                        for label in column_labels)
        body.append(f'<div role="row" class="sv-row"><div role="columnheader"></div>{cells}</div>')
    for row, stack in zip(rows, stacks):
        cells = "".join(_cell(row, stack[column], column, best, dark) for column in range(count))
        body.append(f'<div role="row" class="sv-row">{_row_header(row)}{cells}</div>')
    return (f"{_style(image_shape, size, dark, large)}"
            f'<div class="sv-scroll" tabindex="0" role="region" aria-label="Comparison of pictures">'
            f'<div class="sv-grid" role="table" style="--sv-n:{count}">{"".join(body)}</div></div>')


def picture_strip(images: np.ndarray, image_shape: tuple[int, int], labels: Sequence[str] | None = None,
                  dark: bool = False, size: int = 60, errors: bool = False) -> str:
    """One row of pictures with a label under each.

    Args:
        images: (M, N) or (M, H, W), as in ``Row``.
        image_shape: (H, W).
        labels: M captions; without them the pictures are numbered for screen readers only.
        dark: the page is dark.
        size: of a picture's longer side, in CSS pixels.
        errors: draw signed differences on the diverging scale.
    """
    stack = _stack(images, image_shape, "images")
    if labels is not None and len(labels) != len(stack):
        raise ValueError(f"labels must have one entry for each of the {len(stack)} pictures, got {len(labels)}.")
    figures = []
    for index, image in enumerate(stack):
        text = f"picture {index + 1}" if labels is None else html_text(labels[index], ALONG)
        caption = "" if labels is None else f"<figcaption>{text}</figcaption>"
        figures.append(f'<figure class="sv-pic"><img class="sv-img" alt="{text}" '
                       f'src="{png_data_uri(image, errors, dark)}">{caption}</figure>')
    return f'{_style(image_shape, size, dark)}<div class="sv-strip">{"".join(figures)}</div>'


def _cell(row: Row, image: np.ndarray, column: int, best: dict[tuple[int, str], float], dark: bool) -> str:
    scores = {} if row.scores is None else row.scores[column]
    spoken = "".join(f", {_WORDS.get(key, key)} {shown_number(key, value)}" for key, value in scores.items())
    alt = f"{html_text(row.spoken or row.label)}, picture {column + 1}{html_text(spoken)}"
    lines = []
    for key, value in scores.items():
        wins = row.competes and (column, key) in best and bool(np.isclose(value, best[column, key], rtol=1e-9, atol=0))
        lines.append(f'<span class="sv-num{" sv-best" if wins else ""}">{shown_number(key, value)}</span>')
    picture = ('<div class="sv-img"></div>' if row.waiting else
               f'<img class="sv-img" alt="{alt}" src="{png_data_uri(image, row.errors, dark)}">')
    return f'<div role="cell" class="sv-cell">{picture}{"".join(lines)}</div>'


def _row_header(row: Row) -> str:
    """The label beside the picture, and beside each line of numbers what it counts."""
    sub = f'<small class="sv-sub">{html_text(row.sublabel)}</small>' if row.sublabel else ""
    keys = list(row.scores[0]) if row.scores else []
    units = "".join(f'<span class="sv-key">{html_text(_WORDS.get(key, key), ALONG)}</span>' for key in keys)
    return (f'<div role="rowheader" class="sv-head"><div class="sv-label"><span>{html_text(row.label)}</span>{sub}'
            f"</div>{units}</div>")


def _best(rows: Sequence[Row], count: int) -> dict[tuple[int, str], float]:
    """(column, score) -> the best value among the rows that compete; a single row wins against nobody."""
    contenders = [row.scores for row in rows if row.competes and row.scores]
    best: dict[tuple[int, str], float] = {}
    if len(contenders) < 2:
        return best
    for column in range(count):
        for key in contenders[0][column]:
            values = [scores[column][key] for scores in contenders if np.isfinite(scores[column].get(key, np.nan))]
            if values:
                best[column, key] = min(values) if key.lower() in _SMALLER_IS_BETTER else max(values)
    return best


def shown_number(key: str, value: float) -> str:
    """A score with as many digits as it deserves; ``key`` is its name."""
    return f"{value:.{_DIGITS.get(key.lower(), 3)}f}" if np.isfinite(value) else "–"


def _stack(images: np.ndarray, image_shape: tuple[int, int], label: str) -> np.ndarray:
    """(M, H, W) from any of the accepted shapes."""
    images = np.asarray(images)
    height, width = image_shape
    if images.ndim < 2 or images.size != len(images) * height * width:
        raise ValueError(f"{label}: expected pictures of {height} x {width} pixels, (M, {height * width}) or "
                         f"(M, {height}, {width}), got {images.shape}.")
    return images.reshape(len(images), height, width)


def _png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W, 1) grey or (H, W, 3) RGB -> a PNG file. Fifty of them take a few milliseconds."""
    height, width, channels = pixels.shape
    # Every scan line begins with its filter, 0: the pixels as they are.
    raw = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    written = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
               for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _style(image_shape: tuple[int, int], size: int, dark: bool, large: bool = False) -> str:
    """The style sheet. Text takes the page's own colour, so only accent and hairline depend on ``dark``."""
    height, width = image_shape
    longest = max(height, width)
    tall = round(size * height / longest)
    picture = f"width:{round(size * width / longest)}px;height:{tall}px"
    letters, line = _LARGE if large else _USUAL
    return (
        "<style>"
        ".sv-scroll{overflow-x:auto;padding-bottom:4px}"
        ".sv-grid{display:inline-block;font-size:12px;line-height:16px}"
        f".sv-row{{display:grid;grid-template-columns:{180 if large else 132}px repeat(var(--sv-n),{size}px);"
        "column-gap:8px;"
        "margin-bottom:10px}"
        ".sv-head,.sv-cell{display:flex;flex-direction:column;align-items:flex-end}"
        ".sv-cell{align-items:center}"
        f".sv-label{{height:{tall + 3}px;display:flex;flex-direction:column;justify-content:center;"
        f"align-self:flex-start;overflow-wrap:anywhere;font-size:{letters}px;line-height:{line}px}}"
        # A long name ends with an ellipsis where the picture beside it does.
        f".sv-label span{{display:-webkit-box;-webkit-box-orient:vertical;overflow:hidden;flex:none;"
        f"-webkit-line-clamp:{max(1, (tall + 3) // line)}}}"
        ".sv-sub{font-size:12px;opacity:.68}"
        ".sv-key{opacity:.68;padding-right:4px}"
        ".sv-num{font-variant-numeric:tabular-nums;opacity:.85}"
        f".sv-best{{font-weight:700;color:{palette.accent(dark)};opacity:1}}"
        ".sv-col{text-align:center;opacity:.68;overflow-wrap:anywhere}"
        f".sv-img{{{picture};image-rendering:pixelated;display:block;border-radius:2px;margin-bottom:3px;"
        f"outline:1px solid {palette.hairline(dark)};outline-offset:0}}"
        ".sv-strip{display:flex;flex-wrap:wrap;gap:8px}"
        ".sv-pic{margin:0;font-size:12px;line-height:16px;text-align:center}"
        ".sv-pic figcaption{opacity:.68;overflow-wrap:anywhere}"
        "</style>")
