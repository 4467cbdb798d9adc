"""The robustness lab in a real browser: a block put by hand, present mode by its keys, files, a drawing."""

from __future__ import annotations

import io

import pytest
from handling import choose, go, keyed, no_error, pictures, settled
from PIL import Image

from sagvae_core.data import dataset_available
from sagvae_core.runs import shipped_folder


def lab(new_page, name: str = "Small+digits", **options):
    page = new_page(f"robustness?data={name}", **options)
    page.locator(".sv-img").first.wait_for()
    settled(page)
    return page


def pick(page, key: str, name: str) -> None:
    group = keyed(page, key)
    group.get_by_role("radio", name=name, exact=True).or_(group.get_by_role("button", name=name, exact=True)).click()
    settled(page)


def test_a_block_goes_where_it_is_dragged(new_page):
    page = lab(new_page)
    pick(page, "kind", "Block")
    choose(page, "place", "by hand")
    settled(page)
    before = pictures(page)
    picture = keyed(page, "placed").locator("canvas.picture").bounding_box()
    middle = picture["x"] + picture["width"] / 2, picture["y"] + picture["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 60, middle[1] - 40, steps=6)
    page.mouse.move(picture["x"] + 5, picture["y"] + 5, steps=6)
    page.mouse.up()
    page.wait_for_function("before => document.querySelector('.sv-img').src !== before", arg=before[0][0])
    settled(page)
    after = pictures(page)
    assert all(one != other for one, other in zip(before[0], after[0], strict=True)), "on all pictures alike"
    assert after[-1] == before[-1]
    no_error(page)


def test_present_mode_by_its_keys(new_page):
    page = lab(new_page)
    page.keyboard.press("p")
    page.get_by_role("button", name="Leave").wait_for()
    settled(page)
    assert not page.get_by_test_id("stHeader").is_visible()
    assert not keyed(page, "lab_models").is_visible()
    shown = pictures(page)
    assert len(shown[0]) == 8
    page.keyboard.press("n")
    page.wait_for_function("before => document.querySelector('.sv-img').src !== before", arg=shown[0][0])
    settled(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Present").wait_for()
    settled(page)
    assert page.get_by_test_id("stHeader").is_visible()
    assert len(pictures(page)[0]) == 10
    no_error(page)


def test_moves_during_a_sweep_end_with_all_numbers(new_page):
    page = lab(new_page)
    keyed(page, "sweep").locator("label").first.click()
    for _ in range(4):  # each in the middle of what the last one has begun
        shown = pictures(page)[0][0]
        page.get_by_role("button", name="Another draw").click()
        page.wait_for_function("before => document.querySelector('.sv-img').src !== before", arg=shown)
    page.locator(".js-plotly-plot").wait_for()
    settled(page)
    values = page.get_by_test_id("stMetricValue").all_inner_texts()
    assert len(values) == 3 and all("dB" in value for value in values)
    assert keyed(page, "sweep").get_by_role("switch").or_(keyed(page, "sweep").locator("input")).is_checked()
    no_error(page)


def test_the_way_back_and_forward_again(new_page):
    page = new_page("evidence")
    settled(page)
    go(page, "Robustness")
    page.locator(".sv-img").first.wait_for()
    settled(page)
    page.go_back()
    settled(page)
    page.go_forward()
    page.locator(".sv-img").first.wait_for()
    settled(page)
    no_error(page)


def test_the_comparison_is_taken_away_as_files(new_page):
    page = lab(new_page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture").click()
    assert download.value.suggested_filename == "digits-uniform-16-draw-0.png"
    assert Image.open(io.BytesIO(download.value.path().read_bytes())).width > 1400
    with page.expect_download() as download:
        page.get_by_role("button", name="Numbers").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0] == "damage,draw,model,picture,metric,value"
    assert len(lines) == 1 + 3 * 3 * 11, "three rows, three metrics, ten pictures and their mean"
    no_error(page)


@pytest.mark.skipif(not dataset_available("mnist") or not (shipped_folder() / "mnist-sagvae").is_dir(),
                    reason="MNIST (set SAGVAE_DATA) or its shipped models are not here")
def test_a_drawn_digit_is_spoiled_and_repaired(new_page):
    page = lab(new_page, "MNIST+digits")
    pick(page, "source", "your own")
    pad = keyed(page, "pad_0").locator("canvas").bounding_box()
    page.mouse.move(pad["x"] + 80, pad["y"] + 60)
    page.mouse.down()
    for x, y in ((200, 60), (150, 150), (120, 230)):
        page.mouse.move(pad["x"] + x, pad["y"] + y, steps=6)
    page.mouse.up()
    page.locator(".sv-img").first.wait_for()
    settled(page)
    rows = pictures(page)
    assert {len(row) for row in rows} == {1}
    assert len({row[0] for row in rows}) == len(rows) >= 4, "damaged, repaired by two, original"
    no_error(page)
