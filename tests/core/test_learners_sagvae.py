"""SAG-VAE as a relation learner, and the closed forms it ranks edges and chooses its variant by."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.metrics import average_precision_score

from sagvae_core.data.synthetic import make_task
from sagvae_core.errors import SagvaeError
from sagvae_core.learners import PartialCorrelation, SAGVAERelations, normal_scores
from sagvae_core.learners.evidence import (
    covariance_selection,
    edge_evidence,
    gaussian_density,
    predictive_density,
    second_moments,
    smoothing_covariance,
)

CHAIN = np.eye(6, k=1, dtype=bool) | np.eye(6, k=-1, dtype=bool)


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    upper = np.triu_indices(len(truth), k=1)
    return average_precision_score(truth[upper], scores[upper])


def chain_rows(rows: int = 400, seed: int = 0) -> np.ndarray:
    covariance = np.linalg.inv(np.eye(6) + 0.4 * CHAIN)
    return np.random.RandomState(seed).multivariate_normal(np.zeros(6), covariance, rows)


@pytest.fixture(scope="module")
def gaussian():
    task = make_task("gmrf-er-signed", 12, 400, seed=101)
    return task, SAGVAERelations(steps=300).fit(task.x)


def test_a_gaussian_graph_is_found_and_the_linear_variant_chosen(gaussian):
    task, learner = gaussian
    assert average_precision(learner.scores_, task.truths["graph"]) > 0.95
    assert learner.variant_ == "linear"
    assert set(learner.variant_scores_) == set(learner.criterion_) == {"linear", "nonlinear", "smoothing"}
    off = ~np.eye(12, dtype=bool)
    np.testing.assert_allclose(learner.edge_posterior_[off], 1 / (1 + np.exp(-learner.scores_[off])))
    np.testing.assert_array_equal(learner.edges_, learner.edge_posterior_ > 0.5)


def test_bent_and_heavy_tailed_scales_change_nothing(gaussian):
    task, _ = gaussian
    plain, bent = (SAGVAERelations(variant="linear", steps=100).fit(x) for x in (task.x, task.x.astype(float) ** 3))
    np.testing.assert_allclose(plain.scores_, bent.scores_)


def test_the_seed_decides_everything(gaussian):
    x = gaussian[0].x
    first, again, other = (SAGVAERelations(variant="linear", steps=60, seed=seed).fit(x).scores_ for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_a_fitted_learner_can_be_pickled(gaussian):
    again = pickle.loads(pickle.dumps(gaussian[1]))
    np.testing.assert_array_equal(again.edges_, gaussian[1].edges_)
    np.testing.assert_array_equal(again.model_.edge_posterior, gaussian[1].model_.edge_posterior)


@pytest.mark.parametrize("steps", [0, -1, 1.5, "x"])
def test_steps_are_a_number_of_steps(steps):
    with pytest.raises(SagvaeError, match="steps must be a whole number of at least 1, got"):
        SAGVAERelations(steps=steps).fit(chain_rows(20))


def test_the_number_of_threads_is_left_as_it_was(gaussian):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        SAGVAERelations(variant="linear", steps=2).fit(gaussian[0].x)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_known_density_names_exactly_as_many_edges(gaussian):
    learner = SAGVAERelations(variant="linear", steps=60, density=10 / 66).fit(gaussian[0].x)
    assert learner.edges_.sum() == 20


def test_a_dependence_that_no_correlation_shows_is_found_without_being_told_to_look():
    random = np.random.RandomState(0)
    x = random.standard_normal((600, 8))
    truth = np.zeros((8, 8), dtype=bool)
    for i in (1, 3, 5):
        x[:, i] = x[:, i - 1] ** 2 + 0.3 * x[:, i]
        truth[i, i - 1] = truth[i - 1, i] = True
    learner = SAGVAERelations(steps=400).fit(x)
    assert learner.variant_ == "nonlinear"
    assert average_precision(learner.scores_, truth) > 0.95 > average_precision(
        PartialCorrelation().fit(x).scores_, truth)


def test_an_unknown_variant_is_a_sentence():
    with pytest.raises(SagvaeError, match="variant must be 'auto', 'linear', 'nonlinear', 'smoothing', got 'odd'"):
        SAGVAERelations(variant="odd").fit(chain_rows(20))


def test_two_causes_of_one_effect_are_no_direct_relation():
    random = np.random.RandomState(0)
    x = random.standard_normal((500, 4))
    x[:, 2] += x[:, 0] + x[:, 1]
    conditional = SAGVAERelations(variant="linear", steps=200).fit(x)
    direct = conditional.read_as("direct")
    pairs = np.argwhere(np.triu(conditional.edges_)).tolist(), np.argwhere(np.triu(direct.edges_)).tolist()
    assert pairs == ([[0, 1], [0, 2], [1, 2]], [[0, 2], [1, 2]])
    assert (conditional.relation, direct.relation) == ("conditional", "direct")
    assert direct.edge_posterior_[0, 1] < 0.5 < conditional.edge_posterior_[0, 1]
    np.testing.assert_array_equal(direct.read_as("conditional").scores_, conditional.scores_)
    asked = SAGVAERelations(variant="linear", relation="direct", steps=200).fit(x)
    np.testing.assert_array_equal(asked.scores_, direct.scores_)


def test_a_known_density_holds_for_either_relation(gaussian):
    learner = SAGVAERelations(variant="linear", steps=60, density=10 / 66).fit(gaussian[0].x)
    assert learner.read_as("direct").edges_.sum() == 20


@pytest.mark.parametrize("ask", [lambda: SAGVAERelations(relation="causal").fit(chain_rows(20)),
                                 lambda: SAGVAERelations(steps=1).fit(chain_rows(20)).read_as("causal")])
def test_an_unknown_relation_is_a_sentence(ask):
    with pytest.raises(SagvaeError, match="relation must be 'conditional' or 'direct', got 'causal'"):
        ask()


def test_settings_change_the_model_of_the_neighbours():
    learner = SAGVAERelations(variant="linear", steps=20, settings={"edge_logits": "moments"}).fit(chain_rows(60))
    assert learner.model_.config.edge_logits == "moments"
    assert not np.array_equal(learner.scores_, SAGVAERelations(variant="linear", steps=20).fit(chain_rows(60)).scores_)


def test_normal_scores_are_ranks_on_the_normal_scale():
    scores = normal_scores(np.array([[5.0], [100.0], [-3.0]]))
    np.testing.assert_allclose(scores[:, 0], [0.0, 0.67449, -0.67449], atol=1e-5)


def test_evidence_is_the_gain_of_the_edge_less_its_price():
    x = chain_rows() - chain_rows().mean(axis=0)
    rows, ridge, prior = len(x), 0.03, -2.0
    features = x / x.std(axis=0)
    evidence = edge_evidence(x[:, :, None], features[:, :, None], CHAIN, prior)

    def left(target: np.ndarray, columns: list[int]) -> np.ndarray:
        design = features[:, columns]
        gram = design.T @ design + ridge * rows * np.eye(len(columns))
        return target - design @ np.linalg.solve(gram, design.T @ target)

    def gain(i: int, j: int, given: np.ndarray) -> float:
        others = [k for k in range(6) if given[k] and k not in (i, j)]
        target, candidate = left(x[:, i], others), left(features[:, j], others)
        share = (candidate @ target) ** 2 / (candidate @ candidate + ridge * rows) / (target @ target)
        return -0.5 * rows * np.log1p(-share)

    for i, j in ((0, 1), (2, 3), (1, 4), (0, 5), (0, 2)):
        own = (gain(i, j, CHAIN[i]) + gain(j, i, CHAIN[j])) / 2
        both = (gain(i, j, CHAIN[i] | CHAIN[j]) + gain(j, i, CHAIN[i] | CHAIN[j])) / 2
        common = (gain(i, j, CHAIN[i] & CHAIN[j]) + gain(j, i, CHAIN[i] & CHAIN[j])) / 2
        assert evidence[i, j] == pytest.approx(own / 2 + both / 4 + common / 4 + prior - 0.5 * np.log(rows))
    np.testing.assert_allclose(evidence, evidence.T)
    assert ((evidence > 0) == CHAIN)[~np.eye(6, dtype=bool)].all()


def test_covariance_selection_keeps_the_graph_and_its_moments():
    covariance = second_moments(chain_rows())
    fitted = covariance_selection(covariance, CHAIN)
    held = CHAIN | np.eye(6, dtype=bool)
    np.testing.assert_allclose(fitted[held], covariance[held], atol=1e-4)
    np.testing.assert_allclose(np.linalg.inv(fitted)[~held], 0, atol=1e-3)


def test_a_smoothed_covariance_is_known_by_its_graph():
    smoother = CHAIN + np.eye(6)
    degrees = smoother.sum(axis=1)
    smoother = smoother / np.sqrt(np.outer(degrees, degrees))
    truth = smoother @ smoother @ smoother @ smoother + 0.01 * np.eye(6)
    wrong = np.roll(CHAIN, 2, axis=1)
    wrong = (wrong | wrong.T) & ~np.eye(6, dtype=bool)
    right, other = (gaussian_density(smoothing_covariance(truth, graph), truth) for graph in (CHAIN, wrong))
    assert right == pytest.approx(gaussian_density(truth, truth), abs=0.02)
    assert right > other + 0.1


def test_gaussian_density_is_that_of_the_rows():
    x = chain_rows()
    fitted = np.eye(6) + 0.2 * CHAIN
    expected = multivariate_normal(np.zeros(6), fitted).logpdf(x).mean() / 6
    assert gaussian_density(fitted, x.T @ x / len(x)) == pytest.approx(expected)


def test_left_out_rows_are_best_predicted_by_the_right_graph():
    x = chain_rows()[:, :, None]
    nothing = np.zeros_like(CHAIN)
    everything = ~np.eye(6, dtype=bool)
    right, none, full = (predictive_density(x, x, graph) for graph in (CHAIN, nothing, everything))
    assert right > none + 0.02
    assert right > full
