"""Data sets by name: ``load_dataset("karate", seed=0)``. Heavy libraries are imported when a data set is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..config import DataConfig
from ..errors import SagvaeError, expected, shortened
from ..perturbations import check_perturbation
from .base import Dataset, Split, check_classes
from .images import DIGITS, GARMENTS, data_folder, files_present, load_digits, load_fashion, load_mnist
from .karate import load_karate

__all__ = ["DATASETS", "Dataset", "DatasetInfo", "Split", "check_settings", "data_folder", "dataset_available",
           "load_dataset"]


@dataclass(frozen=True)
class DatasetInfo:
    """What can be said about a data set without reading it.

    Attributes:
        name, title, description: the key, the name a person reads, and one sentence.
        num_nodes, num_channels: N and C.
        train_rows: how many there are to learn from, of all classes.
        classes: their names, where a model can be trained on some of them alone.
        image_shape: (height, width) when the nodes are pixels.
        needs_files: True when it has to be downloaded, or found in the folder ``SAGVAE_DATA`` names.
    """

    name: str
    title: str
    description: str
    num_nodes: int
    train_rows: int
    num_channels: int = 1
    classes: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    needs_files: bool = False


DATASETS: dict[str, DatasetInfo] = {info.name: info for info in (
    DatasetInfo("karate", "Karate club", "The 34 members of a karate club with synthetic positions that spread along "
                "their 78 known friendships.", 34, 1440, num_channels=2),
    DatasetInfo("digits", "Small digits", "1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn.",
                64, 1078, classes=DIGITS, image_shape=(8, 8)),
    DatasetInfo("mnist", "MNIST digits", "70,000 handwritten digits of 28 x 28 pixels.", 784, 55_000,
                classes=DIGITS, image_shape=(28, 28), needs_files=True),
    DatasetInfo("fashion", "Fashion-MNIST", "Pictures of clothes of 28 x 28 pixels, by default the shirt- and "
                "trouser-like classes.", 784, 55_000, classes=GARMENTS, image_shape=(28, 28), needs_files=True),
)}

_LOADERS: dict[str, Callable[[DataConfig], Dataset]] = {
    "karate": load_karate, "digits": load_digits, "mnist": load_mnist, "fashion": load_fashion}


def load_dataset(name_or_config: str | DataConfig, **overrides: Any) -> Dataset:
    """The data set of that name, or of a configuration; ``overrides`` are fields of :class:`DataConfig`.

    Rows are read when a split is first asked for; missing files are downloaded at once.

    Example:
        >>> load_dataset("karate", seed=1).train.inputs.shape
        torch.Size([1440, 34, 2])

    Raises:
        SagvaeError: the name or an override is unknown, the perturbation does not fit the data, or files are missing
            and cannot be downloaded.
    """
    known = [field.name for field in dataclasses.fields(DataConfig)]
    unknown = sorted(set(overrides) - set(known))
    if unknown:
        raise SagvaeError(f"data.{shortened(unknown[0])} is not a setting. Known are: {', '.join(sorted(known))}.")
    config = name_or_config if isinstance(name_or_config, DataConfig) else DataConfig(name=name_or_config)
    config = dataclasses.replace(config, **overrides)
    return _LOADERS[_known(config.name)](config)


def check_settings(config: DataConfig) -> None:
    """Say what :func:`load_dataset` would refuse as far as it can be known without reading or downloading anything.

    Raises:
        SagvaeError: an unknown name, damage that the rows have no room for, classes that there are not, or more
            training rows than there are.
    """
    info = DATASETS[_known(config.name)]
    check_perturbation(config.perturbation, info.num_nodes, info.image_shape)
    check_classes(config, info.classes)
    if config.train_rows is not None and config.train_rows > info.train_rows:
        raise expected("data.train_rows", f"at most {info.train_rows}, the training rows of {info.name!r}",
                       config.train_rows, "Leave it out to use all of them.")


def dataset_available(name: str) -> bool:
    """Whether :func:`load_dataset` needs no download for ``name``.

    Raises:
        SagvaeError: the name is unknown.
    """
    return not DATASETS[_known(name)].needs_files or files_present(name)


def _known(name: object) -> str:
    if not isinstance(name, str) or name not in DATASETS:
        raise expected("data.name", "one of " + ", ".join(map(repr, DATASETS)), repr(name))
    return name
