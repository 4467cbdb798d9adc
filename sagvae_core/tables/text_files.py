"""A text with separated cells to a data frame: its encoding, its separator and whether it has a header are found out.

PyArrow does the parsing; here it is told what the file does not say about itself.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import expected
from .cells import missing_spellings
from .content import Texts
from .dialect import Dialect, find_dialect
from .limits import Limits
from .names import one_line
from .signatures import check_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_MARKS = ((codecs.BOM_UTF32_LE, "utf-32", "UTF-32"), (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
          (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"), (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
          (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with a byte order mark"))
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")  # no text has them
_ENCODING = "Save it as UTF-8, which every program can."


def read_text(data: bytes, limits: Limits, tabs: bool) -> tuple[pd.DataFrame, list[str]]:
    """A CSV or TSV file as a data frame, and notes about what was assumed.

    Args:
        data: the file.
        limits: the largest table that is read.
        tabs: whether its name says that tabs separate the cells.

    Raises:
        SagvaeError: it is empty, no text, too large, or its rows are not of one length.
    """
    check_text(data)
    text, notes = decode(data)
    if not text.strip():
        raise expected("the table", "a header and rows", "an empty file", "Look whether saving it has failed.")
    dialect = find_dialect(text, limits, tabs)
    # Each cell ends with a separator or a line, so these are no fewer than the cells.
    limits.check_cells(text.count(dialect.separator) + text.count("\n") + text.count("\r"))
    table = _parse(text, dialect)
    limits.check_shape(table.num_rows, table.num_columns)

    import pandas as pd

    # Arrow's own columns: those of text take no more memory than they had in the file.
    return table.to_pandas(types_mapper=pd.ArrowDtype), [*notes, *dialect.notes]


def decode(data: bytes, what: str = "the table") -> tuple[str, list[str]]:
    """The text of a file, and a note when it is not plain UTF-8.

    Args:
        what: the file is to an error.

    Raises:
        SagvaeError: it is no text, or of an encoding that cannot be told.
    """
    for mark, codec, title in _MARKS:
        if data.startswith(mark):
            return _decoded(data, codec, what), [f"The file is {title}."]
    half = len(data) // 2 or 1
    for codec, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if zeros.count(0) > 0.7 * half:
            return _decoded(data, codec, what), ["The file is UTF-16 without a byte order mark."]
    if 0 in data:
        line = data.count(b"\n", 0, data.index(0)) + 1
        raise expected(what, "text", f"a zero byte in line {line:,}", f"The file is damaged. {_ENCODING}")
    try:
        return _decoded(data, "utf-8", what), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    try:
        return _decoded(data, "cp1252", what), [f"Line {line:,} is no UTF-8: the file was read as Latin-1 "
                                                "(Windows-1252). Check its letters with accents."]
    except UnicodeDecodeError:
        raise _unknown_encoding(what, f"bytes of another encoding in line {line:,}") from None


def _decoded(data: bytes, codec: str, what: str) -> str:
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        if codec in ("utf-8", "cp1252"):
            raise
        raise _unknown_encoding(what, f"a damaged file that says it is {codec.upper()}") from None
    if "\0" in text:
        raise expected(what, "text", "zero bytes", f"The file is damaged. {_ENCODING}")
    if control := _CONTROLS.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise expected(what, "text", f"the control character {control.group()!a} in line {line:,}",
                       f"Is it another kind of file? {_ENCODING}")
    return text


def _unknown_encoding(what: str, got: str) -> Exception:
    return expected(what, "text in UTF-8", got, _ENCODING)


def _parse(text: str, dialect: Dialect) -> pa.Table:
    """The rows under the header, each column of the type that all of its cells have."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    _check_quotes(text, dialect)
    body = text[dialect.body:].encode()
    if not body.strip():
        raise expected("the table", "rows under its header", "a header alone", "Look whether saving it has failed.")

    def read(as_text: Sequence[str] = ()) -> pa.Table:
        return arrow_csv.read_csv(
            pa.BufferReader(body),
            # One block, so that a column's type is found from all of its cells.
            arrow_csv.ReadOptions(use_threads=False, block_size=min(len(body) + 1, 2**31 - 1),
                                  column_names=dialect.names),
            arrow_csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
            arrow_csv.ConvertOptions(null_values=missing_spellings(), strings_can_be_null=True,
                                     column_types=dict.fromkeys(as_text, pa.string())))

    try:
        table = read()
        return _with_thousands(table, read) if dialect.separator != "," else table
    except (pa.ArrowException, MemoryError, OSError) as error:
        raise _unreadable(text, dialect, error) from None


def _with_thousands(table: pa.Table, read: Callable[[Sequence[str]], pa.Table]) -> pa.Table:
    """Where other columns have decimal commas, "1.670" is no 1.67: columns that may have points between thousands
    stay text, which is read by what the others say (:mod:`.content`)."""
    import pyarrow as pa

    def votes(column: pa.ChunkedArray) -> int:
        return Texts.of(column.combine_chunks()).votes

    names = table.column_names
    numbers = [name for name in names if pa.types.is_floating(table[name].type)]
    if len(set(names)) < len(names) or not numbers or not any(
            votes(table[name]) > 0 for name in names if pa.types.is_string(table[name].type)):
        return table
    texts = read(numbers)
    for place, name in enumerate(names):
        if name in numbers and votes(texts[name]) == 0:
            table = table.set_column(place, name, texts[name])
    return table


def _check_quotes(text: str, dialect: Dialect) -> None:
    """A quote that is never closed would swallow the rest of the file as one cell."""
    if text.count('"') % 2 == 0:  # also true of a quote inside a cell (5" disk), which is no mistake
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.separator, strict=True)
    start = 0
    try:
        for _ in reader:
            start = reader.line_num
    except csv.Error as error:
        if "unexpected end" in str(error) or "field larger" in str(error):
            raise expected("the table", "text with each quote closed", f"one that is open from line {start + 1:,} on",
                           'Close it, or write "" for a quote inside a quoted cell.') from None


def _unreadable(text: str, dialect: Dialect, error: Exception) -> Exception:
    """The sentence for rows that PyArrow has refused: which line of the file, counted as editors do."""
    width, start, rows = len(dialect.names), 1, 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.separator)
    try:
        for cells in reader:
            rows += bool(cells)
            if cells and rows > dialect.header_rows and len(cells) != width:
                return expected(f"line {start:,} of the table", f"{width:,} cells long as the other lines are",
                                f"{len(cells):,}", "Put cells with a separator or a line break in them into quotes.")
            start = reader.line_num + 1
    except csv.Error:  # a cell of more than 131,072 letters
        pass
    reason = one_line(str(error)) or type(error).__name__
    return expected("the table", f"rows of {width:,} cells", reason, "Save it anew as CSV.")
