"""Take the README's pictures from a running dashboard: ``python docs/screenshots.py [http://localhost:8501]``.

The dashboard must find MNIST, whose digits the Robustness and the Sampling page show.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "browser")]

# name -> address, height in pixels, key pressed first, heading that is scrolled to the top
PAGES = {
    "overview": ("", 940, None, None),
    "relations": ("relations", 1010, None, None),
    "robustness": ("robustness?data=MNIST+digits", 1000, "p", None),
    "sampling": ("sampling?data=MNIST+digits", 1010, None, None),
    "your-data": ("your_data?fit=Wine+(example)", 1010, None, "Graph"),
}
_HINT = "Don't show again"  # of Streamlit's own hints


def main(base: str) -> None:
    from find_browser import find_browser
    from handling import settled
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"])
        for name, (path, height, key, heading) in PAGES.items():
            page = browser.new_page(viewport={"width": 1440, "height": height}, color_scheme="light")
            page.goto(f"{base}/{path}")
            settled(page)
            page.wait_for_timeout(1500)
            if (hint := page.get_by_role("button", name=_HINT)).count():
                hint.click()
            if key:
                page.keyboard.press(key)
                settled(page)
            if heading:
                page.get_by_role("heading", name=heading, exact=True).evaluate("line => line.scrollIntoView()")
            page.wait_for_timeout(4000)  # figures that move into place
            page.screenshot(path=HERE / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://localhost:8501")
