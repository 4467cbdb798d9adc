"""Graph convolution, neighbour attention and the gated layer against hand-computed values, loops and PyG."""

from __future__ import annotations

import math

import pytest
import torch

from sagvae_core.layers import (
    ACTIVATION_FUNCTIONS,
    GraphConvolution,
    NeighbourAttention,
    SelfAttentionGraphLayer,
    aggregate,
    neighbour_attention,
    normalise_adjacency,
)

PATH = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])  # 0 - 1 - 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_graph(nodes: int, density: float = 0.4, seed: int = 0) -> torch.Tensor:
    upper = (torch.rand(nodes, nodes, generator=seeded(seed)) < density).float().triu(1)
    return upper + upper.T


# ---------------------------------------------------------------------- normalisation (eq. 1)

def test_row_normalisation_by_hand():
    wanted = [[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 2, 1 / 2]]
    assert torch.allclose(normalise_adjacency(PATH, "row"), torch.tensor(wanted))
    assert torch.allclose(normalise_adjacency(PATH, "row", self_loops=False),
                          torch.tensor([[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]]))


def test_symmetric_normalisation_by_hand():
    side = 1 / math.sqrt(6)
    wanted = [[1 / 2, side, 0], [side, 1 / 3, side], [0, side, 1 / 2]]
    assert torch.allclose(normalise_adjacency(PATH, "symmetric"), torch.tensor(wanted))
    half = 1 / math.sqrt(2)
    assert torch.allclose(normalise_adjacency(PATH, "symmetric", self_loops=False),
                          torch.tensor([[0, half, 0], [half, 0, half], [0, half, 0]]))


def test_no_normalisation_only_adds_the_loops():
    assert torch.equal(normalise_adjacency(PATH, "none"), PATH + torch.eye(3))
    assert torch.equal(normalise_adjacency(PATH, "none", self_loops=False), PATH)


def test_signed_weights_are_normalised_by_their_absolute_sums():
    signed = torch.tensor([[0.0, -3.0], [-3.0, 0.0]])
    assert torch.allclose(normalise_adjacency(signed, "row"), torch.tensor([[0.25, -0.75], [-0.75, 0.25]]))
    assert torch.allclose(normalise_adjacency(signed, "symmetric"), torch.tensor([[0.25, -0.75], [-0.75, 0.25]]))


@pytest.mark.parametrize("mode", ["row", "symmetric"])
def test_a_node_without_neighbours_or_loop_gets_zeros_and_a_moderate_gradient(mode):
    adjacency = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    result = normalise_adjacency(adjacency, mode, self_loops=False)
    assert result[2].tolist() == [0, 0, 0] and result[:2, :2].tolist() == [[0, 1], [1, 0]]
    result.sum().backward()
    assert adjacency.grad.abs().max() < 10  # 0/0 must not become a gradient that clips all others away


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be 'row', 'symmetric' or 'none', got 'column'"):
        normalise_adjacency(PATH, "column")


# ---------------------------------------------------------------------- graph convolution (eq. 1)

@pytest.mark.parametrize(("inner", "outer"), [(2, 5), (5, 2), (3, 3)])
def test_graph_convolution_is_the_explicit_sum(inner, outer):
    adjacency = normalise_adjacency(random_graph(6), "row")
    layer, hidden = GraphConvolution(inner, outer), torch.randn(6, 4, inner, generator=seeded())
    found = layer(hidden, adjacency)
    for node in range(6):
        for row in range(4):
            mixed = sum(adjacency[node, other] * hidden[other, row] for other in range(6))
            assert torch.allclose(found[node, row], mixed @ layer.weight, atol=1e-5)
    assert torch.allclose(layer(hidden, None), hidden @ layer.weight, atol=1e-6)


@pytest.mark.parametrize("self_loops", [True, False])
def test_graph_convolution_is_pygs_dense_gcn(self_loops):
    dense = pytest.importorskip("torch_geometric.nn.dense")
    adjacency, hidden = random_graph(7), torch.randn(7, 3, 4, generator=seeded())
    if not self_loops:  # PyG gives a node without neighbours degree 1, as we do
        adjacency[0], adjacency[:, 0] = 0, 0
    ours, theirs = GraphConvolution(4, 5), dense.DenseGCNConv(4, 5, bias=False)
    theirs.lin.weight.data.copy_(ours.weight.data.T)
    wanted = theirs(hidden.transpose(0, 1), adjacency, add_loop=self_loops).transpose(0, 1)
    found = ours(hidden, normalise_adjacency(adjacency, "symmetric", self_loops))
    assert torch.allclose(found, wanted, atol=1e-5)


def test_aggregate_without_a_graph_changes_nothing():
    hidden = torch.randn(3, 2, 4, generator=seeded())
    assert aggregate(None, hidden) is hidden
    assert torch.allclose(aggregate(PATH, hidden)[1], hidden[0] + hidden[2])


# ---------------------------------------------------------------------- neighbour attention (eqs. 11-15)

def test_attention_by_hand():
    query = torch.tensor([[[1.0], [2.0], [0.0]]])
    key = torch.tensor([[[1.0], [0.5], [3.0]]])
    found = neighbour_attention(query, key, PATH + torch.eye(3))[0]
    e = math.exp
    assert found[0].tolist() == pytest.approx([e(1) / (e(1) + e(0.5)), e(0.5) / (e(1) + e(0.5)), 0], abs=1e-6)
    total = e(2) + e(1) + e(6)
    assert found[1].tolist() == pytest.approx([e(2) / total, e(1) / total, e(6) / total], abs=1e-6)
    assert found[2].tolist() == pytest.approx([0, 0.5, 0.5], abs=1e-6)


def test_edge_weights_multiply_the_exponentials_of_equation_15():
    score = torch.zeros(1, 2, 1)
    positive = torch.tensor([[1.0, 3.0], [0.5, 1.0]])
    assert torch.allclose(neighbour_attention(score, score, positive)[0],
                          torch.tensor([[1 / 4, 3 / 4], [1 / 3, 2 / 3]]))
    signed = torch.tensor([[1.0, -3.0], [-1.0, 1.0]])
    assert torch.allclose(neighbour_attention(score, score, signed)[0],
                          torch.tensor([[1 / 4, -3 / 4], [-1 / 2, 1 / 2]]))


def test_attention_rows_sum_to_one_and_are_exactly_zero_off_the_graph():
    adjacency = random_graph(8) + torch.eye(8)
    query, key = torch.randn(2, 3, 8, 4, generator=seeded())
    found = neighbour_attention(query, key, adjacency)
    assert found.shape == (3, 8, 8)
    assert torch.allclose(found.sum(-1), torch.ones(3, 8), atol=1e-6)
    assert (found[:, adjacency == 0] == 0).all() and (found[:, adjacency > 0] > 0).all()
    score = (query @ key.transpose(1, 2)).masked_fill(adjacency == 0, -math.inf)
    assert torch.allclose(found, score.softmax(-1), atol=1e-6)


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_a_huge_score_off_the_graph_neither_overflows_nor_swallows_the_row(size):
    query = torch.tensor([[[1.0], [1.0], [1.0]]], requires_grad=True)
    key = torch.tensor([[[0.0], [0.1], [size]]], requires_grad=True)
    found = neighbour_attention(query, key, PATH + torch.eye(3))
    assert torch.isfinite(found).all()
    assert found[0, 0].tolist() == pytest.approx([1 / (1 + math.exp(0.1)), 1 / (1 + math.exp(-0.1)), 0], abs=1e-5)
    assert found[0, 1].tolist() == pytest.approx([0, 0, 1])
    found[0, 0, 0].backward()
    assert torch.isfinite(query.grad).all() and torch.isfinite(key.grad).all()


def test_the_attention_module_is_equation_13():
    module = NeighbourAttention(3, 2, 4)
    hidden, adjacency = torch.randn(5, 2, 3, generator=seeded()), random_graph(5) + torch.eye(5)
    found = module(hidden, adjacency)
    assert found.shape == (5, 2, 2)
    for row in range(2):
        h = hidden[:, row]
        score = (h @ module.query.weight.T) @ (h @ module.key.weight.T).T
        alpha = score.masked_fill(adjacency == 0, -math.inf).softmax(-1)
        wanted = alpha @ (h @ module.value_in.weight.T) @ module.value_out.weight.T
        assert torch.allclose(found[:, row], wanted, atol=1e-5)
        assert torch.allclose(module.attention(hidden, adjacency)[row], alpha, atol=1e-5)


# ---------------------------------------------------------------------- the layer (eqs. 16 and 17)

def test_a_closed_gate_leaves_convolution_and_skip():
    layer = SelfAttentionGraphLayer(3, 4, latent_channels=2, attention_channels=5)
    layer.bias.data.copy_(torch.arange(4.0))
    assert layer.attention_gate.item() == 0
    hidden, latent = torch.randn(6, 2, 3, generator=seeded()), torch.randn(6, 2, 2, generator=seeded(1))
    graph = random_graph(6)
    convolved, near = normalise_adjacency(graph), graph + torch.eye(6)
    aggregated = aggregate(convolved, latent)
    wanted = (torch.einsum("ij,jbc->ibc", convolved, hidden) @ layer.convolution.weight
              + aggregated @ layer.skip.weight + torch.arange(4.0))
    closed = layer(hidden, convolved, near, aggregated)
    assert torch.allclose(closed, wanted, atol=1e-5)
    layer.attention_gate.data.fill_(0.5)
    opened = layer(hidden, convolved, near, aggregated)
    assert torch.allclose(opened - closed, 0.5 * layer.attention(hidden, near), atol=1e-5)
    assert (opened - closed).abs().max() > 1e-3


def test_gradients_reach_every_weight_of_an_open_layer_and_are_finite():
    layer = SelfAttentionGraphLayer(3, 4, latent_channels=2, attention_channels=5)
    layer.attention_gate.data.fill_(0.3)
    graph = random_graph(6).requires_grad_()
    convolved = normalise_adjacency(graph, "symmetric")
    latent = aggregate(convolved, torch.randn(6, 2, 2, generator=seeded(1)))
    layer(torch.randn(6, 2, 3, generator=seeded()), convolved, graph + torch.eye(6), latent).square().sum().backward()
    for name, parameter in [*layer.named_parameters(), ("graph", graph)]:
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_a_layer_without_extras_has_no_parameters_for_them():
    names = {name for name, _ in SelfAttentionGraphLayer(3, 4).named_parameters()}
    assert names == {"convolution.weight", "bias"}


def test_activations_are_the_ones_they_are_called():
    x = torch.linspace(-2, 2, 9)
    for name, function in ACTIVATION_FUNCTIONS.items():
        wanted = x if name == "identity" else getattr(torch.nn.functional, name)(x)
        assert torch.equal(function(x), wanted), name
