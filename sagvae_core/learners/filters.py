"""Rows as independent sources that a graph has smoothed, and how sure each edge of that graph is.

The decoder of section 4.1 without its nonlinearity is a graph filter: x = S z with z ~ N(0, I) and
S = c0 I + c1 Â + c2 Â², where Â = D^-½(A + I)D^-½; two graph convolutions give the last term, z-skip (eq. 17) and
self-loops the others. Its evidence has a closed form, so that an edge can be judged by what the rows would lose
without it, where the trained posterior is at 0 or 1 and does not rank.

Symbols: M samples, N nodes, P = N(N-1)/2 pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .densities import gaussian_density

_LOG_NOISE = 14.0  # the noise's variance is at least e^-14, so that every covariance can be inverted, and at most e^14
_SMALLEST_GAIN = 1e-6  # nats; below it is rounding
_SCREENED = 2  # flips that a sweep tries, a node; those with the steepest gradients
_SCORED = 6  # flips that the result tries, a node
_TRADED = 3  # edges that are swapped, a node: all of them in sparse graphs
_SWAPS = 3  # other pairs that an edge is swapped for
_SWITCHED = 10**8  # N³ times the switches that are tried: as much work at any size, 1,560 of 40 nodes, 100 of 100
_CHUNK = 2**17  # entries of a stack of matrices, 1 MB: what a core keeps at hand
_SWEEPS = 40


@dataclass(frozen=True)
class FilteredGraph:
    """A graph and its filter.

    Attributes:
        graph: bool (N, N).
        scores: float64 (N, N), log-odds of every edge given all others, in nats.
        log_posterior: nats; log-likelihood of all samples and log prior of the graph, up to a constant.
    """

    graph: np.ndarray
    scores: np.ndarray
    log_posterior: float


def filtered_graph(moments: np.ndarray, samples: int, starts: Sequence[np.ndarray],
                   prior_log_odds: float) -> FilteredGraph:
    """The graph whose filter explains the samples best, near one of several others, and the evidence of its edges.

    From each start pairs are flipped while that raises the posterior, the filter fitted again in between. From the
    best graph so found the search goes on with larger moves.

    Args:
        moments: (N, N) second moments of centred samples.
        samples: M, how many there were.
        starts: bool (N, N) each.
        prior_log_odds: of an edge before any data, its BIC price included.
    """
    searches = [_Search(moments, samples, start, prior_log_odds) for start in starts]
    for search in searches:
        search.climb(flips_only=True)
    best = max(searches, key=lambda search: float(search.log_posterior(search.adjacency)))
    best.climb()
    return best.result()


def filter_density(moments: np.ndarray, graph: np.ndarray) -> float:
    """Mean log-density in nats a value of samples with these second moments (N, N) under the graph's filter."""
    return gaussian_density(_Search(moments, 1, graph, 0.0).covariance(), moments)


class _Search:
    """A graph on its way uphill, and the filter that fits it."""

    def __init__(self, moments: np.ndarray, samples: int, start: np.ndarray, prior_log_odds: float) -> None:
        self.samples, self.prior = samples, prior_log_odds
        self.deviations = np.sqrt(moments.diagonal())
        self.target = torch.as_tensor(moments / np.outer(self.deviations, self.deviations))
        self.adjacency = torch.as_tensor(start, dtype=torch.float64)
        self.row, self.column = np.triu_indices(len(moments), k=1)
        self.parameters = [torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64),
                           torch.tensor(-2.0, dtype=torch.float64)]
        self.fit()

    def correlation(self, adjacency: Tensor) -> Tensor:
        """Of the filtered sources, with noise; every column's variance is its own. (..., N, N)."""
        weights, log_noise = self.parameters
        weights = weights / weights.norm().clamp_min(1e-12)  # the scale is free, and would grow where there is no noise
        eye = torch.eye(adjacency.shape[-1], dtype=torch.float64)
        looped = adjacency + eye
        scale = looped.sum(-1).rsqrt()
        once = scale[..., :, None] * looped * scale[..., None, :]
        smoother = weights[0] * eye + weights[1] * once + weights[2] * (once @ once)
        covariance = smoother @ smoother.transpose(-1, -2) + log_noise.clamp(-_LOG_NOISE, _LOG_NOISE).exp() * eye
        scale = covariance.diagonal(dim1=-2, dim2=-1).rsqrt()
        return scale[..., :, None] * covariance * scale[..., None, :]

    def log_likelihood(self, adjacency: Tensor) -> Tensor:
        """Nats of all samples, up to a constant, (...)."""
        lower = torch.linalg.cholesky(self.correlation(adjacency))
        inverse = torch.cholesky_inverse(lower)
        misfit = (inverse * self.target).sum((-2, -1))
        return -self.samples * (0.5 * misfit + lower.diagonal(dim1=-2, dim2=-1).log().sum(-1))

    def covariance(self) -> np.ndarray:
        """What the filter makes of white sources, in the scale of the samples, (N, N)."""
        return self.correlation(self.adjacency).numpy() * np.outer(self.deviations, self.deviations)

    def fit(self) -> None:
        """The filter's coefficients and the noise, by maximum likelihood."""
        self.parameters = [value.detach().clone().requires_grad_() for value in self.parameters]
        optimizer = torch.optim.LBFGS(self.parameters, max_iter=30, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = -self.log_likelihood(self.adjacency) / (self.samples * len(self.target))
            value.backward()
            return value

        optimizer.step(loss)
        self.parameters = [value.detach() for value in self.parameters]

    def log_posterior(self, adjacency: Tensor) -> Tensor:
        """Log-likelihood and log prior of the graph, nats up to a constant, (...)."""
        return self.log_likelihood(adjacency) + self.prior * adjacency.sum((-2, -1)) / 2

    def on(self, adjacency: Tensor | None = None) -> np.ndarray:
        """Which of the P pairs are edges."""
        return (self.adjacency if adjacency is None else adjacency)[self.row, self.column].numpy() > 0.5

    # ------------------------------------------------------------------ moves: pairs to flip together, (K, pairs)

    def promises(self, adjacency: Tensor) -> np.ndarray:
        """Nats of log posterior that flipping each of the P pairs would add by the gradient."""
        adjacency = adjacency.clone().requires_grad_()
        self.log_posterior(adjacency).backward()
        slopes = (adjacency.grad + adjacency.grad.T)[self.row, self.column].numpy()
        return np.where(self.on(adjacency.detach()), -slopes, slopes)

    def best(self, promises: np.ndarray, count: int) -> np.ndarray:
        return np.argsort(-promises, kind="stable")[:count]

    def flips(self, count: int) -> np.ndarray:
        """The ``count`` pairs a node that promise most, each alone."""
        return self.best(self.promises(self.adjacency), count * len(self.target))[:, None]

    def swaps(self) -> np.ndarray:
        """Each edge with the pairs that promise most without it; a wrong edge can stand in for a right one."""
        edges = np.flatnonzero(self.on())
        edges = edges[self.best(self.promises(self.adjacency)[edges], _TRADED * len(self.target))]
        moves = []
        for pair in edges:
            others = self.best(self.promises(self.flipped([pair])), _SWAPS + 1)
            moves += [(pair, other) for other in others[others != pair][:_SWAPS]]
        return np.array(moves, dtype=int).reshape(-1, 2)

    def switches(self) -> np.ndarray:
        """Two edges a-b, c-d with the pairs a-c, b-d or a-d, b-c, if those are two steps apart.

        No node's degree changes. White sources make such graphs nearly as likely as each other where b and c have the
        same other neighbours, as some members of the karate club have; no series of single flips leads between them.
        """
        graph = self.adjacency.numpy() > 0.5
        near = (graph.astype(int) @ graph.astype(int) > 0) & ~graph
        edges = np.stack(np.nonzero(np.triu(graph)), axis=1)
        first, second = np.triu_indices(len(edges), k=1)
        (a, b), (c, d) = edges[first].T, edges[second].T
        number = np.zeros(graph.shape, dtype=int)
        number[self.row, self.column] = number[self.column, self.row] = np.arange(len(self.row))
        moves = np.concatenate([
            np.stack([number[a, b], number[c, d], number[a, e], number[b, f]], axis=1)[near[a, e] & near[b, f]]
            for e, f in ((c, d), (d, c))])
        promises = self.promises(self.adjacency)[moves].sum(axis=1)
        return moves[self.best(promises, _SWITCHED // len(graph) ** 3)]

    def flipped(self, moves: np.ndarray | list) -> Tensor:
        """The graph after a move, or after each of K moves (K, pairs)."""
        moves = np.asarray(moves)
        adjacency = self.adjacency.repeat(*moves.shape[:-1], 1, 1)
        index = np.arange(len(moves))[:, None] if moves.ndim == 2 else ...
        row, column = self.row[moves], self.column[moves]
        adjacency[index, row, column] = adjacency[index, column, row] = 1 - self.adjacency[row, column]
        return adjacency

    def gains(self, moves: np.ndarray) -> np.ndarray:
        """Nats of log posterior that each of K moves alone would add, (K,)."""
        before = self.log_posterior(self.adjacency)
        parts = np.array_split(moves, 1 + len(moves) * len(self.target) ** 2 // _CHUNK)
        return torch.cat([self.log_posterior(self.flipped(part)) - before for part in parts]).numpy()

    # ------------------------------------------------------------------ search

    def climb(self, flips_only: bool = False) -> None:
        """Make moves until none raises the posterior; dearer kinds only where cheaper ones end."""
        kinds = (lambda: self.flips(_SCREENED), self.swaps, self.switches)[:1 if flips_only else 3]
        for _ in range(_SWEEPS):
            if not any(self.improve(kind()) for kind in kinds):
                return
            self.fit()

    def improve(self, moves: np.ndarray) -> bool:
        """Make all moves that gain, the best first and one at a node, since moves that meet could undo each other."""
        gains = self.gains(moves)
        touched: set[int] = set()
        chosen: list[np.ndarray] = []
        for place in np.argsort(-gains, kind="stable"):
            if gains[place] <= _SMALLEST_GAIN:
                break
            ends = {*self.row[moves[place]].tolist(), *self.column[moves[place]].tolist()}
            if not ends & touched:
                touched |= ends
                chosen.append(moves[place])
        if not chosen:
            return False
        several = self.flipped(np.concatenate(chosen))
        alone = self.flipped(chosen[0])
        self.adjacency = max(several, alone, key=lambda adjacency: float(self.log_posterior(adjacency)))
        return True

    def result(self) -> FilteredGraph:
        """Each pair's log-odds: the best graph with it against the best without it, among all that a move leads to.

        Pairs that no move was worth trying for keep the order of their gradients, below all others.
        """
        gained = np.full(len(self.row), -np.inf)
        for moves in (self.flips(_SCORED), np.flatnonzero(self.on())[:, None], self.swaps(), self.switches()):
            gains = self.gains(moves)
            for pairs in moves.T:
                np.maximum.at(gained, pairs, gains)
        untried = np.isneginf(gained)
        if untried.any():
            promises = self.promises(self.adjacency)[untried]
            gained[untried] = np.minimum(promises, gained[~untried & ~self.on()].min(initial=0.0))
        scores = np.zeros(self.target.shape)
        scores[self.row, self.column] = np.where(self.on(), -gained, gained)
        return FilteredGraph(self.adjacency.numpy() > 0.5, scores + scores.T,
                             float(self.log_posterior(self.adjacency)))
