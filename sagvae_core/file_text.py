"""Names on their way into a file that other programs open: legible to all of them, a formula to none."""

from __future__ import annotations

import re

# What XML 1.0 cannot hold in any spelling: most control characters, lone surrogates, two codes that mean nothing.
_UNSTORABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# OWASP's list of how a formula begins in a spreadsheet; some read the wide forms of East Asian fonts alike.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def storable(text: object) -> str:
    """The text with "�" for every character that XML or UTF-8 cannot hold (NUL and most control characters, lone
    surrogates); all else stays as it is."""
    return _UNSTORABLE.sub("\ufffd", str(text))


def cell(text: object) -> str:
    """A text that a spreadsheet reads as text: "'" goes before what would begin a formula ("=1+1").

    For names only: a negative number begins as a formula does, and is to stay a number.
    """
    text = storable(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
