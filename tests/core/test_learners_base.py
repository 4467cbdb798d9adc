"""What holds for every relation learner: input, density, scikit-learn's habits, the shape of the result."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from scipy.stats import norm
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from sagvae_core import learners
from sagvae_core.errors import SagvaeError
from sagvae_core.learners import (
    BASELINES,
    AbsoluteCorrelation,
    AllEdges,
    GraphicalLasso,
    PairwiseProduct,
    SAGVAERelations,
)
from sagvae_core.learners.base import RelationLearner, density_threshold, scaled, stacked
from sagvae_core.learners.rows import ColumnsLeftOut, read_rows

NODES = 9
PAIRS = NODES * (NODES - 1) // 2


def make(name: str, **parameters) -> RelationLearner:
    return BASELINES[name](**({"epochs": 3} if name == "vgae" else {}), **parameters)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """(80, 9, 2): a ring, each node leaning on the one before."""
    random = np.random.RandomState(3)
    noise = random.standard_normal((80, NODES, 2))
    return noise + 0.9 * np.roll(noise, 1, axis=1)


@pytest.mark.parametrize("name", BASELINES)
def test_a_fit_gives_scores_a_threshold_and_edges(name, rows):
    learner = make(name).fit(rows)
    assert learner.scores_.shape == (NODES, NODES) and learner.scores_.dtype == np.float64
    assert (learner.scores_ == learner.scores_.T).all() and not learner.scores_.diagonal().any()
    off = ~np.eye(NODES, dtype=bool)
    assert learner.edges_.dtype == bool and not learner.edges_.diagonal().any()
    assert (learner.edges_[off] == (learner.scores_ > learner.threshold_)[off]).all()
    assert isinstance(learner.threshold_, float) and learner.n_features_in_ == NODES
    assert not hasattr(learner, "feature_names_in_") and learner.title


@pytest.mark.parametrize("name", BASELINES)
def test_fitting_again_repeats_itself_and_leaves_the_rows_alone(name, rows):
    before = rows.copy()
    first, second = make(name).fit(rows), make(name).fit(torch.from_numpy(rows))
    assert (first.scores_ == second.scores_).all() and first.threshold_ == second.threshold_
    assert (rows == before).all()


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "all_edges"])
@pytest.mark.parametrize("wanted", [0, 1, 10, PAIRS])
def test_a_known_density_gives_exactly_that_many_edges(name, wanted, rows):
    learner = make(name, density=min(max(wanted / PAIRS, 0.001), 0.999)).fit(rows)
    assert learner.edges_.sum() == 2 * wanted
    if 0 < wanted < PAIRS:
        others = ~learner.edges_ & ~np.eye(NODES, dtype=bool)
        assert learner.scores_[learner.edges_].min() > learner.scores_[others].max()


def test_pairs_that_tie_at_the_density_are_edges_together(rows):
    scores = np.zeros((4, 4))
    scores[0, 1], scores[0, 2], scores[0, 3], scores[1, 2] = 3, 2, 2, 1
    assert density_threshold(scores, 1 / 6) == 2.5 and density_threshold(scores, 2 / 6) == 1.5
    assert density_threshold(scores, 3 / 6) == 1.5 and density_threshold(scores, 4 / 6) == 0.5
    assert density_threshold(scores, 5 / 6) < 0
    assert AllEdges(density=0.1).fit(rows).edges_.sum() == 2 * PAIRS


def test_the_threshold_separates_neighbouring_floats():
    scores = np.zeros((3, 3))
    scores[0, 1], scores[0, 2], scores[1, 2] = np.nextafter(1.0, 2.0), 1.0, 0.0
    assert (scores > density_threshold(scores, 1 / 3)).sum() == 1


@pytest.mark.parametrize("density", [0, 1, -0.1, 1.5, "half", True])
def test_a_density_is_a_share(density, rows):
    with pytest.raises(SagvaeError, match="density must be a number between 0 and 1, or None"):
        AbsoluteCorrelation(density=density).fit(rows)


@pytest.mark.parametrize("name", BASELINES)
def test_scikit_learn_can_clone_and_set_every_learner(name, rows):
    learner = make(name, density=0.25, standardise=False)
    copy = clone(learner)
    assert copy is not learner and copy.get_params() == learner.get_params()
    assert copy.get_params()["density"] == 0.25 and copy.get_params()["standardise"] is False
    assert copy.set_params(density=None).fit(rows) is copy
    assert not hasattr(learner, "scores_")


def test_a_frame_gives_its_names_and_a_later_array_takes_them_away(rows):
    frame = pd.DataFrame(rows[:, :, 0], columns=[f"item {i}" for i in range(NODES - 1)] + [7])
    learner = AbsoluteCorrelation().fit(frame)
    assert learner.feature_names_in_.tolist() == [*[f"item {i}" for i in range(NODES - 1)], "7"]
    assert learner.scores_ == pytest.approx(AbsoluteCorrelation().fit(rows[:, :, 0]).scores_, abs=1e-12)
    learner.fit(rows[:, :, 0])
    assert not hasattr(learner, "feature_names_in_")


def test_integers_and_booleans_are_numbers():
    nullable = pd.array([1, 0, 0, 4], dtype="Int64")
    rows = read_rows(pd.DataFrame({"a": [1, 2, 3, 5], "b": [True, False, True, True], "c": nullable}))
    assert rows.x.shape == (4, 3, 1) and rows.x.dtype == np.float64 and rows.names == ("a", "b", "c")
    assert rows.kinds == ("continuous", "binary", "continuous") and not rows.left_out
    assert (read_rows([[1, 2], [3, 5], [4, 4]]).x[:, :, 0] == [[1, 2], [3, 5], [4, 4]]).all()


GOOD = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize(("bad", "sentence"), [
    (GOOD[:2], "at least 3 rows, got n_samples = 2"),
    (GOOD[:, :1], "at least 2 columns, got 1 feature(s) (shape=(4, 1)) while a minimum of 2 is required"),
    (GOOD[0], "of shape (rows, columns) or (rows, columns, channels), got (3,)"),
    (np.where(GOOD == 16, np.nan, GOOD), "missing values (NaN) in column 1 (counted from 0)"),
    (np.where(GOOD == 16, np.inf, GOOD), "finite, got infinity in column 1 (counted from 0)"),
    (np.full((4, 5), 2.0), "Left out: column 0, 1, 2 and 2 more (counted from 0), the same value in every row"),
    (GOOD.astype(str), "a table of numbers, got values of type <U"),
    (GOOD.astype(complex), "Complex data not supported"),
    ([[1, 2], [1], [2, 3]], "rows of one length"),
    (np.array([[1, "a"], [2, 3], [4, 5]], dtype=object), "a table of numbers"),
    (csr_array(GOOD), "Sparse data is not supported: use X.toarray()"),
    (pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64"), "y": [1, 2, 4]}), "at least two columns"),
    (pd.DataFrame(GOOD, columns=["x", "y", "z"]).assign(y=[1.5, None, 3, 4]), "missing values (NaN) in column 'y'"),
])
def test_a_table_that_cannot_be_used_gets_one_sentence(bad, sentence):
    with pytest.raises(SagvaeError) as caught:
        AbsoluteCorrelation().fit(bad)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("table", "left_out"), [
    (np.where(np.arange(3) == 2, 5.0, GOOD), {2: "the same value in every row"}),
    (1e9 * np.where(np.arange(3) == 0, 0.1, GOOD) / 3, {0: "the same value in every row"}),
    (GOOD[:, [0, 1, 0]], {2: "a copy of column 0"}),
    (pd.DataFrame(GOOD, columns=["x", "y", "z"]).assign(y=1.0), {1: "the same value in every row, 1"}),
    (pd.DataFrame(GOOD).assign(city=["A", "B", "C", "D"]),
     {3: "text of 4 levels; only two levels can be read as numbers"}),
])
def test_columns_that_can_have_no_relations_are_left_out_and_named(table, left_out):
    with pytest.warns(ColumnsLeftOut, match="Left out, column "):
        learner = AbsoluteCorrelation().fit(table)
    assert learner.left_out_ == left_out and learner.n_features_in_ == table.shape[1]
    with pytest.warns(ColumnsLeftOut):
        everything = AllEdges().fit(table)
    assert everything.scores_.shape == everything.edges_.shape == (table.shape[1], table.shape[1])
    out = list(left_out)
    assert not everything.edges_[out].any()
    kept = np.delete(np.arange(table.shape[1]), out)
    assert everything.edges_[np.ix_(kept, kept)].sum() == len(kept) * (len(kept) - 1)


def test_complete_rows_alone_are_used_if_that_is_wanted(rows):
    table = rows[:, :, 0].copy()
    table[3, 2] = table[10:20, 5] = np.nan
    learner = AbsoluteCorrelation(missing="complete").fit(table)
    assert learner.n_rows_ == 69
    whole = AbsoluteCorrelation().fit(np.delete(table, [3, *range(10, 20)], axis=0))
    np.testing.assert_allclose(learner.scores_, whole.scores_)
    table[:, 0] = np.nan
    table[:2, 0] = 1.0
    with pytest.warns(ColumnsLeftOut, match="column 0"):
        AbsoluteCorrelation(missing="complete").fit(table)
    table[5:, 0] = 2.0
    table[:8, 1] = np.nan
    table[8:, 3] = np.nan
    with pytest.raises(SagvaeError, match="complete in at least 3 rows, got 0 of 80. Leave out columns with many gaps"):
        AbsoluteCorrelation(missing="complete").fit(table)


def test_only_who_can_models_gaps(rows):
    with pytest.raises(SagvaeError, match="missing must be 'error' or 'complete', got 'model'"):
        AbsoluteCorrelation(missing="model").fit(rows)
    with pytest.raises(SagvaeError, match="missing must be one of 'error', 'complete', 'model', got 'drop'"):
        AbsoluteCorrelation(missing="drop").fit(rows)


def test_the_score_is_the_density_of_values_given_their_neighbours(rows):
    x, new = rows[:40, :3, 0], rows[40:, :3, 0]
    learner = AllEdges().fit(x)
    z, w = (x - x.mean(0)) / x.std(0), (new - x.mean(0)) / x.std(0)
    total = 0.0
    for i in range(3):
        others = [j for j in range(3) if j != i]
        slopes = np.linalg.solve(z[:, others].T @ z[:, others] + 0.03 * 40 * np.eye(2), z[:, others].T @ z[:, i])
        scale = (z[:, i] - z[:, others] @ slopes).std()
        total += norm.logpdf(w[:, i], w[:, others] @ slopes, scale).mean() / 3
    assert learner.score(new) == pytest.approx(total, abs=1e-3)
    with pytest.raises(ValueError, match="features"):
        learner.score(new[:, :2])


def test_the_score_of_a_frame_goes_by_its_names(rows):
    frame = pd.DataFrame(rows[:, :4, 0], columns=list("abcd")).assign(flag=rows[:, 4, 0] > 0)
    learner = AbsoluteCorrelation().fit(frame)
    assert learner.score(frame.head(20)) == pytest.approx(learner.score(frame.head(20)))
    with pytest.raises(ValueError, match="feature names"):
        learner.score(frame.rename(columns={"a": "z"}))


ESTIMATORS = [*[make(name) for name in BASELINES], SAGVAERelations(variant="linear", steps=10),
              SAGVAERelations(variant="smoothing", steps=4), SAGVAERelations(steps=2, missing="model")]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def test_one_lively_channel_is_enough(rows):
    lame = rows.copy()
    lame[:, 4, 1] = 3.0
    assert np.isfinite(AbsoluteCorrelation().fit(lame).scores_).all()
    lame[:, 4, 0] = 1.0
    with pytest.raises(SagvaeError, match="column 4"):
        AbsoluteCorrelation().fit(lame)


def test_columns_are_scaled_one_by_one_and_channels_together(rows):
    one = scaled(rows[:, :, :1] * np.arange(1, NODES + 1)[:, None])
    assert one.std(axis=0) == pytest.approx(np.ones((NODES, 1)))
    two = scaled(rows * np.arange(1, NODES + 1)[:, None])
    ratio = two / rows
    assert ratio[:, 3] == pytest.approx(4 * ratio[:, 0]) and (two - two.mean(axis=0)).std() == pytest.approx(1)
    learner = PairwiseProduct().fit(rows + 5)
    assert learner.scores_ == pytest.approx(PairwiseProduct(standardise=False).fit(rows).scores_ / rows_scale(rows))


def rows_scale(rows: np.ndarray) -> float:
    return (rows - rows.mean(axis=0)).var()


def test_stacked_samples_keep_a_rows_channels_together(rows):
    samples = stacked(rows)
    assert samples.shape == (160, NODES)
    assert samples.mean(axis=0) == pytest.approx(np.zeros(NODES), abs=1e-12)
    assert samples.std(axis=0) == pytest.approx(np.ones(NODES))
    by_hand = (rows - rows.mean(axis=0))[5, :, 1] / (rows - rows.mean(axis=0)).std(axis=(0, 2))
    assert samples[11] == pytest.approx(by_hand)


def test_a_subclass_that_gives_no_matrix_is_our_mistake(rows):
    class Lopsided(RelationLearner):
        def _scores(self, x):
            return np.triu(np.ones((x.shape[1], x.shape[1]))), 0.5

    with pytest.raises(RuntimeError, match="Lopsided must give finite symmetric scores"):
        Lopsided().fit(rows)
    with pytest.raises(NotImplementedError, match="_scores"):
        RelationLearner().fit(rows)


def test_the_public_names_are_all_there():
    assert set(learners.__all__) >= {kind.__name__ for kind in BASELINES.values()}
    assert len({kind.title for kind in BASELINES.values()}) == len(BASELINES)
    assert isinstance(GraphicalLasso(), BASELINES["graphical_lasso"])
