"""Evidence of edges: regressions from moments, what is expected of an edge, and the mean over drawn graphs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import average_precision_score

from sagvae_core.data.synthetic import make_task
from sagvae_core.errors import SagvaeError
from sagvae_core.learners import SAGVAERelations, normal_scores
from sagvae_core.learners.averaging import Expected, average, meetings
from sagvae_core.learners.evidence import averaged_evidence
from sagvae_core.learners.moments import Moments
from sagvae_core.learners.prior import estimated_prior, log_odds

CHAIN = np.eye(6, k=1, dtype=bool) | np.eye(6, k=-1, dtype=bool)
OFF = ~np.eye(6, dtype=bool)


def chain_rows(rows: int = 400, weight: float = -0.4) -> np.ndarray:
    """Rows (M, 6, 1) of a random field on a chain, whose partial correlations are all ``-weight``."""
    x = np.random.RandomState(0).multivariate_normal(np.zeros(6), np.linalg.inv(np.eye(6) + weight * CHAIN), rows)
    return (x - x.mean(axis=0))[:, :, None]


# ---------------------------------------------------------------------- regressions

@pytest.mark.parametrize("graph", [CHAIN, ~CHAIN & OFF, np.zeros((6, 6), dtype=bool)])
def test_pairs_are_tested_as_by_regressions_of_the_rows(graph):
    x, rows, ridge = chain_rows()[:, :, 0], 400, 0.03
    features = x / x.std(axis=0)

    def left(target: np.ndarray, columns: list[int]) -> np.ndarray:
        design = features[:, columns]
        return target - design @ np.linalg.solve(design.T @ design + ridge * rows * np.eye(len(columns)),
                                                 design.T @ target)

    def gain(i: int, j: int) -> tuple[float, float]:
        others = [k for k in range(6) if graph[i, k] and k != j]
        target, candidate = left(x[:, i], others), left(features[:, j], others)
        share = (candidate @ target) ** 2 / (candidate @ candidate + ridge * rows) / (target @ target)
        return -0.5 * (rows - 1 - len(others)) * np.log1p(-share), candidate @ target

    i, j = np.array([0, 2, 1, 0, 3]), np.array([1, 3, 4, 5, 0])
    nats, signs = Moments(x[:, :, None], features[:, :, None], corrected=True).tested(i, j, graph)
    for number, pair in enumerate(zip(i, j, strict=True)):
        both = [gain(*pair), gain(*pair[::-1])]
        assert nats[number] == pytest.approx(np.mean([found for found, _ in both]))
        assert signs[number] == np.sign(sum(cross for _, cross in both))


def test_several_channels_and_functions_a_hub_and_gaps_are_tested_as_one_pair_at_a_time():
    random = np.random.RandomState(3)
    x = random.standard_normal((80, 40, 2))
    x[:, 1] += x[:, 0]
    x[random.uniform(size=x.shape[:2]) < 0.1] = np.nan
    features = np.concatenate([x, x ** 2], axis=2)
    graph = np.zeros((40, 40), dtype=bool)
    graph[5, 6:12] = graph[0, 1] = graph[1, 2] = graph[2, 3] = True
    graph |= graph.T
    moments = Moments(x, features, corrected=True)
    i, j = np.array([0, 2, 3, 5, 6, 9]), np.array([1, 0, 4, 7, 8, 5])
    nats, signs = moments.tested(i, j, graph)
    assert moments.coefficients == 8 and not signs.any()
    for number, (a, b) in enumerate(zip(i, j, strict=True)):
        ways = [moments.gains(one, [other], np.setdiff1d(np.flatnonzero(graph[one]), other))[0]
                for one, other in ((a, b), (b, a))]
        assert nats[number] == pytest.approx(np.mean(ways))
        assert ways[0] == pytest.approx(moments.all_gains(a, np.flatnonzero(graph[a]))[b])


# ---------------------------------------------------------------------- what is expected

@pytest.mark.parametrize(("positive", "slope"), [(0.5, 0.2), (0.9, 0.2), (0.9, -0.2), (0.3, 0.05)])
def test_log_odds_are_those_of_the_integral_over_the_coefficient(positive, slope):
    """Of a coefficient that is estimated with deviation 1 / sqrt(M)."""
    rows, size, share = 150, 0.1, 0.2

    def weighed(value: float) -> float:
        side = 2 * (positive if value > 0 else 1 - positive)
        return side * norm.pdf(value, 0, size ** 0.5) * norm.pdf(slope, value, rows ** -0.5)

    factor = sum(quad(weighed, *ends, points=[slope] if ends[0] < slope < ends[1] else None)[0]
                 for ends in ((-2, 0), (0, 2))) / norm.pdf(slope, 0, rows ** -0.5)
    nats = np.array([rows * slope ** 2 / 2])
    found = Expected(share, positive, size).log_odds(nats, np.sign([slope]), 1, np.array([rows]))
    assert found[0] == pytest.approx(np.log(factor) + log_odds(share), abs=1e-5)


def test_shares_are_learned_from_the_pairs_that_are_edges():
    posterior, signs = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.5]), np.array([1, 1, -1, -1, -1, 0])
    learned = Expected(0.03, 0.5, 0.1).learned(posterior, signs)
    assert learned.share == pytest.approx(0.5)  # 4 of 7, and more than half is not believed
    assert learned.positive == pytest.approx(3 / 5) and learned.size == 0.1
    assert Expected(0.03, 0.5, 0.1).learned(np.zeros(6), signs).share == pytest.approx(0.5 / 6)


# ---------------------------------------------------------------------- drawn graphs

@pytest.mark.parametrize("nodes", [2, 3, 6, 7])
def test_everybody_meets_everybody_once_and_nobody_is_in_two_places(nodes):
    rounds = list(meetings(nodes, np.random.default_rng(0)))
    for i, j in rounds:
        assert len({*i, *j}) == 2 * len(i)
    pairs = {tuple(sorted(pair)) for i, j in rounds for pair in zip(i.tolist(), j.tolist(), strict=True)}
    assert len(pairs) == sum(len(i) for i, _ in rounds) == nodes * (nodes - 1) // 2


def test_a_chain_is_found_from_any_start_and_is_the_same_again():
    moments = Moments(chain_rows(), chain_rows(), corrected=True)
    found = [average(moments, start, 0.03, seed=1) for start in (CHAIN, ~CHAIN & OFF, 0 * CHAIN)]
    for averaged in found:
        np.testing.assert_array_equal(averaged.graph, CHAIN)
        np.testing.assert_array_equal(averaged.scores, averaged.scores.T)
        assert ((averaged.scores > 0) == CHAIN)[OFF].all()
        assert (averaged.signs[CHAIN] == 1).all() and averaged.expected.positive > 0.75
    again = average(moments, CHAIN, 0.03, seed=1)
    np.testing.assert_array_equal(found[0].scores, again.scores)


def test_of_two_columns_that_say_nearly_the_same_it_does_not_matter_which_was_trained():
    """A trained graph holds one of them, and given it the other has nothing to say."""
    random = np.random.RandomState(1)
    source = random.standard_normal(150)
    x = np.stack([source + 0.3 * random.standard_normal(150), source + 0.3 * random.standard_normal(150),
                  source + random.standard_normal(150), random.standard_normal(150)], axis=1)
    ranks = normal_scores(x[:, :, None])
    first, second = np.zeros((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    first[0, 2] = first[2, 0] = second[1, 2] = second[2, 1] = True
    moments = Moments(ranks, ranks, corrected=True)
    given = [moments.tested(np.array([0, 1]), np.array([2, 2]), start)[0] for start in (first, second)]
    assert given[0][0] - given[0][1] > 5 and given[1][1] - given[1][0] > 5
    scores = [average(moments, start, 0.1, seed, rounds=30).scores for seed, start in enumerate((first, second))]
    np.testing.assert_allclose(expit(scores[0][:2, 2]), expit(scores[1][:2, 2]), atol=0.05)


def test_among_positive_relations_a_negative_one_is_less_likely():
    moments = Moments(chain_rows(), chain_rows(), corrected=True)
    averaged = average(moments, CHAIN, 0.2, seed=0)
    nats, one = np.full(2, 2.0), np.full(2, 400)
    favoured = averaged.expected.log_odds(nats, np.array([1, -1]), 1, one)
    assert favoured[0] - favoured[1] > 1
    mixed = Expected(0.2, 0.5, averaged.expected.size).log_odds(nats, np.array([1, -1]), 1, one)
    assert favoured[0] > mixed[0] == mixed[1] > favoured[1]


def test_in_noise_there_is_nothing():
    named = []
    for seed in range(5):
        ranks = normal_scores(np.random.default_rng(seed).standard_normal((60, 15, 1)))
        scores = averaged_evidence(ranks, ranks, np.zeros((15, 15), dtype=bool), 0.03, seed=seed)["conditional"]
        upper = scores[np.triu_indices(15, k=1)]
        share = estimated_prior(scores, 0.03)
        named.append((expit(upper + log_odds(share) - log_odds(0.03)) > 0.5).sum())
    assert np.mean(named) <= 0.5  # of 105 pairs


# ---------------------------------------------------------------------- both meanings of an edge

def test_two_causes_of_one_effect_are_related_given_it_and_not_directly():
    random = np.random.RandomState(0)
    x = random.standard_normal((500, 3))
    x[:, 2] += x[:, 0] + x[:, 1]
    ranks = normal_scores(x[:, :, None])
    evidence = averaged_evidence(ranks, ranks, ~np.eye(3, dtype=bool), 0.3)
    assert evidence["conditional"][0, 1] > 3 and evidence["direct"][0, 1] < 0
    for scores in evidence.values():
        assert min(scores[0, 2], scores[1, 2]) > 3
        np.testing.assert_allclose(scores, scores.T)
    assert (evidence["direct"] <= evidence["conditional"])[~np.eye(3, dtype=bool)].all()


# ---------------------------------------------------------------------- in the learner

def test_the_learner_reads_the_evidence_that_it_is_asked_for_and_chooses_alike():
    task = make_task("gmrf-er-positive", 15, 150, seed=101)
    trained, averaged = (SAGVAERelations(steps=150, evidence=kind, seed=1).fit(task.x) for kind in
                         ("trained", "averaged"))
    assert trained.variant_ == averaged.variant_ == "linear" and trained.criterion_ == averaged.criterion_
    upper = np.triu_indices(15, k=1)
    precision = [average_precision_score(task.truths["graph"][upper], learner.scores_[upper])
                 for learner in (trained, averaged)]
    assert precision[1] > precision[0]
    np.testing.assert_array_equal(trained.variant_scores_["smoothing"], averaged.variant_scores_["smoothing"])
    again = SAGVAERelations(steps=150, evidence="averaged", variant="linear", seed=1).fit(task.x)
    np.testing.assert_array_equal(again.scores_, averaged.scores_)
    with pytest.raises(SagvaeError, match="'trained'"):
        SAGVAERelations(evidence="both").fit(task.x)


def test_binary_columns_and_gaps_have_averaged_evidence_too():
    random = np.random.RandomState(0)
    x = random.standard_normal((400, 5))
    x[:, 1] += x[:, 0]
    x[:, 2] = x[:, 1] + random.logistic(size=400) > 0
    x[random.uniform(size=x.shape) < 0.05] = np.nan
    learner = SAGVAERelations(variant="linear", steps=100, evidence="averaged", missing="model").fit(x)
    expected = np.zeros((5, 5), dtype=bool)
    for i, j in ((0, 1), (1, 2)):
        expected[i, j] = expected[j, i] = True
    np.testing.assert_array_equal(learner.edges_, expected)
    assert learner.scores_[0, 2] < -1  # 0 says nothing of 2 that 1 does not
