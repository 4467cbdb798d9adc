"""E[clean | x] of damaged rows: which values to trust, and what stood where they cannot be.

Every node is asked what its neighbours say of it while it is hidden itself; p(undamaged | x) follows by Bayes' rule
from that prediction and from what damage looks like. Values that are not trusted are then hidden from the others, and
all are asked again. Whole regions (a block in a picture vouches for itself, pixel by pixel) are found by hiding balls
of the learned graph: :mod:`.regions`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .completion import NodeCompletion
from .errors import expected
from .regions import Candidates, find_regions

_RATE_RANGE = (0.005, 0.9)  # of a row's own outliers: never so sure of either that one value could not be damaged
_ROWS = 256  # at once: the search for regions keeps some hundred kilobytes of each
_PRIOR_VALUES = 20.0  # the training data's outlier levels count as much as this many damaged values of the row


@dataclass
class Restoration:
    """Damaged rows as the model believes they were; everything (B, N).

    ``clean`` is E[clean | x] = trust · x + (1 - trust) · mean, ``trust`` is p(x_i undamaged | x), ``mean`` is
    E[clean_i | the trusted others].
    """

    clean: Tensor
    trust: Tensor
    mean: Tensor


def fold_of_nodes(nodes: int, folds: int, device: torch.device | str = "cpu") -> Tensor:
    """Which of ``folds`` groups each node is hidden with, (N,): drawn once for a size, so that rows never differ."""
    order = torch.randperm(nodes, generator=torch.Generator().manual_seed(nodes))
    return (order % folds).to(device)


def blind_pass(completion: NodeCompletion, x: Tensor, visible: Tensor, folds: Tensor, rate: Tensor,
               log_outlier_levels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Trust and mean of every node as the others see it, each (B, N).

    Args:
        visible: (B, N), how far each value is believed by the others.
        folds: (N,) or (B, N), the groups that are hidden together, numbered from 0.
        rate: the share of damaged values, (1,) or (B, 1).
        log_outlier_levels: (L,) or (B, L), what damage looks like.
    """
    hidden = folds == torch.arange(int(folds.max()) + 1, device=x.device)[:, None, None]
    said = completion.predict(x, visible * ~hidden, log_outlier_levels)
    log_inlier, log_outlier, mean = (values.gather(0, folds.expand(1, *x.shape))[0]
                                     for values in (said.log_inlier, said.log_outlier, said.mean))
    return torch.sigmoid(log_inlier - log_outlier - torch.logit(rate)), mean


def row_outliers(completion: NodeCompletion, x: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """The row's own share of damaged values (B, 1) and what they look like, log (B, L), given the present trust."""
    doubt = 1 - trust
    rate = doubt.mean(1, keepdim=True).clamp(*_RATE_RANGE)
    prior = _PRIOR_VALUES * completion.log_outlier_levels.exp()
    counts = prior.expand(len(x), -1).clone().scatter_add_(1, completion.levels.index(x), doubt)
    return rate, (counts / counts.sum(1, keepdim=True)).log()


@torch.no_grad()
def trust_of(completion: NodeCompletion, x: Tensor, folds: int = 4) -> Tensor:
    """How far each value of rows x (B, N) may be trusted with all others in sight: one blind pass, (B, N)."""
    groups = fold_of_nodes(x.shape[1], folds, x.device)
    return blind_pass(completion, x, torch.ones_like(x), groups, completion.outlier_rate.clamp(*_RATE_RANGE))[0]


@torch.no_grad()
def restore(completion: NodeCompletion, x: Tensor, candidates: Candidates | None = None, folds: int = 4,
            rounds: int = 3) -> Restoration:
    """E[clean | x] for rows x (B, N) in [0, 1] that are damaged here and there or in regions.

    What else is in the batch changes nothing, and nothing is drawn.

    Args:
        candidates: regions to look for; None looks for single values alone.
        folds: nodes are hidden in this many groups; fewer are quicker, more see more.
        rounds: each hides what the last one did not trust, and takes the row's own rate and brightness of damage from
            it; in and around regions the rate of a node is that of its neighbours in the graph.
    """
    if x.ndim != 2 or not 0 <= float(x.min()) <= float(x.max()) <= 1:
        raise expected("x", "rows (B, N) with values from 0 to 1", f"shape {tuple(x.shape)}, "
                       f"{float(x.min()):.3g} to {float(x.max()):.3g}", "Scale the rows as the training data were.")
    parts = [_restore(completion, part, candidates, folds, rounds) for part in x.split(_ROWS)]
    return Restoration(*(torch.cat([getattr(part, name) for part in parts]) for name in ("clean", "trust", "mean")))


def _restore(completion: NodeCompletion, x: Tensor, candidates: Candidates | None, folds: int,
             rounds: int) -> Restoration:
    groups = fold_of_nodes(x.shape[1], folds, x.device)
    trust, rate, levels = torch.ones_like(x), completion.outlier_rate.clamp(*_RATE_RANGE), None
    if candidates is not None:
        trust, found = find_regions(completion, x, candidates)
        around = (found.to(x.dtype) @ candidates.near) > 0
    for index in range(rounds):
        if index or candidates is not None:
            rate, levels = row_outliers(completion, x, trust)
        if candidates is not None:
            rate = torch.where(around, ((1 - trust) @ candidates.near.T).clamp(*_RATE_RANGE), rate)
        trust, mean = blind_pass(completion, x, trust, groups, rate, levels)
    return Restoration(trust * x + (1 - trust) * mean, trust, mean)
