"""p(x | z, A): the self-attention graph generative network (section 3.3, eqs. 11-18)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from .config import ModelConfig
from .layers import ACTIVATION_FUNCTIONS, EdgeFunctions, SelfAttentionGraphLayer, aggregate, normalise_adjacency


class LocalExpansion(nn.Module):
    """A linear map (B, Z) -> (B, N D) that starts with code k at place k, and leaves it slowly; Z <= N D.

    A dense map that starts anywhere explains the dependence between nodes by itself, before the graph has formed, and
    the graph stays wrong. From a local start it is the graph that has to carry a code to other nodes.
    """

    RATE = 0.01  # of a weight's own pace: the graph is to be quicker

    def __init__(self, codes: int, places: int) -> None:
        super().__init__()
        self.spread = nn.Parameter(torch.zeros(places, codes))
        self.bias = nn.Parameter(torch.zeros(places))

    def forward(self, z: Tensor) -> Tensor:
        start = nn.functional.pad(z, (0, self.spread.shape[0] - z.shape[1]))
        return start + nn.functional.linear(z, self.RATE * self.spread, self.bias)


class SelfAttentionGraphDecoder(nn.Module):
    """Codes and one graph -> the output before its activation, (B, N, C).

    Per-sample codes (B, Z) first pass a fully connected layer to (B, N, D) (section 3.3). The first layer reads Z
    itself, so the skip connection of eq. 17 starts with the second: on the first it would be the same linear map twice.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        latent = config.latent_channels
        self.expand = None
        if config.latent == "per_sample":
            self.expand = (LocalExpansion if config.local_codes else nn.Linear)(
                config.latent_dim, config.num_nodes * latent)
        widths = (latent, *config.hidden, config.num_channels)
        self.layers = nn.ModuleList(
            SelfAttentionGraphLayer(inner, outer, latent if config.z_skip and index else 0,
                                    config.attention_channels if index in config.attention else 0)
            for index, (inner, outer) in enumerate(itertools.pairwise(widths)))
        if not config.hidden and latent == config.num_channels:
            nn.init.eye_(self.layers[0].convolution.weight)  # codes and rows share their channels: start without mixing
        self.node_bias = nn.Parameter(torch.zeros(config.num_nodes, config.num_channels)) if config.node_bias else None
        self.log_node_scale = nn.Parameter(torch.zeros(config.num_nodes)) if config.node_scale else None
        self.edge_functions = (EdgeFunctions(config.num_nodes, latent, config.edge_functions)
                               if config.edge_functions else None)
        self.activation = ACTIVATION_FUNCTIONS[config.activation]

    def node_codes(self, z: Tensor) -> Tensor:
        """Codes with a node axis, (B, N, D): per-node codes as they are, per-sample ones expanded."""
        if self.expand is None:
            return z
        return self.expand(z).view(z.shape[0], self.config.num_nodes, self.config.latent_channels)

    def prepare_graph(self, adjacency: Tensor | None,
                      edge_weights: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Â for the convolution (None stands for I) and the weighted neighbourhood for attention, each (N, N); None
        for a decoder without attention."""
        config = self.config
        attends = any(layer.attention is not None for layer in self.layers)
        if adjacency is None:
            reference = self.layers[0].convolution.weight
            eye = torch.eye(config.num_nodes, dtype=reference.dtype, device=reference.device)
            return None, eye if attends else None
        weighted = adjacency if edge_weights is None else adjacency * edge_weights
        convolved = weighted if config.weighted_convolution else adjacency
        neighbourhood = None
        if attends:
            neighbourhood = weighted - torch.diag_embed(weighted.diagonal()) + torch.eye(
                config.num_nodes, dtype=weighted.dtype, device=weighted.device)
        return normalise_adjacency(convolved, config.normalisation, config.self_loops), neighbourhood

    def forward(self, z: Tensor, adjacency: Tensor | None, edge_weights: Tensor | None = None) -> Tensor:
        """Decode.

        Args:
            z: (B, N, D) per node or (B, Z) per sample.
            adjacency: A (N, N), zero diagonal, relaxed or 0/1; None is the empty graph (the paper's VAE).
            edge_weights: W^e (N, N) with unit diagonal, or None.

        Returns:
            (B, N, C), before the output activation (eq. 18 applies it last).
        """
        convolution, neighbourhood = self.prepare_graph(adjacency, edge_weights)
        codes = self.node_codes(z).transpose(0, 1).contiguous()
        hidden = codes
        if self.log_node_scale is not None:
            scale = self.log_node_scale.exp()[:, None, None]
            hidden = codes / scale
        aggregated = aggregate(convolution, hidden)
        for index, layer in enumerate(self.layers):
            if index == 0 and layer.attention is None:
                hidden = aggregated @ layer.convolution.weight + layer.bias  # Â Z is at hand already
            else:
                hidden = layer(hidden, convolution, neighbourhood, aggregated)
            if index < len(self.layers) - 1:
                hidden = self.activation(hidden)
        if self.log_node_scale is not None:
            hidden = hidden * scale
        if self.edge_functions is not None:
            hidden = hidden + self.edge_functions(codes, adjacency)
        output = hidden.transpose(0, 1)
        return output if self.node_bias is None else output + self.node_bias
