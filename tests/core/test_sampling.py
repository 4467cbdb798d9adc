"""Samplers over codes, corrupted codes and the way between two pictures."""

from __future__ import annotations

import pytest
import torch

import sagvae_core as sag
from sagvae_core.config import ModelConfig, ReferenceConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.reference import MLPVAE, DenoisingAutoencoder
from sagvae_core.sampling import LowRankGaussian, PerPixelGaussian, codes_of, corrupt_codes, interpolate

LATENTS = 12


def drawn(seed: int, count: int, factors: torch.Tensor, mean: torch.Tensor, spread: float) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    weights = torch.randn(count, len(factors), generator=random)
    return mean + weights @ factors + spread * torch.randn(count, LATENTS, generator=random)


@pytest.fixture(scope="module")
def codes():
    """Two classes whose codes vary along two directions each, and little besides; of shape (M, 12, 1)."""
    random = torch.Generator().manual_seed(0)
    factors = torch.randn(2, 2, LATENTS, generator=random)
    means = 3 * torch.randn(2, LATENTS, generator=random)
    rows = torch.cat([drawn(1 + label, 400, factors[label], means[label], 0.1) for label in range(2)])
    return rows[..., None], torch.arange(2).repeat_interleave(400)


def covariance(rows: torch.Tensor) -> torch.Tensor:
    return torch.cov(rows.flatten(1).T)


def correlation(rows: torch.Tensor) -> torch.Tensor:
    return torch.corrcoef(rows.flatten(1).T) - torch.eye(LATENTS)


@pytest.mark.parametrize("sampler", [PerPixelGaussian(400), LowRankGaussian(2, 400), LowRankGaussian(11, 400)])
def test_every_sampler_keeps_the_mean_and_spread_of_each_latent(sampler, codes):
    z, labels = codes
    sampler.fit(z, labels)
    assert sampler.labels == (0, 1)
    for label in sampler.labels:
        own, new = z[labels == label], sampler.sample(label, 20_000, seed=3)
        assert (new.shape, new.dtype) == ((20_000, LATENTS, 1), torch.float32)
        assert torch.allclose(new.mean(0), own.mean(0), atol=0.06)
        assert torch.allclose(new.std(0), own.std(0), rtol=0.03)


def test_only_the_low_rank_one_keeps_how_codes_vary_together(codes):
    z, labels = codes
    own = z[labels == 1]
    low = LowRankGaussian(2, 400).fit(z, labels).sample(1, 20_000)
    alone = PerPixelGaussian(400).fit(z, labels).sample(1, 20_000)
    assert correlation(own).abs().max() > 0.9
    assert (covariance(low) - covariance(own)).abs().max() < 0.05 * covariance(own).max()
    assert correlation(alone).abs().max() < 0.05


def test_rank_nought_is_the_papers_sampler(codes):
    assert torch.equal(LowRankGaussian(0).fit(*codes).sample(0, 5, 1), PerPixelGaussian().fit(*codes).sample(0, 5, 1))


def test_only_the_first_images_of_a_class_are_fitted(codes):
    z, labels = codes
    spoiled = z.clone()
    spoiled[50:400], spoiled[450:] = 100, -100
    for sampler in (PerPixelGaussian, LowRankGaussian):
        assert torch.equal(sampler(images_per_class=50).fit(spoiled, labels).sample(1, 4),
                           sampler(images_per_class=50).fit(z, labels).sample(1, 4))


def test_a_rank_above_the_images_is_what_these_can_give(codes):
    z, labels = codes
    few = LowRankGaussian(11, images_per_class=3).fit(z, labels).sample(0, 500)
    own = z[labels == 0][:3]
    assert torch.linalg.matrix_rank(few.flatten(1) - own.flatten(1).mean(0), rtol=1e-4) == 2


def test_the_seed_decides_and_no_two_classes_share_their_noise(codes):
    sampler = LowRankGaussian(2).fit(*codes)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    assert torch.equal(sampler.sample(0, 6, seed=4), sampler.sample(0, 6, seed=4))
    assert torch.equal(torch.get_rng_state(), state), "nobody else's random numbers are used"
    assert not torch.equal(sampler.sample(0, 6, seed=4), sampler.sample(0, 6, seed=5))
    same = codes[0][:400].repeat(2, 1, 1)
    twins = PerPixelGaussian().fit(same, codes[1])
    assert not torch.equal(twins.sample(0, 6), twins.sample(1, 6))


@pytest.mark.parametrize("shape", [(7, 784, 1), (7, 20), (7, 30, 4)])
@pytest.mark.parametrize("count", [0, 1, 13])
def test_exactly_so_many_dimensions_are_corrupted(shape, count):
    z = 5 + torch.rand(*shape, generator=torch.Generator().manual_seed(0))
    noisy = corrupt_codes(z, count, seed=2)
    hit = (noisy != z).flatten(1)
    assert noisy.shape == z.shape and noisy.dtype == z.dtype
    assert hit.sum(1).tolist() == [count] * 7
    assert ((noisy >= 0) & (noisy <= 1)).flatten(1).equal(hit)
    if count > 1:
        assert len({tuple(row.tolist()) for row in hit}) == 7, "elsewhere in every code"


def test_noise_is_uniform_between_its_ends_reproducible_and_nested():
    z = torch.full((200, 100), 50.0)
    few, many = (corrupt_codes(z, count, seed=1, low=-3, high=5) for count in (40, 100))
    assert torch.equal(few[few != 50], many[few != 50])
    assert torch.equal(few, corrupt_codes(z, 40, seed=1, low=-3, high=5))
    assert not torch.equal(few, corrupt_codes(z, 40, seed=2, low=-3, high=5))
    assert many.min() >= -3 and many.max() <= 5
    assert abs(float(many.mean()) - 1) < 0.05
    assert abs(float(many.std()) - 8 / 12 ** 0.5) < 0.05
    assert bool((z == 50).all()), "the codes themselves stay"


@pytest.fixture(params=["per node", "identity", "per sample", "mlp_vae"])
def model(request):
    if request.param == "mlp_vae":
        return MLPVAE(ReferenceConfig("mlp_vae", 9, latent_dim=3, hidden=(8,)), seed=1).eval()
    config = ModelConfig(num_nodes=9, latent=request.param.replace(" ", "_") if " " in request.param else "per_node",
                         latent_dim=3, graph="identity" if request.param == "identity" else "learned", hidden=(4,))
    return sag.SAGVAE(config, seed=1).eval()


def test_the_way_ends_at_the_reconstructions(model):
    pair = torch.rand(2, 9, 1, generator=torch.Generator().manual_seed(0))
    way = interpolate(model, *pair, steps=5)
    assert way.shape == (5, 9, 1) and not way.requires_grad
    assert torch.allclose(way[[0, -1]], model.reconstruct(pair), atol=1e-6)
    middle = model.decode(codes_of(model, pair).mean(0, keepdim=True))
    assert torch.allclose(way[2], middle[0], atol=1e-6)
    assert torch.allclose(interpolate(model, *pair, steps=2), model.reconstruct(pair), atol=1e-6)
    still = interpolate(model, pair[0], pair[0], steps=3)
    assert torch.allclose(still, model.reconstruct(pair[:1]).expand(3, -1, -1), atol=1e-6)


def test_codes_of_the_shipped_models_make_pictures_again():
    data = sag.load_dataset("digits")
    x, labels = data.validation.clean, data.validation.labels
    for role, shape in (("sagvae", (64, 1)), ("identity", (64, 1)), ("mlp_vae", (20,))):
        model = sag.find_run(f"digits-{role}").load_model()
        codes = codes_of(model, x)
        assert codes.shape[1:] == shape
        pictures = model.decode(LowRankGaussian(5).fit(codes, labels).sample(3, 4))
        assert pictures.shape == (4, 64, 1)
        assert bool(((pictures >= 0) & (pictures <= 1)).all())


ROWS, LABELS = torch.rand(6, 4, 1), torch.tensor([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(("call", "message"), [
    (lambda: LowRankGaussian(-1), "rank must be a whole number of at least 0, got -1."),
    (lambda: LowRankGaussian(True), "rank must be a whole number of at least 0, got True."),
    (lambda: PerPixelGaussian(1), "images_per_class must be a whole number of at least 2, got 1."),
    (lambda: PerPixelGaussian().fit(ROWS, LABELS[:3]), r"codes and labels must be of shapes \(M, ...\) and"),
    (lambda: PerPixelGaussian().fit(ROWS / 0 - ROWS / 0, LABELS), "codes must be finite, got NaN or infinity."),
    (lambda: PerPixelGaussian().fit(ROWS[:4], LABELS[:4]), "the images of class 1 must be at least 2, got 1. A spread"),
    (lambda: PerPixelGaussian().sample(0, 1), "the sampler must be fitted, .* Call fit"),
    (lambda: PerPixelGaussian().fit(ROWS, LABELS).sample(2, 1), "label must be one of 0, 1, got 2. These classes"),
    (lambda: PerPixelGaussian().fit(ROWS, LABELS).sample(1, 0), "count must be a whole number of at least 1, got 0."),
    (lambda: corrupt_codes(torch.zeros(3), 1), r"z must be a floating point tensor of shape \(M, ...\), got"),
    (lambda: corrupt_codes(torch.zeros(2, 3, dtype=torch.long), 1), "z must be a floating point tensor"),
    (lambda: corrupt_codes(torch.zeros(2, 8), 9), "count must be .* from 0 to the 8 .*, got 9. A quarter .* 2."),
    (lambda: corrupt_codes(torch.zeros(2, 8), 2.0), "count must be a whole number from 0 to the 8"),
    (lambda: corrupt_codes(torch.zeros(2, 8), 2, low=1.0, high=1.0), "low and high must be finite, low < high, got 1"),
    (lambda: interpolate(MLPVAE(ReferenceConfig("mlp_vae", 4)), ROWS[0], ROWS[1], 1), "steps must be a whole number"),
    (lambda: interpolate(MLPVAE(ReferenceConfig("mlp_vae", 4)), ROWS[0], ROWS[1][:3]), "x0 and x1 must be two rows"),
    (lambda: interpolate(MLPVAE(ReferenceConfig("mlp_vae", 5)), ROWS[0], ROWS[1]), r"x must be of shape \(B, 5, 1\)"),
    (lambda: codes_of(DenoisingAutoencoder(ReferenceConfig("dae", 4)), ROWS), "model must be one with a latent code"),
])
def test_what_cannot_be_is_a_sentence(call, message):
    with pytest.raises(SagvaeError, match=message):
        call()
