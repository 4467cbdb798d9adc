"""The app as `sagvae dashboard` serves it, in a real Chromium that allows no error and no other host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from find_browser import find_browser
from handling import drawn, settled

from benchmarks.serving import serving

PATIENCE = 60_000  # ms; a training may run beside the tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's runs of the served app; the Train page writes here."""
    return tmp_path_factory.mktemp("browser") / "runs"


@pytest.fixture(scope="session")
def server(runs_folder: Path) -> Iterator[str]:
    """Address of the app."""
    with serving(runs_folder.with_name("server.log"), SAGVAE_RUNS=str(runs_folder)) as (address, _):
        yield address


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = find_browser()
    if path is None:
        pytest.fail("No Chromium or Chrome found. Run `python tests/find_browser.py`.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser, server) -> Iterator[Callable]:
    """``new_page("relations", dark=True, width=800)``: a page in a browser of its own, at rest unless it is ``live``.

    At the end the test fails if any of its pages logged an error, threw one, or asked another host for anything.
    """
    complaints: list[str] = []
    contexts = []

    def opened(path: str = "", *, dark: bool = False, width: int = 1440, height: int = 1000,
               live: bool = False):
        context = browser.new_context(viewport={"width": width, "height": height},
                                      color_scheme="dark" if dark else "light")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on("console", lambda message: complaints.append(f"console: {message.text} {message.location}")
                if message.type == "error" and not _tolerated(message.location.get("url", ""), server) else None)
        page.on("request", lambda request: complaints.append(f"other host: {request.url}")
                if _foreign(request.url, server) else None)
        page.on("websocket", lambda socket: complaints.append(f"other host: {socket.url}")
                if urlsplit(socket.url).netloc != urlsplit(server).netloc else None)
        page.goto(f"{server}/{path}")
        (drawn if live else settled)(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


def _tolerated(url: str, server: str) -> bool:
    # On /PAGE Streamlit first looks for its own endpoints below /PAGE, gets a 404 for them, and falls back to /.
    return any(url == f"{server}/{page}/_stcore/{probe}" for probe in ("health", "host-config")
               for page in ("relations", "your_data", "robustness", "sampling", "evidence", "train"))


def _foreign(url: str, server: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob", "about") and parts.netloc != urlsplit(server).netloc

