"""The variational graph autoencoder (Kipf & Welling 2016), which needs to be shown edges to predict edges."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.base import derived_seed
from ..errors import SagvaeError, expected
from .base import RelationLearner

MAX_FEATURES = 512  # values a node is described by


class VGAE(RelationLearner):
    """torch_geometric's VGAE: two graph convolutions to q(z_i) = N(mu_i, diag sigma_i²), p(A_ij) = sigmoid(z_i . z_j).

    A node's features are its values over the rows and channels (a seeded choice of 512 when there are more). The
    encoder convolves over the observed edges and self-loops, and the target is the observed edges against as many
    pairs drawn afresh every epoch from the others, true edges possibly among them. Without observed edges only
    self-loops are left: the encoder sees every node alone, and the target is the pairs (i, i) against as many pairs
    i != j. The loss is the cross-entropy plus KL / N, as in torch_geometric's example.

    The score is the logit mu_i . mu_j, the natural threshold 0, which is probability 1/2. Observed edges are scored
    like any other pair: that favours this method, and it is how the paper counts.

    Args:
        density, standardise, missing: see :class:`RelationLearner`.
        observed_edges: whole numbers (2, E), the true edges it is shown, in any order; None: none. :func:`edge_share`
            draws some.
        epochs, learning_rate, hidden, latent: the original's 200 steps of Adam at .01, widths 32 and 16.
        seed: decides features, weights, noise and negative pairs.
    """

    title = "VGAE"

    def __init__(self, density: float | None = None, standardise: bool = True, observed_edges: Any = None,
                 epochs: int = 200, learning_rate: float = 0.01, hidden: int = 32, latent: int = 16,
                 seed: int = 0, missing: str = "error") -> None:
        super().__init__(density, standardise, missing)
        self.observed_edges = observed_edges
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.hidden = hidden
        self.latent = latent
        self.seed = seed

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        nodes = x.shape[1]
        observed = _checked_edges(self.observed_edges, self.n_features_in_)
        place = torch.full((self.n_features_in_,), -1)
        place[torch.from_numpy(self._rows.kept)] = torch.arange(nodes)
        observed = place[observed]
        observed = observed[:, (observed >= 0).all(dim=0)]  # none at columns that are left out
        features = x.transpose(1, 0, 2).reshape(nodes, -1)
        if features.shape[1] > MAX_FEATURES:
            random = np.random.RandomState(derived_seed(self.seed, 0))
            features = features[:, random.permutation(features.shape[1])[:MAX_FEATURES]]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, 1))
            means = self._train(torch.from_numpy(features).float(), observed)
        means = means.double().numpy()
        return means @ means.T, 0.0

    def _train(self, features: Tensor, observed: Tensor) -> Tensor:
        """The posterior means (N, latent) after training."""
        vgae, convolution = _torch_geometric()
        nodes, width = features.shape
        encoder = _encoder(convolution, width, self.hidden, self.latent)
        model = vgae(encoder)
        edges = torch.cat([observed, observed.flip(0)], dim=1)  # message passing is directed: both ways
        positive = observed if observed.shape[1] else torch.arange(nodes).repeat(2, 1)
        others = ~torch.eye(nodes, dtype=torch.bool)
        others[edges[0], edges[1]] = False
        others = others.triu().nonzero().T
        if not others.shape[1]:
            raise expected("observed_edges", "some of the pairs", "all of them", "Nothing is left to predict.")
        optimiser = torch.optim.Adam(model.parameters(), lr=self.learning_rate)
        for _ in range(self.epochs):
            latent = model.encode(features, edges)
            negative = others[:, torch.randint(others.shape[1], (positive.shape[1],))]
            loss = model.recon_loss(latent, positive, negative) + model.kl_loss() / nodes
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            return encoder(features, edges)[0]


def edge_share(adjacency: Any, share: float, seed: int) -> np.ndarray:
    """A random ``share`` in [0, 1] of the edges of ``adjacency`` (N, N), as int (2, round(share * E)) with i < j.

    Raises:
        SagvaeError: ``share`` is out of range.
    """
    if not 0 <= share <= 1:
        raise expected("share", "between 0 and 1", share)
    edges = np.stack(np.nonzero(np.triu(np.asarray(adjacency), k=1)))
    order = np.random.RandomState(derived_seed(seed, 2)).permutation(edges.shape[1])
    return edges[:, np.sort(order[:round(share * edges.shape[1])])]


def _checked_edges(edges: Any, nodes: int) -> Tensor:
    """``edges`` as long (2, E), each once with i < j, sorted."""
    if edges is None:
        return torch.empty((2, 0), dtype=torch.long)
    values = np.asarray(edges)
    if values.ndim != 2 or len(values) != 2 or (values.size and values.dtype.kind not in "iu"):
        raise expected("observed_edges", "whole numbers of shape (2, edges)", f"{values.dtype} {values.shape}")
    if values.size and (values.min() < 0 or values.max() >= nodes):
        raise expected("observed_edges", f"column numbers from 0 to {nodes - 1}",
                       f"numbers from {values.min()} to {values.max()}")
    if (values[0] == values[1]).any():
        raise expected("observed_edges", "pairs of two different columns", "a pair of a column with itself")
    return torch.from_numpy(np.unique(np.sort(values, axis=0), axis=1).astype(np.int64))


def _torch_geometric() -> tuple[Any, Any]:
    """torch_geometric's VGAE and GCNConv."""
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning):  # it still calls torch.jit.script at import
            warnings.simplefilter("ignore", category)
        try:
            from torch_geometric.nn import VGAE as model
            from torch_geometric.nn import GCNConv
        except ImportError as error:
            raise SagvaeError("The VGAE baseline needs torch_geometric: install it with "
                              "`pip install torch_geometric`.") from error
    return model, GCNConv


def _encoder(convolution: Any, width: int, hidden: int, latent: int) -> nn.Module:
    """The original's encoder: one shared layer with ReLU, then one each for mu and log sigma."""

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = convolution(width, hidden)
            self.mean, self.log_deviation = convolution(hidden, latent), convolution(hidden, latent)

        def forward(self, features: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
            shared = self.shared(features, edges).relu()
            return self.mean(shared, edges), self.log_deviation(shared, edges)

    return Encoder()
