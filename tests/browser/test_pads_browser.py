"""The draw pad and the block placer as a hand uses them: mouse, finger and keys, and what Python gets."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from handling import choose, fill, keyed, no_error, overflow, settled
from PIL import Image

from benchmarks.serving import serving

SCRIPT = Path(__file__).with_name("pads_script.py")
SIDE = 280  # CSS pixels of both pictures
L_SHAPE = [(90, 40), (90, 230), (180, 230)]

# The heights each component has had since it appeared on the page.
WATCH = """() => {
    window.heights = {};
    const look = () => {
        for (const key of ["pad0", "block"]) {
            const box = document.querySelector(`.st-key-${key}`)?.getBoundingClientRect();
            if (box) (window.heights[key] ??= new Set()).add(box.height);
        }
        requestAnimationFrame(look);
    };
    look();
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the script with the two components; takes the place of the app's."""
    with serving(tmp_path_factory.mktemp("pads") / "server.log", SCRIPT) as (address, _):
        yield address


def stage(page, key: str):
    """The picture that is drawn or dragged on."""
    return keyed(page, key).locator(".stage")


def stroke(page, key: str, points, steps: int = 5, release: bool = True) -> None:
    """Press at the first point (CSS pixels from the picture's corner), move over the others, let go."""
    box = stage(page, key).bounding_box()
    places = [(box["x"] + x, box["y"] + y) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=steps)
    if release:
        page.mouse.up()


def said(page, pattern: str) -> re.Match:
    """Wait until Python has said this."""
    text = page.get_by_test_id("stText").filter(has_text=re.compile(pattern))
    text.wait_for()
    settled(page)
    return re.search(pattern, text.inner_text())


def digit(page) -> np.ndarray:
    """(28, 28) in [0, 1], as Python has it."""
    source = page.locator(".sv-img").get_attribute("src")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))) / 255


def finger(page, key: str, points) -> None:
    """The same with a finger on a touch screen, where the page could be scrolled, and is not."""
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollHeight > main.clientHeight && main.scrollTop === 0")
    box = stage(page, key).bounding_box()
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    for number, (x, y) in enumerate(points):
        session.send("Input.dispatchTouchEvent", {"type": "touchMove" if number else "touchStart", "touchPoints": [
            {"x": box["x"] + x, "y": box["y"] + y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert main.evaluate("main => main.scrollTop") == 0


# ---------------------------------------------------------------------------------------------------- the pad

@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_drawn_digit_comes_back_as_mnist_has_them(new_page, dark, width):
    page = new_page(dark=dark, width=width)
    hint = keyed(page, "pad").get_by_text("Draw a digit")
    assert hint.evaluate("hint => getComputedStyle(hint).opacity") != "0"
    stroke(page, "pad", L_SHAPE)
    said(page, "strokes 1, ink")
    image = digit(page)
    assert image.shape == (28, 28)
    rows, columns = (np.flatnonzero((image > 0.1).any(axis=axis)) for axis in (1, 0))
    assert (rows[-1] - rows[0], len(columns)) == (19, 11), "20 rows; the L is as narrow as it was drawn"
    middle = [(image * places).sum() / image.sum() for places in np.indices(image.shape)]
    assert np.abs(np.array(middle) - 14).max() <= 0.51
    inside = image[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    assert inside[3:16, 1].min() > 0.95, "the upright"
    assert inside[18, 2:9].min() > 0.95, "the foot"
    assert inside[:15, 4:].max() < 0.05, "nothing else"
    assert 2 <= inside[8].sum() <= 3.5, "a stroke as wide as MNIST's"
    page.wait_for_function("hint => getComputedStyle(hint).opacity === '0'", arg=hint.element_handle())
    assert overflow(page) <= 0
    no_error(page)


def test_strokes_add_up_and_clear_takes_them_away(new_page):
    page = new_page()
    stroke(page, "pad", [(60, 60), (60, 220)])
    less = float(said(page, r"strokes 1, ink ([\d.]+)")[1])
    stroke(page, "pad", [(60, 140), (200, 140)])
    assert float(said(page, r"strokes 2, ink ([\d.]+)")[1]) > less + 10
    clear = keyed(page, "pad").get_by_role("button", name="Clear")
    clear.click()
    said(page, "strokes 3, nothing")
    clear.click()  # there is nothing to clear, and nothing happens
    stroke(page, "pad", [(140, 140)])
    said(page, "strokes 4, ink")
    assert (digit(page)[6:22, 6:22] > 0.9).mean() > 0.7, "a dot fills the box"
    clear.focus()
    page.keyboard.press("Enter")
    said(page, "strokes 5, nothing")


def test_drawing_goes_on_while_the_page_runs(new_page):
    page = new_page()
    keyed(page, "slow").locator("label").first.click()
    settled(page)
    stroke(page, "pad", [(60, 60), (60, 220)])
    page.wait_for_timeout(300)  # the page is running now, and answers in the middle of the next stroke
    stroke(page, "pad", [(60, 220), (130, 220)], release=False)
    page.wait_for_timeout(1500)
    box = stage(page, "pad").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 220, steps=5)
    page.mouse.up()
    said(page, "strokes 2, ink")
    rows, columns = (np.flatnonzero((digit(page) > 0.5).any(axis=axis)) for axis in (1, 0))
    assert len(rows) == 20 and len(columns) >= 17, "both strokes, the second to its end"


def test_a_stroke_may_leave_the_pad(new_page):
    page = new_page()
    stroke(page, "pad", [(140, 30), (140, 270), (-60, 400), (-60, 40)])
    said(page, "strokes 1, ink")
    page.mouse.move(600, 600)  # and is over
    stroke(page, "pad", [(40, 40), (60, 40)])
    said(page, "strokes 2, ink")


def test_put_elsewhere_the_pad_shows_what_was_drawn(new_page):
    page = new_page()
    stroke(page, "pad", L_SHAPE)
    said(page, "strokes 1, ink")
    before = digit(page)
    keyed(page, "elsewhere").locator("label").first.click()
    keyed(page, "other").wait_for()
    settled(page)
    np.testing.assert_array_equal(digit(page), before)
    stroke(page, "pad", [(180, 230), (182, 230)])  # on what is there
    said(page, "strokes 2, ink")
    assert np.abs(digit(page) - before).max() < 0.1
    keyed(page, "pad").get_by_role("button", name="Clear").click()
    said(page, "strokes 3, nothing")


def test_another_key_is_another_pad(new_page):
    page = new_page()
    stroke(page, "pad", L_SHAPE)
    said(page, "strokes 1, ink")
    page.get_by_role("button", name="Another").click()
    said(page, "strokes 1, nothing")
    page.wait_for_function("hint => getComputedStyle(hint).opacity !== '0'",
                           arg=keyed(page, "pad").get_by_text("Draw a digit").element_handle())
    stroke(page, "pad", [(140, 40), (140, 230)])
    said(page, "strokes 2, ink")
    assert (digit(page) > 0.5).any(axis=0).sum() <= 4, "nothing of the other drawing"


def test_a_finger_draws(new_page):
    page = new_page(height=600)
    finger(page, "pad", [(90, 200), (90, 160), (90, 120), (90, 40)])
    said(page, "strokes 1, ink")
    image = digit(page)
    assert (image > 0.5).any(axis=1).sum() == 20


# ---------------------------------------------------------------------------------------------------- the block

def test_a_block_is_clicked_and_dragged_and_python_hears_of_it_on_release(new_page):
    page = new_page()
    run = int(said(page, r"run (\d+), corner \(10, 10\)")[1])
    stroke(page, "block", [(50, 200)])
    said(page, rf"run {run + 1}, corner \(16, 1\)")  # its middle is where the click was, to the pixel
    stroke(page, "block", [(60, 210), (110, 160)], release=False)
    keyed(page, "block").get_by_text("row 11, column 6").wait_for()
    page.wait_for_timeout(400)
    assert page.get_by_text(f"run {run + 1}, corner (16, 1)").is_visible(), "no run while it is dragged"
    page.mouse.up()
    said(page, rf"run {run + 2}, corner \(11, 6\)")  # moved as far as the hand: it was held off its middle
    stroke(page, "block", [(110, 160), (900, -500)])
    said(page, rf"run {run + 3}, corner \(0, 20\)")
    stroke(page, "block", [(240, 40)])  # on the block, which stays
    stroke(page, "block", [(240, 40), (100, 100)], release=False)
    page.keyboard.press("Escape")
    page.mouse.up()
    keyed(page, "block").get_by_text("row 0, column 20").wait_for()
    settled(page)
    said(page, rf"run {run + 3}, corner \(0, 20\)")
    no_error(page)


def test_arrow_keys_move_it(new_page):
    page = new_page()
    run = int(said(page, r"run (\d+), corner \(10, 10\)")[1])
    stage(page, "block").focus()
    page.keyboard.press("ArrowRight")
    said(page, rf"run {run + 1}, corner \(10, 11\)")
    page.keyboard.press("Shift+ArrowUp")
    said(page, rf"run {run + 2}, corner \(5, 11\)")
    for _ in range(4):  # held
        page.keyboard.down("ArrowLeft")
    keyed(page, "block").get_by_text("row 5, column 7").wait_for()
    page.keyboard.up("ArrowLeft")
    said(page, rf"run {run + 3}, corner \(5, 7\)")
    for key in ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"):
        for _ in range(7):
            page.keyboard.press(f"Shift+{key}")
    said(page, r"corner \(20, 20\)")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("a")
    settled(page)
    said(page, r"corner \(20, 20\)")


def test_a_finger_drags_it(new_page):
    page = new_page(height=600)
    finger(page, "block", [(140, 140), (150, 170), (160, 200)])
    said(page, r"corner \(16, 12\)")


def test_the_last_to_move_it_is_right(new_page):
    page = new_page()
    stroke(page, "block", [(50, 200)])
    said(page, r"corner \(16, 1\)")
    fill(page, "size", 20)
    said(page, r"corner \(8, 1\)")  # moved inside
    keyed(page, "block").get_by_text("row 8, column 1").wait_for()
    fill(page, "size", 8)
    said(page, r"corner \(16, 1\)")
    choose(page, "ask", "bottom right")
    said(page, r"corner \(20, 20\)")
    keyed(page, "block").get_by_text("row 20, column 20").wait_for()
    stage(page, "block").focus()
    page.keyboard.press("ArrowUp")
    said(page, r"corner \(19, 20\)")
    choose(page, "ask", "as answered")
    said(page, r"corner \(19, 20\)")
    for x in (60, 160, 60, 160):  # faster than the answers come back
        stroke(page, "block", [(x, 60)])
    said(page, r"corner \(2, 12\)")
    keyed(page, "block").get_by_text("row 2, column 12").wait_for()
    keyed(page, "wide").locator("label").first.click()
    fill(page, "size", 14)
    said(page, r"corner \(0, 12\)")
    assert stage(page, "block").bounding_box()["height"] == SIDE / 2
    no_error(page)


def test_a_block_of_no_size_and_one_too_large(new_page):
    page = new_page()
    fill(page, "size", 0)
    settled(page)
    assert not keyed(page, "block").locator(".block").is_visible()
    stroke(page, "block", [(20, 20), (100, 100)])
    fill(page, "size", 30)
    page.get_by_text("the block's size must be in [0, 28], got 30").wait_for()
    fill(page, "size", 28)
    said(page, r"corner \(0, 0\)")


def test_fills(new_page):
    page = new_page()
    greys = """canvas => [...canvas.getContext('2d').getImageData(0, 0, 8, 8).data].filter((_, i) => i % 4 === 0)"""
    block = keyed(page, "block").locator(".block")
    for name, expected in (("white", {255}), ("grey", {128}), ("black", {0})):
        if name != "white":
            choose(page, "fill", name)
        settled(page)
        assert set(block.locator("canvas").evaluate(greys)) == expected
        assert "random" not in block.get_attribute("class")
    choose(page, "fill", "random")
    settled(page)
    assert len(set(block.locator("canvas").evaluate(greys))) > 30
    assert "random" in block.get_attribute("class")
    ring = np.array(keyed(page, "block").locator(".picture").evaluate(greys.replace("8, 8", "28, 28"))).reshape(28, 28)
    assert (ring[13, 5], ring[13, 13], ring.max()) == (255, 0, 255)


# ---------------------------------------------------------------------------------------------------- both

@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_focus_is_seen_in_the_theme_s_colour_and_names_are_there(new_page, dark):
    page = new_page(dark=dark, width=800)
    accent = "rgb(76, 195, 219)" if dark else "rgb(14, 116, 144)"
    keyed(page, "pad").get_by_role("button", name="Clear").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    clear = keyed(page, "pad").get_by_role("button", name="Clear")
    assert clear.evaluate("button => getComputedStyle(button).outlineColor") == accent
    application = keyed(page, "block").get_by_role("application", name=re.compile("Block: arrow keys move it"))
    application.focus()
    assert accent in application.evaluate("stage => getComputedStyle(stage, '::after').boxShadow")
    assert keyed(page, "pad").get_by_role("img", name=re.compile("draw a digit with mouse, pen or finger")).count() == 1
    text = "rgb(232, 235, 239)" if dark else "rgb(38, 42, 51)"
    assert keyed(page, "block").get_by_role("status").evaluate("line => getComputedStyle(line).color") == text
    assert overflow(page) <= 0


def test_nothing_jumps_when_they_appear(new_page):
    page = new_page()
    page.add_init_script(f"({WATCH})()")
    page.reload()
    settled(page)
    heights = page.evaluate("() => Object.entries(window.heights).map(([key, seen]) => [key, ...seen])")
    assert sorted(heights) == [["block", SIDE + 28], ["pad0", SIDE + 42]]
