"""Names that try to run, to load, to lead away or to break the page: on every page, in a real browser."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from handling import choose, go, keyed, overflow, settled
from strangers import IN_FILES, NAMES, write_runs, write_studies

from benchmarks.serving import serving
from dashboard import names, network
from sagvae_core.data import dataset_available

SCRIPT = Path(__file__).with_name("names_script.py")
PATIENCE = 60_000  # ms, as for the other browser tests
PAGES = ("Overview", "Relations", "Robustness", "Sampling", "Evidence", "Train", "Your data")
# What markup in a name would have become: anything that leads away, loads, runs or is not of ours.
FOREIGN = """() => [...document.querySelectorAll('a, img, script, iframe, object, embed, form')].filter(element => {
    const url = element.getAttribute('href') ?? element.getAttribute('src') ?? '';
    return /javascript:|example|invalid/i.test(url) || element.getAttribute('onerror') || url === 'x';
}).map(element => element.outerHTML)"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def runs_folder(folder) -> Path:
    """Another one than that of the other tests, full of a stranger's names."""
    runs = folder / "runs"
    runs.mkdir()
    write_runs(runs)
    return runs


@pytest.fixture(scope="module")
def server(folder, runs_folder) -> Iterator[str]:
    write_studies(folder / "studies")
    with serving(folder / "server.log", SAGVAE_RUNS=str(runs_folder),
                 SAGVAE_STUDIES=str(folder / "studies")) as (address, _):
        yield address


@pytest.fixture
def open_hostile(new_page):
    """``new_page``, which fails on errors and on other hosts, and no dialog may open either."""
    dialogs: list[str] = []

    def opened(path: str = "", **settings):
        page = new_page(path, **settings)
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        return page

    yield opened
    assert not dialogs


def harmless(page) -> None:
    """Nothing has run, nothing leads away, nothing is wider than the window, and the page was drawn to its end."""
    settled(page)
    for frame in page.frames:
        assert frame.evaluate("() => window.pwned") is None, frame.url
        assert frame.evaluate(FOREIGN) == []
    assert page.get_by_test_id("stException").count() == 0
    assert overflow(page) <= 0
    text = page.evaluate("() => document.body.innerText")
    assert not re.search("[\\u202a-\\u202e\\u2066-\\u2069\\x00]", text)


def box(page, key: str) -> str:
    return keyed(page, key).get_by_role("combobox").input_value()


def everything(folder: Path) -> dict[str, int]:
    """Each file with the time of its last change, but the log."""
    found = {}
    for parent, _, files in os.walk(os.fsencode(folder)):
        found |= {os.path.join(parent, file): os.stat(os.path.join(parent, file)).st_mtime_ns for file in files}
    return {file: stamp for file, stamp in found.items() if not file.endswith(b"server.log")}


def test_every_page_with_runs_of_strangers(open_hostile, folder):
    before = everything(folder)
    page = open_hostile()
    for title in PAGES:
        if title != "Overview":
            go(page, title)
        harmless(page)
        if title in PAGES[:4]:
            sentences = page.get_by_test_id("stAlertContentWarning").all_inner_texts()
            assert len(sentences) == 4 and "more runs cannot be used" in sentences[-1]
    assert everything(folder) == before, "looking at files changes none and makes none"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_relations_of_a_run_with_a_hostile_title(open_hostile, place):
    name = (NAMES[0], NAMES[4], NAMES[-1])[place]
    page = open_hostile()
    label = f"{names.one_line(name, 64)} · karate-{place}"
    choose(page, "run", label)
    harmless(page)
    go(page, "Relations")
    assert box(page, "run") == label
    page.frame_locator("[data-testid=stIFrame]").locator("canvas").wait_for()
    keyed(page, "matrix").locator(".js-plotly-plot").wait_for()
    harmless(page)
    page.reload()
    settled(page)
    assert box(page, "run") == label, "the link to it leads back to it"
    harmless(page)


def test_a_run_of_an_unknown_data_set_is_a_sentence(open_hostile):
    page = open_hostile("relations")
    choose(page, "run", f"{NAMES[0]} · no-data-set")
    error = page.get_by_test_id("stAlertContentError")
    error.wait_for()
    assert NAMES[4] in error.inner_text().replace("\u2060", "")
    harmless(page)


def hostile_table() -> bytes:
    """A column for each name that a CSV file can hold, each with something of the one before."""
    titles = [name for name in IN_FILES if name and "\x00" not in name]
    rows = np.cumsum(np.random.default_rng(0).standard_normal((80, len(titles))), axis=1)
    text = io.StringIO()
    csv.writer(text).writerows([titles, *rows.round(3).tolist()])
    return text.getvalue().encode()


def test_a_table_with_hostile_headers_is_fitted_and_shown(open_hostile, runs_folder):
    page = open_hostile("your_data")
    upload = page.locator("[data-testid=stFileUploader] input[type=file]").first
    upload.set_input_files({"name": f"{NAMES[0]}.csv", "mimeType": "text/csv", "buffer": b"a\x00b,c\n1,2\n3,4\n5,7\n"})
    page.get_by_test_id("stAlertContentError").first.wait_for()
    harmless(page)
    upload.set_input_files({"name": f"{NAMES[0]}.csv", "mimeType": "text/csv", "buffer": hostile_table()})
    page.get_by_test_id("stDataFrame").first.wait_for()
    harmless(page)
    for method in ("Correlation", "SAG-VAE"):  # the one on, the other off
        keyed(page, "fit_methods").get_by_text(method, exact=True).click()
        settled(page)
    keyed(page, "fit_start").get_by_role("button").click()
    keyed(page, "fit").wait_for()
    page.get_by_test_id("stPlotlyChart").first.wait_for(timeout=3 * PATIENCE)
    harmless(page)
    (run,) = (folder for folder in runs_folder.iterdir() if (folder / "table.parquet").is_file())
    assert re.fullmatch(r"[A-Za-z0-9._-]+", run.name), "a folder is not called what a file is"


@pytest.mark.parametrize("title", ["Robustness", "Sampling"])
def test_pictures_of_models_with_hostile_names(open_hostile, title):
    page = open_hostile(f"{title.lower()}?data=Small+digits")
    group = "models_digits" if title == "Robustness" else "drawn_digits"
    pills = keyed(page, group).get_by_role("button").or_(keyed(page, group).get_by_role("checkbox"))
    labels = [label.replace("\u2060", "") for label in pills.all_inner_texts()]
    for place in (0, 4, 16, len(IN_FILES) - 1):
        wanted = f"{names.one_line(IN_FILES[place], 32)} · digits-{place}"
        assert wanted in labels
        pills.nth(labels.index(wanted)).click()
        settled(page)
    shown = page.locator(".sv-label").all_inner_texts()
    assert sum("digits-" in label for label in shown) >= 4
    assert sum(label.startswith("<img src=x onerror") for label in shown) >= 1
    for label in page.locator(".sv-label").all():
        assert label.evaluate("label => label.scrollHeight <= label.clientHeight + 18"), "it stays beside its picture"
    harmless(page)
    if title == "Robustness":
        with page.expect_download() as download:
            page.get_by_role("button", name="Numbers").click()
        assert re.fullmatch(r"[\w.-]+\.csv", download.value.suggested_filename)
        text = Path(download.value.path()).read_text(encoding="utf-8")
        assert "digits-16" in text and not re.search(r"(^|,)\"?[=+@-](?!\d)", text, re.MULTILINE)
        harmless(page)


def test_signals_of_models_with_hostile_names(open_hostile):
    page = open_hostile("sampling?data=Karate+club")
    keyed(page, "signals").locator(".js-plotly-plot").wait_for()
    harmless(page)


@pytest.mark.parametrize("study", ["Karate (Table 1)", "Suite", "Without labels", "Images (Figures 4–9)"])
def test_records_with_hostile_names(open_hostile, study):
    page = open_hostile(f"evidence?study={quote(study)}")
    page.get_by_test_id("stDataFrame").first.wait_for()
    harmless(page)
    page.get_by_text("What to know").scroll_into_view_if_needed()
    said = page.get_by_test_id("stMarkdownContainer").filter(has_text="javascript:").all_inner_texts()
    assert any(NAMES[3] in text.replace("\u2060", "") for text in said), "notes are written letter by letter"
    harmless(page)


@pytest.mark.parametrize("path", ["", "relations", "robustness", "sampling", "evidence", "train"])
def test_links_with_hostile_values(open_hostile, path):
    keys = ("run", "data", "kind", "threshold", "row", "study", "task", "told", "method", "class", "seed", "watch")
    shift = len(path)  # other values for the keys of each page
    values = [NAMES[(place + shift) % len(NAMES)][:2000].encode("utf-8", "replace") for place in range(len(keys))]
    query = [*zip(keys, values, strict=True), (NAMES[0], b"1"), (NAMES[8], b""), ("run", b"\xff")]
    page = open_hostile(path + "?" + "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in query))
    harmless(page)
    assert page.get_by_test_id("stAlertContentError").count() == 0


@pytest.mark.skipif(not dataset_available("mnist"), reason="the files of MNIST (set SAGVAE_DATA) are not here")
def test_an_upload_with_a_hostile_name(open_hostile):
    page = open_hostile("robustness?data=MNIST+digits&source=your+own")
    for name in (f"{NAMES[0]}.png", "![x](http:example.invalid).png", "..\\..\\passwd.png", f"{'w' * 200}.png"):
        page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/png", "buffer": b"no"})
        error = page.get_by_test_id("stAlertContentError").filter(has_text="PNG or JPEG").last
        error.wait_for()
        harmless(page)


def test_markdown_and_figures_show_every_name_letter_by_letter(browser, tmp_path):
    """In each element that reads Markdown: the text is the name's, and no element was made of it."""
    with serving(tmp_path / "server.log", SCRIPT, PYTHONPATH=os.pathsep.join(map(str, (
            SCRIPT.parents[1], SCRIPT.parents[2])))) as (address, _):
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        page, complaints = context.new_page(), []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith((address, "data:", "blob:"))
                else complaints.append(request.url))
        page.goto(address)
        settled(page)
        keyed(page, "chart").locator(".legend text").first.wait_for()
        for place, name in enumerate(NAMES):
            line, element = names.one_line(name, names.SENTENCE), keyed(page, f"name_{place}")
            texts = element.get_by_test_id("stMarkdownContainer").all_inner_texts()
            texts = [text.replace("\u2060", "") for text in texts]
            caption = element.get_by_test_id("stCaptionContainer").first.inner_text().replace("\u2060", "")
            assert caption == f"Before it. {line}".strip(), f"{name!r} became {caption!r}"
            assert texts.count(line) >= 7 or not line, f"{name!r} became {texts}"
            made = element.locator("[data-testid=stMarkdownContainer]").locator(
                "a, img, code, em, strong, del, li, h1, hr, blockquote, table, .katex, [role=img][aria-label$=icon],"
                " .stMarkdownColoredText")
            assert made.count() == 0, f"{name!r} became {made.first.evaluate('element => element.outerHTML')}"
            shown = element.locator(".sv-label span").text_content()
            assert shown == names.one_line(name)
        legend = page.locator(".legend text").all_text_contents()
        assert set(map(names.one_line, NAMES)) - {""} <= {names.one_line(text) for text in legend}
        assert page.locator(".legend a").count() == 0
        harmless(page)
        context.close()
    assert not complaints


def test_a_network_page_with_hostile_names(browser, tmp_path):
    """Opened by itself: nothing runs or loads, and a node's title is one line of text a name."""
    count = len(NAMES)
    matrix = np.full((count, count), 0.8)
    page_file = tmp_path / "network.html"
    text = network.pyvis_html(matrix, 0.5, network.layout(matrix, "circular"), NAMES, range(count), NAMES)
    page_file.write_text(text, encoding="utf-8")
    context = browser.new_context(viewport={"width": 900, "height": 560})
    page, complaints = context.new_page(), []
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: complaints.append(request.url) if request.url != page_file.as_uri() else None)
    page.goto(page_file.as_uri())
    page.wait_for_function("() => network.getPositions && document.querySelector('canvas')")
    tip = page.locator("div.vis-tooltip")
    for place, name in enumerate(NAMES):
        x, y = page.evaluate("""place => {
            const {x, y} = network.getPositions([place])[place], at = network.canvasToDOM({x, y});
            const box = document.getElementById('network').getBoundingClientRect();
            return [box.x + at.x, box.y + at.y];
        }""", place)
        page.mouse.move(x + 40, y + 300)
        page.mouse.move(x, y)
        line = names.one_line(name)
        page.wait_for_function("""line => {
            const tip = document.querySelector('div.vis-tooltip');
            return tip?.style.visibility === 'visible' && tip.innerText.split('\\n')[0] === line;
        }""", arg=line)
        assert tip.evaluate("tip => tip.querySelectorAll(':not(br)').length") == 0
    assert page.evaluate("() => window.pwned") is None
    assert page.evaluate(FOREIGN) == []
    assert page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    # Should a name ever be let through, the page's policy still keeps it from asking another host.
    refused = page.evaluate("() => fetch('http://example.invalid/x').then(() => 'sent', error => error.name)")
    assert refused == "TypeError"
    blocked = [text for text in complaints if "Content Security Policy" in text]
    assert blocked and not set(complaints) - set(blocked)
    context.close()
