"""Models on disk: weights as safetensors, everything else as JSON, never pickle.

Names, shapes and the total size are read from the header (:mod:`.tensor_headers`) and checked against the configuration
before anything is allocated, so a wrong or hostile file costs a sentence and no memory.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import __version__
from .config import REFERENCES, ModelConfig, ReferenceConfig
from .config_data import one_of
from .config_io import from_dict, to_dict
from .errors import SagvaeError, expected
from .model import SAGVAE, GenerativeModel
from .reference import MLPVAE, ConvolutionalDAE, DenoisingAutoencoder
from .tensor_headers import check_layout, read_header, read_shapes, shown

FORMAT = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
_MAX_JSON = 8 << 20
_MAX_DIGITS = 300  # float() of more would overflow
PICKLES = {".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib"}


def build_model(config: ModelConfig | ReferenceConfig, seed: int = 0) -> GenerativeModel:
    """The untrained model a configuration describes, with weights drawn from ``seed``."""
    if isinstance(config, ModelConfig):
        return SAGVAE(config, seed)
    classes = {cls.kind: cls for cls in (MLPVAE, DenoisingAutoencoder, ConvolutionalDAE)}
    return classes[config.kind](config, seed)


def model_config_from_dict(kind: str, values: dict[str, Any]) -> ModelConfig | ReferenceConfig:
    """The configuration of a model of ``kind`` ("sagvae" or one of ``REFERENCES``) from its JSON form."""
    one_of("model kind", kind, ("sagvae", *REFERENCES))
    return from_dict(ModelConfig if kind == "sagvae" else ReferenceConfig, values, "model")


def save_model(model: GenerativeModel, folder: Path | str, details: dict[str, Any] | None = None) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each replaced atomically; returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, model.state_dict())
    write_json(folder / DESCRIPTION, {"format": FORMAT, "sagvae_core": __version__, "kind": model.kind,
                                      "config": to_dict(model.config), "details": details or {}})
    return folder


def load_model(folder: Path | str, device: str | torch.device = "cpu") -> GenerativeModel:
    """The trained model saved in ``folder``, in eval mode.

    Raises:
        SagvaeError: the files are missing, no valid JSON or safetensors, a pickle, of another format version, of
            other names or shapes than the configuration says, or hold NaN or infinity.
    """
    folder = Path(folder)
    refuse_pickle(folder)
    config = _read_description(folder)
    model = model_outline(config, len(read_header(folder / WEIGHTS)))
    tensors = read_tensors(folder / WEIGHTS, model.state_dict())
    model.load_state_dict({name: tensor.to(device) for name, tensor in tensors.items()}, assign=True)
    neighbours = tensors.get("completion.neighbours")
    if neighbours is not None and not (0 <= int(neighbours.min()) <= int(neighbours.max()) < config.num_nodes):
        raise expected(f"completion.neighbours in {WEIGHTS}", f"nodes from 0 to {config.num_nodes - 1}",
                       f"{int(neighbours.min())} to {int(neighbours.max())}",
                       "The file is damaged: restore it or train again.")
    return model.eval().requires_grad_(False)


def check_stored_model(folder: Path, config: ModelConfig | ReferenceConfig) -> None:
    """Raise unless the model saved in ``folder`` is the one of ``config`` and there in full; no weight is read.

    Raises:
        SagvaeError: a file is missing, damaged, cut off or another model's.
    """
    if _read_description(folder) != config:
        raise expected(DESCRIPTION, "the model of config.json", "another model",
                       "Restore the files that belong together, or train again.")
    read_shapes(folder / WEIGHTS)


def _read_description(folder: Path) -> ModelConfig | ReferenceConfig:
    description = read_json(folder / DESCRIPTION)
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else type(description).__name__
        raise expected(f"{DESCRIPTION} format", FORMAT, repr(found), "Train again, or update sagvae_core.")
    return model_config_from_dict(description.get("kind", ""), description.get("config", {}))


def model_outline(config: ModelConfig | ReferenceConfig, num_tensors: int) -> GenerativeModel:
    """The model a configuration describes without memory for its weights: names and shapes alone.

    Args:
        num_tensors: how many there are for it. Each layer needs one, and without them even its outline is not made.

    Raises:
        SagvaeError: its sizes are beyond all memories, or it has more layers than there are tensors.
    """
    if len(config.hidden) > num_tensors:
        raise _too_large()
    try:
        with torch.device("meta"):
            return build_model(config)
    except (RuntimeError, OverflowError, TypeError):  # PyTorch's three ways to say that a size does not fit in 64 bits
        raise _too_large() from None


def _too_large() -> SagvaeError:
    return expected(f"sizes in {DESCRIPTION}", "those of a model that fits in memory", "far larger ones",
                    "The file is damaged: restore it or train again.")


def refuse_pickle(path: Path) -> None:
    """Raise for files that could run code when they are opened."""
    if path.suffix.lower() in PICKLES and not path.is_dir():
        raise SagvaeError(f"The model must be a folder with {WEIGHTS} and {DESCRIPTION}, got the pickle {path.name!r}. "
                          "Pickles can run any program when they are opened, so none is read: save the model again "
                          "with save_model().")


# ---------------------------------------------------------------------- JSON and safetensors, atomic and checked

def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of one."""
    write_bytes(path, json.dumps(value, indent=1, allow_nan=True).encode())


def read_json(path: Path) -> Any:
    """Parsed JSON of a small file; the error names the file, not the parser."""
    try:
        if path.stat().st_size > _MAX_JSON:
            raise expected(path.name, f"at most {_MAX_JSON >> 20} MB", f"{path.stat().st_size >> 20} MB")
        value = json.loads(path.read_text(encoding="utf-8"), parse_int=_whole_number)
        json.dumps(value, ensure_ascii=False).encode()  # "\ud800" is JSON, but no text that could be printed
        return value
    except FileNotFoundError:
        raise SagvaeError(f"{path.name} must be in {path.parent.name!r}, got no such file. "
                          "Restore it, or choose the folder of a finished run.") from None
    except SagvaeError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise expected(path.name, "valid JSON", _why_unreadable(error),
                       "The file is damaged: restore it or train again.") from None


def _why_unreadable(error: Exception) -> str:
    """What is wrong with a file of JSON, without the names of Python's classes."""
    if isinstance(error, json.JSONDecodeError):
        return f"text that is none ({error.msg}, line {error.lineno}, column {error.colno})"
    if isinstance(error, UnicodeError):
        return "bytes or characters that are no UTF-8 text"
    if isinstance(error, RecursionError):
        return "values nested too deeply"
    return str(getattr(error, "strerror", None) or error)


def _whole_number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, atomically."""
    from safetensors.torch import save

    write_bytes(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def read_tensors(path: Path, wanted: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Tensors of a safetensors file, checked against ``wanted`` (name -> tensor of that shape) before allocating."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header = read_header(path)
    if wanted is not None:
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        _compare(path.name, shapes, {name: tuple(tensor.shape) for name, tensor in wanted.items()})
    check_layout(path, header)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise expected(path.name, "a safetensors file", error, "The file is damaged: restore it.") from None
    for name, tensor in tensors.items():
        if wanted is not None and tensor.dtype != wanted[name].dtype:
            raise expected(f"{name} in {path.name}", f"of type {wanted[name].dtype}", tensor.dtype,
                           "Save the model again with save_model().")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise expected(f"{name} in {path.name}", "finite", "NaN or infinity",
                           "That training diverged: train again.")
    return tensors


def _compare(file: str, found: dict[str, tuple], wanted: dict[str, tuple]) -> None:
    for name in sorted(set(wanted) | set(found)):
        if found.get(name) != wanted.get(name):
            raise expected(f"{shown(name)} in {file}", f"of shape {wanted[name]}" if name in wanted else "absent",
                           f"shape {found[name]}" if name in found else "no such tensor",
                           "These weights belong to another configuration: choose the model.json saved with them.")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of one."""
    # A temporary file in the same folder: os.replace is atomic only within one file system.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
