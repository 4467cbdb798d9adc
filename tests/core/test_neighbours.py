"""Near nodes, balls and sums over neighbours against the dense sums they stand for."""

from __future__ import annotations

import pytest
import torch

from sagvae_core.errors import SagvaeError
from sagvae_core.neighbours import Pairs, balls, dense_sum, nearest_nodes, path_probability, weighted_sum


def chain(nodes: int, probability: float) -> torch.Tensor:
    """0 - 1 - 2 - ..., every edge equally probable."""
    graph = torch.diag(torch.full((nodes - 1,), probability), 1)
    return graph + graph.T


def test_a_path_is_as_probable_as_the_product_of_its_edges():
    paths = path_probability(chain(5, 0.8), hops=2)
    assert paths[0, 1] == pytest.approx(0.8)
    assert paths[0, 2] == pytest.approx(0.64)
    assert paths[0, 3] == 0
    assert torch.equal(paths.diagonal(), torch.ones(5))
    assert path_probability(chain(5, 0.8), hops=3)[0, 3] == pytest.approx(0.512)
    with pytest.raises(SagvaeError, match="hops"):
        path_probability(chain(5, 0.8), hops=0)


def test_the_most_probable_path_wins_over_a_direct_edge():
    graph = torch.tensor([[0, 0.9, 0.3], [0.9, 0, 0.9], [0.3, 0.9, 0]])
    assert path_probability(graph, 2)[0, 2] == pytest.approx(0.81)
    assert path_probability(graph, 1)[0, 2] == pytest.approx(0.3)


def test_nearest_nodes_come_first_and_what_is_missing_is_said():
    index, kept = nearest_nodes(chain(5, 0.8), count=3, hops=2, least=0.5)
    assert index.shape == kept.shape == (5, 4)
    assert torch.equal(index[:, 0], torch.arange(5))
    assert kept.sum(1).tolist() == [3, 4, 4, 4, 3]  # the node, its neighbours, and theirs; four of the five at most
    assert index[0, :3].tolist() == [0, 1, 2]
    assert (index[~kept] == torch.arange(5)[:, None].expand(5, 4)[~kept]).all()
    assert nearest_nodes(chain(5, 0.8), 3, 2, least=0.7)[1].sum(1).tolist() == [2, 3, 3, 3, 2]
    assert nearest_nodes(chain(3, 0.8), 10, 2, 0.1)[0].shape == (3, 11)  # more asked for than there are


def test_balls_take_the_nodes_that_most_ways_lead_to():
    graph = chain(9, 0.8)
    graph[7, 8] = graph[8, 7] = 0.3
    one, three, many = balls(graph, (1, 3, 100))
    assert one.equal(torch.eye(9, dtype=torch.bool))
    assert three[3].nonzero()[:, 0].tolist() == [2, 3, 4]
    assert many[0].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]  # six steps away, and no farther
    assert many[8].nonzero()[:, 0].tolist() == [8]  # no edge above .5
    assert balls(graph, (2,), threshold=0.2)[0, 8].nonzero()[:, 0].tolist() == [7, 8]


def test_a_single_far_edge_makes_no_ball():
    graph = torch.block_diag(torch.full((5, 5), 0.9), torch.full((5, 5), 0.9)).fill_diagonal_(0)
    graph[0, 5] = graph[5, 0] = 1.0  # surer than all others, but the only one
    assert balls(graph, (5,))[0, 0].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4]


def pairs_and_tensors(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    index, kept = nearest_nodes(chain(6, 0.8), 3, 2, 0.5)
    kept[4] = False  # a node that hears of nobody
    pairs = Pairs.of(index, kept, channels=4)
    hidden = torch.randn(24, 3, dtype=dtype, generator=generator, requires_grad=True)
    weight = torch.randn(2, int(kept.sum()), dtype=dtype, generator=generator, requires_grad=True)
    return pairs, hidden, weight


def test_the_weighted_sum_is_the_dense_product_and_so_are_its_gradients():
    pairs, hidden, weight = pairs_and_tensors()
    receiver, sender = (end[:weight.shape[1]] for end in (pairs.receiver, pairs.sender))
    heads = torch.zeros(2, 6, 6, dtype=torch.float64).index_put((torch.arange(2)[:, None], receiver, sender), weight)
    expected, found = (heads[[0, 0, 1, 1]] @ hidden.view(4, 6, 3)).view(24, 3), weighted_sum(hidden, weight, pairs)
    assert torch.allclose(found, expected)
    assert torch.equal(dense_sum(hidden, weight, pairs), expected)  # what other devices do
    for the_same in (weighted_sum, dense_sum):
        assert torch.allclose(the_same(hidden.detach(), pairs.for_channels(weight.detach()), pairs), expected)
    assert torch.equal(found[4::6], torch.zeros(4, 3, dtype=torch.float64))
    seed = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for ours, theirs in zip(torch.autograd.grad(found, (hidden, weight), seed),
                            torch.autograd.grad(expected, (hidden, weight), seed)):
        assert torch.allclose(ours, theirs)
    assert torch.autograd.gradcheck(lambda h, w: weighted_sum(h, w, pairs), (hidden, weight))
