"""Every setting of the data and of what is done to them: frozen, validated, with the reason beside each default."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .errors import expected

PERTURBATIONS = ("none", "uniform", "block", "salt_pepper", "gaussian", "stripes", "blocks", "rotated", "contrast")
DIRECTIONS = ("horizontal", "vertical")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise unless ``value`` is among ``allowed``."""
    if value not in allowed:
        raise expected(name, "one of " + ", ".join(map(repr, allowed)), repr(value))


def in_range(name: str, value: float, low: float, high: float, open_ends: bool = False) -> None:
    """Raise unless ``value`` is a finite number from ``low`` to ``high``, these included unless ``open_ends``."""
    left, right = ("(", ")") if open_ends else ("[", "]")
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not (low < value < high if open_ends else low <= value <= high):
        raise expected(name, f"in {left}{low:g}, {high:g}{right}", repr(value))


@dataclass(frozen=True)
class PerturbationConfig:
    """What is done to an input before a model sees it: section 4.2 of the paper has the first two, the others are ours.

    A kind reads the settings named here and no other; ``value`` is 0 black, 1 white, None uniform noise.

    - ``"uniform"``: ``pixels`` nodes become draws from U(0, 1).
    - ``"block"``: a ``size`` x ``size`` block at ``position`` (top row, left column; None: random) becomes ``value``.
    - ``"salt_pepper"``: ``pixels`` nodes become 0 or 1.
    - ``"gaussian"``: N(0, ``sigma``^2) is added to every node, and the sum clipped to [0, 1].
    - ``"stripes"``: ``count`` lines, ``width`` pixels wide and running in ``direction``, become ``value``.
    - ``"blocks"``: ``count`` blocks of ``size`` x ``size`` at random places become ``value``; they may overlap.
    - ``"rotated"``: a block as above, turned clockwise by ``angle`` degrees (None: random), becomes ``value``.
    - ``"contrast"``: the distance of every node to mid-grey shrinks to the share ``contrast``.
    """

    kind: str = "none"
    pixels: int = 200  # of 784, the paper's count; a grid of another size says its own
    size: int = 7  # a quarter of a 28-pixel side: about a stroke of a digit disappears
    value: float | None = 1.0  # white: on black digits the visible kind of mask
    position: tuple[int, int] | None = None
    sigma: float = 0.2  # a fifth of the way from black to white: plain to see, and a person still reads the digit
    count: int = 3  # of 28 lines about a tenth; three blocks of the size above are a fifth of the picture
    width: int = 1  # a scratch; wider stripes look like blocks, a kind of their own
    direction: str = "horizontal"  # as where a scanner drops lines
    angle: float | None = None  # anew for every row, so that no one slant can be learned by heart
    contrast: float = 0.5  # half as far from mid-grey: everything is still there, only fainter

    def __post_init__(self) -> None:
        one_of("perturbation.kind", self.kind, PERTURBATIONS)
        in_range("perturbation.pixels", self.pixels, 0, 10**6)
        in_range("perturbation.size", self.size, 0, 10**4)
        if self.value is not None:
            in_range("perturbation.value", self.value, 0, 1)
        in_range("perturbation.sigma", self.sigma, 0, 10)
        in_range("perturbation.count", self.count, 0, 10**6)
        in_range("perturbation.width", self.width, 1, 10**4)
        one_of("perturbation.direction", self.direction, DIRECTIONS)
        if self.angle is not None:
            in_range("perturbation.angle", self.angle, 0, 90)
        in_range("perturbation.contrast", self.contrast, 0, 1)


@dataclass(frozen=True)
class DataConfig:
    """Which rows a model sees. ``seed`` decides everything drawn: patterns, the validation split, the damage."""

    name: str = "karate"
    seed: int = 0
    train_rows: int | None = None  # None: all of them
    perturbation: PerturbationConfig = field(default_factory=PerturbationConfig)
    perturb_each_epoch: bool = False  # only models trained on clean targets may see fresh damage every epoch
    classes: tuple[int, ...] | None = None  # None: the data set's own default (Fashion: shirt- and trouser-like)
    generator: str = "symmetric"  # karate: how its generating GCN normalises the adjacency
    centred: bool = True  # karate: subtract each pattern's per-node mean; without it second-order signal drowns

    def __post_init__(self) -> None:
        one_of("data.generator", self.generator, ("symmetric", "row"))
        in_range("data.seed", self.seed, 0, 2**31 - 1)
        if self.train_rows is not None:
            in_range("data.train_rows", self.train_rows, 1, 10**9)
