"""The Sampling page in a real browser: noise by the slider, draws by a key, a link that keeps all of it, the club."""

from __future__ import annotations

import pytest
from handling import choose, go, keyed, no_error, overflow, pictures, settled

LAST = "() => document.querySelectorAll('.sv-grid')[0].querySelectorAll('.sv-row:last-child img')[0].src"


def sampling(new_page, query: str = "data=Small+digits", **options):
    page = new_page(f"sampling?{query}", **options)
    page.locator(".sv-img").first.wait_for()
    settled(page)
    return page


def test_noise_and_draws_reach_the_pictures_and_the_link_keeps_them(new_page):
    page = sampling(new_page)
    first = pictures(page)[:8]
    page.get_by_role("slider", name="Corrupted dimensions").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"before => ({LAST})() !== before", arg=first[-1][0])
    page.get_by_text("28 of 64 corrupted").first.wait_for()
    settled(page)
    noisy = pictures(page)[:8]
    assert noisy[::2] == first[::2], "what is drawn stays"
    assert all(one != other for one, other in zip(noisy[1::2], first[1::2], strict=True))
    page.get_by_test_id("stHeading").first.click()
    page.keyboard.press("n")
    page.wait_for_function("before => document.querySelector('.sv-img').src !== before", arg=noisy[0][0])
    settled(page)
    choose(page, "class", "7")
    page.wait_for_url("**/*class=7*")
    settled(page)
    shown = pictures(page)[:4]
    assert {len(row) for row in shown} == {10}
    again = new_page(page.url.rpartition("/")[2])
    again.locator(".sv-img").first.wait_for()
    settled(again)
    assert pictures(again)[:4] == shown, "the link shows the same to somebody else"
    no_error(page)


def test_from_one_picture_to_another(new_page):
    page = sampling(new_page)
    way = pictures(page)[8:]
    assert len(way) >= 3 and {len(row) for row in way} == {11}  # the shipped models, and what other tests have trained
    keyed(page, "to_number").get_by_test_id("stNumberInputStepUp").click()
    page.wait_for_function("before => document.querySelectorAll('.sv-grid')[1]?.querySelectorAll('img')[10]?.src"
                           " !== before", arg=way[0][-1])
    settled(page)
    after = pictures(page)[8:]
    assert all(row[:2] == old[:2] and row[-1] != old[-1] for row, old in zip(after, way, strict=True))
    no_error(page)


@pytest.mark.parametrize("width", [1440, 800])
def test_beside_each_other_where_there_is_room_and_below_where_not(new_page, width):
    page = sampling(new_page, width=width, dark=width == 800)
    grid = page.locator(".sv-scroll").first.bounding_box()
    chart = keyed(page, "judged_chart").bounding_box()
    assert (chart["x"] > grid["x"] + grid["width"]) is (width == 1440)
    assert (chart["y"] > grid["y"] + grid["height"]) is (width == 800)
    assert overflow(page) <= 0
    no_error(page)


def test_the_club_and_from_there_to_pages_without_it(new_page):
    page = new_page("sampling?data=Karate+club")
    keyed(page, "signals").locator(".main-svg").first.wait_for()
    settled(page)
    assert keyed(page, "signals").locator(".scatterlayer .point").count() == 3 * 5 * 34
    go(page, "Robustness")
    page.locator(".sv-img").first.wait_for()
    settled(page)
    no_error(page)
    page.go_back()
    settled(page)
    go(page, "Sampling")
    no_error(page)
