"""Tables as hypothesis thinks of them: whatever the bytes, a table of finite numbers and gaps, or a sentence.

Some hundred files, the same ones each time; with SAGVAE_FAULTS=full thousands, others each time.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged_files import TOKENS, damaged_bytes
from hypothesis import HealthCheck, configuration, given, settings
from hypothesis import strategies as st

from sagvae_core.errors import SagvaeError
from sagvae_core.tables import KINDS, LEFT_OUT, Limits, Table, read_frame, read_table, recognise

configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "sagvae-hypothesis")  # not into the repository
FULL = os.environ.get("SAGVAE_FAULTS") == "full"
LONGEST = 2000  # letters of a sentence, with the little that it quotes of the table
SMALL = Limits(bytes=100_000, rows=300, columns=40, cells=5_000)


def fuzz(test: Callable) -> Callable:
    """Of a reader's files, more in a full run."""
    return settings(max_examples=1500 if FULL else 60, derandomize=not FULL, deadline=None, database=None,
                    print_blob=True, suppress_health_check=list(HealthCheck))(test)


def check(table: Table) -> None:
    """All that :class:`Table` promises."""
    assert table.values.dtype == np.float64 and table.values.ndim == 2 and table.rows >= 3
    assert not np.isinf(table.values).any()
    assert len(table.names) == len(table.kinds) == table.values.shape[1] >= 2
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names) and all(name and len(name) < 140 for name in names)
    assert [(column.name, column.kind) for column in table.columns if column.kind != LEFT_OUT] == list(
        zip(table.names, table.kinds))
    json.dumps([names, table.notes], ensure_ascii=False).encode()
    for column in table.columns:
        assert column.kind in (*KINDS, LEFT_OUT) and (column.reason or column.kind == "continuous")
        assert 0 <= column.missing <= table.rows and 0 <= column.distinct <= table.rows - column.missing
        assert len(column.examples) <= 3 and all(len(text) <= 40 for text in column.examples)
        assert len(column.reason) < 400
    for values, kind in zip(table.values.T, table.kinds):
        observed = values[~np.isnan(values)]
        assert len(observed) >= 3 and 0 < np.std(observed) < np.inf
        assert kind != "binary" or set(observed) == {0, 1}
        assert kind != "ordinal" or (observed == np.round(observed)).all()
    assert len(table.notes) < 10 and all(note.endswith(".") and len(note) < LONGEST for note in table.notes)
    try:
        complete = table.complete_rows()
    except SagvaeError:
        return
    assert complete.complete.all() and len(complete.names) >= 2


def holds(read: Callable[[], Table]) -> None:
    """``read()`` gives a table, or a sentence."""
    try:
        table = read()
    except SagvaeError as error:
        message = str(error)
        assert message.endswith(".") and "\n" not in message and message.isprintable(), repr(message)
        assert len(message) < LONGEST, message[:500]
    else:
        check(table)


# ---------------------------------------------------------------------- files

CELLS = st.one_of(
    st.sampled_from(["", "-", "NA", "?", "null", "nan", "inf", "-Infinity", "1e999", "-1e308", "1e-320", "0", "1", "2",
                     "1,5", "1.234,5", "1 234", "12%", "%", "yes", "no", "True", "false", "2020-01-01", "01.02.2020",
                     "2020-01-01 10:00:00", "9999-99-99", "12:30", '"', '""', "5\" x", "a;b", "a\tb", "a|b", "a\nb",
                     "\r", " ", "\u00a0", "\u202e", "\ufeff", "é", "٣", "½", "𝟙", "<img src=x onerror=alert(1)>",
                     "=cmd|' /C calc'!A0", "0x10", "1_000", "+", ".", ",", "e5", "9" * 30, "9" * 400, "x" * 5000]),
    st.integers(-9, 9).map(str), st.integers().map(str), st.floats().map(repr), st.text(max_size=6))
NAMES = st.sampled_from(["id", "index", "x", "x", "x (2)", "", "0", "1"]) | CELLS
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32")


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """What is nearly a CSV file: rows mostly of one length, cells quoted or not, in some encoding."""
    separator, end = draw(st.sampled_from([",", ";", "\t", "|", " "])), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    width = draw(st.integers(1, 5))
    kinds = [draw(st.sampled_from([CELLS, st.integers(0, 3).map(str), st.floats(-9, 9).map(str),
                                   st.sampled_from(["a", "b"])])) for _ in range(width)]
    rows = [[draw(NAMES) for _ in range(width)]] if draw(st.booleans()) else []
    rows += [[draw(kind) for kind in kinds] for _ in range(draw(st.integers(0, 12)))]
    if rows and draw(st.integers(0, 9)) == 0:
        draw(st.sampled_from(rows)).append("more")
    quote = draw(st.sampled_from(["always", "needed", "never"]))

    def written(cell: str) -> str:
        if quote == "always" or (quote == "needed" and any(letter in cell for letter in f'{separator}"\r\n')):
            return '"' + cell.replace('"', '""') + '"'
        return cell
    text = end.join(separator.join(map(written, row)) for row in rows) + draw(st.sampled_from(["", end]))
    return text.encode(draw(st.sampled_from(ENCODINGS)), "replace")


def frame() -> pd.DataFrame:
    """Thirty rows with a column of every kind."""
    random = np.random.default_rng(0)
    return pd.DataFrame({
        "height": random.normal(size=30), "count": random.integers(0, 5, 30), "id": range(30),
        "smoker": random.choice(["yes", "no"], 30), "name": [f"n{place}" for place in range(30)],
        "gap": np.where(random.random(30) < 0.3, np.nan, random.normal(size=30)),
        "day": pd.date_range("2020-01-01", periods=30), "flag": random.random(30) < 0.5})


def packed(**options: object) -> bytes:
    """:func:`frame` as a Parquet file."""
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame()), file, **options)
    return file.getvalue()


PARQUET = [packed(compression=compression, use_dictionary=dictionary, data_page_version=version, row_group_size=rows,
                  store_schema=schema)
           for compression, dictionary, version, rows, schema in (
               ("none", False, "1.0", 30, True), ("snappy", True, "2.0", 10, True), ("zstd", True, "1.0", 30, False),
               ("gzip", False, "2.0", 30, False))]
CSV = [frame().to_csv(index=False).encode(), frame().to_csv(sep=";", decimal=",").encode("utf-16")]


@fuzz
@given(data=st.binary(max_size=300) | st.lists(st.sampled_from(TOKENS) | st.binary(max_size=4)).map(b"".join),
       ending=st.sampled_from(["csv", "tsv", "txt", "csv.gz", "parquet", "pq", "pkl", "xlsx", "", "csv\0"]))
def test_any_bytes(data, ending):
    holds(lambda: read_table(data, f"a.{ending}", limits=SMALL))


@fuzz
@given(data=texts(), ending=st.sampled_from(["csv", "tsv", "txt"]), pack=st.booleans())
def test_texts(data, ending, pack):
    name = f"a.{ending}.gz" if pack else f"a.{ending}"
    holds(lambda: read_table(gzip.compress(data, 1) if pack else data, name, limits=SMALL))


@fuzz
@given(data=damaged_bytes([*CSV, gzip.compress(CSV[0])]))
def test_damaged_texts(data):
    holds(lambda: read_table(data, "a.csv.gz" if data.startswith(b"\x1f\x8b") else "a.csv", limits=SMALL))


@fuzz
@given(data=damaged_bytes(PARQUET))
def test_damaged_parquet(data):
    holds(lambda: read_table(data, "a.parquet", limits=SMALL))


@fuzz
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), file=st.sampled_from(PARQUET))
def test_parquet_with_one_other_byte(place, value, file):
    """Past the footer's checks, where lengths and offsets lie."""
    data = bytearray(file)
    data[place % len(data)] = value
    holds(lambda: read_table(bytes(data), "a.parquet", limits=SMALL))


@fuzz
@given(data=texts(), kinds=st.dictionaries(NAMES, st.sampled_from([*KINDS, LEFT_OUT, "nominal"]), max_size=4))
def test_wishes(data, kinds):
    try:
        table, _ = read_frame(data, "a.csv", SMALL)
    except SagvaeError:
        return
    wishes = {name: kind for name, kind in kinds.items() if name in table.columns or kind == "nominal"}
    wishes |= dict(zip(table.columns, kinds.values()))
    holds(lambda: recognise(table, wishes))


OBJECTS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.decimals(), st.dates(),
    st.binary(max_size=3), st.lists(st.integers(), max_size=2), st.complex_numbers(), st.timedeltas(),
    st.sampled_from([10**400, 10**5000, "\ud800", pd.NA, pd.NaT, {"a": 1}, object]))


@fuzz
@given(rows=st.integers(0, 8).flatmap(
           lambda rows: st.lists(st.lists(OBJECTS, min_size=rows, max_size=rows), max_size=4)),
       names=st.lists(st.text(max_size=3) | st.integers() | st.none() | NAMES, min_size=4, max_size=4))
def test_frames_of_any_objects(rows, names):
    holds(lambda: recognise(pd.DataFrame({place: pd.Series(cells, dtype=object) for place, cells in enumerate(rows)})
                            .set_axis(names[:len(rows)], axis=1)))


@fuzz
@given(columns=st.lists(st.lists(st.floats(allow_nan=True) | st.sampled_from([0.0, 1.0, 1e100, -1e100, 5e-324, 1e-160]),
                                 min_size=6, max_size=6), min_size=2, max_size=4),
       factor=st.floats(-1e10, 1e10), shift=st.floats(-1e10, 1e10))
def test_frames_of_any_numbers(columns, factor, shift):
    with np.errstate(all="ignore"):
        more = np.array(columns[0]) * factor + shift
    holds(lambda: recognise(pd.DataFrame(np.array([*columns, more]).T)))


# ---------------------------------------------------------------------- memory, with the operating system as the judge

LITTLE = """
import gzip, io, json, resource, sys
import numpy as np, pandas, pyarrow as pa, pyarrow.csv, pyarrow.parquet as pq, narwhals
from sagvae_core.errors import SagvaeError
from sagvae_core.tables import read_table

def parquet(columns, **options):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd", **options)
    return file.getvalue()

half = np.arange(200_000, dtype=np.int32) % 2
files = {
    "packed zeros": ("a.csv.gz", gzip.compress(bytes(100_000_000), 1) * 20),
    "long repeated cells": ("a.parquet", parquet({"a": pa.DictionaryArray.from_arrays(half, ["x" * 10**6, "y"]),
                                                  "b": half})),
    "many cells": ("a.csv", b",".join([b""] * 1000) + b"\\n" + (b"," * 999 + b"\\n") * 49_000),
    "many lines": ("a.csv", b"a,b\\n" + b"1,2\\n" * 12_000_000),
    "many blank lines": ("a.csv", b"a,b\\n" + b"\\n" * 49_000_000),
    "one quote": ("a.csv", b'a,b\\n1,"' + b"x" * 49_000_000),
    "one line": ("a.csv", b"x," * 24_000_000),
}
read_table(b"a,b\\n1.5,2\\n2,3\\n4,9\\n", "a.csv")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)
answers = {}
try:
    bytes(2 << 30)
except MemoryError:
    answers["two gigabytes after all"] = "out of memory"
for what, (name, data) in files.items():
    try:
        table = read_table(data, name)
        answers[what] = f"a table of {table.rows} rows"
    except SagvaeError as error:
        answers[what] = "a sentence" if "alloc" not in str(error) else str(error)
    except MemoryError:
        answers[what] = "out of memory"
print(json.dumps(answers))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says how much memory a process has")
def test_large_files_take_little_memory():
    """In a process that may take 1 GiB more; each file here is of at most 50 MB, and claims or unpacks to more."""
    result = subprocess.run([sys.executable, "-c", LITTLE], capture_output=True, text=True,
                            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])})
    assert result.returncode == 0, result.stderr[-3000:]
    answers = json.loads(result.stdout)
    assert answers.pop("two gigabytes after all") == "out of memory", "the limit does not bind, so it proves nothing"
    assert {what: answer for what, answer in answers.items() if answer != "a sentence"} == {}


def test_the_valid_files_are_read():
    """Else the tests above would see nothing but the first check of each reader."""
    tables = [read_table(data, "a.parquet", limits=SMALL) for data in PARQUET]
    tables += [read_table(data, "a.csv", limits=SMALL) for data in CSV]
    for table in tables:
        check(table)
        assert table.names == ("height", "count", "smoker", "gap", "flag")
        assert table.kinds == ("continuous", "ordinal", "binary", "continuous", "binary")
