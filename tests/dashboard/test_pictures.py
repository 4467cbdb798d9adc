"""Pictures as HTML: the pixels survive, names stay text, the best score is the best score."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from dashboard import palette, pictures
from dashboard.pictures import Row

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []  # (class of the element, text)
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append((self.tags[-1][1].get("class", ""), data))

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


def decoded(uri: str) -> np.ndarray:
    prefix = "data:image/png;base64,"
    assert uri.startswith(prefix)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri[len(prefix):]))))


def test_png_keeps_every_pixel():
    image = np.array([[0.0, 0.5, 1.0], [-1.0, 2.0, np.nan]])
    assert decoded(pictures.png_data_uri(image)).tolist() == [[0, 128, 255], [0, 255, 0]]
    with pytest.raises(ValueError, match=r"\(H, W\), got \(4,\)"):
        pictures.png_data_uri(np.zeros(4))


@pytest.mark.parametrize("dark", [False, True])
def test_diverging_png_has_the_scale_s_ends_and_a_quiet_middle(dark):
    pixels = decoded(pictures.png_data_uri(np.array([[-1.0, 0.0, 1.0]]), diverging=True, dark=dark))
    scale = palette.diverging(dark)
    for pixel, color in zip(pixels[0], (scale[0], scale[3], scale[-1])):
        assert np.abs(pixel.astype(int) - palette.rgb(color)).max() <= 2


def scores(*values: float) -> list[dict[str, float]]:
    return [{"mse": value, "psnr": 20 - value, "ssim": 1 - value} for value in values]


def test_best_score_of_each_column_is_emphasised_among_those_that_compete():
    images = np.zeros((2, 4))
    page = Page(pictures.comparison_grid([
        Row("input", images, scores=scores(0.0, 0.0), competes=False),
        Row("A", images, scores=scores(0.25, 0.75)), Row("B", images, scores=scores(0.5, 0.5)),
    ], (2, 2)))
    assert [text for kind, text in page.texts if kind == "sv-num sv-best"] == [
        "0.2500", "19.8", "0.750", "0.5000", "19.5", "0.500"]
    assert [text for kind, text in page.texts if kind == "sv-key"][:3] == ["MSE", "PSNR dB", "SSIM"]
    alone = pictures.comparison_grid([Row("A", images, scores=scores(0.25, 0.75))], (2, 2))
    assert "sv-num sv-best" not in alone


def test_a_row_that_is_awaited_keeps_its_place():
    images = np.zeros((2, 4))
    unknown = [dict.fromkeys(("mse", "psnr", "ssim"), np.nan)] * 2
    there = pictures.comparison_grid([Row("A", images, scores=scores(0.2, 0.3)), Row("B", images)], (2, 2))
    awaited = pictures.comparison_grid([Row("A", images, scores=unknown, waiting=True), Row("B", images)], (2, 2))
    assert there.count('class="sv-img"') == awaited.count('class="sv-img"') == 4
    assert (there.count("<img"), awaited.count("<img")) == (4, 2), "no picture is shown that is none"
    assert there.count("sv-num") == awaited.count("sv-num")
    assert [text for kind, text in Page(awaited).texts if kind == "sv-num"] == ["–"] * 6


def test_grid_is_a_table_with_a_text_for_every_picture():
    images = np.random.default_rng(0).random((3, 2, 2))
    page = Page(pictures.comparison_grid([
        Row("original", images), Row("VAE", images.reshape(3, 4, 1), "A = I", scores(0.1, 0.2, 0.3)),
        Row("error", images - images[:, ::-1], errors=True)], (2, 2), column_labels=["1", "2", "3"]))
    roles = [attrs.get("role") for _, attrs in page.tags]
    assert roles.count("table") == 1
    assert roles.count("row") == 4
    assert roles.count("rowheader") == 3
    assert roles.count("cell") == 9
    assert roles.count("columnheader") == 4
    texts = [attrs["alt"] for attrs in page.of("img")]
    assert len(set(texts)) == 9
    assert texts[3] == "VAE, picture 1, MSE 0.1000, PSNR dB 19.9, SSIM 0.900"
    assert decoded(page.of("img")[0]["src"]).shape == (2, 2)
    assert decoded(page.of("img")[6]["src"]).shape == (2, 2, 3)


def test_error_rows_share_one_scale():
    small, large = np.full((1, 4), 0.25), np.full((1, 4), 0.5)
    page = Page(pictures.comparison_grid([Row("a", small, errors=True), Row("b", large, errors=True)], (2, 2)))
    first, second = (decoded(attrs["src"])[0, 0] for attrs in page.of("img"))
    table = palette.lookup_table(palette.diverging())
    np.testing.assert_array_equal(second, table[255])
    np.testing.assert_array_equal(first, table[191])


def test_hostile_labels_stay_text():
    images = np.zeros((1, 4))
    tame = [Row("a", images, "b", scores(0.1))]
    hostile = [Row(HOSTILE, images, HOSTILE, [{HOSTILE: 0.1} | scores(0.1)[0]])]
    for page in (Page(pictures.comparison_grid(hostile, (2, 2), column_labels=[HOSTILE])),
                 Page(pictures.picture_strip(images, (2, 2), [HOSTILE]))):
        assert "script" not in [tag for tag, _ in page.tags]
        assert len(page.of("img")) == 1
        assert HOSTILE.split(">")[0] in page.of("img")[0]["alt"]
        assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert len(Page(pictures.comparison_grid(tame, (2, 2))).of("img")) == 1


def test_strip_and_wrong_shapes():
    page = Page(pictures.picture_strip(np.zeros((3, 2, 2)), (2, 2), ["a", "b", "c"]))
    assert [attrs["alt"] for attrs in page.of("img")] == ["a", "b", "c"]
    assert "picture 2" in pictures.picture_strip(np.zeros((3, 4)), (2, 2))
    with pytest.raises(ValueError, match="3 pictures, got 1"):
        pictures.picture_strip(np.zeros((3, 4)), (2, 2), ["a"])
    with pytest.raises(ValueError, match=r"VAE: expected pictures of 2 x 2 pixels, .* got \(3, 5\)"):
        pictures.comparison_grid([Row("VAE", np.zeros((3, 5)))], (2, 2))
    with pytest.raises(ValueError, match="every row must have 3 pictures"):
        pictures.comparison_grid([Row("a", np.zeros((3, 4))), Row("b", np.zeros((2, 4)))], (2, 2))


def test_fifty_digits_take_few_bytes():
    images = np.random.default_rng(0).random((10, 784)) * (np.random.default_rng(1).random((10, 784)) < 0.2)
    rows = [Row(f"row {index}", images, scores=scores(*np.linspace(0, 1, 10))) for index in range(5)]
    assert len(pictures.comparison_grid(rows, (28, 28))) < 60_000
