"""Changing single settings of a run by their dotted names, as ``--set`` and the Train page do."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

from .config_io import from_dict, to_dict
from .data import DATASETS, check_settings
from .errors import SagvaeError, expected
from .runs import RunConfig


def parse_setting(text: str, what: str = "a setting") -> tuple[str, Any]:
    """The name and value of ``model.hidden=[8,8]``; a value that is no JSON is a bare word, such as row or tanh.

    Raises:
        SagvaeError: there is no "=".
    """
    name, separator, value = text.partition("=")
    if not separator:
        raise expected(what, "NAME=VALUE", repr(text), f"For example {'--set ' * (what == '--set')}model.hidden=[8,8].")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value.strip()


def apply_overrides(config: RunConfig, overrides: dict[str, Any]) -> RunConfig:
    """``config`` with dotted settings replaced and everything validated again, also that model and data fit.

    Raises:
        SagvaeError: a setting that there is not, or a value that it cannot have.
    """
    values = {part: _tuples_to_lists(to_dict(getattr(config, part))) for part in ("data", "model", "train")}
    for name, value in overrides.items():
        part, *path = name.split(".")
        target = values.get(part)
        if target is None or not path:
            raise expected("a setting", "data.NAME, model.NAME or train.NAME", repr(name))
        for key in path[:-1]:
            target = _step(target, key, name)
        _step(target, path[-1], name)
        target[int(path[-1]) if isinstance(target, list) else path[-1]] = value
    parts = {part: from_dict(type(getattr(config, part)), values[part], part) for part in values}
    changed = dataclasses.replace(config, **parts)
    check_settings(changed.data)
    info = DATASETS[changed.data.name]
    for name, wanted in (("num_nodes", info.num_nodes), ("num_channels", info.num_channels)):
        if (found := getattr(changed.model, name)) != wanted:
            raise expected(f"model.{name}", f"{wanted}, as the data set {info.name!r} has", found)
    return changed


def _step(target: Any, key: str, name: str) -> Any:
    if isinstance(target, list) and key.isdecimal() and int(key) < len(target):
        return target[int(key)]
    if isinstance(target, dict) and key in target:
        return target[key]
    known = "nothing"
    if isinstance(target, dict):
        known = ", ".join(target)
    elif isinstance(target, list) and target:
        known = f"0 to {len(target) - 1}"
    raise SagvaeError(f"{name!r} is not a setting. At {key!r} there are: {known}.")


def _tuples_to_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples_to_lists(item) for key, item in value.items()}
    return [_tuples_to_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def with_epochs(config: RunConfig, epochs: int) -> RunConfig:
    """``config`` trained for ``epochs`` in all, each stage keeping its share.

    Each takes at least one epoch: for fewer epochs than stages the total is the number of stages.
    """
    stages, total = config.train.stages, config.train.total_epochs
    epochs = max(epochs, len(stages))
    ends = [0]
    for index, end in enumerate(itertools.accumulate(stage.epochs for stage in stages), 1):
        # Not before one more epoch, and not so late that a later stage would have none.
        ends.append(min(max(round(epochs * end / total), ends[-1] + 1), epochs - (len(stages) - index)))
    changes = {f"train.stages.{index}.epochs": end - start
               for index, (start, end) in enumerate(itertools.pairwise(ends))}
    return apply_overrides(config, changes)
