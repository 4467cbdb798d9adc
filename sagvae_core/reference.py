"""The models SAG-VAE is compared with: a VAE with one small code, and two denoising autoencoders with clean targets."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import pad

from .config import ReferenceConfig
from .distributions import sample_gaussian
from .generative import GenerativeModel, ModelOutput
from .shares import Share, take


def _mlp(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with ReLU between (and none after the last)."""
    layers = [module for inner, outer in itertools.pairwise(widths) for module in (nn.Linear(inner, outer), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class MLPVAE(GenerativeModel):
    """The usual VAE (Kingma & Welling 2014): x -> hidden -> one Gaussian of ``latent_dim`` -> hidden -> x."""

    kind = "mlp_vae"

    def __init__(self, config: ReferenceConfig, seed: int = 0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__(config)
            size = config.num_nodes * config.num_channels
            self.encoder = _mlp((size, *config.hidden, 2 * config.latent_dim))
            self.decoder = _mlp((config.latent_dim, *reversed(config.hidden), size))

    def encode(self, x: Tensor) -> Normal:
        """q(z | x), a Normal of shape (B, latent_dim)."""
        mean, log_variance = self.encoder(self.check(x).flatten(1)).chunk(2, dim=-1)
        return Normal(mean, torch.exp(0.5 * log_variance.clamp(-12, 8)), validate_args=False)

    def decode(self, z: Tensor) -> Tensor:
        """E[x | z] (B, N, C) for codes z (B, latent_dim)."""
        return self.likelihood.mean(self._decode(z))

    def _decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).view(len(z), self.config.num_nodes, self.config.num_channels)

    def forward(self, x: Tensor, temperature: float = 0.5, generator: torch.Generator | None = None,
                share: Share | None = None) -> ModelOutput:
        posterior = self.encode(take(x, share))
        return ModelOutput(self._decode(sample_gaussian(posterior, generator, share)), posterior)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x).loc)


class DenoisingAutoencoder(GenerativeModel):
    """Damaged row in, clean row out (Vincent et al. 2008): shown clean targets, as no SAG-VAE and no VAE is."""

    kind = "dae"

    def __init__(self, config: ReferenceConfig, seed: int = 0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__(config)
            size = config.num_nodes * config.num_channels
            self.network = _mlp((size, *config.hidden, size))

    def forward(self, x: Tensor, temperature: float = 0.5, generator: torch.Generator | None = None,
                share: Share | None = None) -> ModelOutput:
        x = take(self.check(x), share)
        return ModelOutput(self.network(x.flatten(1)).view(x.shape))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.likelihood.mean(self(x).preactivation)


class _ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))) with 3 x 3 kernels (He et al. 2016, without the normalisation)."""

    def __init__(self, width: int):
        super().__init__()
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.outer = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(torch.relu(self.inner(x)))


class ConvolutionalDAE(GenerativeModel):
    """Damaged picture in, clean picture out, by convolutions: shown clean targets, and told who is whose neighbour.

    As in FFDNet (Zhang et al. 2018) every 2 x 2 pixels become four channels first: the residual blocks then cost a
    quarter and see twice as far, past a block of 7 x 7. What they add to the logit of the input is the answer, so a
    pixel that is fine needs no work. At about equal cost full resolution, a second lower one with skips, and
    no input to add to were all worse on validation rows of MNIST and Fashion-MNIST.
    """

    kind = "conv_dae"

    def __init__(self, config: ReferenceConfig, seed: int = 0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__(config)
            values, width = 4 * config.num_channels, config.hidden[0]
            self.network = nn.Sequential(
                nn.PixelUnshuffle(2), nn.Conv2d(values, width, 3, padding=1),
                *(_ResidualBlock(width) for _ in config.hidden),
                nn.Conv2d(width, values, 3, padding=1), nn.PixelShuffle(2))
            self.input_weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, temperature: float = 0.5, generator: torch.Generator | None = None,
                share: Share | None = None) -> ModelOutput:
        height, width = self.config.image_shape
        x = take(self.check(x), share)
        pictures = x.transpose(1, 2).unflatten(2, (height, width))  # (B, C, height, width)
        even = pad(pictures, (0, width % 2, 0, height % 2), mode="replicate")
        change = self.network(even)[..., :height, :width].flatten(2).transpose(1, 2)
        # Logits of black and white are infinite; +-3.9 is as sure as a damaged pixel should ever be.
        return ModelOutput(self.input_weight * torch.logit(x, eps=0.02) + change)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.likelihood.mean(self(x).preactivation)
