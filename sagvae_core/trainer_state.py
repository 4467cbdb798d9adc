"""A trainer's state on disk: what an interrupted training goes on from, one folder for each of the newest."""

from __future__ import annotations

import math
import os
import re
import shutil
from pathlib import Path
from typing import Any

from .checkpoint import read_json, read_tensors, write_json, write_tensors

_KEPT = 2  # the newest, and one more in case a dying disk cut the newest off
_SCALER = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}  # torch.amp.GradScaler's
_PLAIN = ("epoch", "step", "batch", "rows", "sums", "best_elbo", "best_epoch")


def write(root: Path, state: dict[str, Any]) -> None:
    """Store a :meth:`Trainer.state` below ``root`` under a temporary name, rename it, and drop the oldest.

    Those of later steps are dropped too: the training went back behind them since they could not be read.
    """
    target, temporary = root / f"step-{state['step']:09d}", root / ".writing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    optimizer = state["optimizer"]
    tensors = {f"model/{name}": tensor for name, tensor in state["model"].items()}
    tensors |= {f"best/{name}": tensor for name, tensor in (state["best_state"] or {}).items()}
    tensors |= {f"optimizer/{index}/{name}": tensor for index, entry in optimizer["state"].items()
                for name, tensor in entry.items()}
    write_tensors(temporary / "state.safetensors", tensors)
    write_json(temporary / "state.json", {name: state[name] for name in _PLAIN}
               | {"param_groups": optimizer["param_groups"], "scaler": state["scaler"]})
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    folders = _folders(root)
    known = sorted(step for step in folders if step <= state["step"])
    for step in folders.keys() - set(known[-_KEPT:]):
        shutil.rmtree(folders[step], ignore_errors=True)


def read_newest(root: Path) -> tuple[dict[str, Any] | None, list[int]]:
    """The newest readable state below ``root`` as a :meth:`Trainer.state`, or None; and the later steps, unreadable."""
    skipped: list[int] = []
    for step, folder in sorted(_folders(root).items(), reverse=True):
        try:
            return _read(folder), skipped[::-1]
        except (ValueError, KeyError, TypeError):
            skipped.append(step)
    return None, skipped[::-1]


def _folders(root: Path) -> dict[int, Path]:
    """The folders of checkpoints by their steps."""
    return {int(match[1]): folder for folder in root.glob("step-*")
            if (match := re.fullmatch(r"step-([0-9]+)", folder.name))}


def _read(folder: Path) -> dict[str, Any]:
    plain = read_json(folder / "state.json")
    parts: dict[str, dict[str, Any]] = {"model": {}, "best": {}, "optimizer": {}}
    for name, tensor in read_tensors(folder / "state.safetensors").items():
        part, rest = name.split("/", 1)
        parts[part][rest] = tensor
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in parts["optimizer"].items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = tensor
    return {name: plain[name] for name in _PLAIN} | {
        "best_state": parts["best"] or None, "model": parts["model"],
        "scaler": _scaler(plain.get("scaler")), "optimizer": {"state": state, "param_groups": plain["param_groups"]}}


def _scaler(values: Any) -> dict[str, float] | None:
    """The state of a loss scaler, or None: checkpoints have one only where training is in half precision.

    Raises:
        ValueError: it is none. A scale of zero or infinity would make every step of the training one to skip.
    """
    if values is None:
        return None
    if (not isinstance(values, dict) or set(values) != _SCALER
            or not all(type(value) in (int, float) and math.isfinite(value) and value >= 0 for value in values.values())
            or not values["scale"] > 0):
        raise ValueError("no state of a loss scaler")
    return values
