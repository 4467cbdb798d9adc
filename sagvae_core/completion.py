"""p(x_i | visible nodes, A): every node's brightness predicted from its neighbours in the learned graph.

Once the evidence lower bound has found the graph, this second decoder learns what the edges say: nodes are hidden from
it, and it is asked for their values (log p(x_hidden | x_visible, A), a bound-free likelihood of held-out nodes). As it
never sees the value it is asked about, noise in it cannot be copied, and the difference between the value and its
prediction tells damage: a mixture with outliers, whose rate and brightness are learned from the same damaged data,
gives E[clean | x]. The idea of a blind spot is Laine et al.'s (2019, "High-quality self-supervised deep image
denoising"), there for convolutions; here the neighbourhood is the learned graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid

from .config_completion import CompletionConfig
from .levels import Levels
from .neighbour_layer import NeighbourLayer, add_to_rows
from .neighbours import Pairs, Remembered, nearest_nodes

_PRICE = 10.0  # until it is set on undamaged rows
_CPU_ROWS, _ROWS = 96, 1024  # at once: on a CPU more are no quicker and take memory, half as many are slower
_LOGIT_PACE = 10.0  # the outliers' levels move this much faster than weights under Adam, as edge logits do


@dataclasses.dataclass
class Prediction:
    """What a completion says about rows x; everything (..., B, N), log probabilities in nats.

    ``mean`` is E[undamaged value], in [0, 1]; ``log_inlier`` and ``log_outlier`` are log p(x_i | undamaged) and
    log p(x_i | damaged), rates left out.
    """

    mean: Tensor
    log_inlier: Tensor
    log_outlier: Tensor


class NodeCompletion(nn.Module):
    """Rows x (B, N) in [0, 1] and how far each value may be seen, (B, N) in [0, 1] -> levels of every node.

    The graph is given once by :meth:`set_graph` and is then part of the weights. A node that is visible sees itself:
    only the prediction of a hidden node is independent of its own value.
    """

    neighbours: Tensor
    kept: Tensor
    trained: Tensor
    price: Tensor

    def __init__(self, num_nodes: int, config: CompletionConfig):
        super().__init__()
        self.config = config
        near = 1 + config.neighbours
        self.register_buffer("neighbours", torch.arange(num_nodes)[:, None].repeat(1, near))
        self.register_buffer("kept", torch.arange(near)[None].repeat(num_nodes, 1) == 0)
        self.register_buffer("trained", torch.zeros((), dtype=torch.bool))
        if config.damage == "none":
            self.register_buffer("price", torch.tensor(_PRICE))
        self.levels = Levels(config.levels)
        self.embedding = nn.Parameter(torch.randn(num_nodes, config.node_embedding) * 0.3)
        self.from_value = nn.Linear(2, config.channels)
        self.from_node = nn.Linear(config.node_embedding, config.channels, bias=False)
        self.layers = nn.ModuleList(NeighbourLayer(num_nodes, config) for _ in range(config.layers))
        self.to_levels = nn.Linear(config.channels, len(self.levels))
        self.level_bias = nn.Parameter(torch.zeros(num_nodes, len(self.levels)))
        self.outlier_logit = nn.Parameter(torch.logit(torch.tensor(config.initial_outlier_rate)))
        if config.damage == "regions":
            self.region_kinds = nn.Parameter(torch.zeros(len(self.levels) + 1))
            self.region_logit = nn.Parameter(torch.logit(torch.tensor(config.initial_region_rate)))
            self.region_share_logit = nn.Parameter(torch.zeros(()))
        self._pairs = Remembered()

    @torch.no_grad()
    def set_graph(self, edge_posterior: Tensor) -> None:
        """Take the neighbourhoods from a trained graph (N, N)."""
        config = self.config
        index, kept = nearest_nodes(edge_posterior, config.neighbours, config.hops, config.least_path)
        self.neighbours.copy_(index)
        self.kept.copy_(kept)
        self.trained.fill_(True)

    @property
    def pairs(self) -> Pairs:
        """The pairs of the present neighbourhoods."""
        return self._pairs.get(lambda: Pairs.of(self.neighbours, self.kept, self.config.channels),
                               self.neighbours, self.kept)

    @property
    def outlier_rate(self) -> Tensor:
        """The learned share of damaged values in the training data."""
        return torch.sigmoid(self.outlier_logit)

    @property
    def region_price(self) -> Tensor:
        """Log odds against a region's being damaged: learned, or set on undamaged rows."""
        return -self.region_logit if self.config.damage == "regions" else self.price

    @property
    def region_share(self) -> Tensor:
        """The share of damaged nodes in a damaged region; half where no regions were learned."""
        if self.config.damage == "regions":
            return torch.sigmoid(self.region_share_logit)
        return torch.full((), 0.5, device=self.embedding.device)

    @property
    def log_region_kinds(self) -> Tensor:
        """log probability of what a damaged region looks like: each of the L levels all over, or noise; (L + 1,)."""
        if self.config.damage == "regions":
            return log_softmax(_LOGIT_PACE * self.region_kinds, 0)
        return self.levels.width.new_full((len(self.levels) + 1,), 1 / (len(self.levels) + 1)).log()

    @property
    def log_outlier_levels(self) -> Tensor:
        """log probability of every level when a value is damaged, (L,)."""
        if self.config.damage == "regions":
            kinds = self.log_region_kinds.exp()
            return (kinds[:-1] + kinds[-1] * self.levels.width).log()
        return (self.levels.width if self.config.damage == "scattered" else self.any_damage).log()

    @property
    def any_damage(self) -> Tensor:
        """Probability of every level where nothing is known of the damage: even over brightness or over levels, (L,).

        Ready for noise as for black or white blocks.
        """
        return 0.5 * self.levels.width + 0.5 / len(self.levels)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """log probabilities of the levels of every node's undamaged value, (L, B, N)."""
        batch, nodes = x.shape
        seen = torch.stack([x * visible, visible.to(x.dtype)]).mT.reshape(2, -1)
        hidden = add_to_rows(torch.mm(self.from_value.weight, seen), self.from_node(self.embedding))
        bias = self.from_value.bias
        for layer in self.layers:
            hidden, bias = layer(hidden, bias, self.pairs)
        logits = torch.mm(self.to_levels.weight, hidden.add(bias[:, None]).relu_())
        logits = add_to_rows(logits, self.level_bias + self.to_levels.bias)
        return log_softmax(logits, 0).view(-1, nodes, batch).mT

    def predict(self, x: Tensor, visible: Tensor, log_outlier_levels: Tensor | None = None) -> Prediction:
        """What the visible nodes say about every node, compared with the value it has.

        Args:
            x: (B, N) in [0, 1].
            visible: (..., B, N), of every row once or several times; 0 hides a value, 1 shows it, between them it is
                believed in part.
            log_outlier_levels: (L,) or (B, L), what damage looks like; by default as in the training data.
        """
        index = self.levels.index(x)
        outliers = self.log_outlier_levels if log_outlier_levels is None else log_outlier_levels
        log_outlier = outliers[index] if outliers.ndim == 1 else outliers.gather(1, index)
        parts = [(torch.tensordot(self.levels.middle, log_levels.exp(), 1), log_levels.gather(0, own[None])[0])
                 for log_levels, own in self._in_parts(x, visible, index)]
        mean, log_inlier = (torch.cat(part).view(visible.shape) for part in zip(*parts, strict=True))
        return Prediction(mean, log_inlier, log_outlier.expand(visible.shape))

    def log_inlier(self, x: Tensor, visible: Tensor) -> Tensor:
        """:meth:`predict`'s log p(x_i | undamaged) alone, (..., B, N) in nats."""
        return torch.cat([log_levels.gather(0, own[None])[0] for log_levels, own in
                          self._in_parts(x, visible, self.levels.index(x))]).view(visible.shape)

    def _in_parts(self, x: Tensor, visible: Tensor, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """What :meth:`forward` says of some rows, (L, rows, N), and the levels they have, (rows, N), part by part."""
        size = _CPU_ROWS if x.device.type == "cpu" else _ROWS
        rows = (of_row.expand(visible.shape).flatten(0, -2).split(size) for of_row in (x, visible, index))
        for part, shown, own in zip(*rows, strict=True):
            yield self(part, shown), own

    def log_likelihood(self, x: Tensor, visible: Tensor, hidden: Tensor, regions: Tensor | None = None) -> Tensor:
        """Mean over the hidden nodes of log p(x_i | visible), the mixture with outliers; (B,) in nats.

        Args:
            hidden: bool (B, N), nodes that are damaged each by itself.
            regions: bool (B, R, N), hidden too; with damage="regions" one is damaged as a whole or not at all
                (:meth:`region_gain`). One joint choice for all its nodes explains a block far better than one choice a
                node, so damage is left to the outliers and the network does not learn to paint it.
        """
        # A lone outlier may be of any brightness: what regions look like is learned from regions alone.
        said = self.predict(x, visible, self.any_damage.log() if self.config.damage == "regions" else None)
        mixture = torch.logaddexp(logsigmoid(-self.outlier_logit) + said.log_inlier,
                                  logsigmoid(self.outlier_logit) + said.log_outlier)
        if regions is not None and self.config.damage != "regions":
            hidden, regions = hidden | regions.any(1), None
        if regions is None:
            return (mixture * hidden).sum(1) / hidden.sum(1).clamp_min(1)
        alone = hidden & ~regions.any(1)
        inside = regions.to(x.dtype)
        undamaged = torch.einsum("brn,bn->br", inside, said.log_inlier)
        damaged = undamaged + self.region_gain(x, said.log_inlier, inside).logsumexp(-1)
        whole = torch.logaddexp(logsigmoid(-self.region_logit) + undamaged, logsigmoid(self.region_logit) + damaged)
        return ((mixture * alone).sum(1) + whole.sum(1)) / (alone.sum(1) + inside.sum((1, 2))).clamp_min(1)

    def region_gain(self, x: Tensor, log_inlier: Tensor, inside: Tensor) -> Tensor:
        """log p(kind) + log p(region | damage of that kind) - log p(region | undamaged), (B, R, L + 1) in nats.

        A damaged region is one brightness all over or noise, in a share of its nodes; the others are as they were. One
        brightness for all of them and not one for each: else whatever is hard to foretell would count as damage.

        Args:
            x: (..., N). log_inlier: (..., N), log p(x_i | undamaged).
            inside: (..., R, N), how far each node counts in a region, from 0 to 1.
        """
        share, untouched = self.region_share.log(), torch.log1p(-self.region_share)
        index = self.levels.index(x)
        own = torch.logaddexp(untouched, share - log_inlier) - untouched  # what a value gains if it is of the kind
        by_level = torch.zeros(*x.shape, len(self.levels), dtype=x.dtype, device=x.device).scatter(
            -1, index[..., None], own[..., None])
        noise = torch.logaddexp(untouched, share + self.levels.width.log()[index] - log_inlier) - untouched
        gains = inside @ torch.cat([by_level, noise[..., None]], -1)
        return self.log_region_kinds + untouched * inside.sum(-1, keepdim=True) + gains

    def trust_in_region(self, x: Tensor, log_inlier: Tensor, kinds: Tensor) -> Tensor:
        """p(x_i undamaged | its region is damaged), (B, N), given how probable each kind of damage is, (B, L + 1)."""
        odds = (torch.log1p(-self.region_share) - self.region_share.log()) + log_inlier
        index = self.levels.index(x)
        noise = torch.sigmoid(odds - self.levels.width.log()[index])
        same = kinds[:, :-1].gather(1, index)
        return same * torch.sigmoid(odds) + kinds[:, -1:] * noise + (1 - same - kinds[:, -1:])
