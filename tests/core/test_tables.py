"""A person's table: what each column is recognised as, what is said about it, and the sentence of each bad file."""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import pickle

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import datasets

from sagvae_core.errors import SagvaeError
from sagvae_core.tables import KINDS, LEFT_OUT, Limits, Table, read_frame, read_table, recognise

RNG = np.random.default_rng(0)
MEASURED = np.round(RNG.normal(size=30), 3)  # a column that is kept, so that another can be looked at
OTHER = np.round(RNG.normal(size=30), 3)


def column(cells: object, name: str = "x", **kinds: str):
    """What a column of 30 cells (or fewer, repeated) becomes beside two measured ones, and its values if any."""
    cells = list(cells)
    cells = (cells * 30)[:30]
    frame = pd.DataFrame({"m": MEASURED, "o": OTHER, name: pd.Series(cells, dtype=None)})
    table = recognise(frame, kinds or None)
    found = next(column for column in table.columns if column.name == name)
    return found, table.values[:, table.names.index(name)] if name in table.names else None


def csv(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def parquet(table: pa.Table | dict, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), file, **options)
    return file.getvalue()


def refused(source: object, name: str | None = "a.csv", **options: object) -> str:
    with pytest.raises(SagvaeError) as info:
        read_table(source, name, **options)
    sentence = str(info.value)
    assert " must be " in sentence and sentence.endswith(".") and "\n" not in sentence, sentence
    return sentence


PEOPLE = csv("height,weight,smoker,children", "1.71,64,no,0", "1.82,80,yes,2", "1.64,57,no,2", "1.58,,no,0",
             "1.90,91,yes,1", "1.77,72,no,1")


# ---------------------------------------------------------------------- kinds

def test_a_small_table():
    table = read_table(PEOPLE, "people.csv")
    assert table.names == ("height", "weight", "smoker", "children")
    assert table.kinds == ("continuous", "continuous", "binary", "ordinal")
    assert table.values.dtype == np.float64 and table.values.shape == (6, 4) and table.rows == 6
    assert table.values[:, 2].tolist() == [0, 1, 0, 0, 1, 0]
    assert table.complete.tolist() == [True, True, True, False, True, True]
    assert [column.missing for column in table.columns] == [0, 1, 0, 0]
    assert [column.distinct for column in table.columns] == [6, 5, 2, 3]
    assert table.columns[0].examples == ("1.71", "1.82", "1.64") and table.columns[0].reason == ""
    assert table.columns[2].reason == "'no' is 0, 'yes' is 1"
    assert table.notes == ()


@pytest.mark.parametrize(("cells", "kind", "values"), [
    ([True, False], "binary", [1, 0]),
    ([1, 2, 2], "binary", [0, 1, 1]),
    ([-3.5, 7], "binary", [0, 1]),
    (["yes", "No ", "NO"], "binary", [1, 0, 0]),
    (["m", "f"], "binary", [1, 0]),
    (["true", "false", "?"], "binary", [1, 0, None]),
    (["7"] * 29 + ["x"], "binary", [0] * 29 + [1]),
    ([1, 2, 3], "ordinal", [1, 2, 3]),
    ([0.0, 5, 10, None], "ordinal", [0, 5, 10, None]),
    ([1.5, 2, 3], "continuous", [1.5, 2, 3]),
    (list(range(0, 33, 3)), "continuous", [0, 3, 6]),  # eleven levels
    (["1,5", "2,25", "n/a", "7"], "continuous", [1.5, 2.25, None, 7]),
    (["1 234", "1\u202f235", "7.5"], "continuous", [1234, 1235, 7.5]),
    (["1,234", "1,234,567", "12"], "ordinal", [1234, 1234567, 12]),
    (["1.234,5", "0,5", "7"], "continuous", [1234.5, 0.5, 7]),
    (["12%", "13.5 %", "-"], "binary", [0, 1, None]),
    (["−1.5", "+2", "3e2", ""], "continuous", [-1.5, 2, 300, None]),
    (["(0.46)", "1.5", "(1,200.5)"], "continuous", [-0.46, 1.5, -1200.5]),
    (["$1.50", "-$2", "($ 3.25)", "$-4"], "continuous", [1.5, -2, -3.25, -4]),
    (["€ 30.000,00", "2,5 €", "0,75"], "continuous", [30000, 2.5, 0.75]),
    ([decimal.Decimal("1.5"), decimal.Decimal(2), decimal.Decimal(3)], "continuous", [1.5, 2, 3]),
    ([True, None, False], "binary", [1, None, 0]),
    ([1, "2", 4.5, None], "continuous", [1, 2, 4.5, None]),
])
def test_kinds(cells, kind, values):
    found, numbers = column(cells)
    assert found.kind == kind, found
    np.testing.assert_array_equal(numbers[:len(values)], np.array(values, float))


@pytest.mark.parametrize(("cells", "name", "reason"), [
    ([7], "x", "the same value in every row, 7"),
    (["a", None], "x", "the same text in every row that has one"),
    ([None], "x", "no cell has a value"),
    ([np.nan], "x", "no cell has a value"),
    (["", "NA", "?"], "x", "no cell has a value"),
    ([1.5, 2.5] + [None] * 28, "x", "only 2 of 30 cells have a value"),
    (range(30), "x", "a row number: the whole numbers from 0 to 29, each once"),
    (RNG.permutation(30) + 5, "x", "a row number"),
    (range(1000, 4000, 100), "patient_id", "under the name of an identifier"),
    (range(1000, 4000, 100), "PatientID", "under the name of an identifier"),
    (range(1000, 4000, 100), "__index_level_0__", "under the name of an identifier"),
    ("abc", "x", "text of 3 levels"),
    ([1.5, 2.5, 3, "many"], "x", "numbers and text are mixed: 7 of 30 cells are no numbers, such as 'many'"),
    (pd.date_range("2020-01-01", periods=30), "x", "dates or times"),
    ([datetime.time(1), datetime.time(2)], "x", "dates or times"),
    (["01.02.2020", "3.4.2021", "4.4.2021 10:00"], "x", "dates or times"),
    ([[1], [2]], "x", "lists or records, not one number in each row"),
    (MEASURED, "x", "a copy of 'm'"),
    (1000 - 2.54 * MEASURED, "x", "the same as 'm' but for scale and shift"),
    ([1e-200, 2e-200, 3e-200], "x", "differ by less than a computer can divide by"),
])
def test_what_is_left_out(cells, name, reason):
    found, numbers = column(cells, name)
    assert found.kind == LEFT_OUT and reason in found.reason, found
    assert numbers is None


@pytest.mark.parametrize(("cells", "name"), [
    (range(1000, 4000, 100), "weight"),
    (range(1000, 4000, 100), "humid"),
    (range(1000, 4000, 100), "refractive index"),
    ([3, 1, 4, 1, 5, 9, 2, 6, 5, 35, 8, 97], "id"),
])
def test_whole_numbers_that_are_measured_stay(cells, name):
    assert column(cells, name)[0].kind in KINDS


def test_few_rows_do_not_make_a_row_number():
    table = recognise(pd.DataFrame({"x": [1, 2, 3], "y": [4, 6, 5]}))
    assert table.kinds == ("continuous", "continuous")


def test_a_few_unreadable_cells_are_missing_and_said():
    found, numbers = column([*map(str, MEASURED[:29] + 1), "broken"])
    assert found.kind == "continuous" and np.isnan(numbers[29]) and found.missing == 1
    assert found.reason == "numbers written as text; 1 that is no number, such as 'broken', counts as missing"


@pytest.mark.parametrize("cells", [[np.inf, *OTHER[1:15] * 2, *MEASURED[15:]], ["1e999", *map(str, OTHER[:29] ** 2)],
                                   [1e200, *OTHER[1:] ** 2]])
def test_infinite_numbers_are_missing_with_a_note(cells):
    frame = pd.DataFrame({"m": MEASURED, "x": cells})
    table = recognise(frame)
    assert np.isnan(table.values[0, 1]) and table.columns[1].missing == 1
    assert "infinite numbers count as missing" in table.columns[1].reason
    assert table.notes == ("Numbers that are infinite or beyond 1e100 count as missing: 1 in 'x'.",)


def test_a_comma_that_could_be_either_is_what_it_is_in_the_other_columns():
    table = read_table(csv("a;b;c", "1,234;1,5;x", "5,678;2,5;y", "9,012;3,5;x"), "a.csv")
    assert table.values[:, 0].tolist() == [1.234, 5.678, 9.012]
    table = read_table(csv('a,b,c', '"1,234",1.5%,x', '"5,678",2.5%,y', '"9,012",4%,x'), "a.csv")
    assert table.values[:, 0].tolist() == [1234, 5678, 9012]
    assert "with commas between thousands" in table.columns[0].reason


@pytest.mark.parametrize(("cells", "values"), [
    (("492", "1.670", "3.415"), [492, 1670, 3415]), (("0.123", "0.456", "0.789"), [0.123, 0.456, 0.789]),
    (("1.5", "1.670", "3.415"), [1.5, 1.67, 3.415]), (("1.234.567", "2.345.678", "999"), [1234567, 2345678, 999])])
def test_beside_decimal_commas_points_may_stand_between_thousands(cells, values):
    lines = [f"{cell};{number},5;{number % 2},25" for number, cell in enumerate(cells, 1)]
    table = read_table(csv("a;b;c", *lines), "a.csv")
    assert table.values[:, 0].tolist() == values
    assert ("points between thousands" in table.columns[0].reason) == (values[-1] > 900)


def test_a_row_of_units_under_the_names_is_left_out():
    rows = ["1.5,20,yes", "2.5,30,no", "3.5,10,yes", "0.5,40,no"]
    for units in ("kg,°C,", "kg,°C,-"):
        table = read_table(csv("mass,warmth,smokes", units, *rows), "a.csv")
        assert table.rows == 4 and table.kinds == ("continuous", "continuous", "binary")
        assert table.notes == ("The second row has words such as 'kg' where the others have numbers: it is taken for "
                               "units and left out.",)
    with pytest.raises(SagvaeError, match="2 of 6 cells are no numbers, such as 'kg'"):  # one column of numbers is few
        read_table(csv("mass,warmth", "kg,C", "1.5,2", "x,3", "4,5", "2,1", "9,8"), "a.csv")
    with pytest.raises(SagvaeError, match="line 4 of the table must be 2 cells long"):
        read_table(csv("mass,warmth", "kg,C", "1.5,2", "2,3,4", "4,5", "2,1", "9,8"), "a.csv")


def test_money_and_brackets_are_said_to_be_read():
    found, _ = column(["$1.50", "($2.25)", "3", "4.5"])
    assert found.reason == "numbers written as text; currency signs are dropped; those in brackets are negative"
    for no_number in ("$", "()", "($)", "(-5)", "$$5", "5$5", "(5", "5 dollars"):
        found, numbers = column([no_number, "1.5", "2.5", "3.5"] * 3)
        assert found.kind == LEFT_OUT and numbers is None, no_number


@pytest.mark.parametrize(("cells", "code"), [
    ([*MEASURED[:28], -999, -999], -999), ([*MEASURED[:28], 99, 99], 99), ([*[1, 2, 3, 4] * 7, 99, 99], 99),
    ([*MEASURED[:29], -999], None), ([-999, 5000, 3000, -999, 20, -999], None), ([*range(90, 110)] * 2, None),
    ([0, -999] * 15, None)])
def test_a_number_that_may_stand_for_a_gap_is_pointed_out_and_kept(cells, code):
    found, numbers = column(cells)
    said = f"{code} occurs 2 times, far from all else: if it means a gap, empty these cells"
    assert (said in found.reason) == (code is not None) and ("gap" in found.reason) == (code is not None)
    assert found.missing == 0 and numbers is not None


def test_without_decimal_commas_a_point_is_a_point():
    table = read_table(csv("a;b", "0.5;1.670", "1.5;3.415", "0.25;2.100"), "a.csv")
    assert table.values[:, 1].tolist() == [1.67, 3.415, 2.1]


# ---------------------------------------------------------------------- what a person says instead

@pytest.mark.parametrize(("cells", "wish", "values"), [
    ([0, 1], "continuous", [0, 1]), ([5, 7], "continuous", [5, 7]), ([5, 7], "ordinal", [5, 7]),
    (range(30), "continuous", range(30)), (range(30), "ordinal", range(30)), ([1, 2, 3], "continuous", [1, 2, 3]),
    (MEASURED, "continuous", MEASURED), ([True, False], "continuous", [1, 0]), ([2, 4], "binary", [0, 1]),
])
def test_another_kind(cells, wish, values):
    found, numbers = column(cells, x=wish)
    assert found.kind == wish
    np.testing.assert_array_equal(numbers[:len(values)], values)


def test_a_column_can_be_left_out():
    found, numbers = column(OTHER * OTHER, x=LEFT_OUT)
    assert (found.kind, found.reason, numbers) == (LEFT_OUT, "as you chose", None)


@pytest.mark.parametrize(("cells", "kinds", "sentence"), [
    ("abc", {"x": "continuous"}, "column 'x' must be something that can be continuous, got text of 3 levels"),
    (["yes", "no"], {"x": "continuous"}, "column 'x' must be numbers to be continuous, got the texts 'no' and 'yes'"),
    (["yes", "no"], {"x": "ordinal"}, "must be whole numbers to be ordinal, got text. Choose 'binary' for it."),
    ([1.5, 2, 3], {"x": "ordinal"}, "must be whole numbers to be ordinal, got fractions. Choose 'continuous' for it."),
    ([1, 2, 3], {"x": "binary"}, "must be of two distinct values to be binary, got 3"),
    ([7], {"x": "continuous"}, "must be something that can be continuous, got the same value in every row, 7"),
    ([1, 2], {"y": "binary"}, "must be in the table, got 'y'. It has 'm', 'o' and 'x'."),
    ([1, 2], {"x": "nominal"}, "must be one of continuous, ordinal, binary or left out, got 'nominal'"),
])
def test_a_kind_that_cannot_be(cells, kinds, sentence):
    with pytest.raises(SagvaeError) as info:
        column(cells, **kinds)
    assert sentence in str(info.value)


# ---------------------------------------------------------------------- the table

def test_complete_rows():
    table = recognise(pd.DataFrame({"a": [1.5, 2.5, 3, 4, np.nan], "b": [0, 0, 0, 0, 1], "c": [3.5, 1, np.nan, 4, 4],
                                    "d": ["x", "x", "x", "x", "x"]}))
    complete = table.complete_rows()
    assert complete.values.tolist() == [[1.5, 3.5], [2.5, 1], [4, 4]]
    assert complete.names == ("a", "c") and complete.complete.all() and complete.complete_rows() is complete
    assert [column.kind for column in complete.columns] == ["continuous", LEFT_OUT, "continuous", LEFT_OUT]
    assert complete.columns[1].reason == "the same value in every complete row"


def test_too_few_complete_rows():
    table = recognise(pd.DataFrame({"a": [1.5, 2.5, 3, None, None, None], "b": [None, None, 3, 4, 4.5, 7]}))
    with pytest.raises(SagvaeError, match="complete in at least 3 rows, got 1. Leave out the columns with most gaps"):
        table.complete_rows()


@pytest.mark.parametrize("frame", [np.eye(3), {"a": [1]}, None, "a.csv"])
def test_only_data_frames_are_recognised(frame):
    with pytest.raises(SagvaeError, match="the table must be a data frame in memory"):
        recognise(frame)


def test_frames_of_every_kind_say_the_same():
    frame = pd.DataFrame({"a": [1.5, None, 3.5, 4], "b": pd.array([1, None, 5, 9], "Int64"),
                          "c": ["yes", "no", None, "no"], "d": [True, False, True, True]})
    frames = [frame, frame.convert_dtypes(), frame.convert_dtypes(dtype_backend="pyarrow"),
              frame.set_axis(list("wxyz")), frame.astype({"a": "float32", "b": "category", "c": "category"}),
              pa.Table.from_pandas(frame), nw.from_native(frame),
              pa.concat_tables([pa.Table.from_pandas(frame[:2]), pa.Table.from_pandas(frame[2:])])]
    tables = [recognise(frame) for frame in frames]
    for table in tables:
        assert table.names == tuple("abcd") and table.kinds == ("continuous", "continuous", "binary", "binary")
        np.testing.assert_array_equal(table.values, tables[0].values)


@pytest.mark.parametrize("make", [
    lambda names, columns: pd.DataFrame(np.stack(columns, 1), columns=names),
    lambda names, columns: pa.table([pa.array(column) for column in columns], names=[str(name) for name in names])])
def test_names_are_made_different_and_kept_else(make):
    hostile = "<img src=x onerror=alert(1)>\0\u202e"
    table = recognise(make(["x", "x", "x (2)", " ", hostile, "n" * 10_000, 5], RNG.normal(size=(7, 9))))
    assert table.names == ("x", "x (3)", "x (2)", "column 4", hostile, "n" * 119 + "…", "5")
    assert table.notes == ("1 column had no name and was named by number.",
                           "1 column had a name of more than 120 letters, which was cut.",
                           "1 column had the name of another column and was numbered: 'x (3)'.")


@pytest.mark.parametrize("name", ["iris", "wine", "diabetes", "breast_cancer"])
def test_real_tables_in_every_form(name):
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    packed = io.BytesIO()
    frame.to_parquet(packed)
    tables = [recognise(frame), recognise(pa.Table.from_pandas(frame)), read_table(packed.getvalue(), "a.parquet")]
    tables += [read_table(text.encode(encoding), file) for text, encoding, file in (
        (frame.to_csv(index=False), "utf-8", "a.csv"), (frame.to_csv(index=False, sep="\t"), "utf-16", "a.tsv"),
        (frame.to_csv(sep=";", decimal=","), "utf-8-sig", "a.csv"),
        (frame.to_csv(index=False, sep="|"), "utf-8", "A.TXT"))]
    for table in tables:
        assert table.names == tuple(frame.columns) and table.rows == len(frame) and table.complete.all()
        assert table.kinds == tables[0].kinds
        np.testing.assert_allclose(table.values, tables[0].values, rtol=1e-15)
        assert all(column.kind in KINDS or "row number" in column.reason for column in table.columns)
    assert set(tables[0].kinds[:-1]) == {"continuous"} or name == "diabetes"
    assert tables[0].kinds[-1] == {"diabetes": "continuous", "breast_cancer": "binary"}.get(name, "ordinal")


# ---------------------------------------------------------------------- what is assumed while reading

@pytest.mark.parametrize(("data", "names", "note"), [
    (csv("a;b", "1;2", "4;3", "5;9"), "ab", "Cells are separated by a semicolon."),
    (csv("a\tb", "1\t2", "4\t3", "5\t9"), "ab", "Cells are separated by a tab."),
    (csv("a|b", "1|2", "4|3", "5|9"), "ab", "Cells are separated by a bar."),
    (csv("1.5,2", "4,3", "5,9"), ("column 1", "column 2"), "The first row looks like data"),
    (csv("5.1,3.5,red", "4,3,blue", "5,9,red"), ("column 1", "column 2", "column 3"), "The first row looks like data"),
    (csv("a,,b", "1,2,4", "4,3,2", "5,9,9"), ("a", "column 2", "b"), "1 column had no name"),
    (csv("a,b", "r1,1,2", "r2,4,3", "r3,5,9"), "ab", "1 column had no name"),
    (csv("a,b", "1,2,", "4,3,", "5,9,"), "ab", "1 column had no name"),
    (csv("a,a", "1,2", "4,3", "5,9"), ("a", "a (2)"), "was numbered: 'a (2)'"),
    ("ä,ö\n1,2\n4,3\n5,9".encode("latin-1"), "äö", "Line 1 is no UTF-8"),
    ("ä,ö\n1,2\n4,3\n5,9".encode("utf-16"), "äö", "The file is UTF-16."),
    ("ä,ö\n1,2\n4,3\n5,9".encode("utf-16-le"), "äö", "UTF-16 without a byte order mark"),
    ("ä,ö\n1,2\n4,3\n5,9".encode("utf-8-sig"), "äö", "byte order mark"),
])
def test_notes(data, names, note):
    table = read_table(data, "a.csv")
    assert table.names == tuple(names)
    assert len(table.notes) == 1 and note in table.notes[0]


@pytest.mark.parametrize("first", [",0,1,2", "0,1,2,3", "country,2019,2020,2021"])
def test_numbers_that_are_names(first):
    table = read_table(csv(first, "7,1.5,2,4", "9,4,3.5,2", "10,5,9,9.5"), "a.csv")
    assert table.names == tuple(name or "column 1" for name in first.split(",")) and table.rows == 3


def test_names_that_begin_like_another_kind_of_file():
    assert read_table(csv("BMI,ORC", "1.5,2", "2,3", "4,9"), "a.csv").names == ("BMI", "ORC")
    assert read_table(csv("[a],{b}", "1.5,2", "2,3", "4,9"), "a.csv").names == ("[a]", "{b}")
    assert read_table(csv("<a>,PAR1", "1.5,2", "2,3", "4,9"), "a.csv").names == ("<a>", "PAR1")


def test_quotes_separators_and_line_breaks_in_cells():
    data = b'"a, or b","c ""d""","e\nf"\r\n1.5,"x, y",2\r\n\r\n2.5,"z\r\nz",3\r\n4,"x, y",7\r\n'
    table = read_table(data, "a.csv")
    assert table.names == ("a, or b", 'c "d"', "e\nf") and table.kinds == ("continuous", "binary", "continuous")
    assert table.values.tolist() == [[1.5, 0, 2], [2.5, 1, 3], [4, 0, 7]]
    assert read_table(b'a,b\n1,5" disk\n2,7" disk\n3,5" disk', "a.csv").values[:, 1].tolist() == [0, 1, 0]


def test_paths_and_packed_files(tmp_path):
    for name, data in (("People.CSV", PEOPLE), ("people.csv.gz", gzip.compress(PEOPLE))):
        path = tmp_path / name
        path.write_bytes(data)
        for table in (read_table(path), read_table(str(path)), read_table(data, name)):
            assert table.names == ("height", "weight", "smoker", "children")


def test_frames_have_the_types_of_their_cells():
    frame, notes = read_frame(csv("a,b,c,d", "1,1.5,x,2020-01-01", "2,NA,,2020-01-02", "3,4,y,"), "a.csv")
    assert isinstance(frame, pd.DataFrame) and notes == ()
    assert frame["a"].tolist() == [1, 2, 3] and frame["b"].isna().tolist() == [False, True, False]
    assert frame["c"].isna().sum() == 1 and frame["d"].dtype.kind == "M"


def test_parquet_of_every_type():
    data = parquet({
        "a": pa.array([1, 2, 7], pa.int8()), "b": pa.array(np.array([0.5, 4, 2.5], np.float16)),
        "c": [True, False, None],
        "d": pa.array(["yes", "no", "yes"]).dictionary_encode(), "e": pa.array([1, 5, 2], pa.decimal128(5, 1)),
        "f": pa.array([1, 2, 3], pa.timestamp("ns", "Mars/Phobos")), "g": pa.array([b"x", b"y", b"z"]),
        "h": pa.nulls(3), "i": ["1,5", "2,5", "9"]})
    table = read_table(data, "a.parquet")
    assert table.names == ("a", "b", "d", "e", "i")
    assert [column.reason for column in table.columns if column.kind == LEFT_OUT] == [
        "only 2 of 3 cells have a value", "dates or times; make numbers of them, such as days since the first",
        "no numbers but binary", "no cell has a value"]


# ---------------------------------------------------------------------- bad files

@pytest.mark.parametrize(("data", "sentence"), [
    (b"", "got an empty file"),
    (b" \n\r\n", "got an empty file"),
    (b"a,b", "got a header alone"),
    (b"a,b\n1,2\n", "must be at least 3 rows long, got 1"),
    (b"a\n1\n2\n3\n", "two or more columns, separated by commas, semicolons, tabs or bars, got one column"),
    (b"a b\n1 2\n3 4\n", "got one column"),
    (csv("a,b", "1,2", "3,4,5", "6,7"), "line 3 of the table must be 2 cells long as the other lines are, got 3"),
    (csv("a,b", '"1\n1",2', "", "3", "6,7"), "line 5 of the table must be 2 cells long as the other lines are, got 1"),
    (csv("a,b", "x" * 200_000 + ",1", "3", "6,7"), "must be rows of 2 cells, got CSV parse error: Row #2: Expected 2"),
    (csv("My table", "a,b", "1,2", "3,4"), "the first line of the table must be the names of its 2 columns, got 1"),
    (csv("a,b", '1,"2', "3,4", "6,7"), "one that is open from line 2 on"),
    (csv("a,b", "1,x", "2,x", "3,x"), "at least two columns of numbers that vary, got 1. Left out: 'b': the same text"),
    (b"a,b\n1,\0\n2,3", "got a zero byte in line 2"),
    (b"a,b\n1,\x01\n2,3", "got the control character '\\x01' in line 2"),
    (b"a,b\n1,\x81\n2,3", "got bytes of another encoding in line 2"),
    (b"\xff\xfea", "a damaged file that says it is UTF-16"),
    (b"<!DOCTYPE html><html>", "got a web page or other markup"),
    (b'{"a": [1, 2]}', "got JSON"), (b"[[1, 2], [3, 4]]", "got JSON"),
    (b"\x89PNG\r\n\x1a\n", "got a picture"), (b"PK\x03\x04", "got a spreadsheet or zip archive"),
    (b"BM\x8a\x07\0\0\0\0\0\0", "got a picture"), (b"%PDF-1.7", "got a PDF document"),
    (b"PAR1 PAR1", "Give it a name that ends in .parquet"),
    (gzip.compress(b"a,b\n"), "Give it a name that ends in .gz"),
    (pickle.dumps([1, 2]), "got a pickle, which could run any program and is never opened"),
    (b"," * 10_000 + b"\n1", "at most 1,000 columns wide, got 10,001"),
    (b"a,b\n" + b"1,2\n" * 200_001, "at most 200,000 rows long, got 200,001"),
    (b",".join([b"a" * 100_000] * 11) + b"\n" + b",".join([b"1"] * 11), "shorter than"),
])
def test_a_bad_text_gets_a_sentence(data, sentence):
    assert sentence in refused(data)


@pytest.mark.parametrize(("name", "sentence"), [
    (None, "got none"), ("a.pkl", "A pickle could run any program, so it is never opened"), ("a.xlsx", "got 'a.xlsx'"),
    ("a.parquet.gz", "got 'a.parquet.gz'"), ("csv", "got 'csv'"), ("\x1b[2J.json", r"got '\x1b[2J.json'"),
])
def test_a_name_that_is_not_of_a_table_gets_a_sentence(name, sentence):
    assert sentence in refused(PEOPLE, name)


def test_a_path_without_a_file_gets_a_sentence(tmp_path):
    assert "an existing file" in refused(tmp_path / "a.csv", None)
    (tmp_path / "b.csv").mkdir()
    assert "an existing file" in refused(tmp_path / "b.csv", None)
    assert "an existing file" in refused("a\0.csv", None)


NUMBERS = {"a": [1.5, 2, 3], "b": [4.5, 1, 1]}


@pytest.mark.parametrize(("data", "sentence"), [
    (PEOPLE, "one that PyArrow cannot read"),
    (parquet(NUMBERS)[:-20], "one that PyArrow cannot read"),
    (parquet(NUMBERS | {"c": [[1], [2], []]}), "column 'c' must be one value in each row, got list<"),
    (parquet(NUMBERS | {"c": [{"d": 1}] * 3}), "column 'c' must be one value in each row, got struct<"),
    (parquet({f"x{place}": [1.5, 2, 3] for place in range(1001)}), "at most 1,000 columns wide, got 1,001"),
    (parquet({"a": np.zeros(200_001), "b": np.zeros(200_001)}), "at most 200,000 rows long, got 200,001"),
    (parquet({"a": []}), "at least 3 rows long, got 0"),
    (parquet(pa.table({})), "at least two columns of numbers that vary, got 0"),
    (parquet({"a": np.zeros(30_000_000, np.uint8)[:0]}), "at least 3 rows long, got 0"),
])
def test_a_bad_parquet_file_gets_a_sentence(data, sentence):
    assert sentence in refused(data, "a.parquet")


def test_a_short_parquet_file_of_long_repeated_cells_stays_small():
    cells = pa.array(np.arange(200_000, dtype=np.int32) % 2)
    for texts in (["x" * 10**6, "y" * 10**6], [b"x" * 10**6, b"y" * 10**6]):  # 200 GB when written out
        packed = pa.DictionaryArray.from_arrays(cells, texts)
        for stored in (True, False):
            data = parquet({"a": packed, "b": np.arange(200_000) % 7, "c": np.sqrt(np.arange(200_000))},
                           compression="zstd", store_schema=stored)
            assert read_table(data, "a.parquet").kinds[-2:] == ("ordinal", "continuous")
    fixed = parquet({"a": pa.array([bytes(10**4)] * 1000, pa.binary(10**4)), "b": range(1000)})
    assert "when it is unpacked" in refused(fixed, "a.parquet", limits=Limits(bytes=100_000))


def test_limits():
    assert "at most 10 bytes, got" in refused(PEOPLE, limits=Limits(bytes=10))
    assert "at most 1 MB, got more" in refused(gzip.compress(bytes(10**8)), "a.csv.gz",
                                                       limits=Limits(bytes=1_000_000))
    assert "of at most 10 cells" in refused(PEOPLE, limits=Limits(cells=10))
    wide = {f"x{place}": np.zeros(150_000) for place in range(140)}
    assert "of at most 20,000,000 cells, got 21,000,000" in refused(parquet(wide), "a.parquet")
    long = parquet({"a": ["x" * 10**6 + str(place) for place in range(30)]}, compression="zstd", use_dictionary=False)
    assert len(long) < 10**6
    assert "when it is unpacked" in refused(long, "a.parquet", limits=Limits(bytes=10**6))
    assert "a damaged one" in refused(gzip.compress(PEOPLE)[:-9], "a.csv.gz")
    assert "Remove .gz from its name" in refused(PEOPLE, "a.csv.gz")


def test_a_table_is_compared_by_identity():
    table = recognise(pd.DataFrame(NUMBERS))
    assert isinstance(table, Table) and table == table and table != recognise(pd.DataFrame(NUMBERS))
