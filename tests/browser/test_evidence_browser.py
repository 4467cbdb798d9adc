"""The Evidence page in a browser, on records of its own: light and dark, wide and narrow, by mouse and by keyboard."""

from __future__ import annotations

import evidence_records as made
import pytest
from handling import changed, choose, go, keyed, no_error, overflow, settled

from benchmarks.serving import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An app of this module's own: its studies are small and known."""
    folder = tmp_path_factory.mktemp("evidence")
    made.write_all(folder / "studies")
    with serving(folder / "server.log", SAGVAE_RUNS=str(folder / "runs"),
                 SAGVAE_STUDIES=str(folder / "studies")) as (address, _):
        yield address


def study(page, name: str) -> None:
    keyed(page, "study").get_by_role("radio", name=name).or_(
        keyed(page, "study").get_by_role("button", name=name)).first.click()
    settled(page)


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_study_fits_and_complains_of_nothing(new_page, dark, width):
    page = new_page(dark=dark, width=width)
    go(page, "Evidence")
    for name, chart in (("Karate (Table 1)", "figure_three"), ("Benchmark graphs (Table 2)", "graph"),
                        ("Suite", "gains"), ("Without labels", "losses"), ("Images (Figures 4–9)", "figure_six")):
        study(page, name)
        keyed(page, chart).get_by_test_id("stPlotlyChart").or_(keyed(page, chart)).first.wait_for()
        page.get_by_test_id("stDataFrame").first.wait_for()
        no_error(page)
        assert overflow(page) <= 0, f"{name} is wider than the window"


def test_a_click_on_a_row_shows_that_methods_graph(new_page):
    page = new_page()
    go(page, "Evidence")
    said = page.get_by_test_id("stCaptionContainer").filter(has_text="found and true")
    before = said.inner_text()
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 300, box["y"] + 35 * 3 + 17)  # the third row below the head: every pair an edge
    changed(page, said, before)
    settled(page)
    assert "78 found and true, 0 missed, 483 not true" in said.inner_text()
    assert "method=All+edges" in page.url
    no_error(page)


def test_another_study_shows_its_own_task_and_method(new_page):
    page = new_page()
    go(page, "Evidence")
    settled(page)
    choose(page, "method", "All edges")
    settled(page)
    study(page, "Suite")
    task = keyed(page, "task").get_by_role("combobox")
    page.get_by_role("heading", name="Against the best baseline of each task").wait_for()
    assert "nodes" in task.input_value() and "karate" not in task.input_value()
    assert keyed(page, "method").get_by_role("combobox").input_value() in ("SAG-VAE", "All edges")
    no_error(page)


def test_the_address_keeps_study_and_method(new_page):
    page = new_page()
    go(page, "Evidence")
    study(page, "Suite")
    said = page.get_by_test_id("stCaptionContainer").filter(has_text="found and true")
    before = said.inner_text()
    choose(page, "method", "Graphical lasso")
    changed(page, said, before)
    page.wait_for_function("() => location.search.includes('method=Graphical+lasso')")
    assert "study=Suite" in page.url
    with page.expect_download() as download:
        keyed(page, "download").get_by_role("button").click()
    assert download.value.suggested_filename == "suite.json"
    no_error(page)
