"""Thresholds, layouts, orders and the draggable page, on graphs small enough to count by hand."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import networkx as nx
import numpy as np
import pytest

from dashboard import network

HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", "\"'`; alert(3) //", "a\u2028b@@DATA@@",
    "<!--<script>",
]


def probabilities_of(size: int, **edges: float) -> np.ndarray:
    """``probabilities_of(4, e01=.9)`` -> a symmetric (4, 4) matrix."""
    matrix = np.zeros((size, size))
    for name, value in edges.items():
        i, j = int(name[1]), int(name[2])
        matrix[i, j] = matrix[j, i] = value
    return matrix


@pytest.fixture(scope="module")
def karate() -> np.ndarray:
    adjacency = nx.to_numpy_array(nx.karate_club_graph(), weight=None)
    noise = np.random.default_rng(0).uniform(0, 0.2, adjacency.shape)
    probabilities = np.where(adjacency > 0, 0.8 + noise, noise)
    return np.triu(probabilities, 1) + np.triu(probabilities, 1).T


FOUR = probabilities_of(4, e01=0.9, e02=0.5, e12=0.4, e23=0.2)


def test_threshold_is_strict_and_keeps_isolated_nodes():
    probabilities = FOUR + np.eye(4)  # a diagonal of ones must not become self-loops
    graph = network.threshold_graph(probabilities, 0.5, ["a", "a", "b", "c"])
    assert sorted(graph.edges(data="weight")) == [(0, 1, 0.9)]
    assert list(graph.nodes(data="name")) == [(0, "a"), (1, "a"), (2, "b"), (3, "c")]
    assert network.edge_count(probabilities, 0.3) == 3
    assert network.density(probabilities, 0.3) == pytest.approx(3 / 6)
    assert network.edge_count(probabilities, 0.0) == 4
    with pytest.raises(ValueError, match="4 nodes, got 1"):
        network.threshold_graph(FOUR, 0.5, ["a"])
    with pytest.raises(ValueError, match=r"square matrix .* got \(2, 3\)"):
        network.edge_count(np.zeros((2, 3)), 0.5)


def test_edge_kinds_by_hand():
    truth = probabilities_of(4, e01=1, e23=1, e13=1) > 0
    kinds = network.edge_kinds(FOUR, truth, 0.3)
    assert {kind: pairs.tolist() for kind, pairs in kinds.items()} == {
        "hit": [[0, 1]], "miss": [[2, 3], [1, 3]], "false": [[0, 2], [1, 2]]}
    with pytest.raises(ValueError, match=r"truth must have shape \(4, 4\), got \(3, 3\)"):
        network.edge_kinds(FOUR, np.zeros((3, 3)), 0.3)


def test_strongest_edges_come_first_and_can_be_limited():
    assert network.strongest_edges(FOUR, 0.1, limit=2).tolist() == [[0, 1], [0, 2]]


def test_orders(karate):
    assert network.order(FOUR, "original").tolist() == [0, 1, 2, 3]
    assert network.order(FOUR, "degree").tolist() == [0, 1, 2, 3]  # 1.4, 1.3, 1.1, 0.2
    by_community = network.order(karate, "community", seed=3)
    assert sorted(by_community.tolist()) == list(range(34))
    labels = network.communities(karate, seed=3)[by_community]
    assert (np.diff(labels) >= 0).all()
    assert np.bincount(labels)[0] == np.bincount(labels).max()
    with pytest.raises(ValueError, match="'original', 'community' or 'degree', got 'colour'"):
        network.order(FOUR, "colour")


def test_communities_find_two_cliques():
    matrix = np.full((7, 7), 0.01)
    matrix[:4, :4] = matrix[4:, 4:] = 0.9
    np.fill_diagonal(matrix, 0)
    assert network.communities(matrix).tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert network.communities(network.threshold_graph(matrix, 0.5)).tolist() == [0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("kind", ["force", "circular", "grid"])
def test_layouts_are_deterministic_finite_and_within_the_frame(karate, kind):
    first, second = network.layout(karate, kind, seed=1), network.layout(karate, kind, seed=1)
    assert first.shape == (34, 2)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first).max() <= 1 + 1e-9
    apart = np.linalg.norm(first[:, None] - first[None], axis=2)[np.triu_indices(34, 1)]
    assert apart.min() > 0.02


def test_force_layout_pulls_linked_nodes_together_and_keeps_parts_apart(karate):
    positions = network.layout(karate > 0.5, "force")
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    linked = karate > 0.5
    assert apart[linked].mean() < 0.75 * apart[~linked & ~np.eye(34, dtype=bool)].mean()
    sparse = probabilities_of(6, e01=0.9, e23=0.9)  # two pairs and two nodes without a link
    apart = np.linalg.norm(network.layout(sparse)[:, None] - network.layout(sparse)[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert apart.min() == pytest.approx(apart[0, 1])
    assert network.layout(np.zeros((5, 5))).shape == (5, 2)
    assert network.layout(np.zeros((0, 0))).shape == (0, 2)


def test_large_force_layout_is_quick_and_deterministic():
    graph = nx.connected_watts_strogatz_graph(300, 4, 0.1, seed=0)
    adjacency = nx.to_numpy_array(graph)
    np.testing.assert_array_equal(network.layout(adjacency), network.layout(adjacency))


def test_grid_has_row_0_on_top():
    positions = network.layout(np.zeros((6, 6)), "grid", image_shape=(2, 3))
    np.testing.assert_allclose(positions, [[-1, 0.5], [0, 0.5], [1, 0.5], [-1, -0.5], [0, -0.5], [1, -0.5]])
    with pytest.raises(ValueError, match="6 pixels, got 2 x 2 = 4"):
        network.layout(np.zeros((6, 6)), "grid", image_shape=(2, 2))
    with pytest.raises(ValueError, match="got 'spiral'"):
        network.layout(FOUR, "spiral")


# ------------------------------------------------------------------ the page


class Tags(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "data", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def data_of(page: str) -> dict:
    return json.loads(re.search(r"const data = (.*);\n", page).group(1))


def page_of(names, **settings) -> str:
    size = len(names)
    matrix = np.full((size, size), 0.8)
    return network.pyvis_html(matrix, 0.5, network.layout(matrix, "circular"), names, **settings)


def test_page_is_self_contained_and_light():
    page = page_of(["a", "b", "c"])
    tags = parsed(page)
    assert tags.loads == []
    assert tags.handlers == []
    assert tags.tags.count("script") == 2
    assert "link" not in tags.tags
    assert len(page) < 500_000
    own = page.replace(re.search(r"<script>/\*\*.*?</script>", page, re.S).group(0), "")
    assert "http:" not in own
    assert "https:" not in own
    assert "<title>Network of 3 nodes, 3 edges</title>" in page
    assert 'aria-label="Network of 3 nodes' in page


def test_hostile_names_stay_text():
    tame = parsed(page_of(["a", "b", "c", "d", "e"], groups=range(5), group_names=["a", "b", "c", "d", "e"]))
    page = page_of(HOSTILE, groups=range(5), group_names=HOSTILE)
    assert parsed(page).tags == tame.tags
    assert parsed(page).handlers == []
    assert parsed(page).loads == []
    data = data_of(page)
    assert data["nodes"][0]["title"].startswith(HOSTILE[0])  # and yet nobody's name was changed
    assert data["nodes"][3]["title"].startswith("a b@@DATA@@\n"), "but for a line break"
    assert not set("<>&\u2028") & set(re.search(r"const data = (.*);\n", page).group(1))


def test_page_draws_what_it_was_given():
    positions = np.array([[-1, 0], [1, 0], [0, 1], [0, -0.5]])
    truth = probabilities_of(4, e01=1, e23=1)
    data = data_of(network.pyvis_html(FOUR, 0.3, positions, list("abcd"), [0, 0, 1, 1], ["x", "y"], truth))
    assert [node["id"] for node in data["nodes"]] == [0, 1, 2, 3]
    assert data["nodes"][2]["y"] < 0 < data["nodes"][3]["y"]  # the canvas counts downwards
    ends = {(edge["from"], edge["to"]): edge for edge in data["edges"]}
    assert set(ends) == {(0, 1), (0, 2), (1, 2), (2, 3)}
    assert ends[0, 1]["title"] == "a – b\n90 % sure\nfound and true"
    assert "dashes" not in ends[0, 1]
    assert ends[2, 3]["title"].endswith("true, not found")
    assert ends[2, 3]["dashes"] != ends[0, 2]["dashes"]
    plain = data_of(network.pyvis_html(FOUR, 0.3, positions))
    widths = [edge["width"] for edge in plain["edges"]]
    assert widths == sorted(widths, reverse=True)


def test_page_keeps_the_surest_edges_and_says_so():
    matrix = np.random.default_rng(0).uniform(0.5, 1, (40, 40))
    matrix = np.triu(matrix, 1) + np.triu(matrix, 1).T
    page = network.pyvis_html(matrix, 0.4, network.layout(matrix, "circular"), max_edges=100)
    edges = data_of(page)["edges"]
    assert len(edges) == 100
    assert "the 100 surest of 780 edges" in page
    assert matrix[edges[0]["from"], edges[0]["to"]] == matrix.max()
