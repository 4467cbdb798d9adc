"""Hands and eyes of the browser tests: what a person does on a Streamlit page."""

from __future__ import annotations

_CALM = 400  # ms; a click reaches the server a little later, and one run of the script may ask for another

# The script is at rest, something is drawn and no skeleton is left, and all of that for a while.
_SETTLED = """calm => {
    const still = document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')
        && document.querySelector('[data-testid=stHeading]') && !document.querySelector('[data-testid=stSkeleton]');
    window.stillSince = still ? window.stillSince ?? performance.now() : null;
    return still && performance.now() - window.stillSince >= calm;
}"""


def settled(page) -> None:
    """Wait until the script has run to its end, the page is drawn, and it stays so."""
    page.evaluate("() => { window.stillSince = null; }")
    page.wait_for_function(_SETTLED, arg=_CALM)


def drawn(page) -> None:
    """Wait until something is drawn and no skeleton is left: all that can be asked of a page that watches a training,
    since it is drawn again every second and on a busy machine hardly comes to rest between.
    """
    page.wait_for_function("() => document.querySelector('[data-testid=stHeading]')"
                           " && !document.querySelector('[data-testid=stSkeleton]')")


def go(page, title: str) -> None:
    """To another page through the navigation; on a narrow screen that may be folded into a menu."""
    # A folded link also stands, inert, where Streamlit measures how many fit.
    link = page.locator("[data-testid=stTopNavLink]:not([inert] *)").filter(has_text=title)
    if not link.count():
        page.get_by_test_id("stTopNav").get_by_role("button").click()
        link = page.get_by_test_id("stTopNavDropdownLink").filter(has_text=title)
    link.first.click()
    page.wait_for_function("title => document.querySelector('[data-testid=stHeading]')?.innerText.includes(title)",
                           arg=title)
    settled(page)


def keyed(page, key: str):
    """The element with this key in the page's script."""
    return page.locator(f".st-key-{key}")


def choose(page, key: str, text: str) -> None:
    """Select an option by what it says."""
    settled(page)  # a box that is drawn again closes its list
    box = keyed(page, key).get_by_role("combobox")
    box.click()
    box.fill(text)  # a long list draws only the options in view
    page.get_by_role("option", name=text, exact=True).click()


def fill(page, key: str, text: object) -> None:
    field = keyed(page, key).locator("input, textarea").first
    field.fill(str(text))
    field.press("Tab")


def metric(page, label: str):
    """Locator of the value of the metric with this label."""
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def changed(page, locator, before: str, what: str = "innerText") -> str:
    """Wait until the element's text (or another property) is another one; return it."""
    page.wait_for_function("([element, what, before]) => element[what] !== before",
                           arg=[locator.element_handle(), what, before])
    return locator.evaluate(f"element => element.{what}")


def pictures(page) -> list[list[str]]:
    """The comparison's rows of pictures, as their sources."""
    return page.evaluate("() => [...document.querySelectorAll('.sv-row')].map(row => [...row.querySelectorAll('img')]"
                         ".map(image => image.src)).filter(row => row.length)")


def no_error(page) -> None:
    """No exception and no error box on the page."""
    for kind in ("stException", "stAlertContentError"):
        assert page.get_by_test_id(kind).count() == 0, page.get_by_test_id(kind).all_inner_texts()


def overflow(page) -> int:
    """By how many pixels the page is wider than the window, whichever element scrolls."""
    return page.evaluate("""() => Math.max(...['html', 'body', '[data-testid=stMain]',
        '[data-testid=stMainBlockContainer]'].map(name => document.querySelector(name))
        .map(element => element.scrollWidth - element.clientWidth))""")
