"""Relations in files, read back by what people open them with: networkx, csv, numpy."""

from __future__ import annotations

import csv
import io
import os
import string
import time
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strangers import NAMES

from sagvae_core import file_text, graph_xml
from sagvae_core.errors import SagvaeError
from sagvae_core.graph_files import FORMATS, RelationGraph, graph_bytes, write_graph

PAIRS = [(0, 1, 0.9), (0, 2, 0.25), (1, 3, 1 / 3), (2, 3, 1e-7)]
HOSTILE = (*NAMES, "=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\uff1d1", 'a"b,c', "]]>", "\uffff", "a", "a")


def symmetric(count: int, pairs) -> np.ndarray:
    matrix = np.zeros((count, count), dtype=np.float32)
    for first, second, value in pairs:
        matrix[first, second] = matrix[second, first] = value
    return matrix


def small(**parts) -> RelationGraph:
    posterior = symmetric(4, PAIRS)
    usual = {"names": ("a", "b", "c", "d"), "scores": posterior, "posterior": posterior, "selected": posterior > 0.2}
    return RelationGraph(**usual | parts)


def full() -> RelationGraph:
    scores = symmetric(4, PAIRS) - 0.5
    scores[0, 3] = scores[3, 0] = np.nan
    return small(scores=scores, frequency=symmetric(4, [(0, 1, 1.0)]), lower=scores - 0.125, upper=scores + 0.125,
                 partial=symmetric(4, [(0, 1, -0.5), (0, 2, np.nan)]),
                 node_attributes={"group": ["x", "y", None, "x"], "degree": np.array([2, 2, 1, 1]),
                                  "share": [0.5, 1, None, float("nan")], "known": [True, False, True, True]},
                 graph_attributes={"method": "SAG-VAE", "rows": 120, "threshold": 0.2})


def named(names) -> RelationGraph:
    ring = np.roll(np.eye(len(names), dtype=np.float32), 1, axis=0)
    matrix = np.maximum(ring, ring.T)
    return RelationGraph(tuple(names), matrix, matrix, matrix > 0.5, node_attributes={"name again": list(names)},
                         graph_attributes={"title": "".join(names[:3])})


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def read_graphml(data: bytes) -> nx.Graph:
    return nx.read_graphml(io.BytesIO(data), node_type=int)


def read_gexf(data: bytes) -> nx.Graph:
    return nx.read_gexf(io.BytesIO(data), node_type=int)


def read_npz(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return dict(file)


# ---------------------------------------------------------------------------------------------------- tables

def test_csv_has_a_row_for_every_pair_with_what_is_known_of_it():
    head, *rows = rows_of(graph_bytes(full(), "csv"))
    assert head == ["source", "target", "score", "posterior", "selected", "frequency", "lower", "upper"]
    assert [row[:2] for row in rows] == [["a", "b"], ["a", "c"], ["a", "d"], ["b", "c"], ["b", "d"], ["c", "d"]]
    first, missing = dict(zip(head, rows[0])), dict(zip(head, rows[2]))
    assert first["posterior"] == "0.9", "as many digits as float32 has"
    assert np.float32(first["score"]) == np.float32(0.9) - np.float32(0.5)
    assert (first["selected"], missing["selected"]) == ("true", "false")
    assert first["frequency"] == "1.0"
    assert missing["score"] == missing["lower"] == missing["upper"] == "", "no number where there is none"
    assert rows[3][2] == "-0.5", "a negative number stays a number"


def test_columns_without_values_are_there_and_empty():
    head, *rows = rows_of(graph_bytes(small(posterior=None), "csv"))
    assert {len(row) for row in rows} == {len(head)}
    assert all(row[3] == row[5] == row[6] == row[7] == "" for row in rows)


def test_adjacency_is_square_and_of_probabilities_if_there_are_any():
    graph = full()
    head, *rows = rows_of(graph_bytes(graph, "adjacency.csv"))
    assert head == ["", "a", "b", "c", "d"]
    assert [row[0] for row in rows] == head[1:]
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], dtype=np.float32), graph.posterior)
    scored = rows_of(graph_bytes(small(posterior=None, scores=-graph.posterior), "adjacency.csv"))
    assert scored[1][2] == "-0.9"


def test_npz_needs_no_pickle():
    graph = full()
    arrays = read_npz(graph_bytes(graph, "npz"))
    assert arrays["names"].tolist() == list(graph.names)
    for name in ("scores", "posterior", "selected", "frequency", "lower", "upper", "partial"):
        np.testing.assert_array_equal(arrays[name], getattr(graph, name))
    assert arrays["node.group"].tolist() == ["x", "y", "", "x"]
    assert arrays["node.degree"].tolist() == [2, 2, 1, 1]
    assert arrays["graph.rows"] == 120
    assert arrays["graph.method"] == "SAG-VAE"
    assert "frequency" not in read_npz(graph_bytes(small(), "npz"))


# ---------------------------------------------------------------------------------------------------- graphs

@pytest.mark.parametrize(("format", "read"), [("graphml", read_graphml), ("gexf", read_gexf)])
def test_networkx_reads_the_edges_and_all_that_is_known(format, read):
    graph = full()
    found = read(graph_bytes(graph, format))
    assert not found.is_directed()
    assert sorted(found) == [0, 1, 2, 3]
    assert [found.nodes[node]["label"] for node in found] == list(graph.names)
    assert {tuple(sorted(edge)) for edge in found.edges()} == {(0, 1), (0, 2), (1, 3)}, "the selected ones alone"
    edge = found.edges[0, 1]
    assert edge["weight"] == edge["posterior"] == 0.9
    assert edge["score"] == pytest.approx(0.4, abs=1e-6)
    assert (edge["frequency"], edge["upper"]) == (1.0, pytest.approx(0.525, abs=1e-6))
    assert edge["partial"] == -0.5 and "partial" not in found.edges[0, 2]
    assert [found.nodes[node].get("group") for node in found] == ["x", "y", None, "x"]
    assert [found.nodes[node].get("share") for node in found] == [0.5, 1.0, None, None]
    assert [found.nodes[node]["degree"] for node in found] == [2, 2, 1, 1]
    assert [found.nodes[node]["known"] for node in found] == [True, False, True, True]
    assert isinstance(found.nodes[0]["degree"], int)


def test_a_graph_says_where_it_is_from():
    assert read_graphml(graph_bytes(full(), "graphml")).graph.items() >= {"method": "SAG-VAE", "rows": 120}.items()
    said = ElementTree.fromstring(graph_bytes(full(), "gexf")).find("*/{*}description").text
    assert said == "method: SAG-VAE; rows: 120; threshold: 0.2"


def test_the_weight_is_the_score_where_there_is_no_probability():
    graph = small(posterior=None, scores=3 * symmetric(4, PAIRS))
    for edges in (read_graphml(graph_bytes(graph, "graphml")).edges, read_gexf(graph_bytes(graph, "gexf")).edges):
        assert edges[0, 1]["weight"] == pytest.approx(2.7)
        assert "posterior" not in edges[0, 1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_graphs_without_nodes_or_edges_are_graphs(count):
    nothing = np.zeros((count, count))
    graph = RelationGraph(("a", "b")[:count], nothing, None, nothing > 0)
    for found in (read_graphml(graph_bytes(graph, "graphml")), read_gexf(graph_bytes(graph, "gexf"))):
        assert (found.number_of_nodes(), found.number_of_edges()) == (count, 0)
    assert len(rows_of(graph_bytes(graph, "csv"))) == 1 + (count == 2)
    assert len(rows_of(graph_bytes(graph, "adjacency.csv"))) == 1 + count
    assert read_npz(graph_bytes(graph, "npz"))["names"].shape == (count,)


def test_the_graph_of_mnist_takes_seconds():
    values = np.random.default_rng(0).random((784, 784), dtype=np.float32)
    values = np.triu(values, 1) + np.triu(values, 1).T
    graph = RelationGraph(tuple(map(str, range(784))), values, values, values > 0.7)
    start = time.monotonic()
    assert graph_bytes(graph, "graphml").count(b"<edge ") == np.count_nonzero(np.triu(graph.selected))
    assert graph_bytes(graph, "csv").count(b"\n") == 1 + 784 * 783 // 2
    assert time.monotonic() - start < 30


# ---------------------------------------------------------------------------------------------------- hostile names

def check_names(names) -> None:
    """Everything that holds of files with any names at all."""
    graph = named(names)
    stored = [file_text.storable(name) for name in names]
    arrays = read_npz(graph_bytes(graph, "npz"))
    assert arrays["names"].tolist() == stored
    for found in (read_graphml(graph_bytes(graph, "graphml")), read_gexf(graph_bytes(graph, "gexf"))):
        assert list(found) == list(range(len(names))), "two of one name stay two"
        assert [found.nodes[node].get("label", "") for node in found] == stored
        assert [found.nodes[node].get("name again", "") for node in found] == stored
        assert found.number_of_edges() == np.count_nonzero(np.triu(graph.selected, 1))
    head, *rows = rows_of(graph_bytes(graph, "csv"))
    assert {len(row) for row in rows} <= {len(head)}
    cells = [cell for row in rows for cell in row[:2]]
    square = rows_of(graph_bytes(graph, "adjacency.csv"))
    assert {len(row) for row in square} == {len(names) + 1}
    for cell in [*cells, *square[0], *(row[0] for row in square)]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
        assert "\0" not in cell
    assert [cell.removeprefix("'") for cell in square[0][1:]] == [name.removeprefix("'") for name in stored]


def test_hostile_names_break_no_file():
    check_names(HOSTILE)


@given(st.lists(st.text(st.characters(), max_size=8) | st.sampled_from(HOSTILE[:12]), min_size=3, max_size=6))
def test_no_name_breaks_a_file(names):
    check_names(names)


def test_what_xml_cannot_hold_is_replaced_and_nothing_else():
    assert file_text.storable("a\0b\x1bc\ud800d\ufffee") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    kept = string.printable.replace("\x0b", "").replace("\x0c", "") + "Größe 日本語 العربية 🙂 \u2028\x85"
    assert file_text.storable(kept) == kept


@given(st.floats(width=32) | st.floats())
def test_numbers_come_back_as_they_were(value):
    for number in (np.float32(value), np.float64(value)) if abs(value) < 3e38 else (np.float64(value),):
        kind, (text,) = graph_xml.column([number])
        if np.isfinite(number):
            assert (kind, type(number)(text)) == ("double", number)
        else:
            assert text is None


# ---------------------------------------------------------------------------------------------------- files, errors

@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_what_its_name_ends_with(tmp_path, format):
    for name in (f"graph.{format}", f"Graph.{format.upper()}"):
        write_graph(full(), tmp_path / name)
        written = (tmp_path / name).read_bytes()
        if format != "npz":  # a zip notes the time
            assert written == graph_bytes(full(), format)
    assert len(list(tmp_path.iterdir())) == 2, "no temporary file is left"


def test_a_file_stays_as_it_was_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "graph.csv"
    write_graph(small(), path)
    before = path.read_bytes()

    def full_disk(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_graph(full(), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["graph.csv"]


@pytest.mark.parametrize("name", ["graph.txt", "graph", "csv", "graph.csv.gz"])
def test_another_ending_names_the_possible_ones(tmp_path, name):
    with pytest.raises(SagvaeError, match=r"ends with \.csv, \.adjacency\.csv, \.npz, \.graphml, \.gexf, got '"):
        write_graph(small(), tmp_path / name)
    with pytest.raises(SagvaeError, match="one of csv, adjacency.csv, npz, graphml, gexf, got"):
        graph_bytes(small(), name.rpartition(".")[2] + "?")
    with pytest.raises(SagvaeError, match="one that exists"):
        write_graph(small(), tmp_path / "nowhere" / "graph.csv")


@pytest.mark.parametrize(("parts", "sentence"), [
    ({"scores": np.zeros((3, 3))}, r"scores must be of shape \(4, 4\).*got \(3, 3\)"),
    ({"scores": np.full((4, 4), "x")}, "scores must be a matrix of numbers"),
    ({"lower": np.triu(np.ones((4, 4)))}, "lower must be symmetric"),
    ({"selected": np.zeros((4, 4))}, "selected must be a matrix of True and False, got values of type float64"),
    ({"posterior": np.full((4, 4), 1.5)}, r"posterior must be in \[0, 1\], got 1.5 to 1.5"),
    ({"frequency": np.full((4, 4), -1.0)}, r"frequency must be in \[0, 1\]"),
    ({"partial": np.full((4, 4), -1.5)}, r"partial must be in \[-1, 1\]"),
    ({"node_attributes": {"group": [1]}}, "'group' must be of 4 values, got 1"),
    ({"node_attributes": {"label": [1] * 4}}, "anything but 'label'"),
])
def test_parts_that_do_not_fit_are_refused(parts, sentence):
    with pytest.raises(SagvaeError, match=sentence):
        small(**parts)
