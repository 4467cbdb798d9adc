"""How many edges are there to be expected? The share of pairs that makes the rows most probable (empirical Bayes).

Every pair's log-odds are those of a prior and what the rows add to them, its Bayes factor. Given these factors, taken
for independent as the posterior takes them, the likelihood of the share is concave, and at its maximum the mean
posterior is the share itself.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

MOST = 0.5  # share of the pairs; of more, none would be what is rare


def estimated_prior(scores: np.ndarray, prior: float) -> float:
    """The most likely share of edges.

    Args:
        scores: (N, N) log-odds in nats, of which the upper triangle is read.
        prior: the share that they were computed with.

    Returns:
        In [half an edge, ``MOST``].
    """
    evidence = scores[np.triu_indices(len(scores), k=1)] - log_odds(prior)

    def surplus(share: float) -> float:
        return float(expit(evidence + log_odds(share)).mean() - share)

    least = 0.5 / max(1, len(evidence))
    if least >= MOST or surplus(least) <= 0:
        return min(least, MOST)
    return MOST if surplus(MOST) >= 0 else float(brentq(surplus, least, MOST, xtol=1e-9))


def log_odds(share: float) -> float:
    """Of a share in (0, 1), in nats."""
    return math.log(share / (1 - share))
