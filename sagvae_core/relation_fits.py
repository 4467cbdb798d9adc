"""The relations of a table by any method, as one kind of graph: what the command line and the page both fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__
from .config_data import one_of
from .errors import expected
from .graph_files import RelationGraph

if TYPE_CHECKING:
    from .learners import StableRelations
    from .tables import Table

METHODS = {"sagvae": "SAG-VAE", "graphical_lasso": "Graphical lasso", "partial_correlation": "Partial correlation",
           "correlation": "Correlation", "smooth_graph": "Smooth-signal graph"}
"""Method -> what it is called; the slowest first."""

MISSING = ("auto", "model", "complete")
_FOLDS, _FEWEST = 5, 20  # rows of which a column's predictability, or a partial correlation, says something
_ALL_PAIRS = 200  # columns up to which every pair has its partial correlation; of more, only edges
_RIDGE = 1e-6  # of a neighbour's variance: two that nearly repeat each other need it


def fit_relations(table: Table, method: str = "sagvae", resamples: int = 0, seed: int = 0, missing: str = "auto",
                  n_jobs: int | None = None, on_progress: Callable[[int, int], None] | None = None,
                  on_first: Callable[[RelationGraph], None] | None = None) -> RelationGraph:
    """Learn which columns of a table belong together.

    Example:
        >>> write_graph(fit_relations(read_table("people.csv"), resamples=50), "people.graphml")

    Args:
        table: M rows of K kept columns.
        method: a key of :data:`METHODS`.
        resamples: fits to random halves of the rows, even; they say how often each pair is chosen. 0: none.
        seed: of the resamples, and of the model where the method draws anything.
        missing: "model" takes rows with gaps as they are, which only "sagvae" can. "complete" drops them. "auto": the
            first where the method can.
        n_jobs: resamples that are fitted at once; None is one, -1 as many as there are cores.
        on_progress: told how many of 1 + ``resamples`` fits are done, after each. What it raises ends the fit.
        on_first: where resamples follow, given the graph of all rows as soon as it is there.

    Returns:
        The graph over the K columns. Its pairs have their :func:`partial_correlations`, its nodes "kind" and
        "predictability" (see :func:`predictability`), and the graph says how it came to be.

    Raises:
        SagvaeError: the method or ``missing`` is unknown, the two do not fit, ``resamples`` is odd or negative, or the
            table is too small.
    """
    from .learners import StableRelations
    from .learners.rows import ColumnsLeftOut

    missing = _handling(method, missing)
    stable = StableRelations(_learner(method, missing, seed), resamples, n_jobs=n_jobs, seed=seed)

    def tell(done: int, total: int) -> None:
        if done == 1 and resamples and on_first is not None:
            on_first(_graph(stable, table, method, missing, seed))
        if on_progress is not None:
            on_progress(done, total)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColumnsLeftOut)  # the table says of its columns why
        stable.fit(table, on_progress=tell)
    return _graph(stable, table, method, missing, seed)


def _graph(stable: StableRelations, table: Table, method: str, missing: str, seed: int) -> RelationGraph:
    """What ``stable`` has found by now, over the columns that are kept."""
    from .tables import LEFT_OUT

    kept = [place for place, column in enumerate(table.columns) if column.kind != LEFT_OUT]
    taken = np.ix_(kept, kept)

    def part(matrix: np.ndarray | None) -> np.ndarray | None:
        return None if matrix is None else matrix[taken]

    edges = stable.edges_[taken]
    rows = table.values if missing == "model" else table.values[table.complete]
    return RelationGraph(
        table.names, stable.scores_[taken], part(stable.edge_posterior_), edges, part(stable.frequency_),
        part(stable.lower_), part(stable.upper_),
        {"kind": table.kinds, "predictability": predictability(rows, edges)},
        _about(stable, method, missing, seed, table), partial_correlations(rows, edges))


def _handling(method: str, missing: str) -> str:
    one_of("method", method, tuple(METHODS))
    one_of("missing", missing, MISSING)
    if missing == "auto":
        return "model" if method == "sagvae" else "complete"
    if missing == "model" and method != "sagvae":
        raise expected("missing", "'complete' or 'auto'", f"'model' with method {method!r}",
                       "Only 'sagvae' learns from rows with gaps.")
    return missing


def _learner(method: str, missing: str, seed: int) -> Any:
    from .learners import BASELINES, SAGVAERelations

    return SAGVAERelations(missing=missing, seed=seed) if method == "sagvae" else BASELINES[method](missing=missing)


def _about(stable: StableRelations, method: str, missing: str, seed: int, table: Table) -> dict[str, str | float]:
    """What a file says of the whole graph."""
    named = [column.name for column in table.columns]
    gone = {named[place]: why for place, why in stable.left_out_.items() if named[place] in table.names}
    about: dict[str, str | float] = {
        "method": METHODS[method], "variant": getattr(stable.learner_, "variant_", ""),
        "rows": stable.n_rows_, "columns": len(table.names), "missing": missing, "resamples": _resamples(stable),
        "selection": selection(stable), "expected_false": stable.expected_false_, "threshold": float(stable.threshold_),
        "without_variation": "; ".join(gone), "seed": seed, "sagvae_core": __version__}
    return {name: value for name, value in about.items() if value not in (None, "")}


def _resamples(stable: StableRelations) -> int:
    """How many of them what it has found rests on."""
    return 0 if stable.frequency_ is None else stable.resamples


def selection(stable: StableRelations) -> str:
    """How a fit's edges were selected, in a sentence, and another where the rows are few."""
    from .tables.table import FEW

    few = f" {stable.n_rows_} rows are few: in so few, columns look related by chance alone."
    return _selected(stable) + (few if stable.n_rows_ < FEW else "")


def _selected(stable: StableRelations) -> str:
    if not _resamples(stable):
        if stable.edge_posterior_ is not None:
            return "Edges are the pairs that are more likely related than not."
        return f"Edges are the pairs whose score is above the method's own threshold, {stable.threshold_:.3g}."
    bound, halves = stable.expected_false_, f"{stable.resamples} random halves of the rows"
    chose = f"all {halves}" if stable.threshold_ >= 1 else f"at least {stable.threshold_:.0%} of {halves}"
    said = f"Edges are the pairs that {chose} chose; "
    if bound >= np.triu(stable.edges_, 1).sum():
        return said + ("a half chooses so many pairs that the bound of Shah and Samworth says nothing of how many are "
                       "false.")
    return said + ("by the bound of Shah and Samworth the expected number of false ones among them is at most "
                   f"{bound:.2g}.")


def predictability(values: np.ndarray, selected: np.ndarray) -> list[float | None]:
    """How well each column is predicted by its neighbours: the share of its variance that a linear regression explains
    in rows it did not see (five folds), at least 0.

    Args:
        values: (M, K), NaN where missing; a column's regression takes the rows that have it and its neighbours.
        selected: bool (K, K), the edges.

    Returns:
        K shares, 0 where a column has no neighbours; None where fewer than 20 rows are left, or it is constant in them.
    """
    return [_explained(values[:, [column, *np.flatnonzero(edges)]]) for column, edges in enumerate(selected)]


def partial_correlations(values: np.ndarray, selected: np.ndarray) -> np.ndarray:
    """How two columns go together, given all columns that are related to either of them.

    By ranks (normal scores), so that only order counts. It is near 0 where a relation is real but bent, such as a
    parabola; then whether there is one is a matter for the posterior.

    Args:
        values: (M, K), NaN where missing; products are averaged over the rows that have both columns.
        selected: bool (K, K), the edges.

    Returns:
        (K, K) in [-1, 1], with 1 on the diagonal. NaN where too few rows have any two of the columns (20, and one more
        for each column that is held fixed); and of more than 200 columns where there is no edge.
    """
    from .learners import normal_scores
    from .learners.densities import products

    with np.errstate(invalid="ignore"):
        ranks = normal_scores(values[:, :, None])[:, :, 0]
    moments = products(ranks - np.nanmean(ranks, axis=0))
    size = np.sqrt(np.maximum(np.diag(moments), 1e-12))
    related = moments / size / size[:, None] + _RIDGE * np.eye(len(moments))
    observed = (~np.isnan(values)).astype(float)
    counts = observed.T @ observed
    upper = np.triu(np.ones_like(selected) if len(selected) <= _ALL_PAIRS else selected, 1)
    held: dict[int, list[list[int]]] = {}  # the columns of like many, so that they are inverted together
    for i, j in np.argwhere(upper).tolist():
        around = selected[i] | selected[j]
        around[[i, j]] = False
        taken = [i, j, *np.flatnonzero(around).tolist()]
        held.setdefault(len(taken), []).append(taken)
    found = np.full(selected.shape, np.nan)
    for columns in map(np.array, held.values()):
        precision = np.linalg.inv(related[columns[:, :, None], columns[:, None, :]])
        partial = -precision[:, 0, 1] / np.sqrt(precision[:, 0, 0] * precision[:, 1, 1])
        fewest = counts[columns[:, :, None], columns[:, None, :]].min(axis=(1, 2))
        partial = np.where(fewest < _FEWEST + columns.shape[1] - 2, np.nan, partial)
        found[columns[:, 0], columns[:, 1]] = found[columns[:, 1], columns[:, 0]] = partial
    np.fill_diagonal(found, 1.0)
    return np.clip(found, -1.0, 1.0)


def _explained(values: np.ndarray) -> float | None:
    """The share of the first column's variance that the others explain."""
    values = values[~np.isnan(values).any(axis=1)]
    deviations = values - values.mean(axis=0) if len(values) >= _FEWEST else values[:0]
    if not len(deviations) or not deviations[:, 0].std() > 0:
        return None
    deviations = deviations / np.where(deviations.std(axis=0) > 0, deviations.std(axis=0), 1.0)
    if values.shape[1] == 1:
        return 0.0
    fold = np.random.default_rng(0).permutation(len(values)) % _FOLDS  # a file may be sorted, or have periods
    error = 0.0
    for number in range(_FOLDS):
        seen, unseen = deviations[fold != number], deviations[fold == number]
        centre = seen.mean(axis=0)
        seen, unseen = seen - centre, unseen - centre
        gram = seen[:, 1:].T @ seen[:, 1:] + _RIDGE * len(seen) * np.eye(seen.shape[1] - 1)
        error += ((unseen[:, 0] - unseen[:, 1:] @ np.linalg.solve(gram, seen[:, 1:].T @ seen[:, 0])) ** 2).sum()
    return max(0.0, 1.0 - float(error) / len(values))
