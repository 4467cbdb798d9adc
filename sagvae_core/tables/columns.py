"""A data frame of any library to a :class:`~.table.Table`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import expected
from .content import Content, Texts, array_content, text_content
from .copies import find_copies
from .names import as_text, quoted, tidy_names
from .recognition import recognise_column
from .table import FEWEST, KINDS, LEFT_OUT, Column, Table, check_width

if TYPE_CHECKING:
    import pyarrow as pa


def recognise(frame: Any, kinds: Mapping[str, str] | None = None) -> Table:
    """The columns of numbers of a data frame, each with what it is; the rules are :func:`.recognise_column`'s.

    Columns that equal an earlier one, or are it times a factor plus a shift, are left out as well.

    Args:
        frame: of pandas, Polars, PyArrow or any other library that Narwhals reads, in memory.
        kinds: name -> one of :data:`.KINDS`, or :data:`.LEFT_OUT`, for columns that are to be something else than
            what they look like. A column named here is left out for nothing that only looks useless.

    Raises:
        SagvaeError: it is no data frame, has fewer than three rows or fewer than two columns to learn from, or
            ``kinds`` names an unknown column, an unknown kind, or one that the column cannot be.
    """
    names, arrays, notes = _arrays(frame)
    wishes = dict(kinds or {})
    _check_wishes(wishes, names)
    rows = len(arrays[0]) if arrays else 0
    if arrays and rows < FEWEST:
        raise expected("the table", f"at least {FEWEST} rows long", f"{rows}", "Each row is something to learn from.")
    contents = _contents(arrays)
    judged = [recognise_column(name, content, wishes.get(name)) for name, content in zip(names, contents)]
    kept = [(column, values) for column, values in judged if values is not None]
    copies = _copies(kept, wishes)
    columns = tuple(dataclasses.replace(column, kind=LEFT_OUT, reason=copies[column.name])
                    if column.name in copies else column for column, _ in judged)
    check_width(columns)
    kept = [(column, values) for column, values in kept if column.name not in copies]
    infinite = {name: content.infinite for name, content in zip(names, contents) if content.infinite}
    if infinite:
        notes.append(f"Numbers that are infinite or beyond 1e100 count as missing: {sum(infinite.values()):,} in "
                     f"{quoted(list(infinite))}.")
    return Table(np.column_stack([values for _, values in kept]), tuple(column.name for column, _ in kept),
                 tuple(column.kind for column, _ in kept), columns, tuple(notes))


def _check_wishes(wishes: Mapping[str, str], names: list[str]) -> None:
    known = set(names)
    for name, kind in wishes.items():
        if name not in known:
            raise expected("a column that is given a kind", "in the table", quoted([str(name)]),
                           f"It has {quoted(names, 10)}." if names else "")
        if kind not in (*KINDS, LEFT_OUT):
            raise expected(f"the kind of column {quoted([name])}", f"one of {', '.join(KINDS)} or {LEFT_OUT}",
                           repr(kind))


def _arrays(frame: Any) -> tuple[list[str], list[pa.Array], list[str]]:
    """Names, cells of each column as one PyArrow array, and notes."""
    import narwhals as nw
    from narwhals.dependencies import is_pandas_like_dataframe, is_pyarrow_table

    frame = nw.to_native(frame, pass_through=True)
    notes: list[str] = []
    # Narwhals refuses names that are there twice, so they are made different first.
    if is_pyarrow_table(frame):
        names, notes = tidy_names(frame.column_names)
        frame = frame.rename_columns(names)
    elif is_pandas_like_dataframe(frame):
        names, notes = tidy_names(frame.columns)
        frame = frame.set_axis(names, axis=1)
    try:
        data = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise expected("the table", "a data frame in memory, such as pandas, Polars or PyArrow have",
                       type(frame).__name__, "Put an array into pandas.DataFrame(array), collect() a lazy frame, "
                       "and read a file with read_table().") from None
    places = data.columns
    names, more = tidy_names(places)
    return names, [_array(data[place]) for place in places], notes or more


def _array(series: Any) -> pa.Array:
    import pyarrow as pa

    try:
        array = series.to_arrow()
    except Exception:  # of many types, for Python objects of many types: what these say may still be numbers
        array = pa.array([None if value is None else as_text(value) for value in series.to_list()], pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks()
    if pa.types.is_dictionary(array.type) and pa.types.is_primitive(array.type.value_type):
        array = array.dictionary_decode()
    return array


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _contents(arrays: list[pa.Array]) -> list[Content]:
    """Each column's content. What a comma means in a column that does not tell is what it means in the others."""
    texts = {place: Texts.of(array) for place, array in enumerate(arrays) if _is_text(array.type)}
    votes = [column.votes for column in texts.values()]
    comma = any(vote > 0 for vote in votes) and not any(vote < 0 for vote in votes)
    return [text_content(texts[place], comma) if place in texts else array_content(array)
            for place, array in enumerate(arrays)]


def _copies(kept: list[tuple[Column, np.ndarray]], wishes: Mapping[str, str]) -> dict[str, str]:
    """Name of each copy that nobody asked for -> why it is one."""
    found = find_copies([values for _, values in kept])
    return {kept[place][0].name: (f"a copy of {quoted([kept[first][0].name])}" if equal else
                                  f"the same as {quoted([kept[first][0].name])} but for scale and shift")
            for place, (first, equal) in found.items() if kept[place][0].name not in wishes}
