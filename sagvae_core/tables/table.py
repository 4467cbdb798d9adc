"""What a table is once it has been read: numbers (M, K), and what each column of the file became."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..errors import expected
from .names import quoted

KINDS = ("continuous", "ordinal", "binary")
"""What a column of numbers can be: measured on a scale, a whole number of few, or 0 and 1."""

LEFT_OUT = "left out"
"""What a column is that holds nothing to learn from; :attr:`Column.reason` says why."""

FEWEST = 3
FEW = 30  # rows, of fewer than which chance alone makes relations
"""Rows of a table, and values of a column, without which there is nothing to learn."""


@dataclass(frozen=True)
class Column:
    """One column of the file.

    Attributes:
        name: as in :attr:`Table.names`, different from all others.
        kind: one of :data:`KINDS`, or :data:`LEFT_OUT`.
        reason: why it is left out, or how it was recognised; "" when it is plainly continuous.
        missing: cells without a value that can be used.
        distinct: different values of the others.
        examples: up to three of its first different cells, as the file has them.
    """

    name: str
    kind: str
    reason: str
    missing: int
    distinct: int
    examples: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers, one for each row of the file.

    Attributes:
        values: (M, K) float64 of the K columns that are kept, NaN where a cell is missing, else finite. Binary
            columns hold 0 and 1.
        names, kinds: of these K columns; each kind is one of :data:`KINDS`.
        columns: every column of the file, in its order.
        notes: what was assumed while reading, a sentence each.
    """

    values: np.ndarray
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """M, the number of rows."""
        return len(self.values)

    @property
    def complete(self) -> np.ndarray:
        """(M,) bool: the rows without a gap."""
        return ~np.isnan(self.values).any(axis=1)

    def complete_rows(self) -> Table:
        """The table of the rows without a gap. A column that is the same in all of these is left out.

        Raises:
            SagvaeError: fewer than three rows are complete, or fewer than two columns vary in them.
        """
        complete = self.complete
        if complete.all():
            return self
        values = self.values[complete]
        if len(values) < FEWEST:
            worst = np.isnan(self.values).sum(axis=0).argmax()
            raise expected("the table", f"complete in at least {FEWEST} rows", f"{len(values)}",
                           f"Leave out the columns with most gaps, such as {quoted([self.names[worst]])}.")
        varies = [not is_constant(column) for column in values.T]
        gone = {name for name, kept in zip(self.names, varies) if not kept}
        columns = tuple(dataclasses.replace(column, kind=LEFT_OUT, reason="the same value in every complete row")
                        if column.name in gone else column for column in self.columns)
        check_width(columns)
        return Table(values[:, varies], tuple(name for name in self.names if name not in gone),
                     tuple(kind for kind, kept in zip(self.kinds, varies) if kept), columns, self.notes)


def is_constant(values: np.ndarray) -> bool:
    """Whether finite numbers have no spread, or one too small to divide by."""
    return not np.std(values) > 0


def check_width(columns: tuple[Column, ...]) -> None:
    """Refuse a table of fewer than two kept columns, with the reasons why the others are left out.

    Raises:
        SagvaeError: so few are kept.
    """
    kept = [column.name for column in columns if column.kind != LEFT_OUT]
    if len(kept) < 2:
        reasons = "; ".join(f"{quoted([column.name])}: {column.reason}"
                            for column in [column for column in columns if column.kind == LEFT_OUT][:3])
        raise expected("the table", "at least two columns of numbers that vary", str(len(kept)),
                       f"Left out: {reasons}." if reasons else "Add a column: a graph joins two or more.")
