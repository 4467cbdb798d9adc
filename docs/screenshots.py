"""Take the README's pictures from a running dashboard: ``python docs/screenshots.py [http://localhost:8501]``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

PAGES = {"overview": ("", 940), "relations": ("relations", 1010)}


def main(base: str) -> None:
    from find_browser import find_browser
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"])
        for name, (path, height) in PAGES.items():
            page = browser.new_page(viewport={"width": 1440, "height": height}, color_scheme="light")
            page.goto(f"{base}/{path}")
            page.wait_for_selector("[data-testid=stPlotlyChart] .main-svg", timeout=60_000)
            page.wait_for_timeout(6000)  # all figures and pictures
            page.screenshot(path=HERE / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://localhost:8501")
