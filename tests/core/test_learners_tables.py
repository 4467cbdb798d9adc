"""Relations of real tables: gaps, binary columns, names, and a confidence for every edge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.metrics import average_precision_score

from sagvae_core.data.synthetic import make_task
from sagvae_core.errors import SagvaeError
from sagvae_core.learners import AbsoluteCorrelation, GraphicalLasso, SAGVAERelations, StableRelations, normal_scores
from sagvae_core.learners.base import NormalScores
from sagvae_core.learners.bits import RIDGE, Bits, logistic_slopes, with_intercept
from sagvae_core.learners.densities import Conditionals, products
from sagvae_core.learners.error_control import false_edge_bound, largest_tail, stable_threshold
from sagvae_core.learners.evidence import edge_evidence
from sagvae_core.tables import recognise


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    upper = np.triu_indices(len(truth), k=1)
    return average_precision_score(truth[upper], scores[upper])


def bits_on_a_chain(rows: int = 1500, nodes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Zeros and ones, each like the one before with probability 0.8, and the chain."""
    random = np.random.RandomState(0)
    x = np.zeros((rows, nodes))
    x[:, 0] = random.uniform(size=rows) < 0.3
    for i in range(1, nodes):
        x[:, i] = np.where(random.uniform(size=rows) < 0.8, x[:, i - 1], random.uniform(size=rows) < 0.3)
    return x, np.eye(nodes, k=1, dtype=bool) | np.eye(nodes, k=-1, dtype=bool)


# ---------------------------------------------------------------------- binary columns

def test_a_chain_of_bits_is_found_by_logistic_regressions_and_a_bernoulli_likelihood():
    x, chain = bits_on_a_chain()
    learner = SAGVAERelations(variant="linear", steps=300).fit(x)
    assert learner.model_.config.binary_nodes == tuple(range(6))
    assert (learner.edges_ == chain).all()
    chance = learner.model_.reconstruct(learner_input(x))
    assert chance.min() > 0 and chance.max() < 1, "the mean of a Bernoulli node is a probability"


def learner_input(x: np.ndarray):
    import torch

    return torch.as_tensor(normal_scores(x[:, :, None]), dtype=torch.float32)


def test_columns_of_two_kinds_in_one_table():
    task = make_task("gmrf-er-signed", 12, 1500, seed=101)
    x = task.x[:, :, 0].astype(float)
    x[:, ::2] = x[:, ::2] > 0.3
    learner = SAGVAERelations(variant="linear", steps=300).fit(x)
    assert learner.model_.config.binary_nodes == tuple(range(0, 12, 2))
    assert average_precision(learner.scores_, task.truths["graph"]) > 0.9


def test_logistic_slopes_are_those_of_the_penalised_likelihood():
    random = np.random.RandomState(1)
    design = with_intercept(random.standard_normal((300, 2)))
    on = (random.uniform(size=300) < 1 / (1 + np.exp(-(0.5 + design[:, 1])))).astype(float)[:, None]
    slopes = logistic_slopes(design, on, np.ones(on.shape))[0]
    weight = (lambda p: (p * (1 - p)).sum())(1 / (1 + np.exp(-design @ slopes)))

    def loss(beta: np.ndarray) -> float:
        margin = (2 * on[:, 0] - 1) * (design @ beta)
        return np.logaddexp(0, -margin).sum() + 0.5 * RIDGE * weight * (beta[1:] ** 2).sum()

    np.testing.assert_allclose(slopes, minimize(loss, np.zeros(3)).x, atol=1e-3)


def test_bits_are_tested_by_half_the_score_statistic():
    random = np.random.RandomState(2)
    features = random.standard_normal((400, 3, 1))
    features = (features - features.mean(0)) / features.std(0)
    x = features[:, :, 0].copy()
    x[:, 0] = (features[:, 1, 0] + random.logistic(size=400)) > 0
    x[:, 0] -= 0.5
    gains = Bits(x, features, np.array([0])).gains(0, np.array([], dtype=int))
    on = x[:, 0] > 0
    share, rows = on.mean(), len(on)
    score = features[:, 1, 0] @ (on - share)
    spread = share * (1 - share) * rows * (1 + RIDGE)
    assert gains[1] == pytest.approx(0.5 * score ** 2 / spread, rel=1e-6) and gains[0] == 0
    assert Bits(x, features, np.array([0])).gained(1, np.array([], dtype=int))[0] == pytest.approx(gains[1])
    assert gains[1] > 10 > gains[2]


# ---------------------------------------------------------------------- missing values

@pytest.mark.parametrize("variant", ["linear", "nonlinear", "smoothing"])
def test_gaps_cost_little_where_they_are_modelled(variant):
    task = make_task("diffusion" if variant == "smoothing" else "gmrf-er-signed", 10, 600, seed=101)
    x = task.x[:, :, 0].astype(float)
    x[np.random.RandomState(0).uniform(size=x.shape) < 0.15] = np.nan
    with pytest.raises(SagvaeError, match="missing values"):
        SAGVAERelations(variant=variant, steps=50).fit(x)
    learner = SAGVAERelations(variant=variant, steps=150, missing="model").fit(x)
    assert learner.n_rows_ == 600 and learner.model_.config.missing
    assert average_precision(learner.scores_, task.truths["graph"]) > 0.9
    assert np.isfinite(learner.score(x))
    assert SAGVAERelations(variant="linear", steps=20, missing="complete").fit(x).n_rows_ == (~np.isnan(x).any(1)).sum()


def test_evidence_of_a_pair_counts_the_rows_that_have_both():
    random = np.random.RandomState(0)
    x = random.standard_normal((400, 4, 1))
    x[:, 1] += x[:, 0]
    none = np.zeros((4, 4), dtype=bool)
    cut = x.copy()
    cut[200:, 0] = np.nan
    evidence = edge_evidence(cut, cut, none, -2.0)["conditional"]
    halved = edge_evidence(x[:200] - x[:200].mean(0), x[:200], none, -2.0)["conditional"]
    assert evidence[0, 1] == pytest.approx(halved[0, 1], rel=0.2)
    whole = edge_evidence(x - x.mean(0), x, none, -2.0)["conditional"]
    assert evidence[2, 3] == pytest.approx(whole[2, 3], rel=0.1)


def test_products_over_the_rows_that_have_both_are_products_of_something():
    x = np.random.RandomState(0).standard_normal((30, 4))
    assert (products(x) == x.T @ x).all()
    x[np.random.RandomState(1).uniform(size=x.shape) < 0.5] = np.nan
    assert np.linalg.eigvalsh(products(x)).min() > -1e-9


def test_densities_of_missing_values_are_missing():
    x, chain = bits_on_a_chain(200)
    x = x[:, :, None] - 0.3
    x[3, 2] = np.nan
    density = Conditionals(x, x, chain, np.array([2, 3])).log_density(x, x)
    assert np.isnan(density[3, 2, 0]) and np.isnan(density).sum() == 1
    assert (density[:, 3] < 0).all(), "a probability"


def test_normal_scores_of_new_rows_go_by_the_old_ones():
    x = np.array([[1.0, 0], [2, 0], [4, 1], [8, np.nan]])[:, :, None]
    scores = normal_scores(x)
    ranked = NormalScores(x)
    np.testing.assert_allclose(ranked(x), scores)
    between = ranked(np.array([[3.0, 1], [-5, 0]])[:, :, None])
    assert between[0, 0] == pytest.approx((scores[1, 0] + scores[2, 0]) / 2) and between[1, 0] == scores[0, 0]
    tied = normal_scores(np.repeat([0.0, 1.0], [90, 10])[:, None, None])
    assert tied.std() == pytest.approx(1) and tied[0] < 0 < tied[-1], "two levels lie on both sides of 0"


# ---------------------------------------------------------------------- names

@pytest.fixture(scope="module")
def moved():
    """Rows as a frame, the same with its columns in another order, and the places of the columns in that."""
    task = make_task("gmrf-ba-signed", 10, 500, seed=102)
    frame = pd.DataFrame(task.x[:, :, 0], columns=[f"c{i}" for i in range(10)])
    order = np.random.RandomState(0).permutation(10)
    return frame, frame.iloc[:, order], np.argsort(order)


@pytest.mark.parametrize("learner", [GraphicalLasso(), AbsoluteCorrelation()])
def test_the_order_of_columns_changes_nothing_but_the_order(moved, learner):
    frame, other, back = moved
    first, second = clone(learner).fit(frame), clone(learner).fit(other)
    assert list(second.feature_names_in_) == list(other.columns) != list(frame.columns)
    np.testing.assert_allclose(second.scores_[np.ix_(back, back)], first.scores_, atol=1e-3)
    assert (first.edges_ == second.edges_[np.ix_(back, back)]).all()


def test_the_order_of_columns_changes_no_more_than_the_seed_does(moved):
    frame, other, back = moved
    first, *seeded = (SAGVAERelations(variant="linear", steps=300, seed=seed).fit(frame) for seed in range(4))
    second = SAGVAERelations(variant="linear", steps=300).fit(other)
    assert list(second.feature_names_in_) == list(other.columns)

    def apart(posterior):
        return np.abs(posterior - first.edge_posterior_).mean()

    assert apart(second.edge_posterior_[np.ix_(back, back)]) <= 1.25 * max(apart(fit.edge_posterior_) for fit in seeded)
    assert apart(second.edge_posterior_) > 0.1, "in the other order it is another matrix"
    assert np.corrcoef(first.scores_.ravel(), second.scores_[np.ix_(back, back)].ravel())[0, 1] > 0.98


def test_a_table_brings_its_kinds():
    frame = pd.DataFrame(make_task("gmrf-er-signed", 6, 100, seed=1).x[:, :, 0]).assign(flag=["a", "b"] * 50)
    learner = SAGVAERelations(variant="linear", steps=5).fit(recognise(frame))
    assert learner.feature_names_in_[-1] == "flag" and learner.model_.config.binary_nodes == (6,)


# ---------------------------------------------------------------------- confidence

@pytest.fixture(scope="module")
def fielded():
    return make_task("gmrf-er-signed", 12, 400, seed=101)


@pytest.mark.parametrize("resampling", ["halves", "bootstrap"])
def test_resamples_give_frequencies_and_intervals_that_do_not_depend_on_the_jobs(fielded, resampling):
    fits = [StableRelations(AbsoluteCorrelation(), 20, resampling, n_jobs=jobs).fit(fielded.x) for jobs in (1, 2)]
    for name in ("frequency_", "lower_", "upper_", "edges_"):
        np.testing.assert_array_equal(*(getattr(fit, name) for fit in fits))
    fit = fits[0]
    assert set(np.unique(np.round(fit.frequency_ * 20, 9))) <= set(range(21))
    assert (fit.lower_ <= fit.scores_ + 1e-12).mean() > 0.9 and (fit.scores_ <= fit.upper_ + 1e-12).mean() > 0.9
    assert (fit.edges_ == (fit.frequency_ >= fit.threshold_) & ~np.eye(12, dtype=bool)).all()
    assert fit.edge_posterior_ is None and fit.n_features_in_ == 12
    other = StableRelations(AbsoluteCorrelation(), 20, resampling, seed=1).fit(fielded.x)
    assert (other.scores_ == fit.scores_).all() and (other.lower_ != fit.lower_).any()


def test_intervals_of_halves_hold_what_another_table_would_say():
    inside = []
    for seed in range(12):
        task = make_task("gmrf-er-signed", 8, 300, seed=seed)
        again = make_task("gmrf-er-signed", 8, 20000, seed=seed).x[300:]  # the same graph, other rows
        truth = AbsoluteCorrelation().fit(again).scores_
        fit = StableRelations(AbsoluteCorrelation(), 40).fit(task.x)
        strong = np.triu(truth > 0.2)  # of an absolute value near 0 no interval is normal
        inside += ((fit.lower_ <= truth) & (truth <= fit.upper_))[strong].tolist()
    assert len(inside) > 80 and 0.85 < np.mean(inside) <= 1


def test_sagvae_is_resampled_with_what_all_rows_chose(fielded):
    fit = StableRelations(SAGVAERelations(variant="linear", steps=300), 4).fit(fielded.x)
    assert fit.edge_posterior_ is fit.learner_.edge_posterior_
    assert fit.learner_.settled() == {"variant": "linear", "steps": fit.learner_.steps_["linear"],
                                      "early_stopping": False}
    right = fielded.truths["graph"]
    assert fit.frequency_[right].mean() > 0.8 > 0.2 > fit.frequency_[~right & ~np.eye(12, dtype=bool)].mean()


def test_without_resamples_the_learner_speaks_alone(fielded):
    told = []
    fit = StableRelations(GraphicalLasso(), 0).fit(fielded.x, on_progress=lambda *done: told.append(done))
    assert fit.frequency_ is fit.lower_ is fit.expected_false_ is None and told == [(1, 1)]
    np.testing.assert_array_equal(fit.edges_, fit.learner_.edges_)
    assert fit.score(fielded.x) == fit.learner_.score(fielded.x)


def test_a_column_that_a_half_finds_constant_is_no_relation_there():
    x = np.random.RandomState(0).standard_normal((60, 4))
    x[:, 3] = np.arange(60) == 7
    fit = StableRelations(AbsoluteCorrelation(), 10).fit(x)
    assert fit.frequency_[3].max() <= 0.5 and np.isfinite(fit.lower_).all()


@pytest.mark.parametrize(("r", "count", "mean"), [(-0.25, 20, 0.1), (-0.5, 10, 0.05), (-0.5, 12, 0.01)])
def test_no_r_concave_distribution_has_a_larger_tail_than_the_largest(r, count, mean):
    random = np.random.RandomState(0)
    worst = np.zeros(count + 1)
    for _ in range(4000):  # f^r is convex for r < 0: a level start and ever steeper steps
        steps = np.sort(random.exponential(size=random.randint(1, count + 1)) * np.exp(2 * random.standard_normal()))
        density = np.zeros(count + 1)
        density[:len(steps) + 1] = np.concatenate([[1.0], 1 + np.cumsum(steps)]) ** (1 / r)
        density /= density.sum()
        if density @ np.arange(count + 1) <= mean * count:
            worst = np.maximum(worst, np.cumsum(density[::-1])[::-1])
    tails = np.array([largest_tail(mean, count, least, r) for least in range(count + 1)])
    assert (tails >= worst - 1e-9).all() and (np.diff(tails) <= 1e-9).all()
    assert tails[0] == 1 and tails[count // 2] < 5 * worst[count // 2], "and it is not far from what there is"


def test_the_bound_is_tighter_than_markovs_and_falls_with_the_share():
    bounds = [false_edge_bound(share, 20, 780, 25) for share in np.arange(0.52, 1.001, 0.02)]
    assert (np.diff(bounds) <= 1e-9).all() and bounds[-1] < 0.01
    markov = [20 ** 2 / 780 / (2 * share - 1) for share in np.arange(0.52, 1.001, 0.02)]  # Meinshausen and Bühlmann
    assert (np.array(bounds) < np.array(markov)).all()
    assert false_edge_bound(0.9, 0, 780, 25) == 0 and false_edge_bound(0.9, 700, 780, 25) == 780


def test_the_threshold_is_the_lowest_that_the_bound_allows():
    share, bound = stable_threshold(780, 30, 25, 1.0)
    assert 0.52 < share < 1 and bound == false_edge_bound(share, 30, 780, 25)
    assert bound <= 1.0 < false_edge_bound(share - 0.02, 30, 780, 25)
    share, bound = stable_threshold(66, 30, 10, 0.01)
    assert share == 1.0 and bound > 0.01, "nothing is sure enough, and it is said how sure the surest are"


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"resamples": -1}, "resamples must be a whole number of at least 0, got -1"),
    ({"resamples": 7}, "resamples must be even, since a split gives two halves, got 7"),
    ({"resampling": "jackknife"}, "resampling must be 'halves' or 'bootstrap', got 'jackknife'"),
    ({"false_edges": 0}, "false_edges must be a number above 0, got 0"),
])
def test_wrong_settings_are_sentences(fielded, settings, sentence):
    with pytest.raises(SagvaeError, match=sentence):
        StableRelations(AbsoluteCorrelation(), **settings).fit(fielded.x)
    with pytest.raises(SagvaeError, match="at least 12 rows to be resampled, got 8"):
        StableRelations(AbsoluteCorrelation()).fit(fielded.x[:8])
