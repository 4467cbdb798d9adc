"""A graph as a picture to keep: SVG and PNG show the same, load nothing, and hold any name as text."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from strangers import NAMES

from dashboard import graph_picture, names, network, palette
from dashboard.graph_picture import Drawn

PAGE = (255, 255, 255)


def drawn(called=("a", "b", "c", "d"), **parts) -> Drawn:
    count = len(called)
    matrix = np.full((count, count), 0.8) - 0.8 * np.eye(count)
    return Drawn(**{"probabilities": matrix, "threshold": 0.5, "positions": network.layout(matrix, "circular"),
                    "names": called} | parts)


def tags(picture: Drawn, **options) -> list[tuple[str, dict[str, str], str]]:
    """Every element of the SVG with its attributes and its text."""
    root = ElementTree.fromstring(graph_picture.svg(picture, **options))
    return [(element.tag.split("}")[1], dict(element.attrib), element.text or "") for element in root.iter()]


def pixels(picture: Drawn, **options) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(graph_picture.png(picture, **options))).convert("RGB"))


def test_svg_has_every_node_edge_name_and_group():
    found = tags(drawn(("short", "of two words", "c", "d"), groups=np.array([0, 0, 1, 1]), group_names=["x", "y"]))
    assert len([tag for tag, *_ in found if tag == "line"]) == 6
    assert len([tag for tag, *_ in found if tag == "circle"]) == 4 + 2
    texts = [text for tag, _, text in found if tag == "text"]
    assert texts == ["short", "of two words", "c", "d", "x", "y"]
    fills = [attributes["fill"] for tag, attributes, _ in found if tag == "circle"]
    assert fills[:4] == [palette.group_color(group) for group in (0, 0, 1, 1)]


def test_kinds_of_edges_differ_in_colour_and_dashes():
    probabilities = np.zeros((4, 4))
    truth = np.zeros((4, 4))
    for first, second, probability, true in ((0, 1, 0.9, 1), (1, 2, 0.1, 1), (2, 3, 0.9, 0)):
        probabilities[first, second] = probabilities[second, first] = probability
        truth[first, second] = truth[second, first] = true
    picture = drawn(probabilities=probabilities, truth=truth)
    styles = palette.edge_styles()
    lines = [attributes for tag, attributes, _ in tags(picture) if tag == "line"]
    assert len(lines) == 2 * 3, "three edges and three entries of the legend"
    assert {(line["stroke"], line.get("stroke-dasharray")) for line in lines} == {
        (styles["hit"].color, None), (styles["miss"].color, "2 5"), (styles["false"].color, "9 5")}
    colors = set(map(tuple, pixels(picture).reshape(-1, 3).tolist()))
    assert {palette.rgb(styles[kind].color) for kind in palette.EDGE_KINDS} <= colors, "in the PNG, too"


def test_png_is_svg_in_pixels():
    picture = drawn(groups=[0, 1, 0, 1])
    root = ElementTree.fromstring(graph_picture.svg(picture))
    image = pixels(picture)
    assert image.shape[:2] == (2 * int(root.get("height")), 2 * int(root.get("width")))
    assert image.shape[1] == 2400
    circles = root.findall("{*}circle")
    for circle, group in zip(circles, (0, 1, 0, 1), strict=True):
        x, y = (round(2 * float(circle.get(place))) for place in ("cx", "cy"))
        corner = image[y - 20, x]  # inside the dot, above its name
        assert tuple(corner) == palette.rgb(palette.group_color(group))
    for edge in (image[0], image[-1], image[:, 0], image[:, -1]):
        assert (edge == PAGE).all(), "nothing is cut off"


def test_too_many_edges_are_left_out_and_said():
    picture = drawn([str(node) for node in range(80)])
    found = tags(picture, max_edges=100)
    assert len([tag for tag, *_ in found if tag == "line"]) == 100
    assert found[-1][2] == "the 100 surest of 3,160 edges"
    assert len([tag for tag, *_ in found if tag == "title"]) == 80, "no room for names, but under the mouse"
    assert pixels(picture, max_edges=100).any()


@pytest.mark.parametrize("positions", [np.zeros((0, 2)), np.zeros((1, 2)), np.zeros((3, 2)),
                                       np.array([[-1.0, 0], [0, 0], [1, 0]]), np.array([[0, -1.0], [0, 1]])])
def test_any_places_fit_on_the_sheet(positions):
    picture = drawn([str(node) for node in range(len(positions))], positions=positions)
    for _, attributes, _ in tags(picture):
        if "cx" in attributes:
            assert 0 < float(attributes["cx"]) < 1200
            assert 0 < float(attributes["cy"]) <= 1000
    assert pixels(picture).shape[1] == 2400


@pytest.mark.parametrize("group", [-1, 7])
def test_a_group_without_a_name_has_no_entry(group):
    found = tags(drawn(groups=[0, 0, 0, group], group_names=["x"]))
    assert [text for tag, _, text in found if tag == "text"][4:] == ["x"]


def test_hostile_names_stay_text():
    tame = [f"name {place}" for place in range(len(NAMES))]
    groups = range(len(NAMES))
    hostile, usual = (tags(drawn(called, groups=groups, group_names=called)) for called in (NAMES, tame))
    assert [tag for tag, *_ in hostile] == [tag for tag, *_ in usual]
    assert [sorted(attributes) for _, attributes, _ in hostile] == [sorted(attributes) for _, attributes, _ in usual]
    titles = [text for tag, _, text in hostile if tag == "title"]
    assert titles == [names.one_line(name) for name in NAMES]
    written = graph_picture.svg(drawn(NAMES)).decode()
    assert not re.search(r"<(script|image|use|a|foreignObject)\b|\bhref=|\son\w+=", re.sub(r">[^<]*<", "><", written))
    assert pixels(drawn(NAMES, groups=groups, group_names=NAMES)).shape[1] == 2400


def test_no_name_is_cut_off_at_the_picture_s_edge():
    called = ("proanthocyanins of the west", "nonflavanoid phenols", "ash", "x" * 900)
    placed = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.1], [0.5, -0.1]])
    names_shown = [(float(attributes["x"]), text) for tag, attributes, text in
                   tags(drawn(called, positions=placed)) if tag == "text"]
    for middle, text in names_shown:
        half = 0.62 * 15 * len(text) / 2
        assert half <= middle <= 1200 - half, text
    left = np.flatnonzero((pixels(drawn(called, positions=placed)) != PAGE).any(axis=(0, 2)))[0]
    assert left > 0
