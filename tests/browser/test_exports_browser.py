"""The Export menu in a real browser: what is downloaded is what other programs read, and the page stays as it is."""

from __future__ import annotations

import csv
from pathlib import Path

import networkx as nx
import pytest
from handling import keyed, metric, no_error, overflow, settled


def taken(page, key: str) -> tuple[str, Path]:
    """Click a button of the open menu; the name of the file and where it is."""
    with page.expect_download() as download:
        keyed(page, f"export_{key}").get_by_role("button").click()
    return download.value.suggested_filename, download.value.path()


def opened(page) -> None:
    keyed(page, "export_menu").get_by_role("button").first.click()
    keyed(page, "export_graphml").get_by_role("button").wait_for()


def test_graphml_and_csv_from_relations_are_read_back(new_page):
    page = new_page("relations")
    edges = int(metric(page, "Edges").inner_text())
    frame = page.get_by_test_id("stIFrame").first.element_handle()
    opened(page)
    name, file = taken(page, "graphml")
    assert name == "karate-sagvae-threshold-0.5.graphml"
    graph = nx.read_graphml(file)
    assert graph.number_of_nodes() == 34
    assert graph.number_of_edges() == edges
    assert {group for _, group in graph.nodes(data="group")} == {"Mr. Hi", "Officer"}
    name, file = taken(page, "csv")
    assert name == "karate-sagvae-threshold-0.5.csv"
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 34 * 33 // 2
    assert sum(row["selected"] == "true" for row in rows) == edges
    assert keyed(page, "export_npz").get_by_role("button").is_visible(), "a download leaves the menu open"
    assert frame.evaluate("frame => frame.isConnected"), "and draws no graph again"
    no_error(page)


def test_the_files_follow_the_threshold(new_page):
    page = new_page("relations")
    thumb = keyed(page, "threshold").locator("input[type=range]")
    thumb.focus()
    page.keyboard.press("End")
    page.get_by_test_id("stPopover").wait_for()
    page.wait_for_url("**/*threshold=*")
    settled(page)
    opened(page)
    name, file = taken(page, "gexf")
    assert name == "karate-sagvae-threshold-0.9999.gexf"
    assert nx.read_gexf(file).number_of_edges() == int(metric(page, "Edges").inner_text())


def test_the_web_page_and_the_svg_need_nobody(new_page, browser, tmp_path):
    page = new_page("relations")
    opened(page)
    context = browser.new_context(viewport={"width": 1200, "height": 800}, offline=True)
    asked, errors = [], []
    for key, element in (("html", "canvas"), ("svg", "circle")):
        file = tmp_path / f"graph.{key}"
        file.write_bytes(taken(page, key)[1].read_bytes())
        alone = context.new_page()
        alone.on("request", lambda request: asked.append(request.url))
        alone.on("pageerror", lambda error: errors.append(str(error)))
        alone.goto(file.as_uri())
        box = alone.locator(element).first.bounding_box()
        assert box["width"] > 10
        if key == "html":
            assert box["height"] > 700, "it fills its window"
    context.close()
    assert not errors
    assert {Path(url).suffix for url in asked} == {".html", ".svg"}, "the files themselves and nothing else"


@pytest.mark.parametrize("width", [1440, 420])
@pytest.mark.parametrize("path", ["", "relations", "evidence"])
def test_the_menu_is_inside_the_window(new_page, path, width):
    page = new_page(path, width=width)
    opened(page)
    for key in ("png", "svg", "html", "graphml", "gexf", "csv", "adjacency_csv", "npz"):
        box = keyed(page, f"export_{key}").get_by_role("button").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    assert overflow(page) <= 0
    no_error(page)
