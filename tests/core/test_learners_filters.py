"""The graph filter: its likelihood, the search for its graph, and what that says of single edges."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from sagvae_core.learners.densities import gaussian_density
from sagvae_core.learners.filters import filter_density, filtered_graph

NODES = 10
RING = np.roll(np.eye(NODES, dtype=bool), 1, axis=0) | np.roll(np.eye(NODES, dtype=bool), -1, axis=0)
TREE = np.zeros((NODES, NODES), dtype=bool)
for _child in range(1, NODES):
    TREE[_child, (_child - 1) // 2] = TREE[(_child - 1) // 2, _child] = True
NOTHING = np.zeros_like(RING)
PRICE = -5.0


def smoother(graph: np.ndarray, weights: tuple[float, float, float] = (0.3, 0.5, 1.0)) -> np.ndarray:
    looped = graph + np.eye(len(graph))
    degrees = looped.sum(axis=1)
    once = looped / np.sqrt(np.outer(degrees, degrees))
    return weights[0] * np.eye(len(graph)) + weights[1] * once + weights[2] * once @ once


def covariance(graph: np.ndarray, noise: float = 0.02) -> np.ndarray:
    """Of white sources behind the filter of ``graph``, with columns of unequal scale."""
    filtered = smoother(graph) @ smoother(graph) + noise * np.eye(len(graph))
    scales = np.linspace(0.5, 2.0, len(graph))
    return filtered * np.outer(scales, scales)


def sample(graph: np.ndarray, rows: int, seed: int = 0) -> np.ndarray:
    x = np.random.RandomState(seed).multivariate_normal(np.zeros(len(graph)), covariance(graph), rows)
    return x.T @ x / rows


@pytest.mark.parametrize("graph", [RING, TREE], ids=["ring", "tree"])
def test_the_filter_of_the_right_graph_is_the_covariance_itself(graph):
    truth = covariance(graph)
    assert filter_density(truth, graph) == pytest.approx(gaussian_density(truth, truth), abs=5e-4)
    wrong = TREE if graph is RING else RING
    assert filter_density(truth, wrong) < filter_density(truth, graph) - 0.05


@pytest.mark.parametrize("graph", [RING, TREE], ids=["ring", "tree"])
@pytest.mark.parametrize("wrong", [None, ((0, 1), (4, 9), (3, 6))], ids=["nothing", "three wrong pairs"])
def test_the_graph_is_found_from_less(graph, wrong):
    start = NOTHING.copy() if wrong is None else graph.copy()
    for i, j in wrong or ():
        start[i, j] = start[j, i] = not start[i, j]
    found = filtered_graph(sample(graph, 400), 400, [start], PRICE)
    np.testing.assert_array_equal(found.graph, graph)
    np.testing.assert_array_equal(found.scores > 0, graph)
    np.testing.assert_array_equal(found.scores, found.scores.T)


def test_the_best_start_wins():
    moments = sample(TREE, 200)
    alone = [filtered_graph(moments, 200, [start], PRICE).log_posterior for start in (NOTHING, RING, TREE)]
    together = filtered_graph(moments, 200, [NOTHING, RING, TREE], PRICE)
    assert together.log_posterior == pytest.approx(max(alone), abs=1e-3)


def test_a_score_is_what_the_posterior_would_lose():
    moments, rows = sample(TREE, 150), 150
    found = filtered_graph(moments, rows, [TREE], PRICE)

    def log_posterior(graph: np.ndarray) -> float:
        """With the filter fitted anew, and so a little more than with the filter of the whole graph."""
        return rows * NODES * filter_density(moments, graph) + PRICE * graph.sum() / 2

    whole = log_posterior(found.graph)
    for i, j in ((0, 1), (3, 8), (2, 7), (4, 5)):
        flipped = found.graph.copy()
        flipped[i, j] = flipped[j, i] = not flipped[i, j]
        lost = whole - log_posterior(flipped)
        assert lost >= -1e-3, "single flips were tried"
        assert abs(found.scores[i, j]) <= max(1.3 * lost, lost + 3), "a move that loses less may count instead"
        assert (found.scores[i, j] > 0) == found.graph[i, j]


def test_more_rows_make_surer():
    few, many = (filtered_graph(covariance(TREE), rows, [TREE], PRICE).scores for rows in (100, 1000))
    assert (many[TREE] > few[TREE]).all()


def test_edges_that_can_be_exchanged_for_others_are_left_open():
    """Members 5 and 6 of the club have nearly the same friends: 4-6, 5-10 explain what 4-5, 6-10 do, and neither alone.

    Each of the four is worth hundreds of nats if the other three stay as they are.
    """
    club = nx.to_numpy_array(nx.karate_club_graph(), weight=None) > 0
    mixed = smoother(club, (-0.12, 1.95, 2.7))  # as fitted to the club's positions
    truth, rows = mixed @ mixed + 0.016 * np.eye(34), 2880
    found = filtered_graph(truth, rows, [club], PRICE)
    np.testing.assert_array_equal(found.graph, club)
    for (i, j), edge in (((4, 6), True), ((5, 10), True), ((4, 5), False), ((6, 10), False)):
        flipped = club.copy()
        flipped[i, j] = flipped[j, i] = not edge
        assert rows * 34 * (filter_density(truth, club) - filter_density(truth, flipped)) > 500
        assert 0 < (found.scores[i, j] if edge else -found.scores[i, j]) < 50


def test_no_relation_is_no_edge():
    x = np.random.RandomState(0).standard_normal((300, NODES))
    found = filtered_graph(x.T @ x / 300, 300, [NOTHING, RING], PRICE)
    assert not found.graph.any()
    assert (found.scores[~np.eye(NODES, dtype=bool)] < 0).all()


@pytest.mark.parametrize("start", [NOTHING, RING, ~np.eye(NODES, dtype=bool)], ids=["nothing", "ring", "all"])
def test_columns_that_say_the_same_can_be_judged(start):
    """Next to no noise asks for a filter without bounds."""
    moments = np.full((NODES, NODES), 1.0) + 1e-9 * np.eye(NODES)
    found = filtered_graph(moments, 10_000, [start], PRICE)
    assert np.isfinite(found.scores).all() and np.isfinite(found.log_posterior)


def test_large_graphs_are_scored_in_full():
    """Past some size only the promising pairs are tried; the others follow in order, with no score missing."""
    nodes = 24
    ring = np.roll(np.eye(nodes, dtype=bool), 1, axis=0) | np.roll(np.eye(nodes, dtype=bool), -1, axis=0)
    found = filtered_graph(sample(ring, 400), 400, [ring], PRICE)
    off = ~np.eye(nodes, dtype=bool)
    assert np.isfinite(found.scores).all()
    np.testing.assert_array_equal((found.scores > 0)[off], ring[off])
