"""Every combination of the model's options trains: finite loss, and a gradient for every parameter."""

from __future__ import annotations

import itertools

import pytest
import torch

from sagvae_core.config import ModelConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.model import SAGVAE
from sagvae_core.objective import elbo_terms

COMMON = list(itertools.product(("none", "positive", "signed"), ((), (1,), (0, 1)), (True, False),
                                ("row", "symmetric", "none"), (False, True)))


def without_gradient(config: ModelConfig) -> tuple[str, ...]:
    """Beginnings of the names of parameters that no loss can reach, by design."""
    if config.edge_weights != "none" and not config.attention and not config.weighted_convolution:
        return "graph_encoder.weight_free", "graph_encoder.weight_bilinear"  # W^e is read by attention alone (eq. 15)
    return ()


def check_gradients(config: ModelConfig) -> None:
    model = SAGVAE(config, seed=1).train()
    for layer in model.decoder.layers:
        if layer.attention_gate is not None:
            layer.attention_gate.data.fill_(0.3)  # from 0, where training starts, nothing behind the gate moves yet
    x = torch.rand(4, config.num_nodes, config.num_channels, generator=torch.Generator().manual_seed(0))
    terms = elbo_terms(model, x, temperature=0.7, generator=torch.Generator().manual_seed(1))
    loss = -terms.elbo(0.5, 0.1).mean()
    loss.backward()
    assert torch.isfinite(loss), config
    for name, parameter in model.named_parameters():
        if name.startswith(without_gradient(config) or ("-",)):
            assert parameter.grad is None or not parameter.grad.any(), (name, config)
            continue
        assert parameter.grad is not None, (name, config)
        assert torch.isfinite(parameter.grad).all(), (name, config)
        assert parameter.grad.any(), (name, config)


@pytest.mark.parametrize("edge_logits", ["free", "amortised", "both"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "robust"])
def test_all_combinations_have_a_finite_loss_and_reach_every_parameter(edge_logits, likelihood):
    for edge_weights, attention, z_skip, normalisation, hard in COMMON:
        check_gradients(ModelConfig(
            num_nodes=4, num_channels=1, latent_channels=2, encoder_hidden=5, node_embedding=2, hidden=(3,),
            activation="tanh", encoder_activation="tanh", edge_logits=edge_logits, likelihood=likelihood,
            edge_weights=edge_weights, attention=attention, z_skip=z_skip, normalisation=normalisation,
            hard_edges=hard, node_bias=True))


@pytest.mark.parametrize("changes", [
    {"latent": "per_sample"}, {"latent": "per_sample", "latent_dim": 3, "local_codes": True},
    {"edge_logits": "moments", "edge_weights": "signed", "weighted_convolution": True},
    {"encoder": "all"}, {"self_loops": False, "hard_edges": True, "edge_prior": 0.5},
    {"weighted_convolution": True, "edge_weights": "signed"}, {"likelihood_scale": "node", "likelihood": "gaussian"},
    {"node_embedding": 0}, {"hidden": ()}, {"hidden": (3, 4, 5), "attention": (0, 1, 2, 3)},
    {"graph": "identity", "attention": (1,)}, {"output": "identity", "likelihood": "gaussian"},
    {"activation": "softplus", "encoder_activation": "elu"}, {"num_channels": 3, "latent_channels": 1}], ids=str)
def test_the_other_options_train_as_well(changes):
    config = {"num_nodes": 5, "num_channels": 2, "encoder_hidden": 6, "hidden": (4,), "activation": "tanh"} | changes
    if config.get("graph") == "identity":
        # Attention over oneself alone is always 1: its scores cannot matter, its values can.
        model = SAGVAE(ModelConfig(**config))
        model.decoder.layers[1].attention_gate.data.fill_(0.3)
        x = torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(0))
        elbo_terms(model, x).elbo().mean().backward()
        blind = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-9]
        assert blind == ["decoder.layers.1.attention.query.weight", "decoder.layers.1.attention.key.weight"]
    else:
        check_gradients(ModelConfig(**config))


def test_a_closed_gate_still_learns_to_open():
    model = SAGVAE(ModelConfig(num_nodes=4, hidden=(3,), attention=(1,)))
    x = torch.rand(3, 4, 1, generator=torch.Generator().manual_seed(0))
    elbo_terms(model, x, generator=torch.Generator().manual_seed(0)).elbo().mean().backward()
    assert model.decoder.layers[1].attention_gate.grad.abs() > 0
    assert not model.decoder.layers[1].attention.value_out.weight.grad.any()


def test_the_graph_encoder_matches_its_density_whatever_the_logits():
    x = torch.rand(6, 9, 1, generator=torch.Generator().manual_seed(0))
    for edge_logits in ("free", "amortised", "both"):
        model = SAGVAE(ModelConfig(num_nodes=9, edge_logits=edge_logits, edge_prior=0.07))
        model.graph_encoder.match_density(x)
        assert model.infer_graph(x).probs.mean().item() == pytest.approx(0.07, abs=1e-4)
        assert not model.graph_encoder.bias.requires_grad


@pytest.mark.parametrize("encoder", ["node", "linear", "all"])
def test_missing_values_train_and_are_filled_in_from_their_neighbours(encoder):
    config = ModelConfig(num_nodes=5, encoder=encoder, likelihood="gaussian", output="identity", hidden=(4,),
                         binary_nodes=(4,), missing=True)
    model = SAGVAE(config, seed=1).train()
    x = torch.randn(6, 5, 1, generator=torch.Generator().manual_seed(0))
    holes = torch.zeros(x.shape, dtype=torch.bool)
    holes[0, 1], holes[2, 4], holes[3] = True, True, True  # a value, a bit, a whole row
    gaps = x.masked_fill(holes, float("nan"))
    terms = elbo_terms(model, gaps, generator=torch.Generator().manual_seed(1))
    assert terms.log_likelihood[3] == 0, "nothing was observed"
    (-terms.elbo().mean()).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())
    posterior = model.eval().encode(gaps)
    if encoder != "all":
        assert terms.kl_z[3] == 0
        assert posterior.loc[0, 1] == 0 and posterior.scale[0, 1] == 1, "the prior's"
        whole = model.encode(x)
        assert torch.equal(posterior.loc[~holes.expand_as(posterior.loc)], whole.loc[~holes.expand_as(whole.loc)])
    assert model.reconstruct(gaps).isfinite().all()
    with pytest.raises(SagvaeError, match="x must be finite, got NaN or infinity"):
        model.encode(x.masked_fill(holes, float("inf")))


def test_missing_values_are_refused_unless_they_are_expected():
    with pytest.raises(SagvaeError, match="x must be finite, got NaN or infinity"):
        SAGVAE(ModelConfig(num_nodes=2)).encode(torch.full((1, 2, 1), float("nan")))
