"""The smooth-signal graph: its solution satisfies the optimality conditions, and its options do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sagvae_core.errors import SagvaeError
from sagvae_core.learners import SmoothGraph
from sagvae_core.learners.smooth import learn_weights, objective_gradient

NODES = 7


def objective(weights: np.ndarray, costs: np.ndarray) -> float:
    """2 cᵀw - 1ᵀ log(degrees) + ||w||², written with the full matrix."""
    matrix = np.zeros((NODES, NODES))
    matrix[np.triu_indices(NODES, k=1)] = weights
    return float(2 * costs @ weights - np.log((matrix + matrix.T).sum(axis=1)).sum() + weights @ weights)


@pytest.fixture(scope="module")
def costs() -> np.ndarray:
    return 3 * np.random.RandomState(0).uniform(0.2, 2.0, NODES * (NODES - 1) // 2)


def test_the_solution_satisfies_the_optimality_conditions(costs):
    weights, iterations = learn_weights(costs, NODES, 50_000, 1e-10)
    assert 1 < iterations < 50_000
    gradient = objective_gradient(weights, costs, NODES)
    assert weights == pytest.approx(np.maximum(weights - gradient, 0.0), abs=1e-7)  # projected, it stands still
    assert 0 < (weights == 0).sum() < len(weights)
    random = np.random.RandomState(1)
    best = objective(weights, costs)
    for _ in range(50):
        assert objective(np.maximum(weights + 0.02 * random.standard_normal(len(weights)), 0.0), costs) > best


def test_the_gradient_is_the_objectives(costs):
    weights = np.random.RandomState(2).uniform(0.1, 1.0, len(costs))
    steps = 1e-6 * np.eye(len(costs))
    numeric = [(objective(weights + step, costs) - objective(weights - step, costs)) / 2e-6 for step in steps]
    assert objective_gradient(weights, costs, NODES) == pytest.approx(numeric, abs=1e-6)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """(200, 7, 2): a chain of random walks' steps, smooth along it, in different units per node."""
    walk = np.random.RandomState(3).standard_normal((200, NODES, 2)).cumsum(axis=1)
    return walk * np.arange(1, NODES + 1)[:, None]


def test_scores_are_weights_and_below_them_reduced_costs(rows):
    learner = SmoothGraph().fit(rows)
    upper = np.triu_indices(NODES, k=1)
    weights, scores = learner.weights_[upper], learner.scores_[upper]
    assert (scores[weights > 0] == weights[weights > 0]).all() and (scores[weights == 0] < 0).all()
    assert learner.threshold_ == pytest.approx(1e-4 * weights.max())
    assert len(np.unique(scores)) == len(scores)  # no ties, so a known density is met
    assert (learner.weights_.sum(axis=1) > 0).all()


def test_larger_sparsity_gives_fewer_edges(rows):
    edges = [SmoothGraph(sparsity=sparsity).fit(rows).edges_.sum() for sparsity in (0.1, 1.0, 10.0)]
    assert edges[0] > edges[1] > edges[2] >= NODES
    with pytest.raises(SagvaeError, match="sparsity must be a number above 0, got 0"):
        SmoothGraph(sparsity=0).fit(rows)


def test_units_matter_only_without_standardising(rows):
    bare = rows / np.arange(1, NODES + 1)[:, None]
    assert SmoothGraph().fit(rows).scores_ == pytest.approx(SmoothGraph().fit(bare).scores_, abs=1e-9)
    raw = SmoothGraph(standardise=False)
    assert np.abs(raw.fit(rows).scores_ - SmoothGraph(standardise=False).fit(bare).scores_).max() > 0.01


def test_copies_are_the_closest_of_all(rows):
    copied = np.concatenate([rows, rows], axis=1)
    assert SmoothGraph().fit(copied).scores_.argmax(axis=1).tolist() == [*range(NODES, 2 * NODES), *range(NODES)]
    same = SmoothGraph().fit(np.repeat(rows[:, :1], 4, axis=1))
    assert same.edges_.sum() == 12


def test_a_solver_that_is_stopped_early_says_so(rows):
    with pytest.warns(ConvergenceWarning, match="still moved after 3 iterations"):
        learner = SmoothGraph(max_iter=3).fit(rows)
    assert learner.n_iter_ == 3 and np.isfinite(learner.scores_).all()
