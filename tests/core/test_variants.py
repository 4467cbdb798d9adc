"""The settings that make the model a Markov random field: one layer without self-loops, weights, edge functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sagvae_core.checkpoint import load_model, save_model
from sagvae_core.config import ModelConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.layers import EdgeFunctions
from sagvae_core.model import SAGVAE

N = 5


def config(**changes) -> ModelConfig:
    return ModelConfig(**{"num_nodes": N, "encoder": "linear", "edge_weights": "signed", "edge_weight_init": 0.0,
                          "weighted_convolution": True, "hidden": (), "normalisation": "none", "self_loops": False,
                          "z_skip": False, "node_bias": True, "node_scale": True, "output": "identity",
                          "likelihood": "gaussian", "likelihood_scale": "node"} | changes)


def trained_looking(**changes) -> SAGVAE:
    model = SAGVAE(config(**changes), seed=1).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        model.posterior_pairs.copy_(torch.rand(model.posterior_pairs.shape, generator=generator))
        model.weight_pairs.copy_(torch.randn(model.weight_pairs.shape, generator=generator))
        model.decoder.log_node_scale.copy_(torch.randn(N, generator=generator) * 0.5)
        model.decoder.node_bias.copy_(torch.randn(model.decoder.node_bias.shape, generator=generator))
    return model


def test_a_column_is_the_weighted_sum_of_its_neighbours_in_their_own_scales():
    model = trained_looking()
    z = torch.randn(3, N, 1, generator=torch.Generator().manual_seed(3))
    a, w = model.edge_posterior.numpy(), model.edge_weights.detach().numpy()
    s, b = model.decoder.log_node_scale.exp().detach().numpy(), model.decoder.node_bias.detach().numpy()[:, 0]
    expected = np.zeros((3, N))
    for row in range(3):
        for i in range(N):
            expected[row, i] = b[i] + s[i] * sum(a[i, j] * w[i, j] * z[row, j, 0].item() / s[j]
                                                 for j in range(N) if j != i)
    np.testing.assert_allclose(model.decode(z).detach().numpy()[:, :, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("functions", [0, 3])
def test_no_value_reaches_its_own_reconstruction(functions):
    model = trained_looking(edge_functions=functions)
    x = torch.randn(2, N, 1, generator=torch.Generator().manual_seed(4))
    before = model.reconstruct(x)
    for node in range(N):
        changed = x.clone()
        changed[:, node] += 1.0
        after = model.reconstruct(changed)
        torch.testing.assert_close(after[:, node], before[:, node])
        others = [other for other in range(N) if other != node]
        assert (after[:, others] - before[:, others]).abs().min() > 0


def test_edge_functions_sum_over_neighbours_and_functions():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = EdgeFunctions(3, 2, 4)
    codes, adjacency = torch.randn(3, 5, 2), torch.rand(3, 3).fill_diagonal_(0)
    messages = layer.messages(codes)
    assert messages.shape == (4, 3, 5, 2)
    expected = torch.zeros(3, 5, 2)
    for k in range(4):
        for i in range(3):
            for j in range(3):
                expected[i] += adjacency[i, j] * layer.weight[k, i, j] * messages[k, j]
    torch.testing.assert_close(layer(codes, adjacency), expected)


def test_the_linear_encoder_looks_at_each_value_alone():
    model = SAGVAE(config(initial_log_variance=-4.0))
    x = torch.randn(2, N, 1)
    posterior = model.encode(x)
    torch.testing.assert_close(posterior.loc, x)
    torch.testing.assert_close(posterior.scale, torch.full((2, N, 1), np.exp(-2.0), dtype=torch.float32))


def test_such_a_model_survives_the_disk(tmp_path):
    model = trained_looking(edge_functions=2)
    x = torch.randn(2, N, 1)
    again = load_model(save_model(model, tmp_path))
    torch.testing.assert_close(again.reconstruct(x), model.reconstruct(x))


@pytest.mark.parametrize(("changes", "says"), [
    ({"encoder": "linear", "latent_channels": 2}, "model.latent_channels must be num_channels = 1"),
    ({"encoder": "linear", "latent": "per_sample"}, "model.latent_channels must be num_channels = 1"),
    ({"encoder": "node", "edge_functions": 2, "latent_channels": 2}, "model.edge_functions must be 0 unless"),
    ({"edge_functions": -1}, "model.edge_functions must be a whole number from 0 to 64"),
    ({"edge_weight_init": float("nan")}, "model.edge_weight_init must be in"),
])
def test_settings_that_do_not_fit_are_refused(changes, says):
    with pytest.raises(SagvaeError, match=says):
        config(**changes)
