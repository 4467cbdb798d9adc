"""How a text separates its cells, and whether its first row is a header: found out from its first rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice, pairwise

from ..errors import expected
from .cells import is_missing, with_comma, with_point
from .limits import Limits
from .names import quoted, tidy_names

_SEPARATORS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma"}  # the earlier, the rarer inside a cell
_SAMPLE = 1 << 20  # letters; the header must be in them
_SAMPLE_ROWS, _SAMPLE_CELLS = 50, 10_000
_UNITS_BEFORE = 3  # rows of numbers, that words above them are no slips
_YEARS = range(1900, 2101)


@dataclass(frozen=True)
class Dialect:
    """How to read a text.

    Attributes:
        separator: between cells, one letter.
        names: of the columns, all different.
        body: place in the text where the rows begin.
        header_rows: rows before it.
        notes: what was assumed, a sentence each.
    """

    separator: str
    names: list[str]
    body: int
    header_rows: int
    notes: list[str]


def find_dialect(text: str, limits: Limits, tabs: bool) -> Dialect:
    """The separator that cuts the first rows into equally many cells, two or more; and what the first row is.

    Args:
        text: of the file, not empty.
        limits: the most columns.
        tabs: whether tabs are expected, so that finding them is no news.

    Raises:
        SagvaeError: there is one column only, too many, or the first row has not as many cells as the others.
    """
    sample = text[:_SAMPLE]
    found = {separator: rows for separator in _SEPARATORS if (rows := _first_rows(sample, separator))}
    separator = max(found, key=lambda separator: _fit(found[separator]), default=",")
    rows = found.get(separator, [])
    width = max(map(len, rows), default=0)
    limits.check_shape(1, width)
    if width < 2:
        raise expected("the table", "two or more columns, separated by commas, semicolons, tabs or bars",
                       "one column" if rows else "no cells", "Save it with commas between the cells.")
    usual = "\t" if tabs else ","
    notes = [] if separator == usual else [f"Cells are separated by a {_SEPARATORS[separator]}."]
    if not _is_header(rows):
        names, more = tidy_names([None] * len(rows[0]))
        return Dialect(separator, names, 0, 0, [*notes, "The first row looks like data, so the columns are named by "
                                                "number. Add a row of names if it is a header.", *more[1:]])
    header, others = rows[0], Counter(map(len, rows[1:])).most_common(1)
    if others and others[0][0] == len(header) + 1 > 2:  # over two columns, one name is a title
        if all(not row[-1].strip() for row in rows[1:]):
            header = [*header, ""]
        else:  # as R writes the names of rows
            header = ["", *header]
    elif others and others[0][0] != len(header) and others[0][1] > 1:
        raise expected("the first line of the table", f"the names of its {others[0][0]:,} columns",
                       f"{len(header):,}", "Remove what stands above the names.")
    names, more = tidy_names(header)
    unit = _unit(rows)
    count = 1 if unit is None else 2
    if unit is not None:
        more = [*more, f"The second row has words such as {quoted([unit])} where the others have numbers: it is taken "
                       "for units and left out."]
    body = _end_of_rows(sample, separator, count)
    if body == _SAMPLE:
        raise expected("the first line of the table", f"shorter than {_SAMPLE:,} letters", "a longer one",
                       "Shorten the names.")
    return Dialect(separator, names, body, count, [*notes, *more])


def _first_rows(sample: str, separator: str) -> list[list[str]]:
    """The first rows that are not blank; the last is left out where the sample cuts it. None when they cannot be."""
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:  # a cell without end: another separator may see it otherwise
        pass
    return rows[:-1] if len(rows) > 1 and len(sample) == _SAMPLE else rows


def _fit(rows: list[list[str]]) -> tuple[float, bool, float, int]:
    """How well a separator cuts.

    First the share of rows of the most common length, then whether the first row is cut at all, the share of cells
    that are numbers, and the length.
    """
    length, count = Counter(map(len, rows)).most_common(1)[0]
    if length < 2:
        return (0, False, 0, length)
    cells = list(islice(chain.from_iterable(rows[1:] or rows), _SAMPLE_CELLS))
    numbers = sum(map(_is_number_or_gap, cells)) / max(1, len(cells))
    return (round(count / len(rows), 1), len(rows[0]) > 1, numbers, length)


def _is_number(cell: str) -> bool:
    return with_point(cell) is not None or with_comma(cell) is not None


def _is_number_or_gap(cell: str) -> bool:
    return is_missing(cell) or _is_number(cell)


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names columns: where the rows below have numbers, it has something else in one of them.

    Numbers that count up from 0, as pandas names columns, or through years are names all the same.
    """
    first, below = rows[0], rows[1:]
    numeric = _numeric(below, len(first))
    if not below:
        numeric = list(range(len(first)))
    if not numeric:
        return True
    named = [first[place] for place in numeric if first[place].strip()]
    if not named or not all(map(_is_number_or_gap, named)):
        return True
    return _counts(named)


def _numeric(rows: list[list[str]], width: int) -> list[int]:
    """Places of the columns that have numbers and nothing else but gaps."""
    columns = [[row[place] for row in rows if place < len(row) and not is_missing(row[place])]
               for place in range(width)]
    return [place for place, cells in enumerate(columns) if cells and all(map(_is_number, cells))]


def _unit(rows: list[list[str]]) -> str | None:
    """The first word of the second row, if it has no numbers but words where all rows below have numbers,
    as files of instruments have their units there."""
    if len(rows) < _UNITS_BEFORE + 2:
        return None
    second = rows[1]
    cells = [second[place] for place in _numeric(rows[2:], len(second)) if not is_missing(second[place])]
    return cells[0] if len(cells) > 1 and not any(map(_is_number, cells)) else None


def _counts(cells: list[str]) -> bool:
    numbers = [with_point(cell) for cell in cells]
    if len(numbers) < 3 or None in numbers or any(after != before + 1 for before, after in pairwise(numbers)):
        return False
    return numbers[0] == 0 or (numbers[0] in _YEARS and numbers[-1] in _YEARS)


def _end_of_rows(sample: str, separator: str, count: int) -> int:
    file = io.StringIO(sample, newline="")
    for row in csv.reader(file, delimiter=separator):
        count -= bool(row)
        if not count:
            break
    return file.tell()
