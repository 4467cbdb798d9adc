"""Settings of the second decoder, which completes hidden nodes from visible ones: frozen, validated."""

from __future__ import annotations

from dataclasses import dataclass

from .config_data import in_range, one_of
from .errors import expected

DAMAGES = ("scattered", "regions", "none")


@dataclass(frozen=True)
class CompletionConfig:
    """A network that predicts hidden nodes from visible ones over the learned graph; see :mod:`.completion`.

    Ours, not the paper's: its decoder gives all neighbours of a node the same say, which blurs (eq. 1); here every
    ordered pair of near nodes has ``heads`` edge weights of its own (eq. 14, with several heads).
    """

    channels: int = 32
    heads: int = 8  # edge weights of every ordered pair; each serves channels / heads channels
    layers: int = 4  # with two hops each, a picture's pixel hears of places eight pixels away
    neighbours: int = 24  # as many as the pixels of a 5 x 5 square around one
    hops: int = 2
    least_path: float = 0.16  # two edges of .4: below that a path is the prior's doing
    node_embedding: int = 16  # tells the shared weights which node they look at
    levels: int = 14  # brightness levels between black and white, which are levels of their own
    initial_outlier_rate: float = 0.18
    damage: str = "scattered"  # of the training data: values here and there of any brightness, whole regions, or none
    initial_region_rate: float = 0.1  # regions: how often one is damaged

    def __post_init__(self) -> None:
        for name, low, high in (("channels", 1, 4096), ("heads", 1, 4096), ("layers", 1, 64), ("neighbours", 1, 10**5),
                                ("hops", 1, 8), ("node_embedding", 1, 4096), ("levels", 1, 254)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise expected(f"model.completion.{name}", f"a whole number from {low} to {high}", value)
        if self.channels % self.heads:
            raise expected("model.completion.channels", f"a multiple of the {self.heads} heads", self.channels)
        one_of("model.completion.damage", self.damage, DAMAGES)
        in_range("model.completion.initial_region_rate", self.initial_region_rate, 0, 1, open_ends=True)
        in_range("model.completion.least_path", self.least_path, 0, 1)
        in_range("model.completion.initial_outlier_rate", self.initial_outlier_rate, 0, 1, open_ends=True)
