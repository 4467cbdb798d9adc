"""A known graph from a file: every spelling of the same edges reads alike, every mistake is one sentence."""

from __future__ import annotations

import codecs
import csv
import io

import networkx as nx
import numpy as np
import pytest
from strangers import NAMES as STRANGE

from sagvae_core.errors import SagvaeError
from sagvae_core.graph_files import RelationGraph, graph_bytes
from sagvae_core.known_graph import LARGEST, read_known_graph

NAMES = ("age", "blood, sugar", "größe", "bmi")
GRAPH = np.zeros((4, 4), dtype=bool)
for _pair in ((0, 1), (2, 3)):
    GRAPH[_pair] = GRAPH[_pair[::-1]] = True
ROWS = "0,1,0,0\n1,0,0,0\n0,0,0,1\n0,0,1,0\n"


def graphml(*edges: tuple[str, str]) -> bytes:
    graph = nx.Graph()
    graph.add_nodes_from(NAMES)
    graph.add_edges_from(edges or [(NAMES[0], NAMES[1]), (NAMES[2], NAMES[3])])
    file = io.BytesIO()
    nx.write_graphml_xml(graph, file)
    return file.getvalue()


def matrix(top: list[int] | None, left: list[int] | None, separator: str = ",") -> bytes:
    """The graph as a matrix with names in these orders on top and at the left, or without."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator)
    across, down = top or left or range(4), left or top or range(4)
    if top:
        writer.writerow([*([""] if left else []), *(NAMES[place] for place in top)])
    for place in down:
        writer.writerow([*([NAMES[place]] if left else []), *GRAPH[place, list(across)].astype(int)])
    return file.getvalue().encode()


@pytest.mark.parametrize(("data", "name"), [
    (b'age,"blood, sugar"\nbmi,gr\xc3\xb6\xc3\x9fe\n', "g.csv"),
    (b'source,target\nage,"blood, sugar"\n\nbmi,gr\xc3\xb6\xc3\x9fe\ngr\xc3\xb6\xc3\x9fe,bmi\n', "g.csv"),
    ("From\tTo\r\nage\tblood, sugar\r\n bmi \tgröße\r\n".encode(), "g.tsv"),
    ("age;blood, sugar\nbmi;größe".encode(), "g.txt"),
    ("age;blood, sugar\nbmi;größe".encode("cp1252"), "g.csv"),
    (codecs.BOM_UTF16_LE + "age;blood, sugar\nbmi;größe".encode("utf-16-le"), "g.csv"),
    (ROWS.encode(), "g.csv"),
    (ROWS.replace("1", "1.0").replace(",", "\t").encode(), "g.tsv"),
    (ROWS.replace("1", "True").replace("0", "FALSE").encode(), "g.csv"),
    (matrix([0, 1, 2, 3], None), "g.csv"), (matrix([3, 1, 0, 2], None), "g.csv"),
    (matrix(None, [3, 1, 0, 2]), "g.csv"), (matrix([3, 1, 0, 2], [1, 0, 2, 3], ";"), "g.csv"),
    (matrix([3, 1, 0, 2], [1, 0, 2, 3]).removeprefix(b","), "as-R-writes-it.csv"),
    (graphml(), "g.GraphML"), (graphml().decode().replace("utf-8", "utf-16").encode("utf-16"), "g.graphml"),
], ids=range(16))
def test_every_spelling_of_a_graph_reads_alike(data, name, tmp_path):
    np.testing.assert_array_equal(read_known_graph(data, name, NAMES), GRAPH)
    path = tmp_path / "file"
    path.write_bytes(data)
    np.testing.assert_array_equal(read_known_graph(path, name, NAMES), GRAPH)


def test_what_this_package_writes_is_read_again():
    names = tuple(dict.fromkeys(name.encode("utf-8", "replace").decode() or "?" for name in STRANGE))
    edges = np.zeros((len(names),) * 2, dtype=bool)
    edges[:-1, 1:] |= np.eye(len(names) - 1, dtype=bool)
    edges |= edges.T
    graph = RelationGraph(names, edges.astype(float), None, edges)
    fit = [name for name in names if "\x00" not in name]  # XML cannot hold that one
    kept = [names.index(name) for name in fit]
    part = RelationGraph(tuple(fit), graph.scores[np.ix_(kept, kept)], None, edges[np.ix_(kept, kept)])
    np.testing.assert_array_equal(read_known_graph(graph_bytes(part, "graphml"), "g.graphml", fit), part.selected)
    tame = [name.strip() or "?" for name in fit if len(name) < 100 and not set(name) & set("\n\r\u2028\x85\x1b\x7f")]
    tame = list(dict.fromkeys(tame))
    file = io.StringIO()
    csv.writer(file).writerows([tame[place], tame[place + 1]] for place in range(len(tame) - 1))
    assert np.triu(read_known_graph(file.getvalue().encode(), "g.csv", tame)).sum() == len(tame) - 1


def test_names_that_are_numbers():
    assert read_known_graph(b"0,1\n", "g.csv", ["0", "1"])[0, 1], "an edge list, not a matrix"
    assert read_known_graph(b"0,1\n1,0\n", "g.csv", ["a", "b"])[0, 1]
    assert read_known_graph(b"0,1\n1,0\n", "g.csv", ["0", "1"])[0, 1]
    three = read_known_graph(b"0,1,0\n1,0,0\n0,0,0\n", "g.csv", ["0", "1", "2"])
    assert np.triu(three).sum() == 1 and three[0, 1]
    assert read_known_graph(b"source,target\n", "g.csv", ["source", "target"])[0, 1], "columns may be called so"


@pytest.mark.parametrize(("data", "name", "said"), [
    (b"", "g.csv", "an empty file"), (b"\n \n", "g.csv", "an empty file"),
    (b"source,target\n", "g.csv", "at least one edge"), (b"0,0,0,0\n" * 4, "g.csv", "at least one edge"),
    (b"age,bmi\nage,bmx\n", "g.csv", "line 2 of the edge list must be a column of the table, got 'bmx'. "
                                       "Did you mean 'bmi'?"),
    (b"gene a,gene b\nage,bmi\n", "g.csv", "Is it a header? Then call its columns source and target"),
    (b"age,bmi\nage,age\n", "g.csv", "two different columns, got 'age' with itself in line 2. Remove it."),
    (b"age,bmi\nage\n", "g.csv", "line 2 of the edge list must be two names, got 1"),
    (b"age,bmi,0.5\nage,bmi,0.1\n", "g.csv", "two columns wide, source and target, got up to 3 columns. Keep"),
    (b"age\nbmi\n", "g.csv", "Put a comma between"),
    (ROWS.replace("1,0,0,0", "0,0,0,0").encode(), "g.csv", "must be symmetric, got 1 from 'age' to 'blood, sugar' and "
                                                           "0 back"),
    (ROWS.replace("0,1,0,0", "1,1,0,0").encode(), "g.csv", "'age' with itself. Remove it."),
    (ROWS.replace("0,1,0,0", "0,2,0,0").encode(), "g.csv", "row 1 of the known graph's matrix must be 0 or 1, got '2'"),
    (ROWS.replace("0,1,0,0", "0,,0,0").encode(), "g.csv", "must be 0 or 1, got ''"),
    (b"0,1,0\n1,0,0\n0,0,0\n", "g.csv", "of 4 rows and 4 columns, one for each column of the table, got 3 rows of up "
                                         "to 3 cells. Add"),
    (b"age,bmi,bmi,age\n" + ROWS.encode(), "g.csv", "there once, got 'bmi' twice"),
    (b"age,bmi,x,y\n" + ROWS.encode(), "g.csv", "each name beside the known graph's matrix must be a column"),
    (b"a,0,1,0,0\n1,0,0,0\n0,0,0,1\n0,0,1,0\n", "g.csv", "of one length"),
    (b"age,b\x00mi", "g.csv", "text"), (b'"' + b"x" * 200_000, "g.csv", "quote that is never closed"),
    (b"0" * (LARGEST + 1), "g.csv", "at most 20 MB, got 20.0 MB"),
    (b"<graphml>", "g.graphml", "must be GraphML, got"), (b"<gexf/>", "g.graphml", "XML of another kind"),
    (b"", "g.graphml", "must be GraphML"), (b'<?xml version="1.0" encoding="no"?><graphml/>', "g.graphml", "GraphML"),
    (b'<graphml><edge source="a"/></graphml>', "g.graphml", "the id of a node, got 'a'"),
    (graphml(("age", "who")), "g.graphml", "each node with an edge must be a column of the table, got 'who'"),
    (graphml(("age", "age")), "g.graphml", "'age' with itself. Remove it."),
    (b"a,b\0\n", "g.csv", "the known graph must be text, got a zero byte in line 1."),
])
def test_a_mistake_is_one_sentence_with_its_remedy(data, name, said):
    with pytest.raises(SagvaeError) as caught:
        read_known_graph(data, name, NAMES)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_names_must_differ():
    with pytest.raises(SagvaeError, match="all different"):
        read_known_graph(b"a,a\n", "g.csv", ["a", "a"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_whatever_the_encoding(encoding):
    bomb = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {after} "{f"&{before};" * 10}">' for before, after in zip("abcdefgh", "bcdefghi")
    ) + "]><graphml><node id='&i;'/></graphml>"
    with pytest.raises(SagvaeError, match="without a document type"):
        read_known_graph(bomb.encode(encoding), "g.graphml", NAMES)
    outside = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><graphml/>'
    with pytest.raises(SagvaeError, match="without a document type"):
        read_known_graph(outside.encode(), "g.graphml", NAMES)


def test_labels_of_graphml_come_before_ids():
    graph = nx.Graph()
    for number, name in enumerate(NAMES):
        graph.add_node(number, label=name, colour="age")
    graph.add_edge(0, 1, label="bmi")  # an edge's own label names no node
    graph.add_edge(3, 2)
    file = io.BytesIO()
    nx.write_graphml_xml(graph, file)
    np.testing.assert_array_equal(read_known_graph(file.getvalue(), "g.graphml", NAMES), GRAPH)


def test_a_large_matrix_is_read_in_seconds():
    names = [f"column {place}" for place in range(1000)]
    ring = np.roll(np.eye(1000, dtype=int), 1, 0) + np.roll(np.eye(1000, dtype=int), -1, 0)
    data = "\n".join(",".join(map(str, row)) for row in ring).encode()
    np.testing.assert_array_equal(read_known_graph(data, "g.csv", names), ring.astype(bool))
