"""A table's file to a data frame, and on to a :class:`~.table.Table`: by the ending of its name, within limits."""

from __future__ import annotations

import dataclasses
import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import expected
from .columns import recognise
from .limits import Limits
from .parquet_files import read_parquet
from .signatures import GZIP
from .table import Table
from .text_files import read_text

if TYPE_CHECKING:
    import pandas as pd

TEXT_ENDINGS, PARQUET_ENDINGS = (".csv", ".tsv", ".tab", ".txt"), (".parquet", ".pq")
"""Endings of the names of files that are read; those of text may be followed by ``.gz``."""

_TABS = (".tsv", ".tab")
_PICKLES = (".pkl", ".pickle", ".joblib")


def read_table(source: str | Path | bytes, name: str | None = None, kinds: Mapping[str, str] | None = None,
               limits: Limits = Limits()) -> Table:
    """:func:`read_frame` and :func:`.recognise` in one.

    Example:
        >>> read_table(b"height,weight\\n1.71,64\\n1.82,80\\n1.64,57\\n", "people.csv").names
        ('height', 'weight')

    Args:
        source, name, limits: as in :func:`read_frame`.
        kinds: as in :func:`.recognise`.

    Raises:
        SagvaeError: the file cannot be read as a table, or there is nothing in it to learn from.
    """
    frame, notes = read_frame(source, name, limits)
    table = recognise(frame, kinds)
    return dataclasses.replace(table, notes=(*notes, *table.notes))


def read_frame(source: str | Path | bytes, name: str | None = None,
               limits: Limits = Limits()) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A CSV, TSV or Parquet file as a data frame, and what was assumed while reading, a sentence each.

    Its types are Arrow's: numbers and dates where all cells of a column are such, else text as it is in the file, also
    for numbers with decimal commas.
    No pickle is ever opened.

    Args:
        source: path of the file, or its bytes.
        name: whose ending says what it is (.csv, .tsv, .tab, .txt, these with .gz, .parquet, .pq); by default that
            of the path.
        limits: the largest table that is read.

    Raises:
        SagvaeError: there is no such file, it is no table, damaged, or larger than ``limits``.
    """
    if name is None:
        name = "" if isinstance(source, bytes) else str(source)
    packed = name.lower().endswith(".gz")
    plain = name.lower().removesuffix(".gz")
    ending = next((ending for ending in (*TEXT_ENDINGS, *PARQUET_ENDINGS) if plain.endswith(ending)), "")
    _check_ending(name, ending, packed)
    data = source if isinstance(source, bytes) else _read_file(Path(source), limits)
    limits.check_bytes(len(data))
    if not data:
        raise expected("the table", "a header and rows", "an empty file", "Look whether saving it has failed.")
    if ending in PARQUET_ENDINGS:
        frame, notes = read_parquet(data, limits)
    else:
        frame, notes = read_text(_unpacked(data, limits) if packed else data, limits, ending in _TABS)
    return frame, tuple(notes)


def _check_ending(name: str, ending: str, packed: bool) -> None:
    if ending in TEXT_ENDINGS or (ending and not packed):
        return
    remedy = ("A pickle could run any program, so it is never opened: save the table as CSV or Parquet."
              if name.lower().endswith(_PICKLES) else "Save the table as CSV or Parquet.")
    raise expected("the name of a table", f"one that ends in {', '.join((*TEXT_ENDINGS, *PARQUET_ENDINGS))}",
                   ascii(name[-60:]) if name else "none", remedy)


def _read_file(path: Path, limits: Limits) -> bytes:
    try:
        if not path.is_file():
            raise expected("the table", "an existing file", ascii(str(path)), "Look for a slip in its name.")
        limits.check_bytes(path.stat().st_size)
        with path.open("rb") as file:
            return file.read(limits.bytes + 1)  # it may have grown since
    except OSError as error:
        raise expected("the table", "a file that can be opened", error.strerror or type(error).__name__,
                       "Check who may read it.") from None


def _unpacked(data: bytes, limits: Limits) -> bytes:
    if not data.startswith(GZIP):
        raise expected("the table", "compressed by gzip, as its name ends in .gz", "something else",
                       "Remove .gz from its name.")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(limits.bytes + 1)
    except (OSError, EOFError, zlib.error):
        raise expected("the table", "a whole gzip file", "a damaged one", "Copy or save it anew.") from None
    limits.check_bytes(len(unpacked))
    return unpacked
