"""Whatever a run, a column or a method is called: it is shown as text, on one line, no longer than there is room."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from reading import errors, unescaped
from strangers import FOLDERS, IN_FILES, NAMES, write_runs, write_studies

from dashboard import (
    comparison_files,
    evidence,
    evidence_images,
    evidence_tables,
    figures,
    figures_evidence,
    figures_robustness,
    listing,
    names,
    network,
    pictures,
    records,
)
from dashboard.evidence_images import ErrorCurve
from dashboard.figures_evidence import Curve

COUNT = len(NAMES)
TAME = [f"name {place}" for place in range(COUNT)]
MATRIX = np.full((COUNT, COUNT), 0.8) - 0.8 * np.eye(COUNT)
PLACES = network.layout(MATRIX, "circular")
ROWS = np.zeros((2, 4))

each_name = pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:24] for name in NAMES])


# ---------------------------------------------------------------------------------------------------- the helpers

@each_name
@pytest.mark.parametrize("limit", [names.BESIDE, names.ALONG, names.NAME, names.SENTENCE])
def test_one_line_is_short_visible_and_can_be_sent(name, limit):
    line = names.one_line(name, limit)
    assert len(line) <= limit
    assert line.encode("utf-8").decode() == line, "no lone surrogates: a message with one cannot be sent to the browser"
    assert not {unicodedata.category(letter) for letter in line} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not re.search(r"\s{2}|^\s|\s$|[^\S ]", line)
    assert names.one_line(line, limit) == line, "what is cleaned twice stays"


def test_one_line_says_what_it_left_out():
    assert names.one_line("x" * 10_000) == "x" * 79 + "…"
    assert names.one_line("x" * 80) == "x" * 80
    assert names.one_line(" " * 10_000 + "x") == "…", "a name that begins too late is cut as well"
    assert names.one_line("a\x00b\x7f\n\tc") == "a␀b␡ c"
    assert names.one_line("\u202egnp\u200b.exe") == "gnp.exe"
    assert names.one_line(None) == "None"


@pytest.mark.parametrize("name", ["Größe, m²", "日本語", "العربية", "naïve café", "A → B ≤ ½", "e\u0301a\u0323\u0301",
                                  "🙂"])
def test_names_of_all_languages_stay(name):
    assert names.one_line(name) == name
    assert names.html_text(name) == names.plotly_text(name) == name


@each_name
def test_plain_escapes_every_letter_that_markdown_reads(name):
    text = names.plain(name)
    assert unescaped(text) == names.one_line(name)
    loose = re.sub(r"\\.", "", text)
    assert not set(loose) & set("\\`*_{}[]()#+!|<>:$~&^")
    assert not re.match(r"\d+\.|-", text), "no list"
    assert not re.search(r"www\.|@\w", text, re.IGNORECASE), "found in the text once it is unescaped"


def test_plain_leaves_commands_to_copy():
    """Word joiners stand where something else would be found, and nowhere else."""
    for text in ("sagvae runs stop my-run", "--set train.stages.0.kl_z_weight=0.3", "got 3: expected 4", "a -- b"):
        assert ("\u2060" in names.plain(text)) == (text == "a -- b"), text


@each_name
def test_html_and_plotly_read_text_alone(name):
    for text in (names.html_text(name), names.plotly_text(name)):
        assert not set(text) & set("<>")
        assert unescape(text) == names.one_line(name)
    assert not set(names.html_text(name)) & set("\"'")
    assert "%{" not in names.plotly_text(name)


@each_name
@pytest.mark.parametrize("first", ["", "=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "\u200b="])
def test_a_cell_is_no_formula(first, name):
    assert names.cell(first + name)[:1] not in list("=+-@\t\r")


# ---------------------------------------------------------------------------------------------------- figures

def all_figures(called: list[str]) -> dict[str, object]:
    """Every figure of the app, with these names wherever it takes one."""
    groups, curve = range(len(called)), np.array([0.5, 1.0])
    positions = np.random.default_rng(0).normal(size=(len(called), 6, 2))
    links = np.ones((6, 6)) - np.eye(6)
    dots = [evidence.Dot(name, called[0], 0.1, 0.01, (name, called[-1])) for name in called]
    return {
        "adjacency_heatmap": figures.adjacency_heatmap(MATRIX, names=called, title=called[0]),
        "truth_heatmap": figures.truth_heatmap(MATRIX, MATRIX, 0.5, names=called, title=called[4]),
        "network_figure": figures.network_figure(MATRIX, 0.5, PLACES, called, groups, called, MATRIX),
        "figure_one": figures.figure_one(positions, positions, links, links, 0.5, titles=called, unseen=0),
        "pixel_picker": figures.pixel_picker(np.eye(3), title=called[0], label=called[14]),
        "neighbourhood_map": figures.neighbourhood_map(np.zeros(4), (2, 2), (0, 0), title=called[5]),
        "training_curves": figures.training_curves([{"epoch": 0} | dict.fromkeys(called, 1.0)], called[:4],
                                                   dict(zip(called[2:4], called[:2], strict=True))),
        "precision_recall": figures_evidence.precision_recall(
            [Curve(name, curve, curve, (0.5, 0.5), place == 0, place) for place, name in enumerate(called)],
            [(name, 0.5, 0.5) for name in called], called[0]),
        "dots": figures_evidence.dots(dots, "difference", 0.1, worst=True),
        "figure_three": figures_evidence.figure_three([(name, positions[:2], links) for name in called[:5]]),
        "figure_six": figures_evidence.figure_six([ErrorCurve(name, True, curve, curve, curve) for name in called]),
        "sweep": figures_robustness.sweep([0, 1], [figures_robustness.Line(name, np.eye(2)) for name in called], "x",
                                          "y"),
    }


HOSTILE_FIGURES, TAME_FIGURES = all_figures(list(NAMES)), all_figures(TAME)


@pytest.mark.parametrize("kind", TAME_FIGURES)
def test_figures_hold_no_markup_but_ours(kind):
    found, tame = strings(HOSTILE_FIGURES[kind]), strings(TAME_FIGURES[kind])
    for pattern in (r"<[^>]*>", r"%\{[^}]*\}"):
        assert marks(found, pattern) == marks(tame, pattern), "tags and templates are those around the names"
    assert max(map(len, found)) < 1200, "as long as the longest hover of three names"
    assert all(text.isprintable() for text in found)
    if kind != "neighbourhood_map":
        assert any("&lt;" in text for text in found), "this test cannot fail where no name is shown"


def test_names_of_an_axis_and_beside_nodes_are_short():
    figure = HOSTILE_FIGURES["adjacency_heatmap"]
    assert max(len(unescape(text)) for text in figure.layout.xaxis.ticktext) <= names.ALONG
    nodes = [trace for trace in HOSTILE_FIGURES["network_figure"].data if trace.text is not None]
    assert len(nodes) == COUNT
    assert max(len(unescape(text)) for trace in nodes for text in trace.text) <= names.BESIDE


@pytest.mark.parametrize("record", [
    {"epoch": "0", "elbo": 1.0, "stage": "<b>"}, {"epoch": 0, "elbo": 10**400, "stage": [1]}, {"elbo": 1.0},
    {"epoch": 10**400, "elbo": "x", "stage": 3}, {"epoch": None, "elbo": None}])
def test_training_curves_leave_a_gap_where_there_is_no_number(record):
    usual = [{"epoch": epoch, "elbo": float(epoch), "stage": epoch} for epoch in range(3)]
    figure = figures.training_curves([record, *usual, record], ["elbo"])
    values = np.asarray(figure.data[0].y, dtype=float)
    np.testing.assert_array_equal(values[1:4], [0, 1, 2])
    assert len(figure.layout.shapes) >= 2, "where a stage begins is still marked"
    figure.to_json()


# ---------------------------------------------------------------------------------------------------- pages of ours

class Tags(HTMLParser):
    """Every tag with the names of its attributes, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple] = []
        self.links: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *sorted(name for name, _ in attrs)))
        self.links |= {value[:5] for name, value in attrs if name in ("src", "href", "action")}


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def grid(called: list[str]) -> str:
    rows = [pictures.Row(name, ROWS, f"below {name}", [{name: 1.0, "psnr": 2.0}] * 2, spoken=name) for name in called]
    return pictures.comparison_grid(rows, (2, 2), column_labels=called[:2])


def strip(called: list[str]) -> str:
    return pictures.picture_strip(np.zeros((len(called), 4)), (2, 2), called)


def page(called: list[str]) -> str:
    return network.pyvis_html(MATRIX, 0.5, PLACES, called, range(len(called)), called, MATRIX)


@pytest.mark.parametrize("make", [grid, strip, page])
def test_our_html_has_the_same_tags_whatever_the_names(make):
    found, tame = parsed(make(list(NAMES))), parsed(make(TAME))
    assert found.tags == tame.tags
    assert found.links <= {"data:"}
    assert not [tag for tag in found.tags if any(name.startswith("on") for name in tag[1:])]


def test_the_network_page_shows_names_on_one_line_each():
    text = page(list(NAMES))
    data = json.loads(re.search(r"const data = (.*);\n", text).group(1))
    for name, node in zip(NAMES, data["nodes"], strict=True):
        assert node["title"].split("\n")[0] == names.one_line(name)
        assert node["title"].count("\n") == 2, "a name cannot add a line that looks like ours"
        assert len(node["label"]) <= names.BESIDE
    assert all(edge["title"].count("\n") == 2 for edge in data["edges"])


def test_the_network_page_may_ask_nobody_for_anything():
    head = page(TAME).split("<title>")[0]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', head).group(1)
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    assert {source for sources in rules.values() for source in sources} <= {"'none'", "'unsafe-inline'", "data:"}


# ---------------------------------------------------------------------------------------------------- files to take

def test_a_downloaded_table_holds_no_formula_and_no_extra_cell():
    scores = [{"MSE": 0.5}]
    text = comparison_files.csv_text(NAMES[12], 1, [(name, scores, scores[0]) for name in NAMES], 16)
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 1 + 2 * COUNT
    assert {len(row) for row in rows} == {6}
    assert not [value for row in rows for value in row if value[:1] in ("=", "+", "-", "@", "\t", "\r")]


def test_a_picture_to_take_away_is_as_large_as_with_other_names():
    def size(called):
        rows = [pictures.Row(name, ROWS) for name in called]
        return Image.open(io.BytesIO(comparison_files.png(rows, (2, 2), called[-1]))).size

    assert size(NAMES) == size(TAME)


# ---------------------------------------------------------------------------------------------------- runs and records

def test_runs_of_strangers_are_listed_or_explained(runs_folder):
    runs_folder.mkdir()
    write_runs(runs_folder)
    infos, problems = listing.run_infos()
    mine = {info.name: info for info in infos if not info.shipped}
    assert {f"digits-{place}" for place in range(len(IN_FILES))} | {"karate-0", "no-data-set"} <= set(mine)
    for info in mine.values():
        for text in (info.title, info.role, info.family, info.command, info.device, info.label, info.short):
            assert text == names.one_line(text, 200) and len(text) < 200
        assert info.label.endswith(info.name), "two of the same title are told apart"
        assert all(isinstance(value, float) for value in info.metrics.values())
    unnamed = [problem for problem in problems if "Rename the folder" in problem]
    assert len(unnamed) == len(FOLDERS) - 1, "all but the hidden one"
    assert {problem.split(":")[0] for problem in problems if problem not in unnamed} == {
        "no-kind", "no-text", *(f"no-status-{place}" for place in range(6))}
    assert not any(set(name) & set("<>\n\u202e\udcff") for name in mine)


def test_a_link_to_a_folder_without_a_run_s_name_opens_nothing(open_page, runs_folder):
    runs_folder.mkdir()
    write_runs(runs_folder, NAMES[:5])
    app = open_page("overview", run="no name of a run · <img src=x onerror=window.pwned=1>")
    assert not app.exception
    assert app.selectbox(key="run").value == "karate-sagvae"
    assert not any("no name of a run" in option for option in app.selectbox(key="run").options)
    assert len(app.warning) == 4, "three sentences, and how many more there are"
    assert not any("![" in box.value for box in app.warning)


def test_an_error_s_words_are_text(open_page, runs_folder):
    runs_folder.mkdir()
    write_runs(runs_folder, NAMES[:5])
    app = open_page("relations", run="no-data-set")
    assert not app.exception
    assert len(app.error) == 1
    assert NAMES[4] in errors(app)
    assert NAMES[4] not in app.error[0].value


def test_records_of_strangers_are_one_line_without_formulas(tmp_path, monkeypatch):
    write_studies(tmp_path / "studies")
    monkeypatch.setenv("SAGVAE_STUDIES", str(tmp_path / "studies"))
    for study in ("karate", "suite", "images"):
        record = records.record(study)
        for row in record["rows"]:
            for key in ("task", "method", "setting", "metric"):
                assert row[key] == names.cell(row[key], 120)
        for task in evidence.tasks(record):
            labels = [line.label for line in evidence.lines(evidence.with_candidates(record), task)]
            assert not [label for label in labels if label[:1] in tuple("=+-@")]
    tables = [evidence_images.transfer(record, evidence_images.titles(record)[0]).data,
              evidence_images.near_edges(record), evidence_tables.heat(evidence.grid(records.record("suite"),
                                                                                     "average_precision")).data]
    for table in tables:
        texts = [*table.columns, *(value for value in table.to_numpy().ravel() if isinstance(value, str))]
        assert len(texts) > 10
        assert not [text for text in texts if text[:1] in tuple("=+@")]


def strings(figure) -> list[str]:
    """Every text in a figure, but for numbers that are sent as base64."""
    found: list[str] = []

    def collect(value):
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key != "bdata":
                    collect(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                collect(inner)

    layout = figure.to_plotly_json()["layout"]
    layout.pop("template", None)
    collect(json.loads(figure.to_json())["data"])
    collect(json.loads(json.dumps(layout, default=lambda value: np.asarray(value).tolist())))
    return found


def marks(texts: list[str], pattern: str) -> set[str]:
    return {mark for text in texts for mark in re.findall(pattern, text)}
