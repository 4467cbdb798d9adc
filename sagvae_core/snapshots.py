"""A training in pictures: the graph and a few reconstructions, epoch by epoch, few enough to keep.

    snapshot.safetensors             the last one, with the rows that are reconstructed
    snapshots/epoch-NNNNN.safetensors   of epochs evenly spread over the training
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import read_tensors, write_tensors
from .distributions import matrix_to_pairs, pairs_to_matrix
from .errors import SagvaeError, expected

LAST, FOLDER = "snapshot.safetensors", "snapshots"
MOST = 40  # of a picture's 784 nodes each takes a third of a megabyte
_NAME = re.compile(r"epoch-(\d{5,12})\.safetensors")
_PAIRS = "edge_percent_pairs"  # the upper triangle says it all


def write(folder: Path, epoch: int, tensors: dict[str, Tensor]) -> None:
    """Keep a snapshot of ``epoch``: of what varies, ``reconstruction`` and ``edge_percent`` (N, N) uint8."""
    write_tensors(folder / LAST, tensors)
    frame = {"reconstruction": tensors["reconstruction"].half()}
    if "edge_percent" in tensors:
        frame[_PAIRS] = matrix_to_pairs(tensors["edge_percent"])
    (folder / FOLDER).mkdir(exist_ok=True)
    write_tensors(_path(folder, epoch), frame)
    kept = epochs(folder)
    while len(kept) > MOST:
        missed = least_missed(kept)
        kept.remove(missed)
        _path(folder, missed).unlink(missing_ok=True)


def least_missed(kept: list[int]) -> int:
    """Of ascending epochs the one whose neighbours are nearest to each other; never the first or the last."""
    gaps = {kept[index]: kept[index + 1] - kept[index - 1] for index in range(1, len(kept) - 1)}
    return min(gaps, key=gaps.get)


def epochs(folder: Path) -> list[int]:
    """Epochs a snapshot was kept of, ascending."""
    found = (_NAME.fullmatch(path.name) for path in (folder / FOLDER).glob("*"))
    return sorted(int(match[1]) for match in found if match)


def read(folder: Path, epoch: int | None = None) -> dict[str, Tensor] | None:
    """The snapshot of an epoch, or the last one: ``inputs``, ``clean``, ``reconstruction`` (R, N, C), each in the
    data's own scale, and ``edge_percent`` (N, N) uint8 where a graph is learned. None before the first, and of an epoch
    whose snapshot is gone: a training thins them out.

    Raises:
        SagvaeError: a file is damaged.
    """
    if not (folder / LAST).is_file():
        return None
    tensors = read_tensors(folder / LAST)
    if epoch is not None:
        frame = _frame(_path(folder, epoch))
        if frame is None:
            return None
        tensors |= {"reconstruction": frame["reconstruction"].float()} if "reconstruction" in frame else {}
        if _PAIRS in frame:
            nodes = tensors["inputs"].shape[1] if tensors.get("inputs", frame[_PAIRS]).ndim == 3 else 0
            if frame[_PAIRS].shape != (nodes * (nodes - 1) // 2,):
                raise _damaged(_path(folder, epoch), f"{_PAIRS} of shape {tuple(frame[_PAIRS].shape)}")
            tensors["edge_percent"] = pairs_to_matrix(frame[_PAIRS], nodes)
    rows = [tensors[name].shape if name in tensors else None for name in ("inputs", "clean", "reconstruction")]
    if rows[0] is None or len(rows[0]) != 3 or len(set(rows)) > 1:
        raise _damaged(folder / LAST, f"shapes {', '.join(str(shape and tuple(shape)) for shape in rows)}")
    percent = tensors.get("edge_percent")
    if percent is not None and (percent.shape != (rows[0][1],) * 2 or percent.dtype != torch.uint8):
        raise _damaged(folder / LAST, f"edge_percent of shape {tuple(percent.shape)} and type {percent.dtype}")
    return tensors


def _frame(path: Path) -> dict[str, Tensor] | None:
    """What varies from epoch to epoch; None where the file is gone, even while it is read."""
    try:
        return read_tensors(path)
    except (SagvaeError, OSError):
        if path.is_file():
            raise
        return None


def _damaged(path: Path, got: str) -> SagvaeError:
    return expected(path.name, "inputs, clean and reconstruction of one shape (R, N, C), and edge_percent (N, N) in "
                    "whole percent", got, "The file is damaged: delete it, the run does not need it.")


def _path(folder: Path, epoch: int) -> Path:
    return folder / FOLDER / f"epoch-{epoch:05d}.safetensors"
