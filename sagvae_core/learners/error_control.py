"""How many false edges stability selection may let through (Shah and Samworth 2013, section 3.4).

If a pair is chosen by chance, the share of halves that choose it has a distribution that falls off towards 1. Theirs is
taken to be r-concave, f^r concave where it is not 0: with r = -1/4 for single halves, and r = -1/2 for both halves of
a split at once. Among such distributions of a given mean one has the largest tail, and that bounds the chance.

Symbols: B random splits into two halves, 2B halves.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize_scalar

_SINGLE, _BOTH = -0.25, -0.5  # r, as they recommend
_STEEPEST, _FLATTEST = 1e-5, 1e5  # a, which shapes the distribution


def false_edge_bound(share: float, mean_selected: float, pairs: int, splits: int) -> float:
    """The expected number of false edges among the pairs that at least ``share`` of the halves chose, at most.

    False are here the pairs that a half chooses no more often than the average pair.

    Args:
        share: in (0, 1], a multiple of 1 / (2 ``splits``).
        mean_selected: pairs that a half chooses on average. pairs: of how many.
        splits: B.
    """
    rate = mean_selected / pairs
    if rate <= 0:
        return 0.0
    single = largest_tail(rate, 2 * splits, round(share * 2 * splits), _SINGLE)
    together = round((2 * share - 1) * splits)  # at least so many splits have it in both halves
    both = largest_tail(rate ** 2, splits, together, _BOTH) if together > 0 else 1.0
    return min(single, both) * pairs


def stable_threshold(pairs: int, mean_selected: float, splits: int, false_edges: float) -> tuple[float, float]:
    """The lowest share of halves, above ½, whose :func:`false_edge_bound` is at most ``false_edges``; and that bound.

    If there is none it is 1: the pairs that every half chose, with the bound that they have.
    """
    low, high = splits + 1, 2 * splits
    while low < high:  # the bound falls as the share rises
        middle = (low + high) // 2
        if false_edge_bound(middle / (2 * splits), mean_selected, pairs, splits) <= false_edges:
            high = middle
        else:
            low = middle + 1
    return low / (2 * splits), false_edge_bound(low / (2 * splits), mean_selected, pairs, splits)


def largest_tail(mean: float, count: int, least: int, r: float) -> float:
    """The largest P(X >= ``least``) of r-concave X on 0 .. ``count`` with expectation ``mean`` * ``count``, r < 0.

    It is reached by probabilities (a + i)^(1/r) for i = 0 .. k with at most as much at k + 1 (their lemma 4): a sets
    the slope, and the last one the expectation.
    """
    wanted = mean * count
    if least <= 0 or 2 * wanted >= count or least <= 2 * wanted:  # even level ones reach that far
        return 1.0
    best = 0.0
    for k in range(max(least - 1, int(np.floor(2 * wanted))), count):
        places = np.arange(k + 1)

        def surplus(log_a: float, places: np.ndarray = places) -> float:
            weights = _weights(log_a, places, r)
            return float(places @ weights / weights.sum() - wanted)

        def below(log_a: float, k: int = k, places: np.ndarray = places) -> float:
            weights = _weights(log_a, places, r)
            return float((k + 1 - wanted) * weights[:least].sum() / ((k + 1 - places) @ weights))

        # Without a place k + 1 the expectation must not be above the wanted one; with a full one not below it.
        flattest = _crossing(surplus)
        steepest = _crossing(lambda log_a, k=k: surplus(log_a, np.arange(k + 2)))
        if steepest < flattest:
            found = minimize_scalar(below, bounds=(steepest, flattest), method="bounded")
            best = max(best, 1 - min(found.fun, below(steepest), below(flattest)))
        else:
            best = max(best, 1 - below(flattest))
    return float(np.clip(best, 0.0, 1.0))


def _weights(log_a: float, places: np.ndarray, r: float) -> np.ndarray:
    return (1 + places / np.exp(log_a)) ** (1 / r)


def _crossing(surplus) -> float:
    """log a at which a distribution has the wanted expectation, or the end of the range that is nearest to it."""
    low, high = np.log(_STEEPEST), np.log(_FLATTEST)
    if surplus(low) >= 0:
        return low
    return high if surplus(high) <= 0 else brentq(surplus, low, high)
