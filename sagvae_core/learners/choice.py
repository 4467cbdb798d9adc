"""Which of the fitted variants of :class:`.SAGVAERelations` describes the rows: read off the rows, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from ..errors import expected
from .base import stacked
from .densities import covariance_selection, gaussian_density, second_moments
from .filters import filter_density
from .variants import price, strongest_pairs


class SmoothingCriterion:
    """Nats a value by which a graph's filter describes rows better than the linear variant, in normal scores.

    It has no neighbours to predict from: its graph implies a covariance and the linear one's a sparse precision, so the
    densities of whole rows are compared. Twice, and the mean counts: with as many edges for both, since noise-free rows
    are described ever better by more edges and a graph is the right kind if few of them say much; and with each one's
    own edges at their price, since the best few edges of many are no fair picture of the many. A few rows far out could
    decide this too, which normal scores prevent.

    This is not a held-out likelihood of the graph: the graphs were learned from these very rows, and both densities are
    fitted and compared in sample. (The regressions that compare "nonlinear" are cross-validated on them.)

    Args:
        linear: (N, N), the linear variant's scores given its trained graph. Those averaged over graphs name more edges,
            which describe any rows better in sample: on a development draw the karate club's smoothing was then taken
            for many linear relations.
        ranks: (M, N, C) normal scores.
    """

    def __init__(self, linear: np.ndarray, ranks: np.ndarray) -> None:
        samples = stacked(ranks)
        self.linear, self.moments = linear, second_moments(samples)
        self.price = price(len(samples)) / samples.size
        own = linear > 0
        np.fill_diagonal(own, False)
        self.edges, self.own = int(own.sum()) // 2, self._described(own)

    def _described(self, graph: np.ndarray) -> float:
        return gaussian_density(covariance_selection(self.moments, graph), self.moments)

    def __call__(self, graph: np.ndarray) -> float:
        edges = int(graph.sum()) // 2
        smoothed = filter_density(self.moments, graph)
        alike = smoothed - self._described(strongest_pairs(self.linear, edges))
        priced = smoothed - self.own - (self.edges - edges) * self.price
        return (alike + priced) / 2


def simplest(criterion: dict[str, float], margins: tuple[float, float]) -> str:
    """"smoothing" before "nonlinear": it says as much with fewer parameters, and rows that were smoothed and hold next
    to no noise are predicted by functions of each other too, whatever the graph."""
    nonlinear, smoothing = margins
    if criterion["smoothing"] > smoothing:
        return "smoothing"
    return "nonlinear" if criterion.get("nonlinear", 0.0) > nonlinear else "linear"


def check_margins(margins: Any) -> None:
    """Raise SagvaeError unless these are two numbers."""
    if not isinstance(margins, Sequence) or len(margins) != 2 or not all(isinstance(each, Real) for each in margins):
        raise expected("margins", "two numbers of nats, for 'nonlinear' and 'smoothing'", repr(margins))
