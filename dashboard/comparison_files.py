"""A comparison to take away: one PNG for a slide, one CSV for a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dashboard import palette
from dashboard.names import NAME, cell, one_line
from dashboard.pictures import Row, shown_number

_PICTURE, _GAP, _LABEL, _LINE = 140, 12, 230, 22  # pixels of the PNG: a row of ten fits a slide's 1,920
_SIZES = {"label": 22, "small": 16}


def png(rows: Sequence[Row], image_shape: tuple[int, int], title: str) -> bytes:
    """The rows of a comparison as one picture on white, with labels and scores, below a line that says what it is.

    Args:
        rows: as on the page, see :class:`~dashboard.pictures.Row`; all of M pictures.
        image_shape: (H, W).
        title: data, damage and draw in words.
    """
    height, width = image_shape
    scale = _PICTURE / max(image_shape)
    size = (round(width * scale), round(height * scale))
    fonts = {name: ImageFont.load_default(points) for name, points in _SIZES.items()}
    heights = [size[1] + _LINE * len(row.scores[0] if row.scores else ()) + _GAP for row in rows]
    count = len(rows[0].images)
    sheet = Image.new("RGB", (_LABEL + count * (size[0] + _GAP), sum(heights) + _GAP + 2 * _LINE), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), one_line(title, 2 * NAME), "#262A33", fonts["label"])
    top = _GAP + 2 * _LINE
    largest = max((float(np.abs(row.images).max(initial=0)) for row in rows if row.errors), default=1.0)
    for row, tall in zip(rows, heights, strict=True):
        draw.text((_GAP, top + size[1] // 2), one_line(row.label), "#262A33", fonts["label"], "lm")
        for column, image in enumerate(np.asarray(row.images).reshape(count, height, width)):
            left = _LABEL + column * (size[0] + _GAP)
            sheet.paste(_picture(image, row.errors, largest).resize(size, Image.Resampling.NEAREST), (left, top))
            for line, (name, value) in enumerate((row.scores[column] if row.scores else {}).items()):
                draw.text((left + size[0] // 2, top + size[1] + _LINE // 2 + _LINE * line),
                          f"{name} {shown_number(name, value)}", "#5F6B76", fonts["small"], "mm")
        top += tall
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def csv_text(damage: str, seed: int, rows: Sequence[tuple[str, Sequence[Mapping[str, float]], Mapping[str, float]]],
             batch: int) -> str:
    """Scores in long form: damage, draw, model, picture, metric, value.

    Args:
        damage: in words.
        seed: of the draw.
        rows: for each model its name, the scores of every shown picture and the mean scores of the batch.
        batch: pictures behind a mean.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["damage", "draw", "model", "picture", "metric", "value"])
    for model, shown, mean in rows:
        for place, scores in [*enumerate(shown, 1), (f"mean of {batch} test images", mean)]:
            for metric, value in scores.items():
                writer.writerow([cell(damage), seed, cell(model), place, metric, f"{value:.6g}"])
    return text.getvalue()


def _picture(image: np.ndarray, errors: bool, largest: float) -> Image.Image:
    if not errors:
        return Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    codes = np.round((np.clip(image / max(largest, 0.25), -1, 1) + 1) * 127.5).astype(np.uint8)
    return Image.fromarray(palette.lookup_table(palette.diverging())[codes])
