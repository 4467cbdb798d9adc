"""Rows as every learner is given them: read from whatever holds a table, checked, and what cannot be used left out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import SagvaeError, expected
from ..tables import LEFT_OUT, Table, recognise

MIN_ROWS, MIN_COLUMNS = 3, 2
MISSING = ("error", "complete", "model")
_COPY = "a copy of"
_ROUNDING = 1e-12  # of the largest value: a column that varies less holds nothing but rounding


class ColumnsLeftOut(UserWarning):
    """Some columns cannot have relations, and were left out; ``left_out_`` of the learner says why."""


@dataclass(frozen=True, eq=False)
class Rows:
    """M rows of the K columns that can have relations, of N in all.

    Attributes:
        x: float64 (M, K, C), NaN where a value is missing.
        kept: int (K,), which of the N columns these are.
        columns: N.
        names: N names, or None for arrays.
        kinds: K of :data:`sagvae_core.tables.KINDS`.
        left_out: column's number -> why it is left out.
        read: rows before incomplete ones were dropped.
    """

    x: np.ndarray
    kept: np.ndarray
    columns: int
    names: tuple[str, ...] | None
    kinds: tuple[str, ...]
    left_out: dict[int, str]
    read: int

    def called(self, columns: Sequence[int]) -> str:
        """Some of the N columns as a person finds them: by name, else by number; three at most, then how many more."""
        shown = ", ".join(repr(self.names[i]) if self.names else str(i) for i in columns[:3])
        more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
        return f"column {shown}{more}" + ("" if self.names else " (counted from 0)")

    def spread_out(self, values: np.ndarray, fill: float) -> np.ndarray:
        """(K, K) values of the kept columns among all, (N, N); ``fill`` where a column is left out."""
        whole = np.full((self.columns, self.columns), fill, dtype=np.asarray(values).dtype)
        whole[np.ix_(self.kept, self.kept)] = values
        return whole


def read_rows(X: Any, missing: str = "error") -> Rows:
    """``X`` as checked rows.

    Columns that can have no relations are left out with a :class:`ColumnsLeftOut` warning: of arrays of one channel
    those that never change, hold nothing or repeat another; of a data frame whatever
    :func:`sagvae_core.tables.recognise` leaves out, such as text and row numbers.

    Args:
        X: (M, N) or (M, N, C) numbers: array, torch tensor, :class:`~sagvae_core.tables.Table`, or a data frame of any
            library that narwhals reads.
        missing: what becomes of values that are NaN. "error": refused. "complete": rows with one are dropped.
            "model": they stay.

    Raises:
        SagvaeError: a value is infinite, missing though none may be, or no number; or the table is too small.
    """
    if missing not in MISSING:
        raise expected("missing", "one of " + ", ".join(map(repr, MISSING)), repr(missing))
    rows = _of_table(X if isinstance(X, Table) else recognise(X)) if _is_frame(X) else _of_array(X)
    rows = _without_gaps(rows, missing)
    if rows.left_out:
        reasons = "; ".join(f"{rows.called([column])}: {why}" for column, why in list(rows.left_out.items())[:3])
        more = f"; and {len(rows.left_out) - 3} more" if len(rows.left_out) > 3 else ""
        warnings.warn(f"Left out, {reasons}{more}.", ColumnsLeftOut, stacklevel=4)
    return rows


def again(X: Any, fitted: Rows, learner: Any) -> np.ndarray:
    """New rows (M, K, C) of the columns that a learner was fitted to, NaN where missing.

    Raises:
        ValueError: the columns are others (scikit-learn's sentence), or a value is no number.
    """
    from sklearn.utils.validation import validate_data

    if not isinstance(X, Table):
        validate_data(learner, X, reset=False, skip_check_array=True)
    if not _is_frame(X):
        values = _numbers(X.detach().cpu().numpy() if hasattr(X, "detach") else X)
        x = values if values.ndim == 3 else values[:, :, None]
        return np.where(np.isinf(x), np.nan, x)[:, fitted.kept]
    kinds = {fitted.names[column]: kind for column, kind in zip(fitted.kept, fitted.kinds)}
    table = X if isinstance(X, Table) else recognise(X, kinds)
    place = {name: number for number, name in enumerate(table.names)}
    return table.values[:, [place[name] for name in kinds], None]


def _is_frame(X: Any) -> bool:
    return isinstance(X, Table) or hasattr(X, "columns") or hasattr(X, "column_names")


def _of_table(table: Table) -> Rows:
    kept = np.flatnonzero([column.kind != LEFT_OUT for column in table.columns])
    left_out = {number: column.reason for number, column in enumerate(table.columns) if column.kind == LEFT_OUT}
    return Rows(table.values[:, :, None], kept, len(table.columns), tuple(column.name for column in table.columns),
                table.kinds, left_out, table.rows)


def _of_array(X: Any) -> Rows:
    values = _numbers(X.detach().cpu().numpy() if hasattr(X, "detach") else X)
    if values.ndim not in (2, 3):
        raise expected("X", "of shape (rows, columns) or (rows, columns, channels)", values.shape,
                       "Reshape your data: a row for each observation.")
    x = values if values.ndim == 3 else values[:, :, None]
    rows, columns, channels = x.shape
    if rows < MIN_ROWS:
        raise expected("X", f"a table of at least {MIN_ROWS} rows", f"n_samples = {rows}",
                       "Relations are read off many rows.")
    if columns < MIN_COLUMNS or channels < 1:
        raise expected("X", f"a table of at least {MIN_COLUMNS} columns", f"{columns} feature(s) (shape={values.shape})"
                       f" while a minimum of {MIN_COLUMNS} is required")
    whole = Rows(x, np.arange(columns), columns, None, ("continuous",) * columns, {}, rows)
    infinite = np.isinf(x).any(axis=(0, 2))
    if infinite.any():
        raise expected("X", "finite", f"infinity in {whole.called(np.flatnonzero(infinite))}", "Remove these first.")
    left_out = _useless(x)
    if left_out and channels > 1:
        raise SagvaeError(f"X has the same value in every row of {whole.called(list(left_out))}: a node that never "
                          "changes has no relations. Leave it out.")
    kept = np.setdiff1d(np.arange(columns), list(left_out))
    if len(kept) < MIN_COLUMNS:
        raise expected("X", f"a table of at least {MIN_COLUMNS} columns that vary", f"{len(kept)}",
                       f"Left out: {whole.called(list(left_out))}, {next(iter(left_out.values()))}.")
    kinds = tuple("binary" if channels == 1 and len(np.unique(column[~np.isnan(column)])) == 2 else "continuous"
                  for column in x[:, kept, 0].T)
    return replace(whole, x=np.ascontiguousarray(x[:, kept]), kept=kept, kinds=kinds, left_out=left_out)


def _useless(x: np.ndarray) -> dict[int, str]:
    """Columns of rows (M, N, C) that can have no relations, by number, and why."""
    found: dict[int, str] = {}
    seen: dict[bytes, int] = {}
    for number in range(x.shape[1]):
        column = x[:, number]
        observed = column[~np.isnan(column).any(axis=1)]
        if len(observed) < MIN_ROWS:
            found[number] = f"only {len(observed)} values are observed"
        elif np.ptp(observed, axis=0).max() <= _ROUNDING * np.abs(observed).max():
            found[number] = "the same value in every row"
        elif (first := seen.setdefault(column.tobytes(), number)) != number and x.shape[2] == 1:
            found[number] = f"{_COPY} column {first}"
    return found


def _without_gaps(rows: Rows, missing: str) -> Rows:
    gaps = np.isnan(rows.x).any(axis=2)
    if missing == "model" or not gaps.any():
        return rows
    if missing == "error":
        columns = rows.kept[gaps.any(axis=0)]
        raise expected("X", "finite everywhere", f"missing values (NaN) in {rows.called(columns)}",
                       'Fill them (infinite ones of a data frame count as missing), or say missing="complete" to use '
                       'complete rows alone, or with SAGVAERelations missing="model" to learn from what was observed.')
    complete = ~gaps.any(axis=1)
    if complete.sum() < MIN_ROWS:
        worst = rows.kept[gaps.sum(axis=0).argmax()]
        raise expected("X", f"complete in at least {MIN_ROWS} rows", f"{complete.sum()} of {len(complete)}",
                       f"Leave out columns with many gaps, such as {rows.called([worst])}.")
    chosen = drawn(rows, np.flatnonzero(complete), "the complete rows")
    if chosen.x.shape[1] < MIN_COLUMNS:
        raise expected("X", f"a table of at least {MIN_COLUMNS} columns that vary in the complete rows",
                       f"{chosen.x.shape[1]}", "Leave out columns with many gaps.")
    return chosen


def drawn(rows: Rows, chosen: np.ndarray, which: str) -> Rows:
    """The ``chosen`` rows (numbers, in any order, also repeated); a column that never changes in these is left out.

    ``which`` rows these are stands in the reason.
    """
    x = rows.x[chosen]
    gone = {number: why for number, why in _useless(x).items() if not why.startswith(_COPY)}
    stay = np.setdiff1d(np.arange(x.shape[1]), list(gone))
    left_out = rows.left_out | {int(rows.kept[number]): f"{why}, of {which}" for number, why in gone.items()}
    return replace(rows, x=np.ascontiguousarray(x[:, stay]), kept=rows.kept[stay],
                   kinds=tuple(rows.kinds[number] for number in stay), left_out=dict(sorted(left_out.items())))


def _numbers(X: Any) -> np.ndarray:
    if hasattr(X, "toarray"):
        raise expected("X", "a dense table", "a sparse one", "Sparse data is not supported: use X.toarray().")
    try:
        values = np.asarray(X)
        if values.dtype.kind == "O":
            values = values.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise _NoNumbers(str(expected("X", "a table of numbers with rows of one length",
                                      f"{type(X).__name__} ({error})"))) from None
    if values.dtype.kind == "c":
        raise expected("X", "a table of real numbers", f"{values.dtype}", "Complex data not supported.")
    if values.dtype.kind not in "buif":
        raise expected("X", "a table of numbers", f"values of type {values.dtype}")
    return values.astype(np.float64)


class _NoNumbers(SagvaeError, TypeError):
    """scikit-learn expects the one of what is no number, and everybody else the other."""
