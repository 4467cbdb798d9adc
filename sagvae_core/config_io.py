"""Configurations to plain JSON types and back, with every name and type checked."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, get_args, get_origin, get_type_hints

from .errors import SagvaeError, expected, shortened


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON types; :func:`from_dict` is its inverse."""
    return dataclasses.asdict(config)


def from_dict(cls: type, values: dict[str, Any], where: str = "") -> Any:
    """Rebuild a configuration of type ``cls``; unknown names and wrong types are said, never ignored.

    Raises:
        SagvaeError: a name is unknown, or a value has another type than the field.
    """
    if not isinstance(values, dict):
        raise expected(where or cls.__name__, "a JSON object", type(values).__name__)
    hints = _hints(cls)
    prefix = where + "." if where else ""
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise SagvaeError(f"{prefix}{shortened(unknown[0])} is not a setting. Known are: {', '.join(sorted(hints))}.")
    missing = [f.name for f in dataclasses.fields(cls) if f.name not in values
               and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    if missing:
        raise SagvaeError(f"{prefix}{missing[0]} is missing.")
    return cls(**{name: _convert(hints[name], value, prefix + name) for name, value in values.items()})


@functools.cache  # asking takes longer than all the rest, and lists of runs read the configurations of all of them
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _convert(hint: Any, value: Any, where: str) -> Any:
    options = get_args(hint) if get_origin(hint) not in (tuple, None) else (hint,)
    if value is None:
        if type(None) in options:
            return None
        raise expected(where, "set", None)
    hint = next(option for option in options if option is not type(None))
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if not isinstance(value, (list, tuple)) or (inner[-1] is not Ellipsis and len(inner) != len(value)):
            raise expected(where, "a list" + ("" if inner[-1] is Ellipsis else f" of {len(inner)}"), repr(value))
        return tuple(_convert(inner[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise expected(where, f"of type {hint.__name__}", repr(value))
    return value
