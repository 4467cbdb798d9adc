"""Who is near whom in a learned graph, and sums over a node's neighbours with weights of their own.

The decoder of a picture sees a graph of a few edges a node; as a dense product it would spend most of its time on
zeros. :func:`weighted_sum` touches the kept pairs alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from .errors import expected

_STEPS = 6  # of nine pixels each: enough for a ball of 11 x 11
_CHUNK = 32  # rows of the max-product at a time: 32 x N x N values, 80 MB at 784 nodes


class Remembered:
    """What was made of tensors, made anew once one is another or has changed in place; copies start empty."""

    def __init__(self) -> None:
        self._tensors: tuple[Tensor, ...] = ()
        self._versions: list[int] = []
        self._value: Any = None

    def __reduce__(self) -> tuple[type, tuple]:
        return type(self), ()

    def get(self, make: Callable[[], Any], *tensors: Tensor) -> Any:
        """``make()`` for the present state of ``tensors``."""
        versions = [tensor._version for tensor in tensors]
        same = len(tensors) == len(self._tensors) and all(map(operator.is_, tensors, self._tensors))
        if not same or versions != self._versions:
            self._value = make()
            self._tensors, self._versions = tensors, versions
        return self._value


def path_probability(edge_posterior: Tensor, hops: int) -> Tensor:
    """Probability of the most probable path between two nodes over at most ``hops`` edges, (N, N), diagonal 1.

    A path is as probable as the product of its edges under q(A), which is factorised over the pairs (eq. 5).

    Args:
        edge_posterior: (N, N), symmetric, in [0, 1].
        hops: at least 1.
    """
    if hops < 1:
        raise expected("hops", "at least 1", hops)
    one = edge_posterior.clone().fill_diagonal_(1.0)
    paths = one
    for _ in range(hops - 1):
        paths = torch.cat([(rows[:, :, None] * one).amax(1) for rows in paths.split(_CHUNK)])
    return paths


def nearest_nodes(edge_posterior: Tensor, count: int, hops: int, least: float) -> tuple[Tensor, Tensor]:
    """Every node's nearest others: those with the most probable paths of at most ``hops`` edges.

    Args:
        edge_posterior: (N, N).
        count: how many at most.
        least: paths below this probability do not count.

    Returns:
        indices (N, 1 + count), the node itself first, padded with the node itself, and which of them count, bool of
        the same shape.
    """
    nodes = edge_posterior.shape[0]
    paths = path_probability(edge_posterior, hops).fill_diagonal_(2.0)  # itself before all others
    probability, index = paths.topk(min(1 + count, nodes), dim=1)
    kept = probability >= least
    own = torch.arange(nodes, device=index.device)[:, None]
    index = torch.where(kept, index, own)
    missing = 1 + count - index.shape[1]
    return (torch.cat([index, own.expand(-1, missing)], 1),
            torch.cat([kept, kept.new_zeros(nodes, missing)], 1))


def balls(edge_posterior: Tensor, sizes: Sequence[int], threshold: float = 0.5) -> Tensor:
    """Which nodes are near each node, bool (len(sizes), N, N): what a person would call a region, in the graph's words.

    Row i of the k-th matrix is the ball around node i: itself and the others at which a random walk from i over edges
    above ``threshold`` most probably is after six steps, ``sizes[k]`` in all, or fewer where so many cannot be reached.
    A walk asks how many ways lead from one node to another: a single far edge, of which a learned graph always has
    some, does not make two nodes near. By size and not by steps, it is as large in a dense graph as in a sparse one.
    """
    nodes = len(edge_posterior)
    step = (edge_posterior > threshold).double().fill_diagonal_(1.0)
    place = torch.linalg.matrix_power(step / step.sum(1, keepdim=True), _STEPS).fill_diagonal_(2.0)
    order = place.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(nodes, device=order.device).expand(nodes, -1))
    return torch.stack([(rank < size) & (place > 0) for size in sizes])


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs (receiver, sender) of a graph, sorted by receiver, and the same sorted by sender for the gradient.

    The graph stands here once for every channel, its nodes numbered on: one sum then does for all channels.
    """

    channels: int
    nodes: int
    place: Tensor  # (P,), of each pair of the graph among all entries of the index it was made of
    by_sender: Tensor  # (P,)
    receiver: Tensor  # (channels · P,), and so are the next two
    sender: Tensor
    receiver_by_sender: Tensor
    starts: Tensor  # (channels · N,), a receiver's first pair
    sender_starts: Tensor

    @classmethod
    def of(cls, index: Tensor, kept: Tensor, channels: int) -> Pairs:
        """The kept entries of ``index`` (N, K): row i hears from ``index[i, k]``."""
        nodes = index.shape[0]
        receiver, sender = kept.nonzero(as_tuple=True)[0], index[kept]
        by_sender = sender.argsort(stable=True)
        first = nodes * torch.arange(channels, device=index.device)[:, None]
        receivers, senders, sources = ((first + ends).flatten() for ends in (receiver, sender, receiver[by_sender]))
        starts = (_starts(ends, channels * nodes) for ends in (receivers, senders))
        return cls(channels, nodes, kept.flatten().nonzero()[:, 0], by_sender, receivers, senders, sources, *starts)

    def for_channels(self, weight: Tensor) -> Tensor:
        """Weights (heads, P) for every channel: (channels · P,)."""
        return weight.repeat_interleave(self.channels // len(weight), 0).flatten()


def _starts(owner: Tensor, nodes: int) -> Tensor:
    counts = torch.bincount(owner, minlength=nodes).cumsum(0)
    return torch.cat([counts.new_zeros(1), counts[:-1]])


def weighted_sum(hidden: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
    """sum over the senders j of i of weight[h, (i, j)] · hidden[c, j], for every channel c of every head h.

    Args:
        hidden: (channels · N, F), all nodes of one channel after the other's, as many channels for each head.
        weight: (heads, P), one weight an ordered pair of the graph, in the order of ``pairs``; or what
            :meth:`Pairs.for_channels` made of it, without a gradient.

    Returns:
        (channels · N, F).
    """
    if hidden.device.type not in ("cpu", "cuda"):
        return dense_sum(hidden, weight, pairs)
    return _SparseSum.apply(hidden, weight, pairs)


def dense_sum(hidden: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
    """:func:`weighted_sum` as matrix products, for devices without the sparse kernels."""
    if weight.ndim == 1:
        weight = weight.view(pairs.channels, -1)
    heads, pair_count = weight.shape
    head = torch.arange(heads, device=hidden.device)[:, None]
    once = pairs.receiver[:pair_count], pairs.sender[:pair_count]
    matrix = hidden.new_zeros(heads, pairs.nodes, pairs.nodes).index_put((head, *once), weight)
    return (matrix[:, None] @ hidden.view(heads, -1, pairs.nodes, hidden.shape[1])).view_as(hidden)


class _SparseSum(torch.autograd.Function):
    """Bags of embeddings are exactly such sums; their own gradient is slow where every row is used, hence this one."""

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(hidden, weight)
        ctx.pairs = pairs
        spread = weight if weight.ndim == 1 else pairs.for_channels(weight)
        return embedding_bag(pairs.sender, hidden, pairs.starts, per_sample_weights=spread, mode="sum")

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        hidden, weight = ctx.saved_tensors
        pairs, gradient = ctx.pairs, gradient.contiguous()
        to_hidden = to_weight = None
        if ctx.needs_input_grad[0]:
            to_hidden = embedding_bag(pairs.receiver_by_sender, gradient, pairs.sender_starts, mode="sum",
                                      per_sample_weights=pairs.for_channels(weight[:, pairs.by_sender]))
        if ctx.needs_input_grad[1]:
            of_channels = torch.ops.aten._embedding_bag_per_sample_weights_backward(
                gradient, hidden, pairs.sender, pairs.starts, pairs.receiver, 0)
            to_weight = of_channels.view(*weight.shape[:1], -1, weight.shape[1]).sum(1)
        return to_hidden, to_weight, None
