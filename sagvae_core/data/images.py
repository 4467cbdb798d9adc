"""Pictures as rows of pixels: MNIST, Fashion-MNIST (section 4.2 of the paper) and scikit-learn's 8 x 8 digits.

A node is a pixel, named "row,column"; the one channel is its brightness in [0, 1]. Which rows are training,
validation and test rows never depends on ``config.seed``, see ``base.fixed_permutation``.
"""

from __future__ import annotations

import functools
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig
from ..errors import SagvaeError, reason
from .base import Dataset, class_indices, fixed_permutation

DIGITS = tuple("0123456789")
GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
SHIRTS_AND_TROUSERS = (0, 1, 2, 3, 4, 6)  # the paper removes what is not "shirt-like or pans-like"
VALIDATION_ROWS = 5_000  # of MNIST's and Fashion-MNIST's 60,000

_FOLDERS = {"mnist": "MNIST", "fashion": "FashionMNIST"}  # torchvision's class and folder have the same name
_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))

logger = logging.getLogger(__name__)


def data_folder() -> Path:
    """The folder of the downloaded data sets: the environment variable ``SAGVAE_DATA``, else ``data`` here."""
    return Path(os.environ.get("SAGVAE_DATA") or "data")


def files_present(name: str) -> bool:
    """Whether all four files of "mnist" or "fashion" lie in :func:`data_folder`, in torchvision's raw layout."""
    return all((data_folder() / _FOLDERS[name] / "raw" / file).is_file() for file in _FILES)


def load_mnist(config: DataConfig) -> Dataset:
    """MNIST: 55,000 training, 5,000 validation and 10,000 test rows of 784 pixels; downloaded when missing.

    Raises:
        SagvaeError: the files are missing and cannot be downloaded, or ``config.classes`` does not exist.
    """
    return _load_idx("mnist", "MNIST digits", config, DIGITS, None)


def load_fashion(config: DataConfig) -> Dataset:
    """Fashion-MNIST with classes 0, 1, 2, 3, 4, 6 unless ``config.classes`` says otherwise, in all three splits.

    Raises:
        SagvaeError: as :func:`load_mnist`.
    """
    return _load_idx("fashion", "Fashion-MNIST", config, GARMENTS, SHIRTS_AND_TROUSERS)


def load_digits(config: DataConfig) -> Dataset:
    """scikit-learn's 1,797 digits of 8 x 8 pixels: 1,078 training, 270 validation and 449 test rows; no download.

    Raises:
        SagvaeError: ``config.classes`` does not exist.
    """
    from sklearn.datasets import load_digits as read

    bunch = read()
    order = fixed_permutation(len(bunch.data))
    train, validation = round(0.60 * len(order)), round(0.15 * len(order))
    parts = dict(zip(("train", "validation", "test"), np.split(order, [train, train + validation]), strict=True))
    keep = class_indices(config, DIGITS, None)

    def load(split: str, limit: int | None) -> tuple[Tensor, Tensor]:
        rows = _first(parts[split], bunch.target, keep, limit)
        return (torch.from_numpy(bunch.data[rows] / 16).float().unsqueeze(-1),  # 0..16, counts of dark sub-pixels
                torch.from_numpy(bunch.target[rows]).long())

    return _picture_dataset("digits", "Small digits", config, load, (8, 8), DIGITS)


def _load_idx(name: str, title: str, config: DataConfig, class_names: tuple[str, ...],
              default: tuple[int, ...] | None) -> Dataset:
    keep = class_indices(config, class_names, default)
    if not files_present(name):
        _download(name)

    @functools.cache  # train and validation share one file
    def read(train: bool) -> tuple[Tensor, np.ndarray]:
        source = _open(name, train=train, download=False)
        return source.data, source.targets.numpy()  # uint8 (M, 28, 28)

    def load(split: str, limit: int | None) -> tuple[Tensor, Tensor]:
        pixels, labels = read(split != "test")
        rows = np.arange(len(labels))
        if split != "test":
            rows = fixed_permutation(len(labels))
            rows = rows[:VALIDATION_ROWS] if split == "validation" else rows[VALIDATION_ROWS:]
        rows = _first(rows, labels, keep, limit)
        chosen = pixels[torch.from_numpy(rows)]
        return chosen.flatten(1).unsqueeze(-1).float().div_(255), torch.from_numpy(labels[rows]).long()

    return _picture_dataset(name, title, config, load, (28, 28), class_names)


def _first(rows: np.ndarray, labels: np.ndarray, keep: tuple[int, ...], limit: int | None) -> np.ndarray:
    """The first ``limit`` of ``rows`` whose label is kept, in their order."""
    return rows[np.isin(labels[rows], keep)][:limit]


def _picture_dataset(name: str, title: str, config: DataConfig, load: Any, shape: tuple[int, int],
                     class_names: tuple[str, ...]) -> Dataset:
    height, width = shape
    return Dataset(name=name, title=title, config=config, load=load, num_nodes=height * width, num_channels=1,
                   node_names=tuple(f"{row},{column}" for row in range(height) for column in range(width)),
                   image_shape=shape, class_names=class_names)


def _download(name: str) -> None:
    logger.info("downloading %s into %s", name, data_folder())
    raw = data_folder() / _FOLDERS[name] / "raw"
    made = [folder for folder in (raw, *raw.parents) if not folder.exists()]
    try:
        _open(name, train=False, download=True)  # fetches the four files, whichever part is asked for
    except SagvaeError as error:
        for folder in made:  # torchvision leaves them behind; those with a file in them stay
            with suppress(OSError):
                folder.rmdir()
        raise SagvaeError(
            f"The files of {name!r} are not in {str(raw)!r} and could not be "
            "downloaded. Set the environment variable SAGVAE_DATA to a folder that has them or can be written to, or "
            "choose the data set 'digits', which needs no download.") from error


def _open(name: str, train: bool, download: bool) -> Any:
    """torchvision's data set of that name; whatever it raises about files becomes a SagvaeError."""
    from torchvision import datasets

    try:
        return getattr(datasets, _FOLDERS[name])(root=str(data_folder()), train=train, download=download)
    except (OSError, RuntimeError, ValueError, KeyError, AssertionError, EOFError) as error:
        raise SagvaeError(
            f"The files of {name!r} in {str(data_folder() / _FOLDERS[name] / 'raw')!r} cannot be read "
            f"({reason(error)}). Delete them to have them downloaded again.") from error
