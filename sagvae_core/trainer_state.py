"""A trainer's state on disk: what an interrupted training goes on from, one folder for each of the newest."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from .checkpoint import read_json, read_tensors, write_json, write_tensors

_KEPT = 2  # the newest, and one more in case a dying disk cut the newest off
_PLAIN = ("epoch", "step", "batch", "rows", "sums", "best_elbo", "best_epoch")


def write(root: Path, state: dict[str, Any]) -> None:
    """Store a :meth:`Trainer.state` below ``root`` under a temporary name, rename it, and drop the oldest."""
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
               | {"param_groups": optimizer["param_groups"]})
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    for old in _folders(root)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def read_newest(root: Path) -> dict[str, Any] | None:
    """The newest readable state below ``root`` as a :meth:`Trainer.state`, or None."""
    for folder in reversed(_folders(root)):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return _read(folder)
    return None


def _folders(root: Path) -> list[Path]:
    return sorted(root.glob("step-*"))


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
        "optimizer": {"state": state, "param_groups": plain["param_groups"]}}
