"""What a file is, by its first bytes: those that are no table get a sentence that says what they are."""

from __future__ import annotations

import re

from ..errors import expected

PARQUET, GZIP = b"PAR1", b"\x1f\x8b"

_BEGINNINGS = tuple((re.compile(pattern, re.DOTALL | re.IGNORECASE), what) for pattern, what in (
    (rb"PK(\x03\x04|\x05\x06)", "a spreadsheet or zip archive"),
    (rb"\xd0\xcf\x11\xe0", "an old spreadsheet"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|BM.{4}\0{4}", "a picture"),
    (rb"%PDF", "a PDF document"),
    (rb"\x80[\x02-\x05][\x95}\]c(K]", "a pickle, which could run any program and is never opened"),
    (rb"\x89HDF|\x93NUMPY|ARROW1|SQLite format 3|Obj\x01", "a file of another kind of tables"),
    (rb"BZh[1-9]1AY&SY|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf", "a compressed file"),
    (rb"\x7fELF|MZ.\0", "a program"),
    (rb"\s*<(!doctype|html|head|body|table|\?xml|svg)", "a web page or other markup"),
    (rb'\s*(\{\s*("[^"\n]{0,200}"\s*:|\}|$)|\[\s*([\[{\]"]|-?\d[\d.eE+-]*\s*[,\]]))', "JSON"),
))
_REMEDY = "Save the table as CSV or Parquet."


def check_text(data: bytes) -> None:
    """Refuse what is known to be no text with separated cells.

    Raises:
        SagvaeError: ``data`` begins like a spreadsheet, a picture, a web page, JSON, a pickle and the like.
    """
    start = data[:1000].removeprefix(b"\xef\xbb\xbf")
    if start.startswith(PARQUET) and data.endswith(PARQUET):
        raise _refused("a Parquet file", "Give it a name that ends in .parquet.")
    if start.startswith(GZIP):
        raise _refused("a compressed file", "Give it a name that ends in .gz.")
    for beginning, what in _BEGINNINGS:
        if beginning.match(start):
            raise _refused(what)


def _refused(what: str, remedy: str = _REMEDY) -> Exception:
    return expected("the table", "rows of cells, such as a CSV file has them", what, remedy)
