"""The edge distribution and the two KLs, against torch.distributions and hand-computed values."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.distributions.relaxed_bernoulli import RelaxedBernoulli

from sagvae_core.distributions import (
    BinaryConcrete,
    edge_kl,
    gaussian_kl,
    matched_bias,
    matrix_to_pairs,
    pair_indices,
    pairs_to_matrix,
    sample_gaussian,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------------- pairs

def test_pairs_are_the_upper_triangle_row_by_row():
    assert pair_indices(4).tolist() == [[0, 0, 0, 1, 1, 2], [1, 2, 3, 2, 3, 3]]
    matrix = pairs_to_matrix(torch.tensor([1.0, 2.0, 3.0]), 3)
    assert matrix.tolist() == [[0, 1, 2], [1, 0, 3], [2, 3, 0]]


@pytest.mark.parametrize("nodes", [1, 2, 5, 9])
def test_pairs_and_matrix_are_inverse_and_symmetric(nodes):
    pairs = torch.randn(2, nodes * (nodes - 1) // 2, generator=seeded())
    matrix = pairs_to_matrix(pairs, nodes)
    assert matrix.shape == (2, nodes, nodes)
    assert torch.equal(matrix, matrix.transpose(1, 2))
    assert (matrix.diagonal(dim1=1, dim2=2) == 0).all()
    assert torch.equal(matrix_to_pairs(matrix), pairs)


def test_the_diagonal_can_be_set_and_never_reaches_the_pairs():
    pairs = torch.tensor([4.0, 5.0, 6.0])
    matrix = pairs_to_matrix(pairs, 3, diagonal=1.0)
    assert matrix.diagonal().tolist() == [1, 1, 1]
    assert torch.equal(matrix_to_pairs(matrix), pairs)


def test_both_entries_of_a_pair_send_their_gradient_to_it():
    pairs = torch.zeros(3, requires_grad=True)
    (pairs_to_matrix(pairs, 3) * torch.arange(9.0).view(3, 3)).sum().backward()
    assert pairs.grad.tolist() == [1 + 3, 2 + 6, 5 + 7]


# ---------------------------------------------------------------------- binary concrete

def test_samples_approach_the_bernoulli_as_the_temperature_falls():
    probs = torch.tensor([0.05, 0.3, 0.5, 0.9])
    logits = torch.logit(probs)
    gaps = []
    for temperature in (2.0, 0.5, 0.01):
        sample = BinaryConcrete(logits, temperature).rsample((20_000,), generator=seeded())
        assert sample.shape == (20_000, 4)
        gaps.append((sample.mean(0) - probs).abs().max().item())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.015
    nearly = ((sample < 1e-3) | (sample > 1 - 1e-3)).float().mean()
    assert nearly > 0.95
    assert torch.allclose(BinaryConcrete(logits).mean, probs) and torch.allclose(BinaryConcrete(logits).probs, probs)


def test_a_generator_makes_a_sample_repeatable_and_leaves_the_global_one_alone():
    edges = BinaryConcrete(torch.zeros(10), 0.5)
    before = torch.get_rng_state()
    first, again, other = (edges.rsample(generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sample_is_the_formula_of_equation_6():
    logits = torch.tensor([-1.0, 0.0, 2.0])
    uniform = torch.rand(3, generator=seeded(3))
    by_hand = torch.sigmoid((logits + uniform.log() - torch.log1p(-uniform)) / 0.7)
    assert torch.allclose(BinaryConcrete(logits, 0.7).rsample(generator=seeded(3)), by_hand, atol=1e-6)


def test_hard_samples_are_zero_or_one_with_the_gradient_of_the_soft_ones():
    logits = torch.linspace(-2, 2, 8).requires_grad_()
    soft = BinaryConcrete(logits, 0.5).rsample(generator=seeded(5))
    hard = BinaryConcrete(logits, 0.5).rsample(generator=seeded(5), hard=True)
    assert set(hard.detach().round(decimals=5).tolist()) == {0.0, 1.0}
    assert torch.equal(hard.detach() > 0.5, soft.detach() > 0.5)
    weights = torch.arange(1.0, 9.0)
    wanted, = torch.autograd.grad((soft * weights).sum(), logits)
    found, = torch.autograd.grad((hard * weights).sum(), logits)
    assert torch.allclose(found, wanted) and (found > 0).all()


def test_samples_stay_finite_and_inside_the_unit_interval_at_extreme_logits():
    logits = torch.tensor([-80.0, 80.0], requires_grad=True)
    sample = BinaryConcrete(logits, 0.1).rsample((100,), generator=seeded())
    assert torch.isfinite(sample).all() and ((sample >= 0) & (sample <= 1)).all()
    sample.sum().backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("logit", [-1.5, 0.0, 2.0])
def test_the_density_integrates_to_one_and_is_torchs(logit, temperature):
    # Integrated over the log-odds, where the poles at 0 and 1 are far away: dx = x (1 - x) du.
    odds = torch.linspace(-13, 13, 4001, dtype=torch.float64)
    x = torch.sigmoid(odds)
    edges = BinaryConcrete(torch.tensor(logit, dtype=torch.float64), temperature)
    density = edges.log_prob(x)
    inside = 1 / (1 + math.exp(logit - 13 * temperature)) - 1 / (1 + math.exp(logit + 13 * temperature))
    assert inside > 0.98  # the rest lies beyond the margin that keeps float32 finite
    assert torch.trapezoid(density.exp() * x * (1 - x), odds).item() == pytest.approx(inside, abs=1e-4)
    inner = (x > 1e-5) & (x < 1 - 1e-5)
    reference = RelaxedBernoulli(torch.tensor(temperature, dtype=torch.float64), logits=edges.logits)
    assert torch.allclose(density[inner], reference.log_prob(x[inner]), atol=1e-6)


def test_the_temperature_has_to_be_positive():
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="temperature must be above 0, got"):
            BinaryConcrete(torch.zeros(2), bad)


# ---------------------------------------------------------------------- KL divergences

def test_edge_kl_by_hand_and_zero_at_the_prior():
    probs = torch.tensor([0.1, 0.5, 0.99])
    by_hand = [p * math.log(p / 0.1) + (1 - p) * math.log((1 - p) / 0.9) for p in probs.tolist()]
    found = edge_kl(torch.logit(probs), 0.1)
    assert found.shape == (3,)
    assert found.tolist() == pytest.approx(by_hand, abs=1e-5)
    assert found[0].abs() < 1e-6 and (found[1:] > 0.1).all()


def test_edge_kl_is_torchs_and_finite_for_certain_edges():
    logits = torch.tensor([-60.0, -3.0, 0.0, 60.0], requires_grad=True)
    found = edge_kl(logits, 0.3)
    wanted = kl_divergence(Bernoulli(logits=logits), Bernoulli(torch.tensor(0.3)))
    assert torch.allclose(found, wanted)
    assert found[0].item() == pytest.approx(-math.log(0.7), abs=1e-5)
    assert found[3].item() == pytest.approx(-math.log(0.3), abs=1e-5)
    found.sum().backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("prior", [0.03, 0.139, 0.5])
def test_edge_kl_is_torchs_to_the_last_bit(prior):
    """Records are made again with the same numbers: a formula of ours may be quicker, but no other."""
    ours = (30 * torch.randn(500, generator=seeded())).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    wanted = kl_divergence(Bernoulli(logits=theirs), Bernoulli(torch.full_like(theirs, prior)))
    found = edge_kl(ours, prior)
    assert torch.equal(found, wanted)
    found.sum().backward()
    wanted.sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 2)])
def test_gaussian_kl_is_torchs_summed_to_rows(shape):
    posterior = Normal(torch.randn(shape, generator=seeded()), torch.rand(shape, generator=seeded(1)) + 0.1)
    wanted = kl_divergence(posterior, Normal(torch.zeros(shape), torch.ones(shape))).flatten(1).sum(1)
    found = gaussian_kl(posterior)
    assert found.shape == (4,)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert gaussian_kl(Normal(torch.zeros(shape), torch.ones(shape))).tolist() == [0] * 4


def test_gaussian_samples_have_the_posteriors_moments_and_gradient():
    mean, scale = torch.tensor([[2.0, -1.0]], requires_grad=True), torch.tensor([[0.5, 3.0]], requires_grad=True)
    posterior = Normal(mean.expand(20_000, 2), scale.expand(20_000, 2))
    sample = sample_gaussian(posterior, seeded())
    assert torch.equal(sample, sample_gaussian(posterior, seeded()))
    assert torch.allclose(sample.mean(0), mean[0], atol=0.07) and torch.allclose(sample.std(0), scale[0], rtol=0.02)
    sample.sum().backward()
    assert mean.grad.tolist() == [[20_000, 20_000]] and (scale.grad != 0).all()


# ---------------------------------------------------------------------- density matching

@pytest.mark.parametrize("density", [0.01, 0.3, 0.9])
def test_matched_bias_brings_the_mean_probability_to_the_density(density):
    for logits in (torch.randn(500, generator=seeded()) * 5, torch.zeros(3), torch.tensor([-40.0, 0.0, 40.0])):
        bias = matched_bias(logits, density)
        assert bias.shape == ()
        assert torch.sigmoid(logits + bias).mean().item() == pytest.approx(density, abs=1e-4)


def test_matched_bias_of_logits_already_there_is_zero():
    logits = torch.full((7,), torch.logit(torch.tensor(0.2)).item())
    assert matched_bias(logits, 0.2).item() == pytest.approx(0, abs=1e-5)
