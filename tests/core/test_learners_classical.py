"""Classical baselines: they find an easy graph, keep their invariants and survive hard tables."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import GraphicalLassoCV

from sagvae_core.learners import (
    AbsoluteCorrelation,
    AllEdges,
    GraphicalLasso,
    PairwiseProduct,
    PartialCorrelation,
    SmoothGraph,
    classical,
)
from sagvae_core.learners.classical import (
    critical_correlation,
    least_partial_correlation,
    partial_correlation,
)
from sagvae_core.metrics import edge_scores

CORRELATION_TYPES = (AbsoluteCorrelation, PartialCorrelation, GraphicalLasso)


@pytest.fixture(scope="module")
def chain() -> tuple[np.ndarray, np.ndarray]:
    """600 rows of a Gaussian field on a chain of 8 columns with partial correlations of .45, and the chain."""
    truth = np.eye(8, k=1) + np.eye(8, k=-1)
    covariance = np.linalg.inv(np.eye(8) - 0.45 * truth)
    return np.random.RandomState(0).multivariate_normal(np.zeros(8), covariance, 600), truth.astype(bool)


@pytest.mark.parametrize("learner", [AbsoluteCorrelation, PartialCorrelation, GraphicalLasso, PairwiseProduct,
                                     SmoothGraph])
def test_an_easy_graph_is_found(learner, chain):
    rows, truth = chain
    fitted = learner().fit(rows)
    assert edge_scores(fitted.scores_, truth)["average_precision"] > 0.95
    assert (learner(density=7 / 28).fit(rows).edges_ != truth).sum() <= 2


def test_a_direct_relation_is_told_from_an_indirect_one(chain):
    rows, truth = chain
    assert (PartialCorrelation().fit(rows).edges_ == truth).all()
    assert AbsoluteCorrelation().fit(rows).edges_[0, 2]  # over one column in between
    assert AllEdges().fit(rows).edges_.sum() == 56


@pytest.mark.parametrize("learner", [PartialCorrelation, GraphicalLasso])
def test_the_precision_behind_the_scores_is_kept(learner, chain):
    rows, _ = chain
    fitted = learner().fit(rows)
    kept = fitted.scores_ > fitted.threshold_
    assert partial_correlation(fitted.precision_)[kept] == pytest.approx(fitted.scores_[kept], abs=1e-9)


def test_two_causes_are_not_related_unless_their_effect_is_held_fixed():
    random = np.random.RandomState(0)
    x = random.standard_normal((2000, 4))
    x[:, 2] += x[:, 0] + x[:, 1]
    precision = PartialCorrelation().fit(x).precision_
    assert partial_correlation(precision)[0, 1] > 0.3
    least = least_partial_correlation(precision)
    assert least[0, 1] < 0.05 and least[0, 2] > 0.3 and least[1, 2] > 0.3


def test_leaving_a_column_out_is_what_the_other_columns_alone_say(chain):
    precision = np.linalg.inv(np.corrcoef(chain[0], rowvar=False))
    least = least_partial_correlation(precision)
    found = partial_correlation(precision)
    for k in range(8):
        others = np.delete(np.arange(8), k)
        alone = partial_correlation(np.linalg.inv(np.corrcoef(chain[0][:, others], rowvar=False)))
        found[np.ix_(others, others)] = np.minimum(found[np.ix_(others, others)], alone)
    off = ~np.eye(8, dtype=bool)
    assert least[off] == pytest.approx(found[off])


@pytest.mark.parametrize("learner", [*CORRELATION_TYPES, PairwiseProduct, SmoothGraph])
def test_the_order_of_the_columns_does_not_matter(learner, chain):
    rows, _ = chain
    order = np.random.RandomState(1).permutation(8)
    first, second = learner().fit(rows), learner().fit(rows[:, order])
    tolerance = 1e-3 if learner is GraphicalLasso else 1e-8  # coordinate descent stops on its way
    assert second.scores_ == pytest.approx(first.scores_[np.ix_(order, order)], abs=tolerance)


@pytest.mark.parametrize("learner", [*CORRELATION_TYPES, SmoothGraph])
def test_units_do_not_matter(learner, chain):
    rows, _ = chain
    first = learner().fit(rows)
    second = learner().fit(rows * 10.0 ** np.arange(-4, 4) + 7)
    assert second.scores_ == pytest.approx(first.scores_, abs=1e-6)
    assert second.threshold_ == pytest.approx(first.threshold_, abs=1e-6)


@pytest.mark.parametrize("learner", CORRELATION_TYPES)
def test_signs_do_not_matter_to_correlations(learner, chain):
    rows, _ = chain
    flipped = learner().fit(rows * np.array([1, -1] * 4))
    assert flipped.scores_ == pytest.approx(learner().fit(rows).scores_, abs=1e-6)


def test_channels_are_samples_of_their_own(chain):
    rows, _ = chain
    halves = np.stack([rows[:300] - rows[:300].mean(axis=0), rows[300:] - rows[300:].mean(axis=0)], axis=2)
    flat = halves.transpose(0, 2, 1).reshape(600, 8)
    assert (AbsoluteCorrelation().fit(halves).scores_
            == pytest.approx(AbsoluteCorrelation().fit(flat).scores_, abs=1e-12))


def test_the_product_is_the_papers_on_raw_rows():
    rows = np.random.RandomState(2).standard_normal((30, 4, 2)) + 1.0
    raw = PairwiseProduct(standardise=False, centre=False).fit(rows)
    by_hand = np.array([[(rows[:, i] * rows[:, j]).sum() / 30 for j in range(4)] for i in range(4)])
    off = ~np.eye(4, dtype=bool)
    assert raw.scores_[off] == pytest.approx(by_hand[off]) and raw.threshold_ == 0
    assert raw.edges_.sum() == 12 and PairwiseProduct().fit(rows).edges_.sum() < 12
    assert PairwiseProduct(centre=False).fit(rows).edges_.sum() == 12


def test_the_test_keeps_its_level_and_counts_its_freedom():
    random = np.random.RandomState(4)
    tables = [random.standard_normal((30, 6)) for _ in range(400)]
    false = [sum(kind().fit(rows).edges_.any() for rows in tables)
             for kind in (AbsoluteCorrelation, PartialCorrelation)]
    assert 7 <= false[0] <= 33  # 5 % of the tables without a relation show one: 20 ± 4.4
    assert false[1] <= 33
    assert critical_correlation((40, 10, 1)) > critical_correlation((40, 10, 2)) > critical_correlation((400, 10, 1))
    assert critical_correlation((40, 10, 1), held_fixed=8) > critical_correlation((40, 10, 1))
    # n = 103, two columns, two-sided 5 %: tanh(1.95996 / sqrt(100))
    assert critical_correlation((103, 2, 1)) == pytest.approx(np.tanh(0.195996), abs=1e-6)
    assert critical_correlation((9, 10, 1), held_fixed=8) == 1.0
    assert not PartialCorrelation().fit(random.standard_normal((9, 10))).edges_.any()


def test_the_lassos_zeros_are_ranked_and_stay_below_its_edges(chain):
    rows, _ = chain
    plain, refined = GraphicalLasso(refine_ties=False).fit(rows), GraphicalLasso().fit(rows)
    upper = np.triu_indices(8, k=1)
    assert (plain.edges_ == refined.edges_).all()
    zeros = ~plain.edges_[upper]
    assert 1 < zeros.sum() < 28 and not plain.scores_[upper][zeros].any()
    assert len(np.unique(refined.scores_[upper][zeros])) == zeros.sum()
    assert (plain.scores_[plain.edges_] == refined.scores_[plain.edges_]).all()
    order = np.argsort(refined.scores_[upper][zeros])
    assert (np.diff(PartialCorrelation().fit(rows).scores_[upper][zeros][order]) > 0).all()


def test_a_lasso_without_any_edge_still_ranks():
    learner = GraphicalLasso().fit(np.random.RandomState(0).standard_normal((40, 5)))
    assert not learner.edges_.any() and len(np.unique(learner.scores_)) == 11


def test_the_lassos_folds_are_drawn_from_shuffled_rows(chain, monkeypatch):
    rows, _ = chain
    seen = []

    class Watched(GraphicalLassoCV):
        def fit(self, X, y=None):
            seen.append(X)
            return super().fit(X, y)

    monkeypatch.setattr(classical, "GraphicalLassoCV", Watched)
    GraphicalLasso().fit(rows[np.argsort(rows[:, 0])])
    assert abs(seen[0][:120, 0].mean()) < 0.3  # of a sorted column the first fifth would have a mean of -1.4


@pytest.mark.parametrize("table", ["copies", "nearly copies", "few rows", "three rows", "heavy tails", "low rank"])
@pytest.mark.parametrize("learner", CORRELATION_TYPES)
def test_hard_tables_do_not_stop_a_learner(learner, table):
    random = np.random.RandomState(5)
    base = random.standard_normal((40, 4))
    rows = {"copies": np.hstack([base, -base]), "nearly copies": np.hstack([base, base + 1e-9 * random.rand(40, 4)]),
            "few rows": random.standard_normal((6, 12)), "three rows": random.standard_normal((3, 4)),
            "heavy tails": random.standard_cauchy((60, 6)), "low rank": base[:, :2] @ random.rand(2, 8)}[table]
    fitted = learner().fit(rows)
    assert np.isfinite(fitted.scores_).all() and np.isfinite(fitted.threshold_)
    if "copies" in table:
        assert fitted.scores_.argmax(axis=1).tolist() == [4, 5, 6, 7, 0, 1, 2, 3]


def test_a_solver_that_fails_is_given_strong_penalties_then_replaced(chain, monkeypatch):
    rows, _ = chain
    tried = []

    class Fails:
        def __init__(self, alphas, **_):
            tried.append(alphas)

        def fit(self, samples):
            raise FloatingPointError("Non SPD result: the system is too ill-conditioned for this solver.")

    monkeypatch.setattr(classical, "GraphicalLassoCV", Fails)
    fitted, partial = GraphicalLasso().fit(rows), PartialCorrelation().fit(rows)
    assert tried[0] == 4 and np.min(tried[1]) >= 0.05 and len(tried) == 2
    assert fitted.scores_ == pytest.approx(partial.scores_) and fitted.threshold_ == partial.threshold_
