"""Graph convolution, neighbour attention and the gated layer that joins them (eqs. 1 and 11-18).

Inside the decoder hidden states are node-major, shape (N, B, H): one graph is shared by the whole batch, so the
convolution of all samples is a single matrix product [N, N] x [N, B·H].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_SMALLEST_SUM = 1e-12  # keeps 0/0 out of rows without a neighbour; far below any probability that matters

ACTIVATION_FUNCTIONS = {"relu": torch.relu, "tanh": torch.tanh, "elu": nn.functional.elu,
                        "softplus": nn.functional.softplus, "identity": nn.Identity(), "sigmoid": torch.sigmoid}


def normalise_adjacency(adjacency: Tensor, mode: str = "row", self_loops: bool = True) -> Tensor:
    """Â of eq. 1: ``row`` D⁻¹(A + I), ``symmetric`` D^-½(A + I)D^-½ (Kipf's GCN), ``none`` A + I.

    Degrees are sums of absolute values, so signed weights are allowed.

    Args:
        adjacency: (N, N), zero diagonal.
        self_loops: add I first.
    """
    if self_loops:
        adjacency = adjacency + torch.eye(adjacency.shape[-1], dtype=adjacency.dtype, device=adjacency.device)
    if mode == "none":
        return adjacency
    degree = adjacency.abs().sum(-1)
    # A node without edge or loop: degree 1 keeps its zeros, and 0/0 out of the values and 1e12 out of the gradient.
    degree = degree.masked_fill(degree < _SMALLEST_SUM, 1.0)
    if mode == "row":
        return adjacency / degree[:, None]
    if mode == "symmetric":
        scale = degree.rsqrt()
        return scale[:, None] * adjacency * scale[None, :]
    raise ValueError(f"mode must be 'row', 'symmetric' or 'none', got {mode!r}.")


def aggregate(adjacency: Tensor | None, hidden: Tensor) -> Tensor:
    """Â H for node-major ``hidden`` of shape (N, B, H) as one matrix product; ``None`` stands for Â = I."""
    if adjacency is None:
        return hidden
    nodes, batch, width = hidden.shape
    return (adjacency @ hidden.reshape(nodes, batch * width)).view(nodes, batch, width)


class GraphConvolution(nn.Module):
    """Â H W without bias (eq. 1); the product is taken in the cheaper order.

    Shapes: hidden (N, B, in) -> (N, B, out).
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, hidden: Tensor, adjacency: Tensor | None) -> Tensor:
        if self.weight.shape[0] < self.weight.shape[1]:
            return aggregate(adjacency, hidden) @ self.weight
        return aggregate(adjacency, hidden @ self.weight)


def neighbour_attention(query: Tensor, key: Tensor, adjacency: Tensor) -> Tensor:
    """Attention of every node over its neighbours and itself (eqs. 11, 12 and 15).

    alpha_ij = a_ij exp(s_ij) / sum_k |a_ik| exp(s_ik) with s_ij = q_i · k_j. With a 0/1 adjacency this is the softmax
    over the neighbourhood of eq. 12; with a = A · W^e it is eq. 15. Exactly zero wherever a_ij is.

    Args:
        query, key: (B, N, D_a).
        adjacency: (N, N) with the diagonal set to 1; entries may be relaxed or signed.

    Returns:
        (B, N, N); the absolute values of a row sum to 1.
    """
    score = query @ key.transpose(-1, -2)
    # The maximum over the neighbourhood alone: a far larger score off the graph would underflow the whole row.
    offset = score.masked_fill(adjacency == 0, -math.inf).amax(-1, keepdim=True).detach()
    weight = adjacency * torch.exp((score - offset).clamp_max(0))
    return weight / weight.abs().sum(-1, keepdim=True).clamp_min(_SMALLEST_SUM)


class NeighbourAttention(nn.Module):
    """o = (attention · (H W_h)) W_v with the attention of :func:`neighbour_attention` (eq. 13).

    Shapes: hidden (N, B, in) -> (N, B, out). Memory grows with B·N².
    """

    def __init__(self, in_channels: int, out_channels: int, attention_channels: int):
        super().__init__()
        self.query = nn.Linear(in_channels, attention_channels, bias=False)  # W_f
        self.key = nn.Linear(in_channels, attention_channels, bias=False)  # W_g
        self.value_in = nn.Linear(in_channels, attention_channels, bias=False)  # W_h
        self.value_out = nn.Linear(attention_channels, out_channels, bias=False)  # W_v

    def attention(self, hidden: Tensor, adjacency: Tensor) -> Tensor:
        """The attention matrix (B, N, N) for node-major ``hidden`` (N, B, in)."""
        batch_major = hidden.transpose(0, 1)
        return neighbour_attention(self.query(batch_major), self.key(batch_major), adjacency)

    def forward(self, hidden: Tensor, adjacency: Tensor) -> Tensor:
        value = self.value_in(hidden).transpose(0, 1)
        return self.value_out(self.attention(hidden, adjacency) @ value).transpose(0, 1)


class SelfAttentionGraphLayer(nn.Module):
    """One layer of the generative network: gamma · o + Â H W + Â Z W_z + bias (eqs. 16 and 17), before activation.

    The gate gamma starts at 0 (eq. 16): the layer learns the graph first and attention afterwards.

    Args:
        in_channels, out_channels: widths of H and of the result.
        latent_channels: width of the code Z for the skip connection; 0 leaves it out.
        attention_channels: D_a; 0 leaves attention out.
    """

    def __init__(self, in_channels: int, out_channels: int, latent_channels: int = 0, attention_channels: int = 0):
        super().__init__()
        self.convolution = GraphConvolution(in_channels, out_channels)
        self.skip = GraphConvolution(latent_channels, out_channels) if latent_channels else None
        self.attention = (NeighbourAttention(in_channels, out_channels, attention_channels)
                          if attention_channels else None)
        self.attention_gate = nn.Parameter(torch.zeros(())) if attention_channels else None
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, hidden: Tensor, adjacency: Tensor | None, neighbourhood: Tensor | None,
                aggregated_latent: Tensor | None) -> Tensor:
        """Apply the layer.

        Args:
            hidden: (N, B, in).
            adjacency: the normalised Â (N, N), or None for I.
            neighbourhood: A (or A · W^e) with unit diagonal (N, N), for attention.
            aggregated_latent: Â Z (N, B, D), computed once for all layers.

        Returns:
            (N, B, out), before the activation (eq. 18 applies it after the sum).
        """
        result = self.convolution(hidden, adjacency) + self.bias
        if self.skip is not None:
            result = result + aggregated_latent @ self.skip.weight
        if self.attention is not None:
            result = result + self.attention_gate * self.attention(hidden, neighbourhood)
        return result


class EdgeFunctions(nn.Module):
    """Nonlinear messages along the edges: sum over j and k of A_ij w^k_ij phi_k(z_j).

    The K functions phi come from one network that all nodes share; every ordered pair has its own K weights, so i may
    depend on j in another way than j on i. Ours, not the paper's: with it one layer can see that a column follows the
    square of another, which no linear message shows.

    Shapes: codes (N, B, C), adjacency (N, N) -> (N, B, C).
    """

    _HIDDEN = 16  # enough for a few bends; more memorises

    def __init__(self, num_nodes: int, channels: int, functions: int):
        super().__init__()
        self.functions = functions
        self.network = nn.Sequential(nn.Linear(channels, self._HIDDEN), nn.Tanh(),
                                     nn.Linear(self._HIDDEN, functions * channels))
        self.weight = nn.Parameter(torch.randn(functions, num_nodes, num_nodes) * 0.05)

    def messages(self, codes: Tensor) -> Tensor:
        """phi_k(z_j), shape (K, N, B, C)."""
        return self.network(codes).unflatten(-1, (self.functions, codes.shape[-1])).movedim(-2, 0)

    def forward(self, codes: Tensor, adjacency: Tensor) -> Tensor:
        """The sum over neighbours and functions (self-loops play no part: the diagonal of A is 0)."""
        messages = self.messages(codes).flatten(2)  # (K, N, B·C)
        return torch.bmm(adjacency * self.weight, messages).sum(0).view_as(codes)
