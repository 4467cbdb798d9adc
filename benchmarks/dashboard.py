"""How long a person waits: server start, first page, the lab's controls to pictures, the weight of the largest figure.

    python benchmarks/dashboard.py [--dataset mnist] [--moves 25] [--out report.json]

Drives a real Chromium against a server of its own; the lab shows ten images and three models, on blocks one of them
that looks for damaged regions. "first" is until the first picture is another one, "all" until none is awaited.
Every move but a toggle is to something not computed before. Times depend on the machine: nothing here is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.serving import serving  # noqa: E402

PICTURES = "[...document.querySelectorAll('[data-testid=stMain] img[src^=\"data:image/png\"]')].map(i => i.src).join()"
AWAITED = "div.sv-img"  # the frame of a picture that is still to come


THIRD = "VAE, 20-dim code"  # beside the pair that is shown at first
PLACES = 18  # a block of 7 x 7 in the middle of 28 x 28 pixels can go ten steps up and ten to the left
WARM_UP = 3  # first moves that fill caches and are not counted


def answered(page, act: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds from ``act`` until a picture of the comparison is another one, and until none is awaited."""
    before = page.evaluate(PICTURES)
    started = time.perf_counter()
    act()
    waited = []
    for done in (f"before => ![before, ''].includes({PICTURES})", f"() => !document.querySelector('{AWAITED}')"):
        page.wait_for_function(done, arg=before, timeout=30_000)
        waited.append(1000 * (time.perf_counter() - started))
    page.wait_for_timeout(400)  # a person looks at it; the averages above the pictures follow meanwhile
    return waited[0], waited[1]


def move_slider(page, moves: int) -> list[tuple[float, float]]:
    """The number of noisy pixels, a step up each time."""
    page.get_by_role("slider", name="Noisy pixels").focus()
    return [answered(page, lambda: page.keyboard.press("ArrowRight")) for _ in range(moves)]


def draw_again(page, moves: int) -> list[tuple[float, float]]:
    """Another draw, by its key."""
    page.get_by_test_id("stHeading").first.click()
    return [answered(page, lambda: page.keyboard.press("n")) for _ in range(moves)]


def other_images(page, moves: int) -> list[tuple[float, float]]:
    """The next ten images, by their key."""
    return [answered(page, lambda: page.keyboard.press("m")) for _ in range(moves)]


def toggle_errors(page, moves: int) -> list[tuple[float, float]]:
    """Error maps on and off."""
    toggle = page.locator(".st-key-errors label").first
    return [answered(page, toggle.click) for _ in range(moves)]


def toggle_model(page, moves: int) -> list[tuple[float, float]]:
    """The third model on and off."""
    return [answered(page, page.locator(".st-key-lab_models").get_by_role("button", name=THIRD).click)
            for _ in range(moves)]


def place_block(page, moves: int) -> list[tuple[float, float]]:
    """The block by hand, with the arrow keys, up and to the left from the middle."""
    page.locator(".st-key-kind").get_by_text("Block", exact=True).click()
    box = page.locator(".st-key-place").get_by_role("combobox")
    box.wait_for()
    page.wait_for_timeout(2000)
    page.locator(".st-key-lab_models").get_by_role("button", name=THIRD).click()
    page.wait_for_timeout(2000)
    box.click()
    page.get_by_role("option", name="by hand").click()
    placer = page.locator(".st-key-placed [tabindex='0']").first
    placer.wait_for()
    page.wait_for_timeout(3000)
    placer.focus()
    return [answered(page, lambda move=move: page.keyboard.press("ArrowUp" if move % 2 else "ArrowLeft"))
            for move in range(min(moves, PLACES))]


def draw_block(page, moves: int) -> list[tuple[float, float]]:
    """Other images with the block where it is, by their key."""
    page.get_by_test_id("stHeading").first.click()
    return other_images(page, moves)


CONTROLS: dict[str, Callable] = {"slider": move_slider, "draw": draw_again, "images": other_images,
                                 "errors": toggle_errors, "model": toggle_model, "block": place_block,
                                 "block_images": draw_block}


def measure(dataset: str, moves: int) -> dict[str, float]:
    """Seconds and milliseconds of one session; see the module's text."""
    from find_browser import find_browser
    from playwright.sync_api import sync_playwright

    from sagvae_core.data import DATASETS

    report: dict[str, float] = {}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "server.log") as (address, _), \
            sync_playwright() as playwright:
        report["server_start_s"] = time.perf_counter() - started
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        started = time.perf_counter()
        page.goto(f"{address}/")
        page.get_by_text("Train your own").wait_for(timeout=120_000)
        page.wait_for_function(f"{PICTURES}.length > 0", timeout=120_000)
        report["overview_drawn_s"] = time.perf_counter() - started
        page.goto(f"{address}/robustness")
        page.get_by_role("button", name=DATASETS[dataset].title).or_(
            page.get_by_role("radio", name=DATASETS[dataset].title)).first.click(timeout=60_000)
        page.get_by_role("slider", name="Noisy pixels").wait_for(timeout=60_000)
        page.wait_for_timeout(4000)
        page.locator(".st-key-lab_models").get_by_role("button", name=THIRD).click()
        page.wait_for_timeout(4000)
        for name, act in CONTROLS.items():
            for part, waits in zip(("first", "all"), zip(*act(page, moves + WARM_UP)[WARM_UP:], strict=True)):
                report |= {f"{name}_{part}_median_ms": statistics.median(waits),
                           f"{name}_{part}_p95_ms": sorted(waits)[int(0.95 * len(waits))]}
        browser.close()
    return report


def heaviest_figure() -> int:
    """Bytes of the 784 x 784 heatmap as it travels."""
    import numpy as np

    from dashboard import figures

    values = np.random.default_rng(0).random((784, 784), dtype=np.float32)
    return len(figures.adjacency_heatmap((values + values.T) / 2).to_json())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--moves", type=int, default=25)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report = measure(options.dataset, options.moves) | {"heatmap_784_kB": heaviest_figure() / 1000,
                                                        "cores": os.cpu_count()}
    report = {name: round(value, 2) for name, value in report.items()}
    print(json.dumps(report, indent=1))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
