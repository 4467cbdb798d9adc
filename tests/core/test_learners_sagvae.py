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
from sagvae_core.learners.choice import simplest
from sagvae_core.learners.densities import (
    covariance_selection,
    gaussian_density,
    predictive_density,
    second_moments,
)
from sagvae_core.learners.evidence import edge_evidence
from sagvae_core.learners.moments import Moments
from sagvae_core.learners.screening import curved_gain
from sagvae_core.learners.variants import Training

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


def test_diffused_signals_are_known_for_what_they_are_and_their_graph_found():
    task = make_task("diffusion", 16, 400, seed=101)
    learner = SAGVAERelations(steps=150).fit(task.x)
    assert learner.variant_ == "smoothing"
    assert learner.criterion_["smoothing"] > 0.005 and learner.criterion_["nonlinear"] < 0.05
    assert average_precision(learner.scores_, task.truths["graph"]) > 0.99
    np.testing.assert_array_equal(learner.read_as("direct").scores_, learner.scores_)


def test_rows_far_out_do_not_choose_the_variant():
    x = make_task("gmrf-er-signed", 12, 300, seed=102).x.astype(float)
    x[:5] = 1000 * np.outer(np.arange(1, 6), np.ones(12))[:, :, None]  # five rows in which all columns rise together
    assert SAGVAERelations(steps=150).fit(x).criterion_["smoothing"] < 0.005


def test_margins_decide_what_is_chosen(gaussian):
    learner = SAGVAERelations(steps=20, margins=(9.0, -9.0)).fit(gaussian[0].x)
    assert learner.variant_ == "smoothing"


@pytest.mark.parametrize(("nonlinear", "smoothing", "chosen"), [
    (0.01, 0.001, "linear"), (0.06, 0.001, "nonlinear"), (0.01, 0.006, "smoothing"),
    (0.08, 0.03, "smoothing"),  # as on the karate club, whose rows hold no noise
])
def test_the_simplest_variant_that_describes_the_rows_is_chosen(nonlinear, smoothing, chosen):
    assert simplest({"linear": 0.0, "nonlinear": nonlinear, "smoothing": smoothing}, (0.05, 0.005)) == chosen


@pytest.mark.parametrize("margins", [0.05, (0.05,), ("a", "b")])
def test_margins_are_two_numbers(margins):
    with pytest.raises(SagvaeError, match="margins must be two numbers of nats, for 'nonlinear' and 'smoothing', got"):
        SAGVAERelations(margins=margins).fit(chain_rows(20))


@pytest.mark.parametrize("settings", [{"normalization": "row"}, "row"])
def test_settings_are_fields_of_the_model(settings):
    with pytest.raises(SagvaeError, match="settings must be a dict of fields of ModelConfig, or None, got"):
        SAGVAERelations(settings=settings).fit(chain_rows(20))


@pytest.mark.parametrize(("steps", "qualities", "lengths", "kept"), [
    (1200, {150: 0.0, 300: 0.5, 600: 0.5}, [150, 300, 600], 300),  # no gain: the shorter stays
    (1200, {150: 0.0, 300: -1.0}, [150, 300], 150),
    (1200, {150: 0.0, 300: 0.001}, [150, 300], 300),  # a gain too small to go on, but a gain
    (500, {150: 0.0, 300: 0.5, 500: 0.9}, [150, 300, 500], 500),  # never longer than asked
    (100, {}, [100], 100),
])
def test_training_gets_longer_until_that_describes_the_rows_no_better(monkeypatch, steps, qualities, lengths, kept):
    seen = []
    monkeypatch.setattr(Training, "_once", lambda self, config, x, size, steps, stage: seen.append(steps) or steps)
    model, chosen = Training(steps, True, 0, "cpu")(None, None, 64, qualities.__getitem__)
    assert (model, chosen, seen) == (kept, kept, lengths)


def test_without_early_stopping_there_is_one_training(monkeypatch):
    seen = []
    monkeypatch.setattr(Training, "_once", lambda self, config, x, size, steps, stage: seen.append(steps) or steps)
    assert Training(700, False, 0, "cpu")(None, None, 64, None) == (700, 700)
    assert seen == [700]


def test_the_steps_that_were_kept_are_told(gaussian):
    assert set(gaussian[1].steps_) == {"linear", "nonlinear", "smoothing"}
    assert set(gaussian[1].steps_.values()) <= {150, 300}


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


@pytest.mark.parametrize("rows", [3, 4])
def test_the_shortest_tables_are_fitted(rows):
    learner = SAGVAERelations(steps=4).fit(np.random.default_rng(0).normal(size=(rows, 3)))
    assert np.isfinite(learner.scores_).all()


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
    learner = SAGVAERelations(steps=600).fit(x)
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


def test_reading_before_fitting_is_a_sentence():
    with pytest.raises(SagvaeError, match="Expected a fitted learner, got one that has seen no rows. Call fit"):
        SAGVAERelations().read_as("direct")


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
    price = prior - 0.5 * np.log(rows)

    def left(target: np.ndarray, columns: list[int]) -> np.ndarray:
        design = features[:, columns]
        gram = design.T @ design + ridge * rows * np.eye(len(columns))
        return target - design @ np.linalg.solve(gram, design.T @ target)

    def gain(i: int, j: int, given: np.ndarray) -> float:
        others = [k for k in range(6) if given[k] and k not in (i, j)]
        target, candidate = left(x[:, i], others), left(features[:, j], others)
        share = (candidate @ target) ** 2 / (candidate @ candidate + ridge * rows) / (target @ target)
        return -0.5 * rows * np.log1p(-share)

    def fewer(i: int, j: int) -> float:
        """The least that i gains by j when one neighbour of i is not held fixed."""
        return min(gain(i, j, CHAIN[i] & (np.arange(6) != k)) for k in np.flatnonzero(CHAIN[i]))

    for i, j in ((0, 1), (2, 3), (1, 4), (0, 5), (0, 2)):
        four = [gain(target, other, CHAIN[end]) for target, other in ((i, j), (j, i)) for end in (i, j)]
        assert evidence["conditional"][i, j] == pytest.approx(np.mean(four) + price)
        none = (gain(i, j, np.zeros(6)) + gain(j, i, np.zeros(6))) / 2
        least = min(np.mean(four), none, (fewer(i, j) + fewer(j, i)) / 2)
        assert evidence["direct"][i, j] == pytest.approx(least + price)
    for scores in evidence.values():
        np.testing.assert_allclose(scores, scores.T)
    assert ((evidence["conditional"] > 0) == CHAIN)[~np.eye(6, dtype=bool)].all()


def test_evidence_of_several_channels_and_functions_is_that_of_its_regressions():
    random = np.random.RandomState(3)
    x = random.standard_normal((80, 5, 2))
    x[:, 1] += x[:, 0]
    features = np.concatenate([x, x ** 2], axis=2)
    graph = np.zeros((5, 5), dtype=bool)
    for i, j in ((0, 1), (1, 2), (2, 3)):
        graph[i, j] = graph[j, i] = True
    moments = Moments(x - x.mean(axis=0), features)
    for j in range(5):
        given = np.flatnonzero(graph[j])
        expected = [0.0 if i == j else moments.gains(i, [j], given[given != i])[0] for i in range(5)]
        np.testing.assert_allclose(moments.all_gained(j, given), expected, atol=1e-9)
        expected = [0.0 if i == j else moments.gains(j, [i], given[given != i])[0] for i in range(5)]
        np.testing.assert_allclose(moments.all_gains(j, given), expected, atol=1e-9)


def test_covariance_selection_keeps_the_graph_and_its_moments():
    covariance = second_moments(chain_rows())
    fitted = covariance_selection(covariance, CHAIN)
    held = CHAIN | np.eye(6, dtype=bool)
    np.testing.assert_allclose(fitted[held], covariance[held], atol=1e-4)
    np.testing.assert_allclose(np.linalg.inv(fitted)[~held], 0, atol=1e-3)


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


# ---------------------------------------------------------------------- wide tables

def test_only_bent_relations_promise_anything_to_the_nonlinear_variant():
    ranks = normal_scores(make_task("gmrf-er-signed", 20, 1000, seed=101).x.astype(float))[:, :, 0]
    linear = make_task("gmrf-er-signed", 20, 1000, seed=101).truths["graph"]
    assert curved_gain(ranks, linear, -3.5) == 0
    bent = normal_scores(make_task("sem-nonlinear", 20, 1000, seed=101).x.astype(float))[:, :, 0]
    assert curved_gain(bent, np.zeros((20, 20), dtype=bool), -3.5) > 0.1


@pytest.mark.parametrize(("name", "fitted", "chosen"), [
    ("gmrf-er-signed", {"linear"}, "linear"), ("sem-nonlinear", {"linear", "nonlinear"}, "nonlinear"),
    ("diffusion", {"linear", "smoothing"}, "smoothing")])
def test_of_a_wide_table_only_what_has_hope_is_fitted(monkeypatch, name, fitted, chosen):
    monkeypatch.setattr("sagvae_core.learners.sagvae.WIDE", 10)
    x = make_task(name, 16, 800, seed=101).x
    learner = SAGVAERelations(steps=300).fit(x)
    assert learner.variant_ == chosen and set(learner.variant_scores_) == fitted
    assert learner.criterion_["smoothing"] <= 0 or chosen == "smoothing"
    assert ("smoothing" in learner.steps_) == (chosen == "smoothing"), "it is trained where it may be right"
