"""p(x | z, A) against torch.distributions, and the robust mixture by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, MixtureSameFamily, Normal

from sagvae_core.config import ModelConfig, ReferenceConfig
from sagvae_core.likelihoods import (
    BernoulliLikelihood,
    GaussianLikelihood,
    Likelihood,
    MixedLikelihood,
    RobustLikelihood,
    build_likelihood,
)

GENERATOR = torch.Generator().manual_seed(0)
PRE, X = torch.randn(5, 4, 2, generator=GENERATOR), torch.rand(5, 4, 2, generator=GENERATOR)


def test_bernoulli_is_torchs_on_bits_and_the_cross_entropy_on_grey_values():
    likelihood, bits = BernoulliLikelihood("sigmoid"), (X > 0.5).float()
    wanted = Bernoulli(logits=PRE).log_prob(bits).sum((1, 2))
    assert torch.allclose(likelihood.log_prob(PRE, bits), wanted, atol=1e-5)
    p = torch.sigmoid(PRE)
    grey = (X * p.log() + (1 - X) * torch.log1p(-p)).sum((1, 2))
    assert torch.allclose(likelihood.log_prob(PRE, X), grey, atol=1e-5)
    assert torch.equal(likelihood.mean(PRE), p)
    assert not list(likelihood.parameters())


def test_bernoulli_stays_finite_far_out():
    value = BernoulliLikelihood("sigmoid").log_prob(torch.full((1, 1, 1), 500.0), torch.zeros(1, 1, 1))
    assert value.tolist() == [-500]


@pytest.mark.parametrize("output", ["identity", "sigmoid"])
@pytest.mark.parametrize("scales", [1, 4])
def test_gaussian_is_torchs_normal(output, scales):
    likelihood = GaussianLikelihood(output, scales, 0.3)
    assert likelihood.scale.shape == (scales, 1)
    assert likelihood.scale.flatten().tolist() == pytest.approx([0.3] * scales)
    likelihood.log_scale.data.copy_(torch.linspace(-1, 0.5, scales)[:, None])
    mean = torch.sigmoid(PRE) if output == "sigmoid" else PRE
    wanted = Normal(mean, likelihood.scale.expand(4, 2)).log_prob(X).sum((1, 2))
    assert torch.allclose(likelihood.log_prob(PRE, X), wanted, atol=1e-4)
    assert torch.equal(likelihood.mean(PRE), mean)


def test_the_gaussian_scale_is_learned_and_bounded():
    likelihood = GaussianLikelihood("identity")
    likelihood.log_prob(PRE, X).sum().backward()
    assert likelihood.log_scale.grad.abs() > 0
    for extreme, bound in ((-50.0, -4.0), (50.0, 2.0)):
        likelihood.log_scale.data.fill_(extreme)
        assert likelihood.scale.item() == pytest.approx(math.exp(bound))


def test_the_robust_mixture_by_hand():
    likelihood = RobustLikelihood("sigmoid", 1, initial_scale=0.15, initial_outlier_rate=0.2)
    assert likelihood.scale.item() == pytest.approx(0.15, abs=1e-6)
    assert likelihood.outlier_rate.item() == pytest.approx(0.2, abs=1e-6)
    mean, x = 0.5, 0.65
    inlier = 0.8 * math.exp(-0.5 * (0.15 / 0.15) ** 2) / (0.15 * math.sqrt(2 * math.pi))
    found = likelihood.log_prob(torch.zeros(1, 1, 1), torch.full((1, 1, 1), x))
    assert found.item() == pytest.approx(math.log(inlier + 0.2), abs=1e-5)
    trust = likelihood.inlier_probability(torch.zeros(1, 1, 1), torch.full((1, 1, 1), x))
    assert trust.shape == (1, 1, 1)
    assert trust.item() == pytest.approx(inlier / (inlier + 0.2), abs=1e-5)
    assert likelihood.mean(torch.zeros(1)).item() == mean


def test_the_robust_mixture_is_torchs_mixture():
    likelihood = RobustLikelihood("sigmoid", 4, 0.12, 0.3)
    mean = torch.sigmoid(PRE)
    weights = torch.tensor([0.7, 0.3])
    # The uniform part as a Normal so wide that its density is flat, scaled to 1 by its weight.
    wide = 1e4
    flat = Normal(torch.zeros(()), torch.tensor(wide)).log_prob(torch.zeros(())).exp()
    mixture = MixtureSameFamily(
        torch.distributions.Categorical(torch.stack([weights[0], weights[1] / flat])),
        Normal(torch.stack([mean, torch.zeros_like(mean)], -1), torch.tensor([0.12, wide])))
    total = weights[0] + weights[1] / flat
    wanted = (mixture.log_prob(X) + total.log()).sum((1, 2))
    assert torch.allclose(likelihood.log_prob(PRE, X), wanted, atol=1e-2)


def test_an_outlier_costs_no_more_than_log_eps_and_pulls_at_nothing():
    robust = RobustLikelihood("identity", 1, 0.1, 0.1)
    gaussian = GaussianLikelihood("identity", 1, 0.1)
    pre = torch.zeros(1, 1, 1, requires_grad=True)
    far = torch.full((1, 1, 1), 50.0)
    cost = robust.log_prob(pre, far)
    assert cost.item() == pytest.approx(math.log(0.1), abs=1e-4)
    assert gaussian.log_prob(pre, far).item() < -1e4
    assert torch.autograd.grad(cost.sum(), pre)[0].item() == pytest.approx(0, abs=1e-6)
    assert robust.inlier_probability(pre, far).item() < 1e-6
    assert robust.inlier_probability(pre, pre).item() > 0.95


def test_the_robust_scale_has_a_floor_and_all_parameters_learn():
    likelihood = RobustLikelihood("sigmoid", 4)
    likelihood.log_prob(PRE, X).sum().backward()
    assert (likelihood.log_excess.grad != 0).all() and likelihood.outlier_logit.grad != 0
    likelihood.log_excess.data.fill_(-100)
    assert likelihood.scale.flatten().tolist() == pytest.approx([0.1] * 4)
    assert RobustLikelihood("sigmoid", 1, initial_scale=0.01).scale.item() == pytest.approx(0.101)


@pytest.mark.parametrize(("kind", "cls"), [("bernoulli", BernoulliLikelihood), ("gaussian", GaussianLikelihood),
                                           ("robust", RobustLikelihood)])
def test_build_takes_kind_scales_and_output_from_the_configuration(kind, cls):
    config = ModelConfig(num_nodes=6, likelihood=kind, likelihood_scale="node", initial_scale=0.2,
                         initial_outlier_rate=0.25)
    likelihood = build_likelihood(config)
    assert type(likelihood) is cls
    if kind != "bernoulli":
        assert likelihood.scale.shape == (6, 1)
        assert likelihood.scale[0].item() == pytest.approx(0.2, abs=1e-6)
        shared = build_likelihood(ModelConfig(num_nodes=6, likelihood=kind))
        assert shared.scale.shape == (1, 1)
    if kind == "robust":
        assert likelihood.outlier_rate.item() == pytest.approx(0.25, abs=1e-6)
    assert type(build_likelihood(config, "bernoulli")) is BernoulliLikelihood


def test_build_for_the_reference_models():
    likelihood = build_likelihood(ReferenceConfig("mlp_vae", 6, likelihood="gaussian"))
    assert likelihood.scale.item() == pytest.approx(0.3)
    assert torch.equal(likelihood.mean(PRE), torch.sigmoid(PRE))


def test_the_output_of_the_configuration_is_the_link():
    assert torch.equal(build_likelihood(ModelConfig(num_nodes=4, likelihood="gaussian", output="identity")).mean(PRE),
                       PRE)
    with pytest.raises(NotImplementedError):
        Likelihood("sigmoid").log_prob(PRE, X)


def test_the_mixed_likelihood_is_bernoulli_for_its_binary_nodes_and_gaussian_for_the_others():
    config = ModelConfig(num_nodes=4, likelihood="gaussian", likelihood_scale="node", output="identity",
                         binary_nodes=(1, 3))
    likelihood = build_likelihood(config)
    assert isinstance(likelihood, MixedLikelihood) and likelihood.scale.shape == (4, 1)
    pre, x = PRE[..., :1], X[..., :1] - 0.5
    density = likelihood.log_density(pre, x)
    continuous = Normal(pre, likelihood.scale).log_prob(x)
    bits = Bernoulli(logits=pre).log_prob((x > 0).float())
    assert torch.allclose(density[:, [0, 2]], continuous[:, [0, 2]], atol=1e-5)
    assert torch.allclose(density[:, [1, 3]], bits[:, [1, 3]], atol=1e-5)
    mean = likelihood.mean(pre)
    assert torch.equal(mean[:, [1, 3]], torch.sigmoid(pre[:, [1, 3]])) and torch.equal(mean[:, [0, 2]], pre[:, [0, 2]])
    assert "binary" not in likelihood.state_dict(), "it is in the configuration"


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "robust"])
def test_values_that_are_missing_do_not_count(kind):
    likelihood = build_likelihood(ModelConfig(num_nodes=4, num_channels=2, likelihood=kind))
    observed = torch.rand(X.shape, generator=GENERATOR) > 0.4
    wanted = torch.where(observed, likelihood.log_density(PRE, X), 0.0).sum((1, 2))
    pre = PRE.clone().requires_grad_()
    found = likelihood.log_prob(pre, X.masked_fill(~observed, math.nan), observed)
    assert torch.allclose(found, wanted, atol=1e-5)
    found.sum().backward()
    assert pre.grad.isfinite().all() and not pre.grad[~observed].any() and pre.grad[observed].all()
