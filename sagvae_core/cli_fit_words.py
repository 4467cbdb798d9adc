"""What ``sagvae fit`` prints: the columns it recognised, and the strongest edges. Names are a stranger's: one line
each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .graph_files import RelationGraph

if TYPE_CHECKING:
    from .tables import Column, Table

_COLUMNS, _EDGES, _NAME, _REASON = 30, 15, 32, 200  # lines of each table, letters of a name and of a reason


def columns_of(table: Table) -> str:
    """The table's columns, what each is and why; of very many those that are left out first."""
    from .tables import LEFT_OUT

    columns = sorted(table.columns, key=lambda column: column.kind != LEFT_OUT) if len(
        table.columns) > _COLUMNS else table.columns
    rows = [["column", "kind", "missing", "distinct", "why"], *map(_row, columns[:_COLUMNS])]
    lines = [f"{table.rows:,} rows, {len(table.names):,} of {len(table.columns):,} columns are fitted.",
             *_aligned(rows)]
    if len(columns) > _COLUMNS:
        lines.append(f"… and {len(columns) - _COLUMNS:,} more")
    return "\n".join([*lines, *(f"{_text(note, 300)}." for note in table.notes), ""])


def _row(column: Column) -> list[str]:
    return [_text(column.name, _NAME), column.kind, f"{column.missing:,}", f"{column.distinct:,}",
            _text(column.reason, _REASON)]


def edges_of(graph: RelationGraph, title: str) -> str:
    """A graph's strongest edges, and how they were selected."""
    first, second = np.nonzero(np.triu(graph.selected, 1))
    ranked = sorted(zip(first, second), key=lambda pair: (
        *(-matrix[pair] for matrix in (graph.frequency, graph.scores) if matrix is not None), *pair))
    shown = {"score": (graph.scores, "{:.3g}"), "partial": (graph.partial, "{:+.2f}"),
             "posterior": (graph.posterior, "{:.3f}"), "frequency": (graph.frequency, "{:.0%}")}
    shown = {name: (matrix, style) for name, (matrix, style) in shown.items() if matrix is not None}
    lines = [f"{title}: {len(ranked):,} edge{'s' * (len(ranked) != 1)} between {len(graph.names):,} columns, of "
             f"{graph.graph_attributes['rows']:,} rows. {graph.graph_attributes['selection']}"]
    if ranked:
        lines += _aligned([["column", "column", *shown], *(
            [_text(graph.names[pair[0]], _NAME), _text(graph.names[pair[1]], _NAME),
             *("" if np.isnan(matrix[pair]) else style.format(matrix[pair]) for matrix, style in shown.values())]
            for pair in ranked[:_EDGES])])
    if len(ranked) > _EDGES:
        lines.append(f"… and {len(ranked) - _EDGES:,} more")
    return "\n".join([*lines, ""])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _text(text: str, most: int) -> str:
    from .tables.names import one_line

    return one_line(text, most)
