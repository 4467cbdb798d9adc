"""A person's own digit -> the picture a model expects, from strokes on a canvas or from an uploaded file.

MNIST's digits were written by hand as well: each was scaled to fit a box of 20 x 20 pixels, and its centre of mass
moved to pixel (14, 14) of 28 x 28. :func:`as_mnist` does the same: a model knows digits of no other size or place.
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
import zlib
from typing import BinaryIO

import numpy as np
from PIL import Image

from sagvae_core.errors import SagvaeError, expected

CANVAS = 112  # pixels along a side of what the draw pad sends: four for every one of MNIST's
LARGEST_FILE = 5 * 2**20  # bytes; 28 x 28 pixels take about a thousand, but of a photo we can say how large it is
_INK = 0.1  # below it a pixel is the brush's soft edge, not a part of the digit
_GREY = 24 / 255  # how far apart red, green and blue of a grey picture may be: JPEG rounds them one by one
_BROKEN = (OSError, SyntaxError, ValueError, struct.error, zlib.error)  # what Pillow raises inside a broken file


def encode_pixels(image: np.ndarray) -> str:
    """(H, W) float in [0, 1] -> base64 of its H * W bytes, row by row; values outside are clipped, NaN is 0."""
    grey = np.nan_to_num(np.asarray(image, dtype=np.float32))
    if grey.ndim != 2:
        raise ValueError(f"image must have shape (H, W), got {grey.shape}.")
    return base64.b64encode(np.round(np.clip(grey, 0, 1) * 255).astype(np.uint8).tobytes()).decode("ascii")


def decode_pixels(text: object, side: int = CANVAS) -> np.ndarray:
    """What a browser says it has drawn -> (side, side) float32 in [0, 1].

    Raises:
        SagvaeError: ``text`` is not the base64 of side * side bytes.
    """
    wanted, remedy = f"base64 of {side} x {side} bytes", "Clear the pad and draw again."
    if not isinstance(text, str):
        raise expected("the drawing", wanted, type(text).__name__, remedy)
    if len(text) != 4 * -(-side * side // 3):  # before decoding: it comes from outside, and may be of any length
        raise expected("the drawing", wanted, f"{len(text)} characters", remedy)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters beyond ASCII
        raise expected("the drawing", wanted, "other characters", remedy) from None
    if len(data) != side * side:
        raise expected("the drawing", wanted, f"{len(data)} bytes", remedy)
    return np.frombuffer(data, np.uint8).reshape(side, side).astype(np.float32) / 255


def as_mnist(image: np.ndarray, size: int = 28, box: int = 20) -> np.ndarray:
    """Scale and place a drawn digit as MNIST's are.

    Args:
        image: (H, W) float in [0, 1], white on black, of any size.
        size: side of the answer.
        box: side of the square the digit is scaled to fit, its proportions kept; at most ``size``.

    Returns:
        (size, size) float32 in [0, 1]. The centre of mass is at most half a pixel from (size / 2, size / 2), unless
        that would push a part of the digit over the edge. All black if nothing is drawn.
    """
    image = np.asarray(image, dtype=np.float32)
    if image.ndim != 2 or not 0 < box <= size:
        raise ValueError(f"image must have shape (H, W) and 0 < box <= size, got {image.shape}, {box} and {size}.")
    answer = np.zeros((size, size), np.float32)
    ink = image > _INK
    if not ink.any():
        return answer
    (top, bottom), (left, right) = _span(ink.any(axis=1)), _span(ink.any(axis=0))
    scale = box / max(bottom - top, right - left)
    height, width = (max(1, round(length * scale)) for length in (bottom - top, right - left))
    digit = _shares(bottom - top, height) @ image[top:bottom, left:right] @ _shares(right - left, width).T
    row, column = (_place(digit.sum(axis=axis), size) for axis in (1, 0))
    answer[row:row + height, column:column + width] = np.clip(digit, 0, 1)  # rounding may pass 1
    return answer


def read_upload(file: bytes | BinaryIO, invert: bool = False, size: int = 28) -> np.ndarray:
    """Read a digit from a PNG or JPEG file of exactly ``size`` x ``size`` pixels.

    Nothing is decoded before the file's length and the picture's size are known to be right.

    Args:
        file: the file's bytes, or the file opened for reading them.
        invert: it is black on white; without it white on black is taken for granted. What is transparent belongs to
            the background either way.
        size: side of the picture.

    Returns:
        (size, size) float32 in [0, 1], white on black.

    Raises:
        SagvaeError: the file is larger than 5 MB, no PNG or JPEG, broken, of another size, or in colour.
    """
    data = _content(file)
    if len(data) > LARGEST_FILE:
        raise expected("the picture's file", f"at most {LARGEST_FILE / 2**20:.0f} MB",
                       "a larger one", f"Scale the picture down to {size} x {size} pixels.")
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _wrong_size("more than 89 million pixels", size) from None
    except _BROKEN:  # Pillow's UnidentifiedImageError is an OSError
        raise expected("the file", "a PNG or JPEG picture", "something else or a broken file",
                       "Save the digit as PNG.") from None
    if picture.size != (size, size):
        raise _wrong_size("{} x {}".format(*picture.size), size)
    try:
        picture.load()
    except _BROKEN:
        raise expected("the picture", "complete", "a file that cannot be read to its end",
                       "Save it once more as PNG.") from None
    grey, alpha = _grey_and_alpha(picture)
    paper = 1.0 if invert else 0.0
    seen = grey * alpha + paper * (1 - alpha)
    return (1 - seen if invert else seen).astype(np.float32)


def _content(file: bytes | BinaryIO) -> bytes:
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    file.seek(0)  # a rerun reads the same upload again
    return file.read(LARGEST_FILE + 1)


def _wrong_size(got: str, size: int) -> SagvaeError:
    return expected("the picture", f"{size} x {size} pixels", got, f"Scale it to {size} x {size}, or draw the digit.")


def _grey_and_alpha(picture: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and opacity, both (H, W) in [0, 1]."""
    if picture.mode.startswith("I"):  # 16 bits a pixel: Pillow's own conversion to 8 would clip them
        grey = np.asarray(picture, dtype=np.float64) / 65535
        return np.clip(grey, 0, 1), np.ones_like(grey)
    channels = np.asarray(picture.convert("RGBA"), dtype=np.float64) / 255
    colors, alpha = channels[..., :3], channels[..., 3]
    if ((np.ptp(colors, axis=-1) > _GREY) & (alpha > 0)).any():
        raise expected("the picture", "grey", "one in colour", "Convert it to greyscale.")
    return colors.mean(axis=-1), alpha


def _span(touched: np.ndarray) -> tuple[int, int]:
    """First True and one behind the last."""
    places = np.flatnonzero(touched)
    return int(places[0]), int(places[-1]) + 1


def _shares(length: int, parts: int) -> np.ndarray:
    """Means over ``parts`` equal pieces of a line of pixels, as a (parts, length) matrix whose rows sum to 1.

    A pixel cut by a border counts on both sides with the share that lies there: anti-aliasing. (Pillow's box filter
    gives it to one side as a whole.)
    """
    borders = np.linspace(0, length, parts + 1)
    pixels = np.arange(length)
    covered = np.minimum(borders[1:, None], pixels + 1) - np.maximum(borders[:-1, None], pixels)
    return (np.clip(covered, 0, None) * (parts / length)).astype(np.float32)


def _place(mass: np.ndarray, size: int) -> int:
    """Where a digit with this much ink in each of its rows (or columns) begins."""
    centre = float(mass @ np.arange(len(mass)) / mass.sum())
    return int(np.clip(round(size / 2 - centre), 0, size - len(mass)))
