"""A graph that is known beforehand, to compare a learned one with: an edge list, a square matrix or GraphML."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from .errors import SagvaeError, expected
from .file_text import cell
from .graph_xml import read_graphml
from .tables.text_files import decode

LARGEST = 20_000_000
"""Bytes of a file that is read: a matrix of 1,000 columns has 2 million."""

_SEPARATORS = ("\t", ";", "|", ",")
_SAMPLE = 50  # rows that tell the separator
_HEADERS = {("source", "target"), ("from", "to"), ("first", "second"), ("start", "end"), ("parent", "child"),
            ("cause", "effect"), ("node1", "node2"), ("node_1", "node_2"), ("node 1", "node 2")}
_CELLS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_QUOTED = 40  # letters of a name in a sentence


def read_known_graph(data: bytes | Path, name: str, names: Sequence[str]) -> np.ndarray:
    """Which pairs of columns a file says are related.

    An edge list has two columns of names and an edge a line, in any direction; a first line such as "source,target" is
    a header. A matrix has a row and a column for each of ``names``, with 1 where there is an edge and 0 elsewhere; it
    may have names on top, at the left or both, in any order, and without them has the order of ``names``. Cells are
    separated by commas, semicolons, tabs or bars. GraphML is told by the ending of the file's name.

    Args:
        data: the file, or where it is.
        name: what it is called.
        names: the N columns of the table.

    Returns:
        bool (N, N), symmetric, with an empty diagonal and at least one edge.

    Raises:
        SagvaeError: it is none of these, has other names, joins a column with itself, or has no edge.
        OSError: the file cannot be read.
    """
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    if size > LARGEST:
        raise expected("the known graph", f"a file of at most {LARGEST // 10**6} MB", f"{size / 10**6:.1f} MB",
                       "Save it as an edge list.")
    data = data.read_bytes() if isinstance(data, Path) else data
    columns = _Columns(names)
    if name.lower().endswith((".graphml", ".xml")):
        graph = _from_graphml(data, columns)
    else:
        graph = _from_text(decode(data, "the known graph")[0], columns)
    if not graph.any():
        raise expected("the known graph", "a graph with at least one edge", "none", "Without one nothing is compared.")
    return graph


class _Columns:
    """The columns of the table by their names."""

    def __init__(self, names: Sequence[str]) -> None:
        if len(set(names)) < len(names):
            raise expected("the columns' names", "all different", "one that is there twice", "Rename one of them.")
        self.names = list(names)
        # Also as our own files spell them for spreadsheets; the name itself wins.
        self.places = {spelled: place for spell in (lambda name: cell(name).strip(), str.strip, str)
                       for place, spelled in enumerate(map(spell, names))}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, label: str) -> bool:
        return label in self.places

    def place(self, label: str, what: str, remedy: str = "") -> int:
        """The number of the column that a file calls ``label``; without it an error about ``what``."""
        label = label.strip()
        if label in self.places:
            return self.places[label]
        near = difflib.get_close_matches(label[:_QUOTED], self.names, 1) if not remedy else []
        remedy = f"Did you mean {_quoted(near[0])}?" if near else remedy or "Spell it as the table does, or remove it."
        raise expected(what, "a column of the table", _quoted(label), remedy)


def _from_graphml(data: bytes, columns: _Columns) -> np.ndarray:
    labels, edges = read_graphml(data)
    linked = {node for edge in edges for node in edge}
    found = {node: columns.place(labels[node], "each node with an edge") for node in sorted(linked)}
    return _joined([(found[first], found[second]) for first, second in edges], [None] * len(edges), columns)


def _from_text(text: str, columns: _Columns) -> np.ndarray:
    lines = _rows(text, columns)
    if not lines:
        raise expected("the known graph", "an edge list or a matrix", "an empty file",
                       "Look whether saving it has failed.")
    rows, count = [row for _, row in lines], len(columns)
    width = max(map(len, rows))
    pairs = sum(len(row) > 1 and row[0] in columns and row[1] in columns for row in rows)
    marks = all(value.lower() in _CELLS for row in rows for value in row)
    fits = len(rows) in (count, count + 1) and {len(row) for row in rows} <= {count, count + 1}
    is_list = 2 * pairs > len(rows) and (width == 2 or not marks)  # a column may be called "0" or "1"
    if fits and not (is_list and width <= 3):
        return _from_matrix(rows, columns)
    if width == 2:
        return _from_list(lines, columns)
    if width < 2:
        raise expected("the known graph", "an edge list of two columns or a matrix", "a file of one column",
                       "Put a comma between the two names of an edge.")
    if is_list:
        raise expected("an edge list", "two columns wide, source and target", f"up to {width:,} columns",
                       "Keep the lines that are edges, and of these the two names.")
    raise expected("the matrix of the known graph", f"of {count:,} rows and {count:,} columns, one for each column of "
                   "the table", f"{len(rows):,} rows of up to {width:,} cells",
                   "Add the columns that are missing with 0, or save an edge list.")


def _rows(text: str, columns: _Columns) -> list[tuple[int, list[str]]]:
    """The rows that are not blank with the lines they end on, cut by the separator that finds most names and marks."""
    def fit(separator: str) -> tuple[int, int]:
        rows = [row for _, row in islice(_cut(text, separator), _SAMPLE) if len(row) > 1]
        return sum(value in columns or value.lower() in _CELLS for row in rows for value in row), len(rows)

    try:
        return list(_cut(text, max(_SEPARATORS, key=fit)))
    except csv.Error:  # a cell of more than 131,072 letters
        raise expected("the known graph", "an edge list or a matrix", "a cell without an end",
                       "Look for a quote that is never closed.") from None


def _cut(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    for row in reader:
        stripped = [value.strip() for value in row]
        if any(stripped):
            yield reader.line_num, stripped


def _from_matrix(rows: list[list[str]], columns: _Columns) -> np.ndarray:
    count = len(columns)
    body = rows[-count:]
    widths = {len(row) for row in body}
    if len(widths) > 1:
        raise expected("each row of the known graph's matrix", "of one length", f"{count:,} and {count + 1:,} cells",
                       "Look for a cell that is missing.")
    across = _order(rows[0][-count:], columns) if len(rows) > count else None
    down = _order([row[0] for row in body], columns) if widths == {count + 1} else None
    across, down = across or down or range(count), down or across or range(count)  # one side's names are both sides'
    matrix = np.zeros((count, count), dtype=bool)
    for number, (row, place) in enumerate(zip(body, down), 1):
        for column, value in zip(across, row[-count:]):
            if value.lower() not in _CELLS:
                raise expected(f"each cell in row {number:,} of the known graph's matrix", "0 or 1", _quoted(value),
                               "Write 1 where there is an edge and 0 elsewhere.")
            matrix[place, column] = _CELLS[value.lower()]
    if matrix.diagonal().any():
        raise _self_loop(columns.names[int(matrix.diagonal().argmax())])
    if (matrix != matrix.T).any():
        first, second = (_quoted(columns.names[place]) for place in np.argwhere(matrix & ~matrix.T)[0])
        raise expected("the matrix of the known graph", "symmetric", f"1 from {first} to {second} and 0 back",
                       "A relation has no direction: write 1 on both sides of the diagonal.")
    return matrix


def _order(labels: list[str], columns: _Columns) -> list[int]:
    """The columns that the names beside a matrix stand for."""
    order = [columns.place(label, "each name beside the known graph's matrix") for label in labels]
    if len(set(order)) < len(order):
        twice = next(label for number, label in enumerate(labels) if order[number] in order[:number])
        raise expected("each name beside the known graph's matrix", "there once", f"{_quoted(twice)} twice",
                       "Look for the column that is missing.")
    return order


def _from_list(lines: list[tuple[int, list[str]]], columns: _Columns) -> np.ndarray:
    top = lines[0][1]
    if tuple(map(str.lower, top)) in _HEADERS and not all(value in columns for value in top):
        lines = lines[1:]
    edges = []
    for line, row in lines:
        if len(row) != 2 or not all(row):
            raise expected(f"line {line:,} of the edge list", "two names", f"{len(list(filter(None, row))):,}",
                           "Put names with a separator in them into quotes.")
        header = "Is it a header? Then call its columns source and target." if row is top else ""
        edges.append(tuple(columns.place(value, f"each name in line {line:,} of the edge list", header)
                           for value in row))
    return _joined(edges, [line for line, _ in lines], columns)


def _joined(edges: Sequence[tuple[int, int]], lines: Sequence[int | None], columns: _Columns) -> np.ndarray:
    """Pairs of columns as a matrix; ``lines`` are where they stand, if that is known."""
    matrix = np.zeros((len(columns), len(columns)), dtype=bool)
    for (first, second), line in zip(edges, lines):
        if first == second:
            raise _self_loop(columns.names[first], line)
        matrix[first, second] = matrix[second, first] = True
    return matrix


def _self_loop(name: str, line: int | None = None) -> SagvaeError:
    where = "" if line is None else f" in line {line:,}"
    return expected("each edge of the known graph", "between two different columns",
                    f"{_quoted(name)} with itself{where}", "Remove it.")


def _quoted(name: str) -> str:
    return repr(name if len(name) <= _QUOTED else name[:_QUOTED - 1] + "…")
