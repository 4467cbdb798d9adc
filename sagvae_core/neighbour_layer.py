"""A layer of the second decoder: every ordered pair of near nodes has weights of its own (eq. 14, with heads)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .config_completion import CompletionConfig
from .neighbours import Pairs, Remembered, weighted_sum


def add_to_rows(x: Tensor, of_nodes: Tensor) -> Tensor:
    """x (channels, N · B) + of_nodes (N, channels), the same for all rows."""
    return (x.view(*of_nodes.T.shape, -1) + of_nodes.T[..., None]).view_as(x)


class NeighbourLayer(nn.Module):
    """hidden + W_o relu(sum over the neighbours j of w_ij^h · relu(W_v hidden_j)): edge weights by head, residual.

    ``hidden`` is (channels, N · B): all rows of a node side by side, as the sum over neighbours reads them. Memory
    traffic is what a prediction costs, so W_o's bias is not added to all of it but carried along in ``bias``
    (channels,): the layer is that of hidden + bias.
    """

    def __init__(self, num_nodes: int, config: CompletionConfig):
        super().__init__()
        near = 1 + config.neighbours
        self.edge_weight = nn.Parameter(torch.randn(config.heads, num_nodes, near) / math.sqrt(near))
        self.value = nn.Linear(config.channels, config.channels)
        self.output = nn.Linear(config.channels, config.channels)
        nn.init.zeros_(self.output.weight)
        self._weight = Remembered()

    def _weights(self, pairs: Pairs) -> Tensor:
        """As :func:`.neighbours.weighted_sum` takes them: once for all predictions where none of them is trained."""
        def kept() -> Tensor:
            return self.edge_weight.flatten(1).index_select(1, pairs.place)

        if torch.is_grad_enabled():
            return kept()
        return self._weight.get(lambda: pairs.for_channels(kept()), self.edge_weight, pairs.place)

    def forward(self, hidden: Tensor, bias: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        value = torch.mm(self.value.weight, hidden).add_((self.value.weight @ bias + self.value.bias)[:, None]).relu_()
        heard = weighted_sum(value.view(pairs.channels * pairs.nodes, -1), self._weights(pairs), pairs).relu_()
        add = torch.addmm if torch.is_grad_enabled() else Tensor.addmm_
        return add(hidden, self.output.weight, heard.view_as(hidden)), bias + self.output.bias
