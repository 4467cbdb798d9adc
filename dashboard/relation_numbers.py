"""Learned relations -> what a page says of them: edges at a threshold, agreement of methods, recovery. Pure.

Symbols: N columns, P = N(N-1)/2 pairs i < j, K methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dashboard.evidence_edges import Found, hit_rates, precision_recall
from dashboard.names import cell, plotly_text
from sagvae_core.graph_files import RelationGraph

FREQUENCY, POSTERIOR, SCORE, PARTIAL = "frequency", "posterior", "score", "partial"
_SHARES = tuple(percent / 100 for percent in range(5, 105, 5))
_COUNTS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 10_000,
           20_000, 50_000)
ROUNDING = 1e-9
"""A share of resamples is no exact number: thresholds are that much lower."""


@dataclass(frozen=True, eq=False)
class Cut:
    """How the pairs of one graph may be cut into edges and others.

    Attributes:
        kind: what is compared with the threshold: "frequency", "posterior" or "score".
        values: (N, N), of that kind; NaN is the lowest.
        levels: thresholds, rising; pairs of at least that value are edges.
        labels: each of them in words.
        start: the number of the level that stands for the graph's own selection, which need not be a threshold's.
    """

    kind: str
    values: np.ndarray
    levels: tuple[float, ...]
    labels: tuple[str, ...]
    start: int

    def edges(self, graph: RelationGraph, place: int) -> np.ndarray:
        """bool (N, N): the graph's own edges at the start, and else those of the threshold with this number."""
        edges = graph.selected if place == self.start else self.values >= self.levels[place] - ROUNDING
        return edges & ~np.eye(len(edges), dtype=bool)

    def exact(self, graph: RelationGraph) -> bool:
        """Whether the graph's own edges are those of one threshold."""
        above = self.values >= self.levels[self.start] - ROUNDING
        return bool((pairs(above) == pairs(graph.selected)).all())

    @property
    def is_share(self) -> bool:
        """Whether thresholds lie in [0, 1]."""
        return self.kind != SCORE


def pairs(matrix: np.ndarray) -> np.ndarray:
    """(N, N) -> (P,), row by row."""
    return np.asarray(matrix)[np.triu_indices(len(matrix), 1)]


def cut(graph: RelationGraph) -> Cut:
    """By the selection frequency; where nothing was resampled by the posterior, and else by the score."""
    kind = FREQUENCY if graph.frequency is not None else POSTERIOR if graph.posterior is not None else SCORE
    given = {FREQUENCY: graph.frequency, POSTERIOR: graph.posterior, SCORE: graph.scores}[kind]
    values = np.nan_to_num(np.asarray(given, dtype=float), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    ranked, own = np.sort(pairs(values))[::-1], pairs(values)[pairs(graph.selected)]
    start = float(own.min()) if len(own) else np.inf
    told = graph.graph_attributes.get("threshold")
    if kind == FREQUENCY and isinstance(told, float) and np.array_equal(
            pairs(values) >= told - ROUNDING, pairs(graph.selected)):
        start = told  # the bound's own threshold, where no pair need lie
    if kind == SCORE:
        at = {float(ranked[count - 1]) for count in _COUNTS if count <= len(ranked)} - {-np.inf}
        levels = {level: f"{np.count_nonzero(ranked >= level):,} best" for level in at}
        said = f"{len(own):,}"
    else:
        levels = {share: f"{100 * share:g} %" for share in _SHARES if abs(share - start) > 0.005}
        said = f"{100 * start:.3g} %" if len(own) else "none"
    levels = dict(sorted((levels | {start: f"{said}, as selected"}).items()))
    return Cut(kind, values, tuple(levels), tuple(levels.values()), list(levels).index(start))


def curve(graph: RelationGraph, by: Cut) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds, rising, and how many edges are left at each: at most some hundred points."""
    values = np.sort(pairs(by.values))
    values = values[np.isfinite(values)]
    at = np.linspace(0, 1, 201) if by.is_share else np.unique(values[np.linspace(0, len(values) - 1, 300).astype(int)]
                                                              if len(values) else values)
    return at, len(values) - np.searchsorted(values, at - ROUNDING)


def strength(graph: RelationGraph) -> np.ndarray:
    """(N, N) in [0, 1]: the posterior, or where the score lies between the lowest and the highest of all pairs."""
    if graph.posterior is not None:
        return np.nan_to_num(np.asarray(graph.posterior, dtype=float))
    scores = np.asarray(graph.scores, dtype=float)
    known = pairs(scores)[np.isfinite(pairs(scores))]
    if not len(known) or known.max() == known.min():
        return np.full(scores.shape, 0.5)
    return np.clip(np.nan_to_num((scores - known.min()) / (known.max() - known.min())), 0.0, 1.0)


def as_drawn(graph: RelationGraph, edges: np.ndarray) -> np.ndarray:
    """(N, N) in [0, 1] for figures that take p > ½ for an edge: edges above it and all others below, by strength."""
    strong = strength(graph)
    return np.where(edges, 0.51 + 0.49 * strong, 0.49 * strong)


def pull(graphs: Sequence[RelationGraph]) -> np.ndarray:
    """(N, N) in [0, 1], what lays out the columns for all methods alike: the first's edges count half, those of all
    together the other half."""
    chosen = [np.asarray(graph.selected, dtype=float) for graph in graphs]
    return (chosen[0] + np.mean(chosen, axis=0)) / 2


def edge_table(graph: RelationGraph, edges: np.ndarray) -> pd.DataFrame:
    """A row for every edge, the most often chosen and the surest first; columns only of what the graph has."""
    first, second = np.nonzero(np.triu(edges, 1))
    columns = {"Source": [cell(graph.names[node]) for node in first], "Target": [cell(graph.names[node])
                                                                                 for node in second]}
    for title, matrix in (("Partial correlation", graph.partial), ("Posterior", graph.posterior),
                          ("Frequency", graph.frequency), ("Score", graph.scores), ("Lower", graph.lower),
                          ("Upper", graph.upper)):
        if matrix is not None:
            columns[title] = np.asarray(matrix, dtype=float)[first, second]
    frame = pd.DataFrame(columns)
    by = [title for title in ("Frequency", "Posterior", "Score") if title in frame]
    return frame.sort_values(by, ascending=False, kind="stable", ignore_index=True)


def overlap(graphs: Sequence[RelationGraph]) -> np.ndarray:
    """(K, K): edges that two methods share, of those that either has (Jaccard); NaN where neither has any."""
    sets = np.stack([pairs(graph.selected) for graph in graphs]).astype(float)
    shared = sets @ sets.T
    either = sets.sum(1)[:, None] + sets.sum(1) - shared
    return np.divide(shared, either, out=np.full(shared.shape, np.nan), where=either > 0)


def rank_correlation(graphs: Sequence[RelationGraph]) -> np.ndarray:
    """(K, K): Spearman's correlation of the scores of all pairs; NaN where a method ranks nothing."""
    ranks = np.stack([rankdata(_ranked(graph)) for graph in graphs])
    ranks = ranks - ranks.mean(1, keepdims=True)
    size = np.sqrt((ranks ** 2).sum(1))
    size = size[:, None] * size
    return np.divide(ranks @ ranks.T, size, out=np.full(size.shape, np.nan), where=size > 0)


def votes(graphs: Sequence[RelationGraph]) -> np.ndarray:
    """int (N, N): how many methods chose each pair."""
    return np.sum([np.asarray(graph.selected, dtype=int) for graph in graphs], axis=0)


def agreed_table(graphs: Sequence[RelationGraph]) -> pd.DataFrame:
    """The pairs that at least two methods chose, those of most methods first: names, how many, mean frequency."""
    counted = np.triu(votes(graphs), 1)
    first, second = np.nonzero(counted >= 2)
    names = graphs[0].names
    frame = pd.DataFrame({"Source": [cell(names[node]) for node in first],
                          "Target": [cell(names[node]) for node in second], "Methods": counted[first, second]})
    steady = [np.asarray(graph.frequency) for graph in graphs if graph.frequency is not None]
    if steady:
        frame["Frequency"] = np.mean(steady, axis=0)[first, second]
    return frame.sort_values(list(frame.columns[:1:-1])[::-1], ascending=False, kind="stable", ignore_index=True)


class Recovery(NamedTuple):
    """How well a graph meets a known one.

    Attributes:
        rates: hits, misses, false, precision, recall and f1 of the edges.
        average_precision: of the ranking of all pairs.
        recall, precision: (L,), the curve of that ranking.
    """

    rates: dict[str, float]
    average_precision: float
    recall: np.ndarray
    precision: np.ndarray


def recovery(graph: RelationGraph, edges: np.ndarray, known: np.ndarray) -> Recovery:
    """Compare the edges bool (N, N), and the ranking of all pairs by the graph's scores, with a known graph."""
    truth = pairs(known).astype(bool)
    recall, precision = precision_recall(Found(_ranked(graph), truth, None, 0))
    average = float((np.diff(recall, prepend=0.0) * precision).sum())
    return Recovery(hit_rates(pairs(edges).astype(bool), truth), average, recall, precision)


def summary(graph: RelationGraph, title: str) -> str:
    """One line of what was found: of how many rows and columns, and how the edges were selected, if the graph says."""
    count = len(graph.names)
    found = int(pairs(graph.selected).sum())
    rows = graph.graph_attributes.get("rows")
    share = found / max(count * (count - 1) // 2, 1)
    text = (f"{title} found {found:,} {'edge' if found == 1 else 'edges'} between {count:,} columns"
            + (f" in {int(rows):,} rows" if isinstance(rows, int | float) and np.isfinite(rows) else "")
            + f", {share:.0%} of all pairs.")
    said = str(graph.graph_attributes.get("selection", "")).strip()
    return f"{text} {said}" if said else text


def titled(graphs: Mapping[str, RelationGraph], titles: Mapping[str, str]) -> dict[str, str]:
    """What each method is called, no two alike; its own name where it has no title."""
    named = {method: titles.get(method, method) for method in graphs}
    given = list(named.values())
    return {method: title if given.count(title) == 1 else f"{title} ({method})" for method, title in named.items()}


def edge_words(graph: RelationGraph, first: int, second: int) -> str:
    """What is known of a pair, in the words of a hover."""
    said = [f"<b>{plotly_text(graph.names[first])} – {plotly_text(graph.names[second])}</b>",
            f"score {graph.scores[first, second]:.4g}"]
    if graph.partial is not None and np.isfinite(graph.partial[first, second]):
        said.append(f"partial correlation {graph.partial[first, second]:+.2f}".replace("-", "−"))
    if graph.posterior is not None:
        said.append(f"{graph.posterior[first, second]:.0%} sure")
    if graph.frequency is not None:
        said.append(f"chosen by {graph.frequency[first, second]:.0%} of the resamples")
    return "<br>".join(said)


def _ranked(graph: RelationGraph) -> np.ndarray:
    """The scores of all pairs, (P,); what has none is last."""
    scores = pairs(graph.scores).astype(float)
    known = scores[np.isfinite(scores)]
    return np.nan_to_num(scores, nan=known.min() - 1.0 if len(known) else 0.0)
