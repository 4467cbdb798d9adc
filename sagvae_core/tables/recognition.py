"""What one column is: left out and why, or continuous, ordinal or binary; a person may say otherwise."""

from __future__ import annotations

import re

import numpy as np

from ..errors import expected
from .content import Content, shown
from .names import quoted
from .table import FEWEST, KINDS, LEFT_OUT, Column, is_constant

_MOST_LEVELS = 10  # of a whole number that counts as ordinal
_SEEN = 2  # times that each level occurs at least, on average: else few rows make any whole number ordinal
_ROW_NUMBERS = 10  # rows from which on the numbers 1, 2, 3, ... are no measurement
_CODES = tuple(sign * (10 ** digits - 1) for digits in (2, 3, 4, 5) for sign in (-1, 1))  # -99, 99, -999, ...
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ID_WORDS = {"id", "ids", "uuid", "guid"}  # one of the words of a name
_ID_NAMES = {"index", "idx", "key", "row", "rownames", "unnamed", "indexlevel"}  # all of a name


def recognise_column(name: str, content: Content, wish: str | None = None) -> tuple[Column, np.ndarray | None]:
    """The column, and its values (M,) if it is kept: binary ones as 0 and 1, all others as they are.

    A column is binary with two distinct values, of which the smaller, or the first in the alphabet, becomes 0;
    ordinal with 3 to 10 distinct whole numbers that occur twice or more on average; else continuous. Left out are
    columns of other text, dates, constants, those with fewer than three values, whole numbers in steps of one that
    each occur once (from ten rows on), and other whole numbers that each occur once and have a name such as "id".

    Args:
        name: of the column.
        content: its cells.
        wish: the kind it is to have whatever it looks like.

    Raises:
        SagvaeError: it cannot be what is wished.
    """
    obstacle = _obstacle(content)
    if wish == LEFT_OUT:
        return _column(name, content, LEFT_OUT, "as you chose"), None
    if obstacle:
        if wish:
            raise expected(f"column {quoted([name])}", f"something that can be {wish}", obstacle,
                           f"Choose {LEFT_OUT!r} for it, or change it in the file.")
        return _column(name, content, LEFT_OUT, obstacle), None
    observed = content.values[~np.isnan(content.values)]
    whole = not content.levels and bool((observed == np.round(observed)).all())
    if wish:
        _check_wish(name, content, wish, whole)
    elif whole and (identity := _identity(name, observed, len(content.values))):
        return _column(name, content, LEFT_OUT, identity), None
    kind = wish or _kind(content, len(observed), whole)
    reason, values = _joined(content.how, _code(observed) if content.distinct > 2 else ""), content.values
    if kind == "binary":
        low, high = float(observed.min()), float(observed.max())
        values = np.where(np.isnan(values), np.nan, (values == high).astype(float))
        if (low, high) != (0, 1):
            reason = _joined(f"{shown(low)} counts as 0 and {shown(high)} as 1", reason)
        else:
            reason = reason or "two values, 0 and 1"
    elif kind == "ordinal":
        reason = _joined(f"{content.distinct:,} distinct whole numbers", reason)
    return _column(name, content, kind, reason), values


def _column(name: str, content: Content, kind: str, reason: str) -> Column:
    if content.infinite:
        reason = _joined(reason, "infinite numbers count as missing")
    return Column(name, kind, reason, content.missing, content.distinct, content.examples)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _obstacle(content: Content) -> str:
    """Why no person could make this a column to learn from; "" when it is one."""
    if content.values is None:
        return content.obstacle
    rows = len(content.values)
    observed = rows - content.missing
    if not observed:
        return "no cell has a value"
    if observed < FEWEST:
        return f"only {observed} of {rows:,} cells {'has' if observed == 1 else 'have'} a value"
    if content.distinct == 1:
        return f"the same value in every row{' that has one' if content.missing else ''}, {content.examples[0]}"
    if is_constant(content.values[~np.isnan(content.values)]):
        return "values that differ by less than a computer can divide by"
    return ""


def _code(observed: np.ndarray) -> str:
    """A warning of a number that may say "nothing here", as -999 does in files of instruments and surveys: it occurs
    more than once, and as far from all others as these spread, or farther."""
    for code in _CODES:
        count = int((observed == code).sum())
        others = observed[observed != code]
        if count > 1 and len(others):
            low, high = others.min(), others.max()
            if code < low - (high - low) or code > high + (high - low):
                return f"{code} occurs {count:,} times, far from all else: if it means a gap, empty these cells"
    return ""


def _identity(name: str, observed: np.ndarray, rows: int) -> str:
    """Why these whole numbers name the rows rather than measure them; "" when they do not."""
    if len(np.unique(observed)) < len(observed):
        return ""
    low, high = float(observed.min()), float(observed.max())
    if rows == len(observed) >= _ROW_NUMBERS and high - low == rows - 1:
        return f"a row number: the whole numbers from {shown(low)} to {shown(high)}, each once"
    words = [word.lower() for word in _WORDS.findall(name)]
    if _ID_WORDS & set(words) or "".join(words) in _ID_NAMES:
        return "whole numbers that each occur once, under the name of an identifier"
    return ""


def _kind(content: Content, observed: int, whole: bool) -> str:
    if content.distinct == 2:
        return "binary"
    few = content.distinct <= _MOST_LEVELS and observed >= _SEEN * content.distinct
    return "ordinal" if whole and few else "continuous"


def _check_wish(name: str, content: Content, wish: str, whole: bool) -> None:
    column = f"column {quoted([name])}"
    if wish == "binary" and content.distinct != 2:
        raise expected(column, "of two distinct values to be binary", f"{content.distinct:,}",
                       f"Choose {KINDS[0]!r} for it.")
    if wish == "ordinal" and not whole:
        raise expected(column, "whole numbers to be ordinal", "text" if content.levels else "fractions",
                       f"Choose {'binary' if content.levels else 'continuous'!r} for it.")
    if wish == "continuous" and content.levels:
        raise expected(column, "numbers to be continuous", f"the texts {quoted(content.levels)}",
                       "Choose 'binary' for it.")
