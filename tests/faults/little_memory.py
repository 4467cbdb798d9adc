"""Run as a process of its own: reads files that claim gigabytes while the system grants half a one. Prints JSON."""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from zip_bombs import forged_png, forged_zip, zeros

from dashboard.drawings import read_upload
from sagvae_core.archive import import_run
from sagvae_core.archive_members import Limits
from sagvae_core.checkpoint import load_model, read_tensors, write_json
from sagvae_core.errors import SagvaeError
from sagvae_core.runs import Run

GRANTED = 512 << 20


def claiming(shape: list[int], dtype: str = "F32") -> bytes:
    """A safetensors file of some bytes with a tensor of this shape."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, 4 * int(np.prod([float(n) for n in shape]))]}
    header = json.dumps({"inputs": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(64)


def cases(folder: Path) -> dict[str, Callable[[], object]]:
    """Name -> what is done with one hostile file."""
    run, tensors, description = Run(folder), folder / "snapshot.safetensors", folder / "model.json"
    valid = json.loads(description.read_text())

    def with_file(path: Path, data: bytes, read: Callable) -> Callable[[], object]:
        def act() -> object:
            path.write_bytes(data)
            return read()
        return act

    def with_config(**changes: object) -> Callable[[], object]:
        def act() -> object:
            write_json(description, valid | {"config": valid["config"] | changes})
            return load_model(folder)
        return act

    def picture(side: int) -> Callable[[], object]:
        return lambda: read_upload(forged_png(side, side, b"\x78\xda" + zeros(1024)))

    def unpacked(name: bytes, **limits: int) -> Callable[[], object]:
        bomb = forged_zip(name, zeros(3072), 3 << 30)
        return lambda: import_run(io.BytesIO(bomb), folder / "incoming", limits=Limits(**limits))

    huge = {f"a tensor of {shape}": with_file(tensors, claiming(shape), lambda: read_tensors(tensors))
            for shape in ([2**28], [2**40], [2**31, 2**31], [2**62, 2**62], [0, 2**62, 2**62])}
    sizes = {f"a model with {name} = {str(value)[:30]}": with_config(**{name: value}) for name, value in (
        ("num_nodes", 10**6), ("num_nodes", 10**9), ("hidden", [2**30, 2**30]), ("hidden", [1] * 300_000),
        ("encoder_hidden", 2**33), ("latent_channels", 2**40))}
    return huge | sizes | {
        "a million lists": with_file(folder / "config.json", b"[" + b"[]," * 10**6 + b"[]]",
                                              lambda: run.config),
        "eight megabytes of depth": with_file(folder / "status.json", b"[" * (8 << 20), lambda: run.status),
        "a status of nine megabytes": with_file(folder / "status.json", b" " * (9 << 20), lambda: run.status),
        "a bomb for a configuration": unpacked(b"config.json"),
        "a bomb for a metrics file": unpacked(b"metrics.jsonl"),
        "a bomb for a model": unpacked(b"model.safetensors", total=100 << 20),
        "a picture of 30,000 x 30,000": picture(30_000),
        "a picture of 9,000 x 9,000": picture(9_000),
    }


def answer(act: Callable[[], object]) -> str:
    """How it ended, in words."""
    try:
        value = act()
    except SagvaeError:
        return "a sentence"
    except (MemoryError, RuntimeError) as error:  # PyTorch says it by a RuntimeError
        return "out of memory" if isinstance(error, MemoryError) or "allocate" in str(error) else repr(error)
    return f"a {type(value).__name__}"


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    load_model(folder)  # all libraries are there before the limit is
    todo = cases(folder)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + GRANTED
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    answers = {name: answer(act) for name, act in todo.items()}
    answers["a gigabyte after all"] = answer(lambda: torch.zeros(2**28))
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
