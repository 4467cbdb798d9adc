"""What the whole model promises: what a graph lets through, equivariance, one graph per data set, clear errors."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.autograd.functional import jacobian

from sagvae_core.config import ModelConfig, ReferenceConfig
from sagvae_core.distributions import matrix_to_pairs, pairs_to_matrix
from sagvae_core.errors import SagvaeError
from sagvae_core.model import SAGVAE
from sagvae_core.reference import MLPVAE, ConvolutionalDAE, DenoisingAutoencoder

N = 5
SMALL = ModelConfig(num_nodes=N, num_channels=2, latent_channels=2, encoder_hidden=6, node_embedding=3, hidden=(4,))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int = 3, nodes: int = N, channels: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, nodes, channels, generator=seeded(seed))


def small(seed: int = 0, **changes) -> SAGVAE:
    return SAGVAE(dataclasses.replace(SMALL, **changes), seed)


def opened(model: SAGVAE, gate: float = 0.5) -> SAGVAE:
    """``model`` with attention that counts."""
    for layer in model.decoder.layers:
        if layer.attention_gate is not None:
            layer.attention_gate.data.fill_(gate)
    return model


def influence(model: SAGVAE, adjacency: torch.Tensor | None) -> torch.Tensor:
    """(N, N): how strongly the code of node j (column) reaches the output of node i (row)."""
    z = torch.randn(1, N, model.config.latent_channels, generator=seeded(7))
    table = jacobian(lambda code: model.decode(code, adjacency), z)  # (1, N, C, 1, N, D)
    return table.abs().sum((0, 2, 3, 5))


CHAIN = pairs_to_matrix((torch.triu_indices(N, N, 1)[1] - torch.triu_indices(N, N, 1)[0] == 1).float(), N)


# ---------------------------------------------------------------------- what the graph lets through

@pytest.mark.parametrize("attention", [(), (0, 1)])
def test_the_identity_graph_keeps_every_node_to_itself_and_a_learned_one_does_not(attention):
    alone = influence(opened(small(graph="identity", attention=attention, activation="tanh")), None)
    assert (alone.diagonal() > 0).all()
    assert (alone - torch.diag(alone.diagonal()) == 0).all()
    mixed = influence(opened(small(attention=attention, activation="tanh")), None)
    assert (mixed > 0).all()


@pytest.mark.parametrize("attention", [(), (0, 1, 2)])
@pytest.mark.parametrize("hidden", [(), (4,), (4, 4)])
def test_a_code_reaches_only_as_many_hops_as_there_are_layers(hidden, attention):
    layers = len(hidden) + 1
    model = opened(small(hidden=hidden, activation="tanh", z_skip=True,
                         attention=tuple(index for index in attention if index < layers)))
    found = influence(model, CHAIN) > 0
    distance = (torch.arange(N)[:, None] - torch.arange(N)[None, :]).abs()
    assert torch.equal(found, distance <= layers)


def test_local_codes_start_at_one_node_each_and_can_leave_it():
    model = small(latent="per_sample", latent_dim=2 * N, local_codes=True)
    z = torch.eye(2 * N)
    codes = model.decoder.node_codes(z)
    assert torch.equal(codes.flatten(1), z)
    reached = (model.decode(z, torch.zeros(N, N)) - model.decode(torch.zeros(1, 2 * N), torch.zeros(N, N))).abs().sum(2)
    assert torch.equal(reached > 1e-7, torch.eye(N, dtype=torch.bool).repeat_interleave(2, 0))
    model.decoder.expand.spread.data.normal_(generator=seeded())
    assert (model.decoder.node_codes(z).flatten(1) != 0).all()
    fewer = small(latent="per_sample", latent_dim=3, local_codes=True).decoder.node_codes(torch.ones(1, 3))
    assert fewer.flatten().tolist() == [1.0] * 3 + [0.0] * (2 * N - 3)
    with pytest.raises(SagvaeError, match="latent_dim is at most num_nodes x latent_channels = 10, got True"):
        small(latent="per_sample", latent_dim=11, local_codes=True)
    with pytest.raises(SagvaeError, match="local_codes must be False unless latent='per_sample'"):
        small(local_codes=True)


def test_without_self_loops_and_skip_a_node_does_not_reach_itself_in_one_layer():
    found = influence(small(hidden=(), self_loops=False), CHAIN) > 0
    assert torch.equal(found, CHAIN > 0)


def test_the_skip_brings_the_codes_to_every_layer_but_the_first():
    with_skip, without = small(hidden=(4, 4)), small(hidden=(4, 4), z_skip=False)
    assert [layer.skip is not None for layer in with_skip.decoder.layers] == [False, True, True]
    for model, reaches in ((with_skip, True), (without, False)):
        model.decoder.layers[-1].convolution.weight.data.zero_()  # the last layer hears of z by its skip alone
        assert bool((influence(model, CHAIN) > 0).any()) == reaches


def test_the_weights_of_edges_count_where_the_configuration_says_so():
    z = torch.randn(2, N, 2, generator=seeded())
    for changes in ({"attention": (1,), "edge_weights": "positive"},
                    {"weighted_convolution": True, "edge_weights": "signed"}):
        model = opened(small(**changes))
        before = model.decode(z)
        model.weight_pairs.mul_(3)
        assert (model.decode(z) - before).abs().max() > 1e-4, changes
    unweighted = small(edge_weights="positive")  # no attention, convolution without them: nothing reads W^e
    before = unweighted.decode(z)
    unweighted.weight_pairs.mul_(3)
    assert torch.equal(unweighted.decode(z), before)


# ---------------------------------------------------------------------- equivariance

@pytest.mark.parametrize("changes", [
    {}, {"attention": (0, 1), "edge_weights": "signed"}, {"edge_logits": "both"}, {"normalisation": "symmetric"}])
def test_renaming_the_nodes_renames_the_result(changes):
    model = opened(small(node_bias=True, activation="tanh", **changes)).train()
    model.decoder.node_bias.data.copy_(torch.randn(N, 2, generator=seeded(1)))
    order = torch.randperm(N, generator=seeded(2))
    assert not torch.equal(order, torch.arange(N))
    renamed = small(node_bias=True, activation="tanh", **changes)
    renamed.load_state_dict(model.state_dict())
    for name in ("latent_encoder.features.embedding", "graph_encoder.features.embedding", "decoder.node_bias"):
        if name in dict(renamed.named_parameters()):
            parameter = renamed.get_parameter(name)
            parameter.data.copy_(parameter.data[order])
    if model.graph_encoder.weight_free is not None:
        model.graph_encoder.weight_free.data.copy_(torch.randn(10, generator=seeded(4)) * 0.3)
        renamed.graph_encoder.weight_free.data.copy_(renumbered(model.graph_encoder.weight_free.data, order))
    renamed.graph_encoder.free.data.copy_(renumbered(model.graph_encoder.free.data, order))
    x = rows()
    edges, weights = model.graph_encoder(x), model.graph_encoder.edge_weights(x)
    assert torch.allclose(renamed.graph_encoder(x[:, order]).probs, renumbered(edges.probs, order), atol=1e-6)
    for each, graph_weights in ((model, weights), (renamed, renamed.graph_encoder.edge_weights(x[:, order]))):
        each.posterior_pairs.copy_(each.graph_encoder(x if each is model else x[:, order]).probs.detach())
        if graph_weights is not None:
            each.weight_pairs.copy_(matrix_to_pairs(graph_weights).detach())
    found = renamed.reconstruct(x[:, order])
    assert torch.allclose(found, model.reconstruct(x)[:, order], atol=1e-5)
    assert not torch.allclose(found, model.reconstruct(x), atol=1e-3)


def renumbered(pairs: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    return matrix_to_pairs(pairs_to_matrix(pairs, N)[order][:, order])


# ---------------------------------------------------------------------- shapes

@pytest.mark.parametrize("encoder", ["node", "all"])
@pytest.mark.parametrize("latent", ["per_node", "per_sample"])
def test_shapes_of_both_kinds_of_code(latent, encoder):
    model = small(latent=latent, encoder=encoder, latent_dim=7).train()
    x = rows()
    posterior = model.encode(x)
    shape = (3, N, 2) if latent == "per_node" else (3, 7)
    assert posterior.loc.shape == posterior.scale.shape == shape
    assert model.decode(posterior.loc).shape == x.shape
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(4).shape == (4, N, 2)
    output = model(x)
    assert output.preactivation.shape == x.shape
    assert output.edges.logits.shape == (N * (N - 1) // 2,)
    assert model.edge_posterior.shape == model.edges().shape == (N, N)
    assert model.edges().dtype == torch.bool


def test_the_node_encoder_is_blind_to_other_nodes_and_the_other_is_not():
    for encoder, blind in (("node", True), ("all", False)):
        model, x = small(encoder=encoder), rows()
        changed = x.clone()
        changed[:, 0] += 0.5
        gap = (model.encode(x).loc - model.encode(changed).loc).abs()
        assert gap[:, 0].max() > 1e-4
        assert bool((gap[:, 1:] == 0).all()) == blind


def test_the_encoder_starts_confident_where_it_is_told_to():
    for start in (-6.0, 0.0):
        scale = small(initial_log_variance=start).encode(rows()).scale
        assert scale.log().mean().item() == pytest.approx(start / 2, abs=0.5)


# ---------------------------------------------------------------------- one graph per data set

@pytest.mark.parametrize("edge_logits", ["free", "amortised", "both"])
@pytest.mark.parametrize("changes", [{}, {"attention": (1,), "edge_weights": "positive", "latent": "per_sample"}])
def test_reconstruction_does_not_depend_on_the_rest_of_the_batch(edge_logits, changes):
    model, x = opened(small(edge_logits=edge_logits, **changes)).eval(), rows(6)
    together = model.reconstruct(x)
    alone = torch.cat([model.reconstruct(row[None]) for row in x])
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(model.reconstruct(x.flip(0)).flip(0), together, atol=1e-6)
    terms = model(x, generator=seeded()).edges
    assert torch.allclose(terms.probs, model.posterior_pairs, atol=1e-6)


def test_a_damaged_batch_cannot_change_its_own_graph_but_can_be_asked_for_one():
    model, x = small(edge_logits="amortised").eval(), rows(4)
    before = model.edge_posterior.clone()
    damaged = x.clone()
    damaged[:, :3] = 4.0
    model.reconstruct(damaged), model(damaged), model.infer_graph(damaged)
    assert torch.equal(model.edge_posterior, before)
    asked = model.infer_graph(x), model.infer_graph(damaged)
    assert (asked[0].probs - asked[1].probs).abs().max() > 1e-2
    used = pairs_to_matrix(asked[1].probs.detach(), N)
    assert (model.reconstruct(x, adjacency=used) - model.reconstruct(x)).abs().max() > 1e-5
    assert torch.equal(model.reconstruct(x, adjacency=before), model.reconstruct(x))


def test_infer_graph_for_every_kind_of_logits():
    x = rows()
    assert small(graph="identity").infer_graph(x) is None
    free = small()
    assert torch.equal(free.infer_graph().logits, free.infer_graph(x).logits)
    assert free.infer_graph(temperature=0.3).temperature == 0.3
    for kind in ("amortised", "both"):
        with pytest.raises(ValueError, match="x must be given: these edge logits are amortised"):
            small(edge_logits=kind).infer_graph()
        with pytest.raises(ValueError, match="x must be given: these edge weights are amortised"):
            small(edge_logits=kind, edge_weights="signed").graph_encoder.edge_weights()
    with pytest.raises(SagvaeError, match=r"x must be of shape \(B, 5, 2\), got \(3, 4, 2\)"):
        small(edge_logits="amortised").infer_graph(rows(nodes=4))


def test_moments_see_pairs_that_move_together_where_single_rows_say_nothing():
    model = small(edge_logits="moments", edge_logit_scale=1e-3)
    together = torch.randn(400, N, 2, generator=seeded())
    together[:, 1] = together[:, 0] + 0.1 * together[:, 1]
    logits = pairs_to_matrix(model.infer_graph(together).logits, N).detach()
    apart = logits[2:, 2:][~torch.eye(3, dtype=torch.bool)]
    assert (logits[0, 1] - apart.mean()).abs() > 4 * apart.std()
    assert torch.allclose(model.infer_graph(3 * together + 5).logits, model.infer_graph(together).logits, atol=1e-4)
    assert torch.isfinite(small(edge_logits="moments", num_channels=1).infer_graph(rows(1, channels=1)).logits).all()
    with pytest.raises(ValueError, match="x must be given"):
        model.infer_graph()


def test_average_over_is_the_exact_mean_of_the_probabilities():
    model, x = small(edge_logits="both", edge_weights="positive"), rows(7)
    model.graph_encoder.bilinear.data.mul_(20)
    model.average_over(x.split([3, 3, 1]))
    one_by_one = [model.graph_encoder(row[None]) for row in x]
    wanted = torch.stack([edges.probs for edges in one_by_one]).mean(0)
    assert torch.allclose(model.posterior_pairs, wanted, atol=1e-6)
    of_mean_logits = torch.sigmoid(torch.stack([edges.logits for edges in one_by_one]).mean(0))
    assert (wanted - of_mean_logits).abs().max() > 1e-3  # eq. 7 averages probabilities, not logits
    assert torch.allclose(model.graph_encoder(x).probs, wanted, atol=1e-6)
    weights = [matrix_to_pairs(model.graph_encoder.edge_weights(part)) * len(part) for part in x.split([3, 3, 1])]
    assert torch.allclose(model.weight_pairs, sum(weights) / 7, atol=1e-6)


def test_average_over_leaves_free_logits_their_running_average():
    for model in (small(), small(graph="identity")):
        before = model.edge_posterior.clone()
        model.average_over([rows()])
        assert torch.equal(model.edge_posterior, before)


def test_the_running_average_is_a_mean_at_first_and_exponential_later():
    model, x = small(edge_weights="positive"), rows()
    first, second = model.infer_graph().probs.detach(), torch.full((10,), 0.75)
    edges = [model.infer_graph(), type(model.infer_graph())(torch.logit(second))]
    model.average_batch(edges[0], x, decay=0.9)
    assert torch.allclose(model.posterior_pairs, first)
    model.average_batch(edges[1], x, decay=0.9)
    assert torch.allclose(model.posterior_pairs, (first + second) / 2)
    model.posterior_updates.fill_(1000)
    before = model.posterior_pairs.clone()
    model.graph_encoder.weight_free.data.fill_(1.0)
    model.average_batch(edges[1], x, decay=0.9)
    assert torch.allclose(model.posterior_pairs, 0.9 * before + 0.1 * second)
    assert torch.allclose(model.weight_pairs, torch.full((10,), 0.9 + 0.1 * torch.e))
    assert model.posterior_updates.item() == 1001


def test_graph_kl_and_edges_of_the_data_sets_graph():
    model = small(edge_prior=0.2)
    model.posterior_pairs.fill_(0.2)
    assert model.graph_kl().item() == pytest.approx(0, abs=1e-5)
    model.posterior_pairs[0] = 0.9
    assert model.graph_kl() > 0.5
    assert model.edges().sum() == 2
    assert model.edges(0.1).sum() == 20
    identity = small(graph="identity")
    assert identity.graph_kl() == 0
    assert not identity.edges().any()
    assert identity.edge_weights is None


# ---------------------------------------------------------------------- checks, seeds, reconstruction

@pytest.mark.parametrize("model", [small(), MLPVAE(ReferenceConfig("mlp_vae", N, 2, hidden=(4,))),
                                   DenoisingAutoencoder(ReferenceConfig("dae", N, 2, hidden=(4,))),
                                   ConvolutionalDAE(ReferenceConfig("conv_dae", N, 2, hidden=(4,),
                                                                    image_shape=(1, N)))])
def test_wrong_input_is_refused_with_what_was_expected_got_and_helps(model):
    for bad in (rows(nodes=4), rows(channels=1), rows()[0]):
        with pytest.raises(SagvaeError) as caught:
            model.reconstruct(bad)
        assert str(caught.value) == (f"x must be of shape (B, 5, 2), got {tuple(bad.shape)}. Choose the data set this "
                                     "model was trained on, or another model.")
    for value in (float("nan"), float("inf")):
        bad = rows()
        bad[0, 0, 0] = value
        with pytest.raises(SagvaeError, match=r"x must be finite, got NaN or infinity\. Remove or fill"):
            model.reconstruct(bad)


@pytest.mark.parametrize("build", [
    lambda seed: small(seed, edge_logits="both", attention=(1,), edge_weights="signed", latent="per_sample"),
    lambda seed: MLPVAE(ReferenceConfig("mlp_vae", N, 2, hidden=(4,)), seed),
    lambda seed: DenoisingAutoencoder(ReferenceConfig("dae", N, 2, hidden=(4,)), seed),
    lambda seed: ConvolutionalDAE(ReferenceConfig("conv_dae", N, 2, hidden=(4,), image_shape=(1, N)), seed)])
def test_the_seed_decides_the_weights_and_the_global_generator_is_left_alone(build):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = build(3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    again, other = build(3).state_dict(), build(4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_samples_follow_their_seed():
    for latent in ("per_node", "per_sample"):
        model = small(latent=latent)
        assert torch.equal(model.sample(3, seed=1), model.sample(3, seed=1))
        assert not torch.equal(model.sample(3, seed=1), model.sample(3, seed=2))


def test_a_training_pass_follows_its_generator_and_remembers_nothing():
    model, x = small(edge_logits="both").train(), rows()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, again, other = (model(x, generator=seeded(seed)).preactivation for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_clean_expectation_trusts_undamaged_values_and_replaces_the_others():
    model, x = small(likelihood="robust", initial_scale=0.1), rows()
    mean = model.reconstruct(x)
    x = mean + 0.01
    x[:, 0] = 1 - mean[:, 0].round() + 0.0  # far from the mean on the other side
    mean = model.reconstruct(x)
    clean = model.reconstruct(x, expectation="clean")
    trust = model.likelihood.inlier_probability(torch.logit(mean), x)
    assert torch.allclose(clean, trust * x + (1 - trust) * mean, atol=1e-5)
    assert (clean - mean).abs()[:, 0].max() < (x - mean).abs()[:, 0].max() * 0.9
    for bad_model, bad in ((model, "noise"), (small(), "clean")):
        with pytest.raises(SagvaeError, match="expectation must be 'inliers', or 'clean' with the robust likelihood"):
            bad_model.reconstruct(x, expectation=bad)


def test_attention_gates_are_those_of_the_layers_that_have_one():
    assert small().attention_gates == []
    assert opened(small(attention=(1,)), 0.25).attention_gates == [0.25]
