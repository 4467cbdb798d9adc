"""Judges what a generated picture shows: a small convolutional classifier, trained on clean pictures and their labels.

It is part of no model that is compared. It only tells whose pictures still look like the class they came from, so it
is trained on undamaged pictures and says how often it is right itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..config_data import one_of
from ..data import load_dataset
from ..errors import expected
from ..schedules import step_generator

DATASET_NAMES = ("mnist", "fashion", "digits")
_EPOCHS = 2
_LEAST_STEPS = 400  # two epochs of the 1,078 small digits would be 18
_BATCH = 128
_LEARNING_RATE = 4e-3  # at the start; it falls linearly to nothing, so that the last steps are fine ones
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier of pictures.

    Attributes:
        dataset: what it was trained on.
        num_nodes: N, the pixels of a picture.
        class_names: K names; ``predict`` counts them, and so do the labels of the data set.
        classes: those it has seen in training; no other is ever predicted (Fashion-MNIST has six of ten by default).
        accuracy: share of the clean held-out test pictures it classifies rightly, in [0, 1]. test_rows: how many.
    """

    dataset: str
    num_nodes: int
    class_names: tuple[str, ...]
    classes: tuple[int, ...]
    accuracy: float
    test_rows: int
    _network: nn.Module

    def probabilities(self, x: Tensor) -> Tensor:
        """p(class | picture) for pictures x (B, N, 1) with brightness in [0, 1]; (B, K), zero for unseen classes.

        Raises:
            SagvaeError: ``x`` has another shape, or is not finite.
        """
        if not isinstance(x, Tensor) or x.ndim != 3 or tuple(x.shape[1:]) != (self.num_nodes, 1):
            raise expected("x", f"of shape (B, {self.num_nodes}, 1)",
                           tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__,
                           f"This classifier was trained on {self.dataset!r}: give it pictures of that size.")
        if not bool(torch.isfinite(x).all()):
            raise expected("x", "finite", "NaN or infinity", "Remove these pictures first.")
        return _probabilities(self._network, x, self.classes)

    def predict(self, x: Tensor) -> Tensor:
        """The most probable class of every picture, long (B,); raises as :meth:`probabilities`."""
        return self.probabilities(x).argmax(dim=1)


def train_classifier(dataset: str, seed: int = 0, rows: int | None = None) -> Classifier:
    """Train on the clean training pictures and measure on the clean test pictures, within a minute of one CPU core.

    Args:
        dataset: "mnist", "fashion" (its shirt- and trouser-like classes) or "digits".
        seed: of the weights and the order of the rows. The same seed gives the same classifier.
        rows: training rows; None takes all.

    Raises:
        SagvaeError: another data set, ``rows`` is out of range, or the files are missing and cannot be downloaded.

    Example:
        >>> judge = train_classifier("digits")
        >>> judge.predict(load_dataset("digits").test.clean[:3]).shape
        torch.Size([3])
    """
    one_of("dataset", dataset, DATASET_NAMES)
    data = load_dataset(dataset, train_rows=rows)
    pictures, labels = data.train.clean, data.train.labels
    classes = tuple(labels.unique().tolist())
    network = _build(data.image_shape, len(data.class_names), seed)
    _fit(network, pictures, labels, seed)
    predicted = _probabilities(network, data.test.clean, classes).argmax(dim=1)
    return Classifier(dataset, data.num_nodes, data.class_names, classes,
                      float((predicted == data.test.labels).double().mean()), len(predicted), network)


def _build(image_shape: tuple[int, int], num_classes: int, seed: int) -> nn.Module:
    """Three convolutions with batch normalisation: half a minute for MNIST.

    With a hidden layer in place of the third, or without the normalisation, it is wrong a fifth to a half more often.
    """
    height, width = image_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Unflatten(1, (1, height, width))]
        for inner, outer, shrink in ((1, 16, True), (16, 32, True), (32, 64, False)):
            layers += [nn.Conv2d(inner, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer)]
            layers += [nn.MaxPool2d(2)] * shrink + [nn.ReLU()]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (height // 4) * (width // 4), num_classes))


def _fit(network: nn.Module, pictures: Tensor, labels: Tensor, seed: int) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    steps_per_epoch = math.ceil(len(pictures) / _BATCH)
    epochs = max(_EPOCHS, math.ceil(_LEAST_STEPS / steps_per_epoch))
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs * steps_per_epoch)
    for epoch in range(epochs):
        order = torch.randperm(len(pictures), generator=step_generator("cpu", seed, epoch))
        for batch in order.split(_BATCH):
            optimizer.zero_grad()
            cross_entropy(network(pictures[batch, :, 0]), labels[batch]).backward()
            optimizer.step()
            decay.step()
    network.eval().requires_grad_(False)  # now no picture's answer depends on the others


@torch.no_grad()
def _probabilities(network: nn.Module, x: Tensor, classes: tuple[int, ...]) -> Tensor:
    logits = torch.cat([network(part[:, :, 0].float()) for part in x.split(_ROWS_AT_ONCE)])
    unseen = torch.ones(logits.shape[1], dtype=torch.bool)
    unseen[list(classes)] = False
    return logits.masked_fill(unseen, -math.inf).softmax(dim=1)
