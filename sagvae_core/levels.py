"""Brightness in levels, for a distribution over [0, 1] that may be exactly black or exactly white."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_END = 1e-4  # values this near to 0 or 1 are black or white: an undamaged background is exactly black, noise is not


class Levels(nn.Module):
    """[0, 1] in levels: exactly black, ``inner`` equal steps, exactly white. A density that can have atoms at its ends.

    The same idea as a zero-and-one-inflated density: much of a picture is exactly 0, which no continuous one can say.
    """

    edges: Tensor
    width: Tensor
    middle: Tensor

    def __init__(self, inner: int):
        super().__init__()
        steps = torch.linspace(0, 1, inner + 1)[1:-1]
        edges = torch.cat([torch.tensor([0.0, _END]), steps, torch.tensor([1 - _END, 1.0])])
        middle = (edges[1:] + edges[:-1]) / 2
        middle[0], middle[-1] = 0.0, 1.0
        for name, value in (("edges", edges), ("width", edges.diff()), ("middle", middle)):
            self.register_buffer(name, value)

    def __len__(self) -> int:
        return len(self.width)

    def index(self, x: Tensor) -> Tensor:
        """The level of each value, int64 of the shape of ``x``."""
        return torch.bucketize(x.contiguous(), self.edges[1:-1])
