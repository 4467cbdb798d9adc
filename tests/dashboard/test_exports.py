"""The Export menu: what it offers on each page, that nothing is made before a click, and what is made then."""

from __future__ import annotations

import csv
import io
import json
import re

import networkx as nx
import numpy as np
import pytest
from PIL import Image
from reading import metric, sound
from strangers import NAMES

from dashboard import exports
from sagvae_core.runs import Run, shipped_folder

ENDINGS = ["png", "svg", "html", "graphml", "gexf", "csv", "adjacency.csv", "npz"]


@pytest.fixture
def offered(monkeypatch):
    """File name -> what makes it, of the menu as it was last drawn."""
    files = {}
    button = exports.st.download_button

    def noted(label, data, file_name, mime, **options):
        if str(options.get("key")).startswith("export_"):
            assert callable(data), "made when it is asked for"
            assert options["on_click"] == "ignore", "a download draws no page again"
            if file_name.endswith(".png"):
                files.clear()
            files[file_name] = data
        return button(label, data, file_name, mime, **options)

    monkeypatch.setattr(exports.st, "download_button", noted)
    return files


def test_nothing_is_made_before_a_click(open_page, monkeypatch):
    def made(*args, **options):
        raise AssertionError("nobody has asked for a file")

    monkeypatch.setattr(exports, "graph_bytes", made)
    monkeypatch.setattr(exports.graph_picture, "png", made)
    monkeypatch.setattr(exports.graph_picture, "svg", made)
    for page in ("overview", "relations", "evidence"):
        app = open_page(page)
        sound(app)
        labels = [button.proto.label for button in app.get("download_button")]
        assert labels[:8] == ["PNG", "SVG", "Web page", "GraphML", "GEXF", "Pairs CSV", "Matrix CSV", "NumPy"]


@pytest.mark.parametrize("name", ["karate-sagvae", "digits-sagvae"])
def test_relations_as_files_are_those_on_the_page(open_page, offered, name):
    app = open_page("relations", run=name)
    app.select_slider(key="threshold").set_value(0.95).run()
    sound(app)
    assert list(offered) == [f"{name}-threshold-0.95.{ending}" for ending in ENDINGS]
    made = {file.removeprefix(f"{name}-threshold-0.95."): make() for file, make in offered.items()}
    edges = int(metric(app, "Edges"))
    for graph in (nx.read_graphml(io.BytesIO(made["graphml"])), nx.read_gexf(io.BytesIO(made["gexf"]))):
        assert graph.number_of_edges() == edges
        assert all(data["posterior"] > 0.95 for *_, data in graph.edges(data=True))
        assert all(data["degree"] == graph.degree[node] for node, data in graph.nodes(data=True))
        assert len({data["group"] for _, data in graph.nodes(data=True)}) > 1
    assert nx.read_graphml(io.BytesIO(made["graphml"])).graph["model"] == name
    rows = list(csv.DictReader(io.StringIO(made["csv"].decode(), newline="")))
    assert sum(row["selected"] == "true" for row in rows) == edges
    posterior = Run(shipped_folder() / name).load_model().edge_posterior.numpy()
    assert len(rows) == len(posterior) * (len(posterior) - 1) // 2
    with np.load(io.BytesIO(made["npz"]), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["posterior"], posterior)
        assert np.triu(arrays["selected"], 1).sum() == edges
    assert Image.open(io.BytesIO(made["png"])).format == "PNG"
    assert made["svg"].startswith(b"<svg ")
    assert "height: 100vh" in made["html"] and "Content-Security-Policy" in made["html"]


@pytest.mark.parametrize("name", ["karate-sagvae", "digits-sagvae"])  # with groups, and without
def test_the_graph_of_the_overview_can_be_taken_along(open_page, offered, name):
    sound(open_page("overview", run=name))
    assert list(offered) == [f"{name}-threshold-0.5.{ending}" for ending in ENDINGS]
    graph = nx.read_graphml(io.BytesIO(offered[f"{name}-threshold-0.5.graphml"]()))
    posterior = Run(shipped_folder() / name).load_model().edge_posterior.numpy()
    assert graph.number_of_edges() == np.triu(posterior > 0.5, 1).sum()
    assert any("group" in data for _, data in graph.nodes(data=True)) == name.startswith("karate")
    for ending in ENDINGS:
        assert offered[f"{name}-threshold-0.5.{ending}"]()


def test_the_colours_and_the_truth_of_the_page_are_in_its_pictures(open_page, offered):
    app = open_page("relations", run="karate-sagvae")
    plain = next(iter(offered.values()))()
    app.toggle(key="truth").set_value(True).run()
    sound(app)
    made = list(offered.values())
    assert made[0]() != plain
    assert b"found and true" in made[1]()
    assert b"Mr. Hi" in made[1]()
    app.selectbox(key="colour").set_value("community").run()
    assert b"community 1" in list(offered.values())[1]()


def test_evidence_gives_scores_and_says_no_probability(open_page, offered):
    app = open_page("evidence")
    app.selectbox(key="method").set_value("Absolute correlation").run()
    sound(app)
    assert next(iter(offered)) == "karate-symmetric-generator-Absolute-correlation-own-threshold.png"
    made = {file.split(".", 1)[1]: make() for file, make in offered.items() if not file.endswith(".png")}
    graph = nx.read_graphml(io.BytesIO(made["graphml"]))
    assert graph.graph["method"] == "Absolute correlation"
    said = next(box.value for box in app.caption if "found and true" in box.value)
    hits, false = (int(re.search(rf"(\d+) {words}", said).group(1)) for words in ("found and true", "not true"))
    assert graph.number_of_edges() == hits + false
    assert "posterior" not in next(iter(graph.edges(data=True)))[2]
    rows = list(csv.DictReader(io.StringIO(made["csv"].decode(), newline="")))
    assert not any(row["posterior"] for row in rows)
    assert min(float(row["score"]) for row in rows if row["selected"] == "true") > graph.graph["own threshold"]
    data = json.loads(re.search(r"const data = (.*);\n", made["html"]).group(1))
    assert len(data["edges"]) > 50
    assert not any("sure" in edge["title"] for edge in data["edges"])


@pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:24] for name in NAMES])
def test_any_name_is_a_file_s_name(name):
    for text in (name, f"{name}-threshold-0.5", f"a{name}"):
        file = exports.file_name(text)
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", file)
    assert exports.file_name("karate-sagvae-threshold-0.0001") == "karate-sagvae-threshold-0.0001"
