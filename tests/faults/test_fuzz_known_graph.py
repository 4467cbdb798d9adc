"""Known graphs as hypothesis thinks of them: whatever the bytes, a graph over the table's columns, or a sentence."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from damaged_files import damaged_bytes
from hypothesis import HealthCheck, configuration, given, settings
from hypothesis import strategies as st

from sagvae_core.errors import SagvaeError
from sagvae_core.known_graph import read_known_graph

configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "sagvae-hypothesis")  # not into the repository
FULL = os.environ.get("SAGVAE_FAULTS") == "full"
NAMES = ["a", "b", "0", "1", "long name, with a comma"]
MATRIX = b"0,1,0,0,0\n1,0,0,0,0\n0,0,0,1,0\n0,0,1,0,0\n0,0,0,0,0\n"
GRAPHML = (b'<?xml version="1.0"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="d" for="node" '
           b'attr.name="label" attr.type="string"/><graph edgedefault="undirected"><node id="x"><data key="d">a</data>'
           b'</node><node id="b"/><edge source="x" target="b"/></graph></graphml>')
VALID = [b"a,b\n0,1\n", b'source;target\na;"long name, with a comma"\n', MATRIX, b"\t".join(MATRIX.split(b",")),
         b",a,b,0,1,long\na" + MATRIX, GRAPHML,
         GRAPHML.replace(b"<graphml ", b'<!DOCTYPE a [<!ENTITY b "c">]><graphml ')]


@settings(max_examples=5000 if FULL else 300, derandomize=not FULL, deadline=None, database=None, print_blob=True,
          suppress_health_check=list(HealthCheck))
@given(st.one_of(damaged_bytes(VALID), st.text("ab01,;\t\n\" ", max_size=60).map(str.encode)),
       st.sampled_from(["g.csv", "g.graphml", "g"]), st.integers(2, 5))
def test_any_bytes_are_a_graph_or_a_sentence(data, name, count):
    try:
        graph = read_known_graph(data, name, NAMES[:count])
    except SagvaeError as error:
        said, graph = str(error), None
    if graph is None:
        assert 0 < len(said) < 1000 and "\n" not in said
        return
    assert graph.shape == (count, count) and graph.dtype == bool and graph.any()
    assert (graph == graph.T).all() and not graph.diagonal().any()


@settings(max_examples=1000 if FULL else 100, derandomize=not FULL, deadline=None, database=None)
@given(st.data())
def test_any_graph_is_read_as_it_was_written(data):
    names = data.draw(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]),
                                       min_size=1, max_size=12), min_size=2, max_size=7, unique=True))
    names = [f"c{name}" for name in names]  # a bare "0" may be a mark as well
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, len(names) - 1)] * 2).filter(lambda pair: pair[0] != pair[1]),
                               min_size=1, max_size=12))
    graph = np.zeros((len(names),) * 2, dtype=bool)
    for first, second in pairs:
        graph[first, second] = graph[second, first] = True

    def quoted(texts: list[str]) -> str:
        return ",".join('"' + text.replace('"', '""') + '"' for text in texts) + "\n"

    edges = "".join(quoted([names[first], names[second]]) for first, second in pairs)
    matrix = quoted(["", *names]) + "".join(
        quoted([name, *map(str, row.astype(int))]) for name, row in zip(names, graph))
    for text in (edges, matrix):
        np.testing.assert_array_equal(read_known_graph(text.encode(), "g.csv", names), graph)
