"""How large a table may be: checked before its cells are read, so that no file takes all of the memory."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import expected

_SMALLER = "Save a smaller part of the table."


@dataclass(frozen=True)
class Limits:
    """The largest table that is read.

    Attributes:
        bytes: of the file, also after it is unpacked when it ends in ``.gz``. A Parquet file may hold four times as
            many once its columns are unpacked.
        rows, columns: of the table. A model has a node for each column, and its graph an edge for each pair of them.
        cells: rows times columns; 20 million cells are 160 MB as numbers.
    """

    bytes: int = 50_000_000
    rows: int = 200_000
    columns: int = 1_000
    cells: int = 20_000_000

    def check_bytes(self, count: int) -> None:
        """Refuse a file of ``count`` bytes, or one that was read so far and no further.

        Raises:
            SagvaeError: these are more than the limit.
        """
        if count > self.bytes:
            most, size = megabytes(self.bytes), megabytes(count)
            raise expected("the table", f"at most {most}", "more" if size == most else size, _SMALLER)

    def check_shape(self, rows: int, columns: int) -> None:
        """Refuse a table of too many rows, columns or cells.

        Raises:
            SagvaeError: these are more than the limit.
        """
        if columns > self.columns:
            raise expected("the table", f"at most {self.columns:,} columns wide", f"{columns:,}",
                           "Keep the columns that matter, and save those.")
        if rows > self.rows:
            raise expected("the table", f"at most {self.rows:,} rows long", f"{rows:,}",
                           "Save a random sample of its rows.")
        self.check_cells(rows * columns)

    def check_cells(self, count: int) -> None:
        """Refuse a table of ``count`` cells, or of about so many.

        Raises:
            SagvaeError: these are more than the limit.
        """
        if count > self.cells:
            raise expected("the table", f"of at most {self.cells:,} cells", f"{count:,}",
                           "Keep fewer columns, or a random sample of the rows.")


def megabytes(count: int) -> str:
    """A number of bytes as people read it: 50 MB, 1.2 MB, 300 bytes."""
    return f"{count:,} bytes" if count < 100_000 else f"{count / 1e6:,.4g} MB"
