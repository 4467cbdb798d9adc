"""Second moments of rows and of nodes' features: enough for every regression of a node on others, in NumPy.

Symbols: M rows, N nodes, C channels, Q features of a node that its neighbours may be regressed on, P pairs at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .bits import RIDGE
from .densities import products

_LARGEST_R2 = 1 - 1e-9


class Moments:
    """Regressions of nodes on other nodes' features.

    Args:
        x: (M, N, C) centred rows, NaN where missing.
        features: (M, N, Q) functions of each node's own value, NaN where missing.
        corrected: count a regression's degrees of freedom instead of its rows, so that what few rows are made to fit by
            many neighbours is not taken for evidence.

    Attributes:
        counts: (N, N), how many rows have both nodes.
        coefficients: how many a pair's regression has, Q C.
        standardised: (M, N, Q), the features with mean 0 and deviation 1, and 0 where missing.
    """

    def __init__(self, x: np.ndarray, features: np.ndarray, corrected: bool = False) -> None:
        self.rows, self.nodes, self.channels = x.shape
        self.count, self.corrected = features.shape[2], corrected
        self.coefficients = self.count * self.channels
        features = features - np.nanmean(features, axis=0)
        features = features / np.maximum(np.nanstd(features, axis=0), 1e-9)
        self.standardised = np.nan_to_num(features)
        flat = np.concatenate([x.reshape(self.rows, -1), features.reshape(self.rows, -1)], axis=1)
        self.moments = products(flat)
        observed = (~np.isnan(x).any(axis=2)).astype(float)
        self.counts = observed.T @ observed
        columns = np.arange(flat.shape[1])
        self.targets = columns[: self.nodes * self.channels].reshape(self.nodes, self.channels)
        self.features = columns[self.nodes * self.channels:].reshape(self.nodes, self.count)

    def gains(self, target: int, candidates: Sequence[int], given: np.ndarray) -> np.ndarray:
        """Nats that each candidate's features (J of them) add to a regression of ``target`` on the ``given``, (J,)."""
        columns, wanted = self.features[np.asarray(candidates)], self.targets[target]
        # Of each candidate alone: what candidates have to do with each other is most of the work, and not asked for.
        cross = self.moments[columns[:, :, None], wanted]
        gram = self.moments[columns[:, :, None], columns[:, None, :]]
        whole = self.moments[wanted, wanted]
        held = self.features[given].ravel()
        if len(held):
            inner = self.moments[np.ix_(held, held)]
            regular = inner + RIDGE * self.rows * np.eye(len(held))
            seen, aimed = self.moments[held[:, None, None], columns], self.moments[np.ix_(held, wanted)]
            by_seen = np.linalg.solve(regular, seen.reshape(len(held), -1))
            by_aimed = np.linalg.solve(regular, aimed)
            rest_seen = (inner @ by_seen).reshape(seen.shape) - seen
            by_seen, rest_aimed = by_seen.reshape(seen.shape), inner @ by_aimed - aimed
            cross = cross - np.einsum("hjq,hc->jqc", seen, by_aimed) + np.einsum("hjq,hc->jqc", by_seen, rest_aimed)
            gram = gram - np.einsum("hjq,hjr->jqr", seen, by_seen) + np.einsum("hjq,hjr->jqr", by_seen, rest_seen)
            whole = whole - (aimed * by_aimed).sum(axis=0) + (by_aimed * rest_aimed).sum(axis=0)
        return self._of_each(cross, gram, whole, self.counts[target, candidates], len(held))

    def all_gains(self, target: int, given: np.ndarray) -> np.ndarray:
        """:meth:`gains` of every node, each given the others of ``given``, (N,); 0 for ``target`` itself."""
        found = np.zeros(self.nodes)
        free = np.setdiff1d(np.arange(self.nodes), [*given, target])
        if len(free):
            found[free] = self.gains(target, free, given)
        for candidate in given:
            found[candidate] = self.gains(target, [candidate], given[given != candidate])[0]
        return found

    def all_gained(self, candidate: int, given: np.ndarray) -> np.ndarray:
        """Nats that ``candidate`` adds to every node's regression on the others of ``given``, (N,); 0 to its own."""
        found = np.zeros(self.nodes)
        free = np.setdiff1d(np.arange(self.nodes), [*given, candidate])
        size, count = self.channels, self.count
        if len(free):
            wanted = np.concatenate([self.targets[free].ravel(), self.features[candidate]])
            left = self._left(wanted, self.features[given].ravel())
            cross = left[-count:, :-count]
            gram = left[-count:, -count:] + RIDGE * self.rows * np.eye(count)
            explained = (cross * np.linalg.solve(gram, cross)).sum(axis=0)
            nats = self._nats(explained, left[:-count, :-count].diagonal()).reshape(len(free), size).sum(axis=1)
            found[free] = nats * self._weight(self.counts[candidate, free], count * len(given))
        for target in given:
            found[target] = self.gains(target, [candidate], given[given != target])[0]
        return found

    def tested(self, i: np.ndarray, j: np.ndarray, graph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What pairs say of each other given the rest of ``graph``, bool (N, N), all at once.

        Returns:
            nats: (P,), the mean of what j adds to i's regression on its other neighbours, and i to j's.
            signs: (P,) of the relation; 0 where there is more than one coefficient.
        """
        targets, candidates = np.concatenate([i, j]), np.concatenate([j, i])
        given = graph[targets]
        given[np.arange(len(targets)), candidates] = False
        nats, cross = np.empty(len(targets)), np.zeros(len(targets))
        degrees = given.sum(axis=1)
        order = np.argsort(degrees, kind="stable")
        # Regressions of like size together: one hub would make the arrays of all others as large as its own.
        for part in np.split(order, np.searchsorted(degrees[order], [1, 4, 8, 16, 32])):
            if len(part):
                nats[part], found = self._tested(targets[part], candidates[part], given[part], int(degrees[part].max()))
                if self.coefficients == 1:
                    cross[part] = found
        return nats.reshape(2, -1).mean(axis=0), np.sign(cross.reshape(2, -1).sum(axis=0))

    def _tested(self, targets: np.ndarray, candidates: np.ndarray, given: np.ndarray,
                most: int) -> tuple[np.ndarray, np.ndarray]:
        """Nats (P,) of a regression each, given at most ``most`` nodes, bool (P, N), and one of its cross moments."""
        columns, wanted = self.features[candidates], self.targets[targets]  # (P, Q), (P, C)
        cross = self.moments[columns[:, :, None], wanted[:, None, :]]
        gram = self.moments[columns[:, :, None], columns[:, None, :]]
        whole = self.moments[wanted, wanted]
        degrees = given.sum(axis=1)
        if most:
            place, node = np.nonzero(given)
            held = np.zeros((len(given), most), dtype=int)
            held[place, np.arange(len(place)) - np.repeat(np.cumsum(degrees) - degrees, degrees)] = node
            real = np.repeat(np.arange(most) < degrees[:, None], self.count, axis=1)  # (P, H)
            held = self.features[held].reshape(len(given), -1)
            inner = self.moments[held[:, :, None], held[:, None, :]] * (real[:, :, None] & real[:, None, :])
            both = np.concatenate([columns, wanted], axis=1)
            seen = self.moments[held[:, :, None], both[:, None, :]] * real[:, :, None]
            regular = inner + np.where(real, RIDGE * self.rows, 1.0)[:, :, None] * np.eye(held.shape[1])
            by = np.linalg.solve(regular, seen)
            rest = inner @ by - seen
            width = self.count
            explained = seen.swapaxes(1, 2) @ by - by.swapaxes(1, 2) @ rest  # (P, Q + C, Q + C)
            cross = cross - explained[:, :width, width:]
            gram = gram - explained[:, :width, :width]
            whole = whole - explained[:, width:, width:].diagonal(axis1=1, axis2=2)
        counts = self.counts[targets, candidates]
        scale = np.sqrt(np.maximum(gram[:, 0, 0] * whole[:, 0], 1e-12))
        return self._of_each(cross, gram, whole, counts, self.count * degrees), cross[:, 0, 0] / scale

    def _of_each(self, cross: np.ndarray, gram: np.ndarray, whole: np.ndarray, counts: np.ndarray,
                 held: np.ndarray | int) -> np.ndarray:
        """Nats (J,) of regressions on Q features each, from ``cross`` (J, Q, C), ``gram`` (J, Q, Q) and ``whole``."""
        gram = gram + RIDGE * self.rows * np.eye(self.count)
        explained = (cross * np.linalg.solve(gram, cross)).sum(axis=1)
        return self._nats(explained, whole).sum(axis=1) * self._weight(counts, held)

    def _nats(self, explained: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """What explaining so much of the squares of a column is worth to a row."""
        return -0.5 * np.log1p(-np.clip(explained / np.maximum(whole, 1e-12), 0, _LARGEST_R2))

    def _weight(self, counts: np.ndarray, held: np.ndarray | int) -> np.ndarray:
        """How many rows the evidence of so many is worth, given ``held`` coefficients."""
        return np.maximum(counts - 1 - held, 1) if self.corrected else counts

    def _left(self, wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Second moments of what a ridge regression on ``given`` leaves of the ``wanted`` columns."""
        left = self.moments[np.ix_(wanted, wanted)]
        if len(given) == 0:
            return left
        inner, cross = self.moments[np.ix_(given, given)], self.moments[np.ix_(given, wanted)]
        slopes = np.linalg.solve(inner + RIDGE * self.rows * np.eye(len(given)), cross)
        fitted = cross.T @ slopes
        return left - fitted - fitted.T + slopes.T @ inner @ slopes
