"""The share of edges that is to be expected, estimated from the table itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from sagvae_core.data.synthetic import make_task
from sagvae_core.errors import SagvaeError
from sagvae_core.learners import SAGVAERelations
from sagvae_core.learners.prior import MOST, estimated_prior, log_odds

NODES = 120
UPPER = np.triu_indices(NODES, k=1)


def square(pairs: np.ndarray) -> np.ndarray:
    matrix = np.zeros((NODES, NODES))
    matrix[UPPER] = pairs
    return matrix + matrix.T


def drawn(share: float, prior: float = 0.03, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of pairs with the exact Bayes factors of N(2, 1) against N(0, 1), and which of them are edges."""
    random = np.random.default_rng(seed)
    edges = random.uniform(size=len(UPPER[0])) < share
    seen = random.normal(2.0 * edges)
    return square(norm.logpdf(seen, 2) - norm.logpdf(seen, 0) + log_odds(prior)), edges


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("prior", [0.03, 0.4])
def test_the_share_is_found_whatever_was_assumed(share, prior):
    scores, edges = drawn(share, prior)
    found = estimated_prior(scores, prior)
    assert found == pytest.approx(edges.mean(), abs=0.012)
    posterior = expit(scores[UPPER] - log_odds(prior) + log_odds(found))
    assert posterior.mean() == pytest.approx(found, abs=1e-6)
    for low, high in ((0.05, 0.35), (0.35, 0.65), (0.65, 0.95)):
        these = (posterior > low) & (posterior < high)
        assert edges[these].mean() == pytest.approx(posterior[these].mean(), abs=0.09)


def test_no_other_share_makes_the_rows_more_probable():
    scores, _ = drawn(0.15)
    factors = np.exp(scores[UPPER] - log_odds(0.03))

    def likelihood(share: float) -> float:
        return float(np.log(share * factors + 1 - share).sum())

    best = estimated_prior(scores, 0.03)
    assert all(likelihood(best) >= likelihood(share) for share in np.linspace(0.001, 0.5, 200))


def test_without_any_edge_it_is_half_of_one_and_with_all_no_more_than_half():
    assert estimated_prior(square(np.full(len(UPPER[0]), -20.0)), 0.03) == pytest.approx(0.5 / len(UPPER[0]))
    assert estimated_prior(square(np.full(len(UPPER[0]), 700.0)), 0.03) == MOST
    assert estimated_prior(np.array([[0.0, 5.0], [5.0, 0.0]]), 0.03) == MOST


@pytest.fixture(scope="module")
def both() -> tuple[SAGVAERelations, SAGVAERelations, np.ndarray]:
    task = make_task("gmrf-er-signed", 12, 150, seed=101)
    fits = [SAGVAERelations(variant="linear", steps=150, prior=prior).fit(task.x) for prior in ("fixed", "estimated")]
    return *fits, task.truths["graph"]


def test_a_learner_s_pairs_rank_as_before_and_their_mean_posterior_is_the_share(both):
    fixed, estimated, truth = both
    upper = np.triu_indices(12, k=1)
    moved = (estimated.scores_ - fixed.scores_)[upper]
    np.testing.assert_allclose(moved, moved[0])
    assert fixed.prior_ == 0.03 and moved[0] == pytest.approx(log_odds(estimated.prior_) - log_odds(0.03))
    assert estimated.edge_posterior_[upper].mean() == pytest.approx(estimated.prior_, abs=1e-6)
    assert abs(estimated.prior_ - truth[upper].mean()) < abs(fixed.prior_ - truth[upper].mean())


def test_the_other_reading_has_a_share_of_its_own(both):
    _, estimated, _ = both
    direct = estimated.read_as("direct")
    upper = np.triu_indices(12, k=1)
    assert direct.edge_posterior_[upper].mean() == pytest.approx(direct.prior_, abs=1e-6)
    assert direct.prior_ <= estimated.prior_ + 1e-9


def test_few_rows_say_nothing_of_the_share():
    few, enough = (SAGVAERelations(variant="linear", steps=20).fit(np.random.default_rng(0).normal(size=(rows, 4)))
                   for rows in (29, 30))
    assert few.prior_ == 0.03 != enough.prior_


def test_a_prior_that_is_none_is_a_sentence():
    with pytest.raises(SagvaeError, match="prior must be one of 'fixed', 'estimated', got 'flat'"):
        SAGVAERelations(prior="flat").fit(np.random.default_rng(0).normal(size=(20, 3)))
