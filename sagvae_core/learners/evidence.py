"""How sure is each edge when nobody knows the truth: closed forms in NumPy.

Training leaves most edge probabilities at 0 or 1, which decides but does not rank. Given the rest of the graph, the
optimal q(A_ij) has a closed form where each column is a regression on its neighbours: its log-odds are what the edge
adds to the log-likelihood, less its price. That is one coordinate step of the variational optimum of eq. 9. The rest
of the graph is the trained one, or any of those that are as likely (:mod:`.averaging`).

Symbols: M rows, N nodes, C channels, Q features of a node that its neighbours may be regressed on.
"""

from __future__ import annotations

import numpy as np

from .averaging import average
from .bits import Bits
from .moments import Moments
from .screening import WIDE

_CHAINS = 3  # of wide tables one, which takes as long as three of narrower ones


def edge_evidence(x: np.ndarray, features: np.ndarray, graph: np.ndarray,
                  prior_log_odds: float, binary: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Log-odds of every edge given the others, in nats, for both meanings of an edge.

    The two regressions of an edge (i on j, j on i) see the same dependence twice, and each can be given either end's
    neighbours; all four gains are averaged. The price is the BIC's: half a log M for each of the Q coefficients a
    channel. A binary node's regressions are logistic. Where values are missing, products are averaged over the rows
    that have both factors (which takes them to be missing at random), and a pair counts as many rows as have both.

    Args:
        x: (M, N, C) centred rows, NaN where missing.
        features: (M, N, Q) functions of each node's own value, NaN where missing.
        graph: bool (N, N), the learned graph; each pair is tested given the others.
        prior_log_odds: log-odds of an edge before any data.
        binary: int (T,), nodes of one channel whose values are above 0 or not.

    Returns:
        Two symmetric (N, N), with 0 as natural threshold. "conditional": two columns depend on each other given all
        others. "direct": and neither given none nor without any one neighbour less do they stop to, as two causes of
        one effect do once it is not held fixed (the idea of the PC algorithm, Spirtes and Glymour 1991).
    """
    tests = _Tests(x, Moments(x, features), binary)
    neighbours = [np.flatnonzero(line) for line in graph]
    counts = tests.moments.counts
    price = prior_log_odds - 0.5 * tests.moments.coefficients * np.log(np.maximum(counts, 1))
    own = tests.all_gains(graph)  # given i's own neighbours, by every j
    others = np.stack([tests.gained(j, given) for j, given in enumerate(neighbours)], axis=1)  # given those of j
    conditional = (own + own.T + others + others.T) / 4
    return {"conditional": conditional + price, "direct": np.minimum(conditional, tests.direct(graph)) + price}


def averaged_evidence(x: np.ndarray, features: np.ndarray, graph: np.ndarray, share: float,
                      binary: np.ndarray | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """:func:`edge_evidence` as its mean over graphs that the rows leave possible, ``graph`` being where drawing starts.

    Edges of binary nodes, whose regressions take long, and what is not held fixed for direct relations are given the
    one graph of the pairs that are edges of most of these. Of more than 128 nodes fewer graphs are drawn.

    Args:
        share: of pairs that are edges, before any data.
        seed: of the draws.
    """
    tests = _Tests(x, Moments(x, features, corrected=True), binary)
    averaged = average(tests.moments, graph, share, seed, chains=_CHAINS if len(graph) <= WIDE else 1)

    def log_odds(nats: np.ndarray) -> np.ndarray:
        return averaged.expected.log_odds(nats, averaged.signs, tests.moments.coefficients, tests.moments.counts)

    conditional = averaged.scores
    if len(tests.binary):
        touched = np.isin(np.arange(len(graph)), tests.binary)
        own = tests.all_gains(averaged.graph)
        conditional = np.where(touched[:, None] | touched, log_odds((own + own.T) / 2), conditional)
    direct = np.minimum(conditional, log_odds(tests.direct(averaged.graph)))
    return {"conditional": conditional, "direct": direct}


class _Tests:
    """What every node says of every other, by linear regressions, or logistic ones of binary nodes."""

    def __init__(self, x: np.ndarray, moments: Moments, binary: np.ndarray | None) -> None:
        self.moments, self.binary = moments, np.array([], dtype=int) if binary is None else np.asarray(binary)
        self.bits = Bits(x[:, :, 0], moments.standardised, self.binary) if len(self.binary) else None

    def gains(self, target: int, given: np.ndarray) -> np.ndarray:
        """Nats that each node adds to ``target``'s regression on the others of ``given``, (N,); 0 for itself."""
        if self.bits is not None and target in self.binary:
            return self.bits.gains(target, given)
        return self.moments.all_gains(target, given)

    def gained(self, candidate: int, given: np.ndarray) -> np.ndarray:
        """Nats that ``candidate`` adds to every node's regression on the others of ``given``, (N,); 0 to its own."""
        found = self.moments.all_gained(candidate, given)
        if self.bits is not None:
            found[self.binary] = self.bits.gained(candidate, given)
        return found

    def all_gains(self, graph: np.ndarray) -> np.ndarray:
        """:meth:`gains` given each node's neighbours: of the nodes (rows) by all others (columns), (N, N)."""
        return np.stack([self.gains(i, np.flatnonzero(line)) for i, line in enumerate(graph)])

    def direct(self, graph: np.ndarray) -> np.ndarray:
        """The least that pairs add to each other given none, or without any one of their neighbours, (N, N)."""
        nodes = len(graph)
        marginal, fewer = self.all_gains(np.zeros_like(graph)), np.full((nodes, nodes), np.inf)
        for i in range(nodes):
            neighbours = np.flatnonzero(graph[i])
            for left_out in neighbours:
                fewer[i] = np.minimum(fewer[i], self.gains(i, neighbours[neighbours != left_out]))
        return np.minimum(marginal + marginal.T, fewer + fewer.T) / 2
