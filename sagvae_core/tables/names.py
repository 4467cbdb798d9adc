"""Names of columns: kept as the file has them, but for those that are missing, endless or there twice."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 120  # letters of a name; a figure shows some twenty of them


def tidy_names(raw: Iterable[object]) -> tuple[list[str], list[str]]:
    """Names that differ from each other, and notes about those that were changed.

    Spaces around a name are cut, a column without one is called by its number, and a name that was there before
    gets " (2)". Whoever shows a name escapes it: here it stays what the file says, markup and all.
    """
    names: list[str] = []
    unnamed, long, twice = [], [], []
    for number, value in enumerate(raw, 1):
        name = "" if value is None else as_text(value).strip()
        if not name:
            name = f"column {number}"
            unnamed.append(name)
        elif len(name) > _LONGEST:
            name = name[:_LONGEST - 1] + "…"
            long.append(name)
        names.append(name)
    taken, copies = set(names), dict.fromkeys(names, 0)
    for place, name in enumerate(names):
        copies[name] += 1
        if copies[name] > 1:
            while (new := f"{name} ({copies[name]})") in taken:
                copies[name] += 1
            taken.add(new)
            names[place] = new
            twice.append(new)
    notes = [f"{_columns(unnamed)} had no name and {_was(unnamed)} named by number." if unnamed else "",
             f"{_columns(long)} had a name of more than {_LONGEST} letters, which was cut." if long else "",
             f"{_columns(twice)} had the name of another column and {_was(twice)} numbered: {quoted(twice)}."
             if twice else ""]
    return names, [note for note in notes if note]


def as_text(value: object) -> str:
    """What an object says of itself, in letters that can be saved and sent: half a surrogate pair cannot."""
    try:
        return str(value).encode("utf-8", "replace").decode("utf-8")
    except ValueError:  # Python writes no whole number of more than some thousand digits
        return f"<{type(value).__name__}>"


def one_line(text: str, most: int = 200) -> str:
    """The first line of what another library says, without its full stop and with a ? for what cannot be printed."""
    line = (text.splitlines() or [""])[0].strip().rstrip(".")[:most]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def quoted(names: list[str] | tuple[str, ...], most: int = 3) -> str:
    """Some names as a sentence has them: 'a', 'b' and 3 more. Control characters and long tails are not shown."""
    shown = [repr(name if len(name) <= 40 else name[:39] + "…") for name in names[:most]]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _columns(names: list[str]) -> str:
    return "1 column" if len(names) == 1 else f"{len(names):,} columns"


def _was(names: list[str]) -> str:
    return "was" if len(names) == 1 else "were"
