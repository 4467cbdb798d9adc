"""Tasks with a known graph: the truth is the one the numbers were made with; seeds, rows and nodes do what they say."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from numpy.random import RandomState

from sagvae_core.data.synthetic import (
    SMALLEST_EIGENVALUE,
    TASKS,
    barabasi_albert,
    connected,
    erdos_renyi,
    field_precision,
    grid,
    make_task,
    moral_graph,
    random_dag,
)
from sagvae_core.errors import SagvaeError
from sagvae_core.metrics import edge_scores

FIELDS = [name for name in TASKS if name.startswith("gmrf")]
EQUATIONS = [name for name in TASKS if name.startswith("sem")]


def partial_correlations(x: np.ndarray) -> np.ndarray:
    precision = np.linalg.inv(np.cov(x[:, :, 0].T.astype(float)))
    scale = np.sqrt(np.diag(precision))
    return -precision / np.outer(scale, scale)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_standardised_and_its_truths_are_graphs(name):
    task = make_task(name, num_nodes=12, rows=300, seed=4)
    assert task.x.shape == (300, 12, 1) and task.x.dtype == np.float32
    np.testing.assert_allclose(task.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(task.x.std(axis=0), 1, atol=1e-5)
    assert set(task.truths) == ({"skeleton", "moral"} if name in EQUATIONS else {"graph"})
    for truth in task.truths.values():
        assert truth.dtype == bool and truth.shape == (12, 12)
        assert truth.any() and not truth.diagonal().any() and (truth == truth.T).all()
    assert (task.name, task.title) == (name, TASKS[name]) and task.description.endswith(".")


@pytest.mark.parametrize("name", TASKS)
def test_fewer_rows_of_a_seed_are_the_first_of_more_rows(name):
    few, many = make_task(name, 12, 100, seed=1), make_task(name, 12, 400, seed=1)
    for key, truth in few.truths.items():
        np.testing.assert_array_equal(truth, many.truths[key])
    first = many.x[:100].astype(float)
    np.testing.assert_allclose(few.x, (first - first.mean(axis=0)) / first.std(axis=0), atol=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_is_one_task_and_another_seed_another(name):
    one, same, other = (make_task(name, 12, 50, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.x, same.x)
    assert np.abs(one.x - other.x).max() > 0.1
    if "grid" not in name:
        assert any((one.truths[key] != other.truths[key]).any() for key in one.truths)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("adjacency", [erdos_renyi(40, 3.0, RandomState(0)), barabasi_albert(40, RandomState(0)),
                                       grid(40)], ids=["er", "ba", "grid"])
def test_the_precision_of_a_field_has_the_graph_as_its_support(adjacency, signed):
    precision = field_precision(adjacency, signed, RandomState(1))
    off_diagonal = precision - np.eye(40)
    np.testing.assert_array_equal(np.diag(precision), 1)
    np.testing.assert_array_equal(off_diagonal != 0, adjacency)
    assert np.linalg.eigvalsh(precision)[0] >= SMALLEST_EIGENVALUE - 1e-9
    values = -off_diagonal[adjacency]  # partial correlations
    assert values.max() <= 0.7 and (values.min() < -0.01 if signed else values.min() > 0.01)


def test_a_field_with_few_edges_keeps_its_weights():
    adjacency = np.zeros((5, 5), dtype=bool)
    adjacency[0, 1] = adjacency[1, 0] = True
    assert 0.3 <= -field_precision(adjacency, False, RandomState(0))[0, 1] <= 0.7


@pytest.mark.parametrize("name", FIELDS)
def test_partial_correlations_of_many_rows_find_the_graph_of_a_field(name):
    task = make_task(name, rows=50_000, seed=7)
    found, truth = partial_correlations(task.x), task.truths["graph"]
    assert edge_scores(np.abs(found), truth)["average_precision"] > 0.99
    if "heavy" not in name:  # where a tail makes single entries rough
        signs = found[truth][np.abs(found[truth]) > 0.05] > 0
        assert signs.all() if "positive" in name else 0 < signs.mean() < 1


def test_the_heavy_field_is_the_signed_one_with_a_tail():
    plain, heavy = (make_task(name, rows=2000, seed=3) for name in ("gmrf-er-signed", "gmrf-heavy"))
    np.testing.assert_array_equal(plain.truths["graph"], heavy.truths["graph"])
    assert (plain.x**4).mean() < 3.3 and (heavy.x**4).mean() > 6  # a Gaussian has 3
    assert (make_task("sem-nonlinear-heavy", rows=2000, seed=3).x**4).mean() > 6


def test_linear_equations_leave_the_moral_graph_and_not_the_skeleton():
    task = make_task("sem-linear", rows=50_000, seed=2)
    found = np.abs(partial_correlations(task.x))
    assert edge_scores(found, task.truths["moral"])["average_precision"] > 0.99
    assert edge_scores(found, task.truths["skeleton"])["average_precision"] < 0.95


@pytest.mark.parametrize("name", EQUATIONS)
def test_the_moral_graph_contains_the_skeleton(name):
    truths = make_task(name, rows=10, seed=5).truths
    assert (truths["moral"] >= truths["skeleton"]).all() and (truths["moral"] > truths["skeleton"]).any()


def test_the_moral_graph_joins_the_parents_of_a_common_child():
    parents = np.zeros((4, 4), dtype=bool)
    parents[2, 0] = parents[2, 1] = parents[3, 2] = True  # 0 -> 2 <- 1 and 2 -> 3
    pairs = {(int(i), int(j)) for i, j in np.argwhere(np.triu(moral_graph(parents)))}
    assert pairs == {(0, 2), (1, 2), (2, 3), (0, 1)}


def test_nonlinear_parents_tell_more_than_correlation_sees():
    """The mean given a neighbour's value explains more of a column than a straight line, in one of the directions."""
    task = make_task("sem-nonlinear", rows=5000, seed=0)
    x, truth = task.x[:, :, 0].astype(float), task.truths["skeleton"]

    def gain(i: int, j: int) -> float:
        bins = np.digitize(x[:, i], np.quantile(x[:, i], np.linspace(0.05, 0.95, 19)))
        means = np.array([x[bins == b, j].mean() for b in range(20)])
        return means[bins].var() - np.corrcoef(x[:, i], x[:, j])[0, 1] ** 2

    assert np.mean([max(gain(i, j), gain(j, i)) for i, j in np.argwhere(np.triu(truth))]) > 0.15
    assert np.abs(x).max() < 50


def test_an_order_of_causes_has_no_circle():
    order, parents = random_dag(30, RandomState(0))
    position = np.argsort(order)
    assert parents.any() and all(position[k] < position[j] for j, k in np.argwhere(parents))


def test_diffused_signals_are_smooth_over_a_connected_graph():
    task = make_task("diffusion", num_nodes=30, rows=2000, seed=6)
    truth = task.truths["graph"]
    assert nx.is_connected(nx.from_numpy_array(truth))
    correlations = np.corrcoef(task.x[:, :, 0].T)
    others = ~truth & ~np.eye(30, dtype=bool)
    assert correlations[truth].mean() > correlations[others].mean() + 0.3
    assert edge_scores(np.abs(partial_correlations(task.x)), truth)["average_precision"] > 0.9


def test_joining_parts_adds_one_edge_a_part():
    adjacency = np.zeros((6, 6), dtype=bool)
    adjacency[0, 1] = adjacency[1, 0] = adjacency[3, 4] = adjacency[4, 3] = True  # parts 01, 2, 34, 5
    joined = connected(adjacency, RandomState(0))
    assert joined.sum() // 2 == 2 + 3 and (joined >= adjacency).all() and (joined == joined.T).all()
    assert nx.is_connected(nx.from_numpy_array(joined))


@pytest.mark.parametrize(("nodes", "edges"), [(40, 5 * 7 + 4 * 8), (100, 2 * 90), (6, 7)])
def test_a_grid_is_as_square_as_it_can_be(nodes, edges):
    assert grid(nodes).sum() // 2 == edges


def test_degrees_are_the_expected_ones():
    degrees = [erdos_renyi(40, 3.0, RandomState(seed)).sum() / 40 for seed in range(200)]
    assert np.mean(degrees) == pytest.approx(3, abs=0.1)
    assert barabasi_albert(40, RandomState(0)).sum() // 2 == 2 * 38
    assert erdos_renyi(5, 0.001, RandomState(0)).any()


@pytest.mark.parametrize(("options", "said"), [
    ({"name": "gmrf"}, "task must be one of 'gmrf-er-signed'"),
    ({"num_nodes": 4}, "num_nodes must be a whole number of at least 5, got 4"),
    ({"num_nodes": 12.0}, "num_nodes must be a whole number"),
    ({"rows": 1}, "rows must be a whole number of at least 2"),
    ({"seed": -1}, "seed must be a whole number of at least 0"),
    ({"name": "gmrf-grid-signed", "num_nodes": 37}, "as 40 = 5 x 8, got the prime 37. Take 38"),
])
def test_what_cannot_be_made_is_said(options, said):
    with pytest.raises(SagvaeError, match=said):
        make_task(**{"name": "diffusion", "num_nodes": 12, "rows": 10} | options)
