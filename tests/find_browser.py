"""Find a Chromium or Chrome for the browser tests; as a script, install one through Playwright if there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_MAC = (Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
        Path("/Applications/Chromium.app/Contents/MacOS/Chromium"))


def find_browser() -> str | None:
    """Path of a browser on this machine, else of Playwright's own, else None."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    for path in _MAC:
        if path.exists():
            return str(path)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        bundled = Path(playwright.chromium.executable_path)
    return str(bundled) if bundled.exists() else None


if __name__ == "__main__":
    if find_browser() is None:
        print("No Chromium or Chrome found: installing Playwright's.")
        done = subprocess.run([sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"])
        if done.returncode or find_browser() is None:
            sys.exit("The browser tests need a Chromium or Chrome and none could be installed. Install one with your "
                     "system's package manager (Debian: apt-get install chromium) and run `make test` again.")
