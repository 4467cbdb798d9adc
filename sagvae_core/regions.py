"""Damaged regions: found by hiding balls of the learned graph and asking whether what stands there is believable.

Pixel by pixel a block cannot be told from what belongs there: every pixel of it is vouched for by the others. With a
whole ball hidden, the rest of the row says what should stand in it, and a joint choice for all its nodes, damaged or
not, has evidence enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .completion import NodeCompletion
from .neighbours import balls

# All in nodes, and the numbers beside them are what that is in a picture.
_HIDDEN = (9, 49, 81, 121)  # in training: 3 x 3, 7 x 7, 9 x 9, 11 x 11
_SOUGHT = 100  # 10 x 10: what covers the damage finds it best; what is larger is found piece by piece
_NEXT = 9  # between the middles of two balls lies a pixel, or none
_COARSE = 4  # middles of coarse balls are as far apart as a ball reaches that is this many times smaller: 5 x 5
_APART = 121  # around a ball's middle, where no other ball of the same pass may reach: it still sees its surroundings
_LARGEST_SHARE = 4  # no region is more than a fourth of all nodes
# Nodes that are near each other err together, so the odds of a region, a sum over its nodes, say more than there is to
# say. Chosen on validation images: at a sixth of it masks are repaired no better, and undamaged images worse.
_PRICE_PER_NODE = 0.3
_PIECES = 3  # regions a row
_SHORTLIST = 8  # of a row's balls that are looked at closely


@dataclass
class Candidates:
    """Balls that cover the graph, (R, N) bool: all of them, and a coarser cover to look through first.

    ``coarse`` are indices of balls in groups that can be hidden in one pass.
    """

    inside: Tensor
    coarse: list[Tensor]
    near: Tensor  # (N, N), the mean over a node and those next to it

    @classmethod
    def of(cls, edge_posterior: Tensor) -> Candidates:
        """Balls around middles that cover the graph. A node without edges is no region."""
        sought, = _limited([_SOUGHT], len(edge_posterior))
        near, spacing, inside, wide = balls(edge_posterior, [_NEXT, max(1, sought // _COARSE), sought, _APART])
        order = edge_posterior.sum(1).argsort(descending=True, stable=True)
        middles = _cover(order[near.sum(1)[order] > 1], near)
        coarse = _cover(middles, spacing)
        meets = (wide[coarse].float() @ inside[coarse].float().T) > 0
        groups = _apart(meets | meets.T)
        place = {int(node): index for index, node in enumerate(middles)}
        coarse_at = torch.tensor([place[int(node)] for node in coarse], device=inside.device)
        return cls(inside[middles], [coarse_at[group] for group in groups], near.float() / near.sum(1)[:, None])

    @property
    def least_price(self) -> float:
        """Log odds, in nats, that no region's damage is believed below."""
        return _PRICE_PER_NODE * float(self.inside.sum(1).max()) if len(self.inside) else 0.0


def region_sizes(nodes: int) -> list[int]:
    """How many nodes the regions have that training hides, the smallest first."""
    return _limited(_HIDDEN, nodes)


def _limited(sizes: Sequence[int], nodes: int) -> list[int]:
    return [min(size, max(1, nodes // _LARGEST_SHARE)) for size in sizes]


def _cover(order: Tensor, near: Tensor) -> Tensor:
    """Nodes of ``order``, the first first, that are not ``near`` (N, N) one taken before."""
    taken, covered = [], torch.zeros(len(near), dtype=torch.bool, device=near.device)
    for node in order.tolist():
        if not covered[node]:
            taken.append(node)
            covered |= near[node]
    return torch.tensor(taken, dtype=torch.long, device=near.device)


def _apart(meets: Tensor) -> list[list[int]]:
    """Indices 0 ... in groups in which no two meet; those that meet most are placed first."""
    groups: list[list[int]] = []
    for index in meets.sum(1).argsort(descending=True, stable=True).tolist():
        home = next((group for group in groups if not meets[index, group].any()), None)
        if home is None:
            groups.append(home := [])
        home.append(index)
    return groups


class _Search:
    """The regions of one batch of rows; see :func:`find_regions`."""

    def __init__(self, completion: NodeCompletion, x: Tensor, candidates: Candidates):
        self.completion, self.x, self.candidates = completion, x, candidates
        self.trust, self.found = torch.ones_like(x), torch.zeros_like(x, dtype=torch.bool)

    def promise(self) -> Tensor:
        """Log odds of every ball, (B, R), as near as the coarse balls tell: each value as strange as it is with any of
        them hidden."""
        strangest = torch.zeros_like(self.x)
        if self.candidates.coarse:
            hidden = torch.stack([self.candidates.inside[group].any(0) for group in self.candidates.coarse])[:, None]
            log_inlier = self.completion.log_inlier(self.x, ~hidden * self.trust)
            strangest = torch.where(hidden, log_inlier, strangest).amin(0)
        inside = self.candidates.inside.to(self.x.dtype).expand(len(self.x), -1, -1)
        return self.completion.region_gain(self.x, strangest, inside).logsumexp(-1)

    def best(self, rows: Tensor, shortlist: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each row's ``shortlist`` (rows, S) the best ball's log odds (rows,), its nodes and trust in them."""
        x, inside = self.x[rows], self.candidates.inside[shortlist.T]  # (S, rows, N)
        log_inlier = self.completion.log_inlier(x, ~inside * self.trust[rows])
        counted = inside * self.trust[rows]  # what is out is no news
        gains = self.completion.region_gain(x.expand_as(counted), log_inlier, counted[..., None, :])[..., 0, :]
        score, place = gains.logsumexp(-1).max(0)
        best = place, torch.arange(len(rows), device=place.device)
        trust = self.completion.trust_in_region(x, log_inlier[best], gains[best].softmax(-1))
        return score, inside[best], trust

    def take(self, rows: Tensor, piece: Tensor, trust: Tensor) -> None:
        """Note that ``piece`` (rows, N) is damaged."""
        self.trust[rows] = torch.where(piece, self.trust[rows].minimum(trust), self.trust[rows])
        self.found[rows] |= piece


def find_regions(completion: NodeCompletion, x: Tensor, candidates: Candidates) -> tuple[Tensor, Tensor]:
    """Damaged regions of rows x (B, N), the most convincing first, until none is worth its price.

    Returns:
        trust (B, N), how far each value is believed, 1 outside the regions; and bool (B, N), the regions.
    """
    search = _Search(completion, x, candidates)
    promise = search.promise()
    shortlist = promise.topk(min(_SHORTLIST, promise.shape[1]), 1).indices
    rows = (promise > 0).any(1).nonzero()[:, 0]
    for _ in range(_PIECES):
        if not len(rows):
            break
        score, piece, trust = search.best(rows, shortlist[rows])
        convincing = score > completion.region_price.clamp_min(candidates.least_price)
        rows = rows[convincing]
        search.take(rows, piece[convincing], trust[convincing])
    return search.trust, search.found


def undamaged_price(completion: NodeCompletion, rows: Tensor, candidates: Candidates, false_alarms: float) -> float:
    """The price at which at most a share of ``false_alarms`` of undamaged ``rows`` (B, N) have a region found damaged;
    never below the least one."""
    search = _Search(completion, rows, candidates)
    promise = search.promise()
    if not promise.shape[1]:
        return candidates.least_price
    every = torch.arange(len(rows), device=rows.device)
    best = search.best(every, promise.topk(min(_SHORTLIST, promise.shape[1]), 1).indices)[0]
    return max(candidates.least_price, float(best.quantile(1 - false_alarms)))
