"""What a run may be called: its name is also its folder's, on any system."""

from __future__ import annotations

import re

from .errors import expected

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """``name`` itself, if a run can have it.

    Raises:
        SagvaeError: it has other characters than letters, digits, '.', '_' and '-', or more than 64.
    """
    if not is_name(name):
        raise expected("run name", "1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit", repr(name))
    return name


def is_name(name: str) -> bool:
    """Whether a folder of that name can be a run."""
    return _NAME.fullmatch(name) is not None
