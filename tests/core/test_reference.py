"""The convolutional denoising autoencoder: pictures of every size, neighbours only, and it really cleans them."""

from __future__ import annotations

import pytest
import torch

from sagvae_core.checkpoint import build_model
from sagvae_core.config import ReferenceConfig, StageConfig, TrainConfig
from sagvae_core.data import load_dataset
from sagvae_core.metrics import reconstruction_scores, summarise
from sagvae_core.presets import run_config
from sagvae_core.reference import ConvolutionalDAE
from sagvae_core.training import Trainer


def small(shape: tuple[int, int] = (6, 8), channels: int = 1, width: int = 4, blocks: int = 1, **changes
          ) -> ConvolutionalDAE:
    return ConvolutionalDAE(ReferenceConfig("conv_dae", shape[0] * shape[1], channels, hidden=(width,) * blocks,
                                            image_shape=shape, **changes)).eval()


def rows(count: int, shape: tuple[int, int], channels: int = 1) -> torch.Tensor:
    return torch.rand(count, shape[0] * shape[1], channels, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (5, 8), (1, 1), (1, 6), (28, 28)])
def test_pictures_of_every_size_keep_their_shape(shape, channels):
    x = rows(3, shape, channels)
    found = small(shape, channels).reconstruct(x)
    assert found.shape == x.shape
    assert found.min() > 0 and found.max() < 1


def test_without_its_network_it_gives_back_what_came_in():
    model, x = small((5, 7), 2), rows(3, (5, 7), 2)
    for parameter in model.network[-2].parameters():
        parameter.data.zero_()
    assert torch.allclose(model.reconstruct(x), x.clamp(0.02, 0.98), atol=1e-5)
    model.input_weight.data.zero_()
    assert torch.allclose(model.reconstruct(x), torch.full_like(x, 0.5))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 7.0])
def test_black_white_and_values_beyond_are_finite(value):
    model = small()
    x = torch.full((1, 48, 1), value, requires_grad=True)
    model(x).preactivation.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(model.reconstruct(x.detach())).all()


def test_a_pixel_is_heard_nearby_and_nowhere_else_and_at_its_own_place():
    shape = (24, 40)
    model, x = small(shape), rows(1, shape)
    for parameter in model.parameters():
        parameter.data.abs_()  # so that nothing is cut off by a ReLU on its way
    changed = x.clone()
    changed.view(24, 40)[12, 6] += 0.5
    gap = (model(changed).preactivation - model(x).preactivation).view(24, 40).abs() > 1e-6
    down, right = gap.nonzero().unbind(1)
    assert gap[12, 6] and gap[12, 10]
    assert (down - 12).abs().max() <= 9 and (right - 6).abs().max() <= 9  # four layers of 3 x 3 at half the size


def test_moved_pictures_are_answered_at_the_place_they_moved_to():
    model = small((40, 40))
    x = torch.zeros(2, 40, 40)
    x[0, 18:21, 17:23] = 0.8
    x[1] = x[0].roll((2, -2), (0, 1))  # a grid of 2 x 2 pixels is what it sees first
    here, there = model.reconstruct(x.view(2, -1, 1)).view(2, 40, 40)
    assert torch.allclose(here[10:28, 12:30], there[12:30, 10:28], atol=1e-6)  # the border is not heard from there
    assert not torch.allclose(here, there, atol=1e-3)


def test_reconstruction_does_not_depend_on_the_rest_of_the_batch():
    model, x = small(), rows(6, (6, 8))
    alone = torch.cat([model.reconstruct(row[None]) for row in x])
    assert torch.allclose(model.reconstruct(x), alone, atol=1e-6)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_short_training_on_clean_targets_makes_unseen_noisy_digits_cleaner(likelihood):
    config = run_config("digits", "conv_dae", overrides={"data.train_rows": 256, "model.hidden": [16, 16],
                                                         "model.likelihood": likelihood})
    data = load_dataset(config.data)
    train = TrainConfig(stages=(StageConfig(epochs=10, learning_rate=1e-2),), batch_size=64, device="cpu")
    results = []
    for _ in range(2):
        model = build_model(config.model, seed=1)
        Trainer(model, train).fit(data.train, redraw=data.redraw)
        scores = reconstruction_scores(model.reconstruct(data.test.inputs), data.test.clean, data.image_shape)
        results.append((summarise(scores), model.state_dict()))
    noise = (data.test.inputs - data.test.clean).square().mean()
    assert results[0][0]["mse_clean"] < 0.5 * noise
    assert all(torch.equal(results[0][1][name], results[1][1][name]) for name in results[0][1])
