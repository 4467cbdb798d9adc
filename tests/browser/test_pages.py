"""Looking around: every page in light and dark, wide and narrow, and what its controls change."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from handling import changed, choose, go, keyed, metric, no_error, overflow, pictures, settled

from dashboard.names import one_line
from sagvae_core.checkpoint import read_json, read_tensors, write_json, write_tensors
from sagvae_core.runs import shipped_folder

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> [x](javascript:alert(1))'


def title_of(name: str) -> str:
    return read_json(shipped_folder() / name / "config.json")["title"]


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_through_the_navigation(new_page, dark, width):
    page = new_page(dark=dark, width=width)
    page.get_by_test_id("stPlotlyChart").first.wait_for()
    page.locator(".sv-img").first.wait_for()
    background = page.get_by_test_id("stApp").evaluate("element => getComputedStyle(element).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert brightness < 60 if dark else brightness > 200
    for title, content in (("Overview", None), ("Relations", "stPlotlyChart"), ("Robustness", "stMetric"),
                           ("Sampling", "stMetric"), ("Train", "stButton")):
        if content is not None:
            go(page, title)
            page.get_by_test_id(content).first.wait_for()
        no_error(page)
        assert overflow(page) <= 0, f"{title} is wider than the window"


@pytest.mark.parametrize("path", ["relations", "robustness", "sampling", "evidence", "train"])
def test_a_deep_link_opens_its_page(new_page, path):
    page = new_page(path)
    assert page.get_by_test_id("stHeading").first.inner_text().strip() == path.capitalize()
    no_error(page)


def test_noise_slider_changes_pictures_and_numbers(new_page):
    page = new_page("robustness?data=Small+digits")
    page.locator(".sv-img").first.wait_for()
    before, numbers = pictures(page), page.get_by_test_id("stMetricValue").first
    value = numbers.inner_text()
    thumb = keyed(page, "pixels_64").locator("input[type=range]")
    start = int(thumb.input_value())
    thumb.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    changed(page, numbers, value)
    # Every damaged and every repaired picture becomes another one; on the way there some draws are still the old ones.
    page.wait_for_function(
        "before => { const now = [...document.querySelectorAll('.sv-row')].map(row =>"
        " [...row.querySelectorAll('img')].map(image => image.src)).filter(row => row.length);"
        " return before.slice(0, -1).every((row, y) => row.every((src, x) => now[y]?.[x] && now[y][x] !== src)); }",
        arg=before)
    settled(page)
    after = pictures(page)
    assert int(thumb.input_value()) == start + 20
    assert len(after) == len(before) >= 4
    assert after[-1] == before[-1], "the originals stay"
    no_error(page)


def test_block_and_errors(new_page):
    page = new_page("robustness?data=Small+digits")
    page.locator(".sv-img").first.wait_for()
    rows = len(pictures(page))
    keyed(page, "kind").get_by_role("radio", name="Block", exact=True).or_(
        keyed(page, "kind").get_by_role("button", name="Block", exact=True)).first.click()
    keyed(page, "size_64").wait_for()
    settled(page)
    keyed(page, "errors").locator("label").first.click()
    page.wait_for_function("rows => document.querySelectorAll('.sv-row').length > rows", arg=rows)
    no_error(page)


def test_a_clicked_pixel_shows_what_belongs_to_it(new_page):
    page = new_page()
    choose(page, "run", title_of("digits-sagvae"))
    page.wait_for_url("**/*run=*")
    go(page, "Relations")  # and the choice is kept
    picker = keyed(page, "picker")
    picker.locator(".nsewdrag").wait_for()
    caption = page.get_by_test_id("stCaptionContainer").filter(has_text=re.compile(r"Pixel \(\d"))
    assert re.search(r"Pixel \(\d, \d\)", caption.inner_text())
    plot = picker.locator(".js-plotly-plot")
    for row, column in ((1, 2), (6, 5)):
        x, y = plot.evaluate("""(plot, [row, column]) => {
            const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
            return [box.x + xaxis._offset + xaxis.c2p(column), box.y + yaxis._offset + yaxis.c2p(row)];
        }""", [row, column])
        page.mouse.move(x - 3, y - 3)
        page.mouse.click(x, y)
        caption.filter(has_text=f"Pixel ({row}, {column})").wait_for()
        assert keyed(page, "row").locator("input").input_value() == str(row)
        assert keyed(page, "column").locator("input").input_value() == str(column)
        settled(page)
    no_error(page)


@pytest.fixture
def unsure_run(runs_folder):
    """A karate model with every degree of certainty, so that each threshold leaves other edges; hostile words in it."""
    folder = shutil.copytree(shipped_folder() / "karate-sagvae", runs_folder / "unsure")
    tensors = read_tensors(folder / "model.safetensors")
    pairs = tensors["posterior_pairs"]
    even = np.random.default_rng(0).permutation(np.linspace(0, 1, len(pairs)))
    tensors["posterior_pairs"] = pairs.new_tensor(even)
    write_tensors(folder / "model.safetensors", tensors)
    write_json(folder / "config.json", read_json(folder / "config.json") | {"title": HOSTILE, "command": HOSTILE})
    yield f"{one_line(HOSTILE, 64)} · unsure"
    shutil.rmtree(folder)


def test_threshold_changes_the_edges_and_the_graph(new_page, unsure_run):
    page = new_page("relations")
    choose(page, "run", unsure_run)
    edges, frame = metric(page, "Edges"), page.get_by_test_id("stIFrame").first
    page.wait_for_url("**/*run=*")
    edges.filter(has_text=re.compile(r"^2[78]\d$")).wait_for()  # half of 561
    settled(page)
    many, graph = edges.inner_text(), frame.get_attribute("srcdoc")
    assert page.frame_locator("[data-testid=stIFrame]").locator("canvas").count() == 1
    thumb = keyed(page, "threshold").locator("input[type=range]")
    thumb.focus()
    for _ in range(4):  # from 50 to 70 %
        page.keyboard.press("ArrowRight")
    edges.filter(has_text=re.compile(r"^1[67]\d$")).wait_for()  # 30 % of 561
    settled(page)
    assert frame.get_attribute("srcdoc") != graph
    assert page.frame_locator("[data-testid=stIFrame]").locator("canvas").count() == 1
    assert int(edges.inner_text()) < int(many)
    assert page.evaluate("() => window.hacked") is None, "a title is text, never a script"
    no_error(page)


def test_truth_on_karate(new_page):
    page = new_page("relations")
    frame = page.get_by_test_id("stIFrame").first
    frame.wait_for()
    before = frame.get_attribute("srcdoc")
    keyed(page, "truth").locator("label").first.click()
    page.wait_for_function("([frame, before]) => frame.isConnected ? frame.srcdoc !== before : true",
                           arg=[frame.element_handle(), before])
    settled(page)
    assert frame.get_attribute("srcdoc") != before
    no_error(page)


def test_an_unreadable_run_is_said_and_the_page_stays(new_page, runs_folder):
    folder = shutil.copytree(shipped_folder() / "digits-sagvae", runs_folder / "broken")
    try:
        (folder / "config.json").write_text("{")
        page = new_page("relations")
        page.get_by_text("config.json must be valid JSON").wait_for()
        page.get_by_test_id("stIFrame").first.wait_for()
        assert page.get_by_test_id("stException").count() == 0
    finally:
        shutil.rmtree(folder)
