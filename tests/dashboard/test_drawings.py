"""A person's digit: what comes out is placed as MNIST's are, what cannot be used is said in a sentence."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dashboard.drawings import CANVAS, LARGEST_FILE, as_mnist, decode_pixels, encode_pixels, read_upload
from sagvae_core.data import data_folder, dataset_available
from sagvae_core.errors import SagvaeError


def box(image: np.ndarray) -> tuple[int, int]:
    """Height and width of what is drawn."""
    return tuple(int(np.ptp(np.flatnonzero((image > 0.1).any(axis=axis)))) + 1 for axis in (1, 0))


def centre(image: np.ndarray) -> np.ndarray:
    return np.array([(image * places).sum() for places in np.indices(image.shape)]) / image.sum()


def bar(height: int, width: int, top: int = 5, left: int = 70) -> np.ndarray:
    image = np.zeros((CANVAS, CANVAS), np.float32)
    image[top:top + height, left:left + width] = 1
    return image


# ---------------------------------------------------------------------------------------------------- pixels as text

def test_pixels_survive_the_way_there_and_back():
    image = np.random.default_rng(0).integers(0, 256, (CANVAS, CANVAS)) / 255
    back = decode_pixels(encode_pixels(image))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, image, atol=1e-6)
    assert decode_pixels(encode_pixels(np.array([[-1, np.nan], [0.5, 2]])), side=2).tolist() == pytest.approx(
        np.array([[0, 0], [128 / 255, 1]]))
    with pytest.raises(ValueError, match=r"\(H, W\), got \(4,\)"):
        encode_pixels(np.zeros(4))


@pytest.mark.parametrize(("text", "got"), [
    (5, "got int"), ({"a": 1}, "got dict"), (b"AAAA", "got bytes"), ("", "got 0 characters"),
    ("A" * 10**6, "got 1000000 characters"), (encode_pixels(np.zeros((8, 8))), "got 88 characters"),
    ("*" * 16728, "got other characters"), ("é" * 16728, "got other characters"), ("=" * 16728, "got other characters"),
    (base64.b64encode(bytes(12545)).decode(), "got 12545 bytes"),
])
def test_a_drawing_that_is_none_is_said(text, got):
    with pytest.raises(SagvaeError, match=rf"must be base64 of 112 x 112 bytes, {got}\. Clear the pad"):
        decode_pixels(text)


# ---------------------------------------------------------------------------------------------------- like MNIST

@pytest.mark.parametrize(("height", "width", "expected"), [
    (80, 8, (20, 2)), (8, 80, (2, 20)), (60, 60, (20, 20)), (10, 10, (20, 20)), (110, 11, (20, 2)), (4, 1, (20, 5)),
])
def test_every_drawing_fits_the_box_and_its_mass_is_in_the_middle(height, width, expected):
    for top, left in ((0, 0), (2, 30)):
        digit = as_mnist(bar(height, width, top, min(left, CANVAS - width)))
        assert digit.shape == (28, 28) and digit.dtype == np.float32
        assert digit.min() >= 0 and 0.999 < digit.max() <= 1
        assert box(digit) == expected
        assert np.abs(centre(digit) - 14).max() <= 0.5


def test_it_is_neither_turned_nor_mirrored_and_soft_where_pixels_are_merged():
    image = np.maximum(bar(90, 10, 10, 20), bar(10, 50, 90, 20))  # an L
    digit = as_mnist(image)
    rows, columns = (np.flatnonzero(digit.any(axis=axis)) for axis in (1, 0))
    inside = digit[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    assert inside[:, 0].min() > 0.9 and inside[-1].min() > 0.9
    assert inside[:-3, 3:].max() == 0
    assert ((digit > 0.1) & (digit < 0.9)).any()
    assert np.abs(centre(digit) - 14).max() <= 0.5


def test_place_and_size_of_the_drawing_make_no_difference():
    rng = np.random.default_rng(0)
    blob = np.kron(rng.random((10, 8)) > 0.5, np.ones((4, 4)))
    blob[0] = blob[-1] = blob[:, 0] = blob[:, -1] = 1
    answers = []
    for top, left, times in ((0, 0, 1), (60, 70, 1), (10, 5, 2)):
        image = np.zeros((CANVAS, CANVAS))
        large = np.kron(blob, np.ones((times, times)))
        image[top:top + large.shape[0], left:left + large.shape[1]] = large
        answers.append(as_mnist(image))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-6)
    np.testing.assert_allclose(answers[2], answers[0], atol=1e-6)


def test_nothing_drawn_stays_black_and_the_brush_s_edge_alone_is_nothing():
    assert not as_mnist(np.zeros((CANVAS, CANVAS))).any()
    assert not as_mnist(np.full((CANVAS, CANVAS), 0.09)).any()


def test_other_sizes_and_a_digit_that_would_leave_the_picture():
    lopsided = np.maximum(bar(60, 60, left=20) * 0.15, bar(60, 3, left=20))  # the mass is at the left edge
    assert box(as_mnist(lopsided, size=20)) == (20, 20), "nothing is cut off"
    assert as_mnist(bar(80, 40), size=8, box=8).shape == (8, 8)
    assert box(as_mnist(bar(80, 40), size=8, box=8)) == (8, 4)
    for wrong in ({"box": 0}, {"box": 29}, {"size": 0}):
        with pytest.raises(ValueError, match="0 < box <= size"):
            as_mnist(bar(8, 8), **wrong)
    with pytest.raises(ValueError, match=r"got \(4,\)"):
        as_mnist(np.zeros(4))


@pytest.mark.skipif(not dataset_available("mnist"), reason="the files of MNIST are not here; set SAGVAE_DATA")
def test_mnist_itself_stays_as_it_is():
    from torchvision.datasets import MNIST

    images = MNIST(root=str(data_folder()), train=False).data[:500].numpy() / 255
    large = np.stack([as_mnist(np.kron(image, np.ones((4, 4)))) for image in images])
    same = np.abs(large - images).max(axis=(1, 2)) < 0.11  # the faintest pixels at the box's edge don't count
    assert same.mean() > 0.98


# ---------------------------------------------------------------------------------------------------- uploads

DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[4:24, 12:16] = 255
DIGIT[4:24, 11] = 90


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_alpha() -> Image.Image:
    """The digit in white on nothing."""
    channels = np.full((28, 28, 4), 255, np.uint8)
    channels[..., 3] = DIGIT
    return Image.fromarray(channels)


@pytest.mark.parametrize("data", [
    saved(Image.fromarray(DIGIT)), saved(Image.fromarray(DIGIT).convert("RGB")),
    saved(Image.fromarray(DIGIT).convert("LA")), saved(Image.fromarray(DIGIT).convert("P")),
    saved(Image.fromarray(DIGIT.astype(np.uint16) * 257)), saved(with_alpha()),
], ids=["grey", "RGB", "grey and alpha", "palette", "16 bit", "transparent"])
def test_a_png_keeps_every_pixel(data):
    for file in (data, io.BytesIO(data)):
        for _ in range(2):  # a rerun reads the same file again
            image = read_upload(file)
            assert image.dtype == np.float32
            np.testing.assert_allclose(image, DIGIT / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_keeps_them_nearly(mode):
    image = read_upload(saved(Image.fromarray(DIGIT).convert(mode), "JPEG", quality=90))
    assert np.abs(image - DIGIT / 255).mean() < 0.02


def test_black_on_white_is_inverted_when_one_says_so():
    negative = Image.fromarray(255 - DIGIT)
    assert read_upload(saved(negative))[0, 0] == 1, "nobody asked"
    np.testing.assert_allclose(read_upload(saved(negative), invert=True), DIGIT / 255, atol=1e-6)
    channels = np.zeros((28, 28, 4), np.uint8)
    channels[..., 3] = DIGIT
    np.testing.assert_allclose(read_upload(saved(Image.fromarray(channels)), invert=True), DIGIT / 255, atol=1e-6)


COLOURED = Image.fromarray(np.stack([DIGIT, DIGIT // 2, DIGIT // 3], axis=-1))


@pytest.mark.parametrize(("data", "message"), [
    (saved(Image.new("L", (640, 480))), r"must be 28 x 28 pixels, got 640 x 480\. Scale it to 28 x 28"),
    (saved(Image.new("L", (28, 27)), "JPEG"), "got 28 x 27"),
    (saved(COLOURED), r"must be grey, got one in colour\. Convert"),
    (saved(COLOURED, "JPEG"), "must be grey"),
    (saved(Image.fromarray(DIGIT), "GIF"), r"must be a PNG or JPEG picture, got something else .* Save the digit as"),
    (b"", "PNG or JPEG"), (b"%PDF-1.7", "PNG or JPEG"), (saved(Image.fromarray(DIGIT))[:20], "PNG or JPEG"),
    (saved(Image.fromarray(DIGIT))[:60], r"must be complete, got a file that cannot be read to its end\. Save"),
    (saved(Image.fromarray(DIGIT), "JPEG")[:-80], "must be complete"),
    (bytes(LARGEST_FILE + 1), r"at most 5 MB, got a larger one\. Scale"),
])
def test_a_file_that_is_no_digit_is_said(data, message):
    for file in (data, io.BytesIO(data)):
        with pytest.raises(SagvaeError, match=message):
            read_upload(file)


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that unfolds to width x height pixels."""
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
            + chunk(b"IEND", b""))


@pytest.mark.parametrize(("side", "got"), [(9_000, "9000 x 9000"), (11_000, "more than 89 million pixels"),
                                           (2**31 - 1, "more than 89 million pixels")])
def test_a_decompression_bomb_is_never_decoded(side, got, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(SagvaeError, match=f"28 x 28 pixels, got {got}"):
        read_upload(claiming(side, side))


def test_any_damage_to_a_file_gives_a_picture_or_a_sentence():
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (28, 28)).astype(np.uint8))
    files = [saved(noise), saved(noise.convert("P")), saved(noise.convert("RGBA")), saved(noise.convert("RGB"), "JPEG")]
    refused = 0
    for number in range(2000):
        data = bytearray(files[number % len(files)])
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(0, 256)
        try:
            image = read_upload(bytes(data))
        except SagvaeError:
            refused += 1
        else:
            assert image.shape == (28, 28) and image.min() >= 0 and image.max() <= 1
    assert 0 < refused < 2000
