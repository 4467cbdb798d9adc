"""The cells of one column: numbers, text that says numbers, text of two levels, or nothing that can be learned from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .cells import LARGEST, comma_votes, is_bracketed, is_missing, is_money, with_comma, with_point

if TYPE_CHECKING:
    import pyarrow as pa

_NUMERIC = 0.95  # of the cells of a column of text must be numbers, that the others are taken for slips
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?:[ T].{0,40})?", re.ASCII)
_VOTERS = 1000  # different cells that say whether a comma is a decimal comma
_EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class Content:
    """What is in a column.

    Attributes:
        values: (M,) float64, NaN where there is no value; None when the cells are no numbers.
        obstacle: why they are none; "" when they are.
        how: how they were read, in words; "" for plain numbers.
        levels: the two texts that became 0 and 1.
        missing, distinct, examples: as in :class:`.table.Column`.
        infinite: cells that count as missing because they are, or nearly are, infinite.
    """

    values: np.ndarray | None
    obstacle: str
    how: str
    levels: tuple[str, ...]
    missing: int
    distinct: int
    examples: tuple[str, ...]
    infinite: int = 0


@dataclass(frozen=True, eq=False)
class Texts:
    """A column of text as its different cells, and which of them each row has.

    Attributes:
        texts: the different cells.
        places: (M,) places in ``texts``; -1 where a cell is missing.
    """

    texts: list[str]
    places: np.ndarray

    @classmethod
    def of(cls, array: pa.Array) -> Texts:
        """The cells of an array of text, of a dictionary or not. Those that say "nothing here" are left out."""
        import pyarrow as pa

        encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        places = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        used = set(np.unique(places).tolist())
        new = np.full(len(texts) + 1, -1)  # the last is that of -1
        kept = [place for place, text in enumerate(texts)
                if place in used and text is not None and not is_missing(text)]
        new[kept] = np.arange(len(kept))
        return cls([texts[place] for place in kept], new[places])

    @property
    def votes(self) -> int:
        """Above zero when the cells are numbers with decimal commas, below when with points; see :mod:`.cells`."""
        return comma_votes(self.texts[:_VOTERS])


def text_content(column: Texts, comma: bool) -> Content:
    """Text as numbers when nearly all of its cells are, else as two levels, else with the reason why it is neither.

    Args:
        comma: whether "1,234" is 1.234 in a column that does not tell by itself.
    """
    votes = column.votes
    comma = votes > 0 if votes else comma
    read = [(with_comma if comma else with_point)(text) for text in column.texts]
    counts = np.bincount(column.places[column.places >= 0], minlength=len(read))
    observed = int(counts.sum())
    readable = sum(int(count) for count, number in zip(counts, read) if number is not None)
    missing = len(column.places) - observed
    examples = tuple(_cut(text) for text in column.texts[:_EXAMPLES])
    keys = [text.strip().casefold() for text in column.texts]
    levels = sorted(set(keys))
    if observed and (readable == observed or (readable >= _NUMERIC * observed and len(levels) > 2)):
        return _numbers_in_text(column, read, comma, observed - readable, examples)
    if len(levels) == 2:
        values = np.array([*map(float, map(levels.index, keys)), np.nan])[column.places]
        named = tuple(_cut(column.texts[keys.index(level)].strip()) for level in levels)
        return Content(values, "", f"{named[0]!r} is 0, {named[1]!r} is 1", named, missing, 2, examples)
    if not levels:
        obstacle = "no cell has a value"
    elif len(levels) == 1:
        obstacle = "the same text in every row that has one"
    elif all(map(_DATE.fullmatch, keys)):
        obstacle = "dates or times; make numbers of them, such as days since the first"
    elif 2 * readable >= observed:
        slip = next(text for text, number in zip(column.texts, read) if number is None)
        obstacle = (f"numbers and text are mixed: {observed - readable:,} of {observed:,} cells are no numbers, "
                    f"such as {_cut(slip)!r}")
    else:
        obstacle = f"text of {len(levels):,} levels; only two levels can be read as numbers"
    return Content(None, obstacle, "", (), missing, len(levels), examples)


def _numbers_in_text(column: Texts, read: list[float | None], comma: bool, slips: int,
                     examples: tuple[str, ...]) -> Content:
    numbers = np.array([*(np.nan if number is None else number for number in read), np.nan])
    how = ["numbers written as text"]
    if comma and any("," in text for text in column.texts):
        how[0] += " with decimal commas"
    elif any(("." if comma else ",") in text for text, number in zip(column.texts, read) if number is not None):
        how[0] += f", with {'points' if comma else 'commas'} between thousands"
    if any("%" in text for text in column.texts):
        how.append("per cent signs are dropped")
    if any(map(is_money, column.texts)):
        how.append("currency signs are dropped")
    if any(map(is_bracketed, column.texts)):
        how.append("those in brackets are negative")
    if slips:
        slip = next(text for text, number in zip(column.texts, read) if number is None)
        how.append(f"{slips:,} that {'is' if slips == 1 else 'are'} no number, such as {_cut(slip)!r}, "
                   f"count{'s' if slips == 1 else ''} as missing")
    return number_content(numbers[column.places], "; ".join(how), examples)


def number_content(values: np.ndarray, how: str = "", examples: tuple[str, ...] | None = None) -> Content:
    """Numbers (M,), those that are infinite or beyond :data:`.cells.LARGEST` counted as missing."""
    infinite = np.abs(values) > LARGEST
    values = np.where(infinite, np.nan, values)
    observed = values[~np.isnan(values)]
    if examples is None:
        examples = tuple(map(shown, list(dict.fromkeys(observed[:1000].tolist()))[:_EXAMPLES]))
    return Content(values, "", how, (), len(values) - len(observed), len(np.unique(observed)), examples,
                   int(infinite.sum()))


def array_content(array: pa.Array) -> Content:
    """The content of an array that is not text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    missing = array.null_count
    if pa.types.is_null(kind):
        return Content(None, "no cell has a value", "", (), len(array), 0, ())
    if pa.types.is_boolean(kind):
        examples = tuple(str(value).lower() for value in array.unique().drop_null().to_pylist())
        numbers = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return number_content(numbers, "false is 0, true is 1", examples)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        if pa.types.is_float16(kind):
            array = array.cast(pa.float32())
        return number_content(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    if pa.types.is_temporal(kind):
        return Content(None, "dates or times; make numbers of them, such as days since the first", "", (), missing,
                       pc.count_distinct(array).as_py(), ())
    if pa.types.is_nested(kind):
        return Content(None, "lists or records, not one number in each row", "", (), missing, 0, ())
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return Content(None, f"no numbers but {_cut(str(kind))}", "", (), missing, 0, ())


def shown(value: float) -> str:
    """A number as a table shows it: whole numbers with all of their digits, others with six."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
