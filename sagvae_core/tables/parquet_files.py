"""A Parquet file to a data frame: what it says of its size is checked before its columns are unpacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SagvaeError, expected
from .limits import Limits, megabytes
from .names import one_line, quoted, tidy_names

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

_UNPACKED = 4  # times Limits.bytes: what the columns may take in memory


def read_parquet(data: bytes, limits: Limits) -> tuple[pd.DataFrame, list[str]]:
    """The columns of a Parquet file as a data frame, and notes about their names.

    Raises:
        SagvaeError: it is damaged or too large, or a column holds lists or records.
    """
    import pandas as pd

    try:
        table = _read(data, limits)
        names, notes = tidy_names(table.column_names)
        # What the file says of pandas' types and index is another reader's business: only its columns count.
        table = table.replace_schema_metadata(None).rename_columns(names)
        return table.to_pandas(types_mapper=pd.ArrowDtype), notes
    except SagvaeError:
        raise
    except Exception as error:  # PyArrow raises whatever its decoders meet in a damaged file
        reason = one_line(str(error)) or type(error).__name__
        raise expected("the table", "a whole Parquet file", f"one that PyArrow cannot read ({reason})",
                       "Copy or save it anew.") from None


def _read(data: bytes, limits: Limits) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    metadata = file.metadata
    limits.check_shape(metadata.num_rows, metadata.num_columns)
    _check_types(file.schema_arrow)
    _check_unpacked(file, limits)
    # Text stays in dictionaries, or a short file could say one long cell a million times.
    columns = map(metadata.schema.column, range(metadata.num_columns))
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    table = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts).read(use_threads=False)
    table.validate(full=True)
    return table


def _check_types(schema: pa.Schema) -> None:
    import pyarrow as pa

    for field in schema:
        if pa.types.is_nested(field.type):
            raise expected(f"column {quoted([field.name])}", "one value in each row", one_line(str(field.type)),
                           "Write its parts into columns of their own, or save the table without it.")


def _check_unpacked(file: pq.ParquetFile, limits: Limits) -> None:
    groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
    wide = sum(field.type.byte_width for field in file.schema_arrow if str(field.type).startswith("fixed_size_binary"))
    size = sum(max(0, group.total_byte_size) for group in groups) + wide * file.metadata.num_rows
    if size > _UNPACKED * limits.bytes:
        raise expected("the table", f"at most {megabytes(_UNPACKED * limits.bytes)} when it is unpacked",
                       megabytes(size), "Save a smaller part of the table.")
