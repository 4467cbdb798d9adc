"""What a file is, by its first bytes: those that are no table get a sentence that says what they are."""

from __future__ import annotations

import re

from ..errors import expected

PARQUET, GZIP = b"PAR1", b"\x1f\x8b"

_FIRST_BYTES = (
    (b"PK\x03\x04", "a spreadsheet or zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet"),
    (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"), (b"BM", "a picture"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file"), (b"\x93NUMPY", "a NumPy array"), (b"ARROW1", "an Arrow file"),
    (b"ORC", "an ORC file"), (b"SQLite format 3", "a database"), (b"Obj\x01", "an Avro file"),
    (b"BZh", "a compressed file"), (b"\xfd7zXZ", "a compressed file"), (b"\x28\xb5\x2f\xfd", "a compressed file"),
    (b"7z\xbc\xaf", "a compressed file"), (b"\x7fELF", "a program"),
)
_MARKUP = re.compile(rb"\s*<(!doctype|html|head|body|table|\?xml|svg)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(\{\s*("[^"\n]{0,200}"\s*:|\}|$)|\[\s*([\[{\]"]|-?\d[\d.eE+-]*\s*[,\]]))')
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x95}\]c(K]")
_REMEDY = "Save the table as CSV or Parquet."


def check_text(data: bytes) -> None:
    """Refuse what is known to be no text with separated cells.

    Raises:
        SagvaeError: ``data`` begins like a spreadsheet, a picture, a web page, JSON, a pickle and the like.
    """
    start = data[:1000].removeprefix(b"\xef\xbb\xbf")
    if start.startswith(PARQUET):
        raise _refused("a Parquet file", "Give it a name that ends in .parquet.")
    if start.startswith(GZIP):
        raise _refused("a compressed file", "Give it a name that ends in .gz.")
    if _PICKLE.match(start):
        raise _refused("a pickle, which could run any program and is never opened")
    # "BM" and "ORC" could begin the name of a column; in a text, no zero byte is among the first bytes.
    for first, what in _FIRST_BYTES:
        if start.startswith(first) and (len(first) > 3 or b"\0" in start or first[0] > 127 or first == b"BZh"):
            raise _refused(what)
    if _MARKUP.match(start):
        raise _refused("a web page or other markup")
    if _JSON.match(start):
        raise _refused("JSON")


def _refused(what: str, remedy: str = _REMEDY) -> Exception:
    return expected("the table", "rows of cells, such as a CSV file has them", what, remedy)
