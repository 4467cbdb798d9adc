"""A person's own table: a CSV, TSV or Parquet file, or a data frame, to checked columns of numbers.

Heavy libraries are imported when a table is read.
"""

from __future__ import annotations

from .columns import recognise
from .examples import EXAMPLES, example_frame
from .limits import Limits
from .reading import read_frame, read_table
from .table import KINDS, LEFT_OUT, Column, Table

__all__ = ["EXAMPLES", "KINDS", "LEFT_OUT", "Column", "Limits", "Table", "example_frame", "read_frame", "read_table",
           "recognise"]
