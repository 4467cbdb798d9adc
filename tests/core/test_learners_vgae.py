"""The VGAE baseline: it uses the edges it is shown, and a seed decides everything."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from sagvae_core.errors import SagvaeError
from sagvae_core.learners import VGAE, edge_share
from sagvae_core.metrics import edge_scores

BLOCKS = np.kron(np.eye(3, dtype=bool), np.ones((6, 6), dtype=bool)) & ~np.eye(18, dtype=bool)  # three cliques


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Rows that say nothing about the graph."""
    return np.random.RandomState(0).standard_normal((60, 18))


def precision(learner: VGAE, rows: np.ndarray) -> float:
    return edge_scores(learner.fit(rows).scores_, BLOCKS, learner.threshold_)["average_precision"]


def test_shown_edges_are_used(noise):
    shown = edge_share(BLOCKS, 0.5, seed=1)
    blind, seeing = precision(VGAE(epochs=100), noise), precision(VGAE(epochs=100, observed_edges=shown), noise)
    assert blind < 0.5 and seeing > 0.8
    hidden = BLOCKS.copy()
    hidden[shown[0], shown[1]] = hidden[shown[1], shown[0]] = False
    scores = VGAE(epochs=100, observed_edges=shown).fit(noise).scores_
    assert scores[hidden].mean() > scores[~BLOCKS & ~np.eye(18, dtype=bool)].mean()  # not only the shown pairs rise


@pytest.mark.parametrize(("edges", "moved"), [(None, {0}), ([[0], [1]], {0, 1})])
def test_a_node_is_described_by_itself_and_its_shown_neighbours(edges, moved, noise):
    other = noise.copy()
    other[:, 0] = np.roll(other[:, 0], 1)
    first, second = (VGAE(epochs=0, observed_edges=edges).fit(rows).scores_ for rows in (noise, other))
    still = [node for node in range(18) if node not in moved]
    assert first[np.ix_(still, still)] == pytest.approx(second[np.ix_(still, still)], abs=1e-6)
    assert all(np.abs(first[node, still] - second[node, still]).max() > 1e-3 for node in moved)


def test_without_edges_training_tells_nodes_apart():
    rows = np.random.RandomState(7).standard_normal((60, 1)) + 0.3 * np.random.RandomState(8).standard_normal((60, 18))
    pairs = np.triu_indices(18, k=1)
    untrained, trained = (VGAE(epochs=epochs).fit(rows) for epochs in (0, 100))
    assert trained.threshold_ == 0
    assert trained.scores_[pairs].mean() < 0.5 * untrained.scores_[pairs].mean()  # all pairs i != j are negatives


def test_the_seed_decides_everything_and_disturbs_nothing(noise):
    wide = np.tile(noise, (10, 1)) + np.random.RandomState(1).standard_normal((600, 18))  # more values than are used
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = VGAE(epochs=5, seed=3).fit(wide).scores_
    assert (torch.get_rng_state() == state).all()
    torch.manual_seed(6)
    assert (VGAE(epochs=5, seed=3).fit(wide).scores_ == first).all()
    assert (VGAE(epochs=5, seed=4).fit(wide).scores_ != first).any()


def test_the_order_of_shown_edges_does_not_matter(noise):
    shown = edge_share(BLOCKS, 0.2, seed=2)
    mixed = np.concatenate([shown[::-1, ::-1], shown[:, :2]], axis=1)
    first = VGAE(epochs=5, observed_edges=shown).fit(noise).scores_
    assert (VGAE(epochs=5, observed_edges=torch.from_numpy(mixed)).fit(noise).scores_ == first).all()
    blind = VGAE(epochs=5).fit(noise).scores_
    assert (VGAE(epochs=5, observed_edges=np.empty((2, 0))).fit(noise).scores_ == blind).all()


@pytest.mark.parametrize(("edges", "sentence"), [
    ([[0, 1, 2]], "whole numbers of shape (2, edges), got int64 (1, 3)"),
    ([[0.5], [1.0]], "whole numbers of shape (2, edges)"),
    ([[0], [18]], "column numbers from 0 to 17, got numbers from 0 to 18"),
    ([[-1], [3]], "column numbers from 0 to 17"),
    ([[2, 3], [5, 3]], "pairs of two different columns"),
    (np.stack(np.triu_indices(18, k=1)), "some of the pairs, got all of them"),
])
def test_shown_edges_are_checked(edges, sentence, noise):
    with pytest.raises(SagvaeError) as caught:
        VGAE(observed_edges=edges).fit(noise)
    assert sentence in str(caught.value)


def test_a_share_of_the_edges_is_drawn():
    shown = edge_share(BLOCKS, 0.1, seed=0)
    assert shown.shape == (2, round(0.1 * 45)) and BLOCKS[shown[0], shown[1]].all() and (shown[0] < shown[1]).all()
    assert (edge_share(BLOCKS, 0.1, seed=0) == shown).all() and (edge_share(BLOCKS, 0.1, seed=1) != shown).any()
    assert edge_share(BLOCKS, 0, seed=0).shape == (2, 0) and edge_share(BLOCKS, 1, seed=0).shape == (2, 45)
    with pytest.raises(SagvaeError, match="share must be between 0 and 1"):
        edge_share(BLOCKS, 10, seed=0)


def test_a_missing_library_is_named(noise, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric.nn", None)
    with pytest.raises(SagvaeError, match="needs torch_geometric: install it"):
        VGAE().fit(noise)
