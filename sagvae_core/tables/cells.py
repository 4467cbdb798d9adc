"""Cells of text read as numbers: decimal commas, thousands, money, per cent, and all ways to say "nothing here"."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

MISSING = frozenset(("", "-", "--", "?", ".", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil"))
"""What stands for a missing cell, in small letters."""

LARGEST = 1e100
"""Numbers beyond it count as infinite: their squares would leave what a computer can hold."""

_LONGEST = 400  # letters of a number: the largest that a computer holds has 309 digits

_POINT = re.compile(r"(?=[+-]?\.?\d)[+-]?(?:\d+|[1-9]\d{0,2}(?:[ ,']\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"(?=[+-]?,?\d)[+-]?(?:\d+|[1-9]\d{0,2}(?:[ .']\d{3})+)?(?:,\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
_MONEY = re.compile(r"(?P<sign>[+-]?) ?[$€£¥₹] ?(?P<before>.+)|(?P<after>.+?) ?[$€£¥₹]")
_BRACKETS = re.compile(r"\((?P<inside>[^()+-]+)\)")  # as accounts write what is below zero
_INFINITE = re.compile(r"[+-]?(?:inf|infinity|∞)", re.IGNORECASE)
_ALIKE = str.maketrans({"−": "-", "’": "'", "\u00a0": " ", "\u2009": " ", "\u202f": " "})


def missing_spellings() -> list[str]:
    """:data:`MISSING` in small, capital and mixed letters, for parsers that tell these apart."""
    return sorted({how(text) for text in MISSING for how in (str.lower, str.upper, str.title)} | {"NaN", "N/a"})


def is_missing(text: str) -> bool:
    """Whether a cell says that nothing is there."""
    return len(text) < 40 and text.strip().casefold() in MISSING


def with_point(text: str) -> float | None:
    """A number with a decimal point: "1.5", "1,234.5", "1 234", "12%", "$ 5", "(5)" for -5. None when it is none."""
    return _number(text, _POINT, lambda number: number.replace(",", ""))


def with_comma(text: str) -> float | None:
    """A number with a decimal comma: "1,5", "1.234,5", "1 234", "12%", "5 €", "(5)" for -5. None when it is none."""
    return _number(text, _COMMA, lambda number: number.replace(".", "").replace(",", "."))


def _number(text: str, pattern: re.Pattern[str], plain: Callable[[str], str]) -> float | None:
    if len(text) > _LONGEST:
        return None
    if not pattern.fullmatch(text):  # nearly all numbers are plain ones
        text = _bare(text.translate(_ALIKE).strip().removesuffix("%").rstrip())
        if _INFINITE.fullmatch(text):
            return math.copysign(math.inf, -1 if text.startswith("-") else 1)
        if not pattern.fullmatch(text):
            return None
    return float(plain(text).replace(" ", "").replace("'", ""))


def is_money(text: str) -> bool:
    """Whether a number has a currency sign."""
    return _MONEY.fullmatch(text.translate(_ALIKE).strip().strip("()")) is not None


def is_bracketed(text: str) -> bool:
    """Whether a number stands in brackets."""
    return _BRACKETS.fullmatch(text.strip()) is not None


def _bare(text: str) -> str:
    """The number without currency sign and brackets."""
    if bracketed := _BRACKETS.fullmatch(text):
        return "-" + _bare(bracketed["inside"].strip())
    money = _MONEY.fullmatch(text)
    return text if money is None else money["after"] or money["sign"] + money["before"]


def comma_votes(texts: Iterable[str]) -> int:
    """How many more of these cells are numbers with a decimal comma than with a decimal point."""
    return sum((with_comma(text) is not None) - (with_point(text) is not None) for text in texts)
