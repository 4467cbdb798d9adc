"""An edge's evidence, averaged over the graphs that the rows leave possible, instead of given the one that was trained.

From few rows training keeps one graph of many that describe them as well, and the evidence on an edge depends on what
else that graph holds. So graphs are drawn from their posterior, pair by pair given all others (Gibbs sampling), and an
edge's probability is the mean of what it is given each of them: Bayesian model averaging (Hoeting et al. 1999).

Two things are learned from the rows on the way (empirical Bayes): the share of pairs that are edges, and the share of
edges that are positive. Where nearly all are, a negative relation is likely to be chance.

Symbols: M rows, N nodes, Q features of a node that its neighbours may be regressed on, P pairs at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, ndtr

from .moments import Moments
from .prior import MOST, log_odds

# Expected squares of standardised coefficients. Graphs are drawn as if one row's worth were known of each pair before,
# about the BIC's price: only what the rows insist on is then held fixed for others. An edge itself is judged by a size
# that edges do have; at the BIC's price the posterior of 200 rows stays far below the share that is true.
_UNIT, _JUDGED = 1.0, 0.2


@dataclass(frozen=True)
class Expected:
    """What is expected of a pair before any row: the share of edges, of positive ones among these, and their size."""

    share: float
    positive: float
    size: float

    def log_odds(self, nats: np.ndarray, signs: np.ndarray, coefficients: int, counts: np.ndarray) -> np.ndarray:
        """Of an edge between pairs, in the shape of ``nats``.

        Coefficients are normal around 0 with the variance ``size``; of a single one the positive half weighs
        ``positive`` and the negative half the rest.

        Args:
            nats: what the coefficients of a pair add to its log-likelihood.
            signs: of the single coefficient as it was estimated; 0 says nothing.
            coefficients: of each pair. counts: of rows.
        """
        known = self.size * counts
        kept = nats * known / (1 + known)
        above = ndtr(signs * np.sqrt(2 * np.maximum(kept, 0)))  # of the posterior of the coefficient, above 0
        halves = np.log(2 * (self.positive * above + (1 - self.positive) * (1 - above)))
        return kept - 0.5 * coefficients * np.log1p(known) + halves + log_odds(self.share)

    def learned(self, posterior: np.ndarray, signs: np.ndarray) -> Expected:
        """The shares after pairs of such posteriors, (P,), as if half an edge and one of each sign had been seen."""
        pairs = len(posterior)
        share = min(max((posterior.sum() + 0.5) / (pairs + 1), 0.5 / pairs), MOST)
        positive = (posterior[signs > 0].sum() + 1) / (posterior[signs != 0].sum() + 2)
        return replace(self, share=share, positive=positive)


@dataclass(frozen=True)
class Averaged:
    """What is known of all pairs, each symmetric (N, N).

    Attributes:
        scores: log-odds of an edge, with the share that was asked for.
        graph: bool, the pairs that are edges of most drawn graphs.
        signs: of the relations, 0 of none to speak of.
        expected: what ``scores`` go by.
    """

    scores: np.ndarray
    graph: np.ndarray
    signs: np.ndarray
    expected: Expected


def average(moments: Moments, graph: np.ndarray, share: float, seed: int, chains: int = 3, rounds: int = 6) -> Averaged:
    """Log-odds of the mean probability of every pair over graphs drawn from their posterior.

    Args:
        graph: bool (N, N), where drawing starts.
        share: of edges, for the scores. Graphs are drawn with the share that is learned.
        seed: of the draws.
        chains: how often drawing starts anew, since where evidence is strong one chain stays among graphs of one kind.
        rounds: how often a chain draws every pair. The first third only gets away from ``graph``.
    """
    nodes, upper, first = len(graph), np.triu_indices(len(graph), k=1), rounds // 3
    edge, none = (np.full((nodes, nodes), -np.inf) for _ in range(2))  # logarithms of sums of probabilities
    often, positive = np.zeros((nodes, nodes)), []
    for random in np.random.default_rng(seed).spawn(chains):
        draws, drawn = _Draws(moments, graph, random), Expected(share, 0.5, _UNIT / moments.coefficients)
        for number in range(rounds):
            probability = draws.next_round(drawn)
            if number >= first:
                judged = Expected(share, drawn.positive, _JUDGED)
                odds = judged.log_odds(draws.nats, draws.signs, moments.coefficients, moments.counts)
                edge, none = np.logaddexp(edge, -np.logaddexp(0, -odds)), np.logaddexp(none, -np.logaddexp(0, odds))
                often += probability
                positive.append(drawn.positive)
            drawn = drawn.learned(probability[upper], draws.signs[upper])
    return Averaged(edge - none, often > len(positive) / 2, draws.signs,
                    Expected(share, float(np.mean(positive)), _JUDGED))


class _Draws:
    """A graph that is drawn anew, pair by pair, each given all others; ``nats`` and ``signs`` (N, N) as last tested."""

    def __init__(self, moments: Moments, graph: np.ndarray, random: np.random.Generator) -> None:
        nodes = len(graph)
        self.moments, self.graph, self.random = moments, graph.copy(), random
        self.nats, self.signs = np.zeros((nodes, nodes)), np.zeros((nodes, nodes))
        # When each pair was tested, and when each node last got or lost a neighbour; other pairs are as they were.
        self.tested, self.changed, self.now = np.full((nodes, nodes), -1), np.zeros(nodes, dtype=int), 0

    def next_round(self, expected: Expected) -> np.ndarray:
        """Draw every pair once; their probabilities, (N, N)."""
        probability = np.zeros(self.graph.shape)
        for i, j in meetings(len(self.graph), self.random):
            self.now += 1
            stale = self.tested[i, j] < np.maximum(self.changed[i], self.changed[j])
            _assign(self.tested, i[stale], j[stale], self.now)
            nats, signs = self.moments.tested(i[stale], j[stale], self.graph)
            _assign(self.nats, i[stale], j[stale], nats)
            _assign(self.signs, i[stale], j[stale], signs)
            odds = expected.log_odds(self.nats[i, j], self.signs[i, j], self.moments.coefficients,
                                     self.moments.counts[i, j])
            _assign(probability, i, j, expit(odds))
            drawn = self.random.random(len(i)) < expit(odds)
            flipped = drawn != self.graph[i, j]
            self.changed[i[flipped]] = self.changed[j[flipped]] = self.now
            _assign(self.graph, i, j, drawn)
        return probability


def meetings(nodes: int, random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of nodes, int (P,) each, a few at a time so that none of these share a node: the circle method of
    tournaments, in random order."""
    places = nodes + nodes % 2
    order = random.permutation(places)
    for turn in range(places - 1):
        ring = np.concatenate([order[:1], np.roll(order[1:], turn)])
        i, j = ring[: places // 2], ring[: places // 2 - 1: -1]
        real = (i < nodes) & (j < nodes)
        yield i[real], j[real]


def _assign(matrix: np.ndarray, i: np.ndarray, j: np.ndarray, values: np.ndarray | int) -> None:
    matrix[i, j] = matrix[j, i] = values
