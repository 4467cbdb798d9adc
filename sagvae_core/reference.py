"""The models SAG-VAE is compared with: a VAE with one small code, and a denoising autoencoder with clean targets."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from .config import ReferenceConfig
from .distributions import sample_gaussian
from .model import GenerativeModel, ModelOutput


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

    def _decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).view(len(z), self.config.num_nodes, self.config.num_channels)

    def forward(self, x: Tensor, temperature: float = 0.5, generator: torch.Generator | None = None) -> ModelOutput:
        posterior = self.encode(x)
        return ModelOutput(self._decode(sample_gaussian(posterior, generator)), posterior)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.likelihood.mean(self._decode(self.encode(x).loc))


class DenoisingAutoencoder(GenerativeModel):
    """Damaged row in, clean row out (Vincent et al. 2008): the only model here that is shown clean targets."""

    kind = "dae"

    def __init__(self, config: ReferenceConfig, seed: int = 0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__(config)
            size = config.num_nodes * config.num_channels
            self.network = _mlp((size, *config.hidden, size))

    def forward(self, x: Tensor, temperature: float = 0.5, generator: torch.Generator | None = None) -> ModelOutput:
        return ModelOutput(self.network(self.check(x).flatten(1)).view(x.shape))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.likelihood.mean(self(x).preactivation)
