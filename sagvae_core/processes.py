"""What the processes of one training tell each other; a single process tells nobody anything.

Each has a copy of the model and takes the same steps. A step's one message adds up the gradients of everyone's rows.
PyTorch's DistributedDataParallel would do so too, but for these models dearer (a step on two CPU processes took a tenth
to a quarter longer): since stages train different parameters, it would search every step's graph for unused ones and
tell which; it would send the edge posterior with every step; and of sending gradients while others are computed a model
of a few megabytes has next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .shares import Share


class Processes:
    """The processes of a training, as seen from this one; every method but :meth:`share` is called by all at once."""

    def __init__(self, accelerator: Any):
        self._accelerator = accelerator
        self.count, self.index = accelerator.num_processes, accelerator.process_index

    @property
    def alone(self) -> bool:
        return self.count == 1

    def share(self, total: int) -> Share | None:
        """This process's rows of a batch of ``total``; None, which is all of them, for a single process."""
        return None if self.alone else Share(total, self.index, self.count)

    @torch.no_grad()
    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each of ``tensors`` by its sum over the processes, all in one message."""
        if self.alone:
            return
        sums = self._accelerator.reduce(torch.cat([tensor.flatten() for tensor in tensors]), reduction="sum")
        for tensor, part in zip(tensors, sums.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, ask: Callable[[], bool] | None) -> bool:
        """What the main process answers when asked; the others are not asked. None answers False."""
        answer = self.index == 0 and ask is not None and ask()
        if self.alone:
            return answer
        from accelerate.utils import broadcast

        return bool(broadcast(torch.tensor(int(answer), device=self._accelerator.device)).item())

    def agree_on(self, record: dict[str, Any]) -> dict[str, Any]:
        """The main process's ``record``: what follows from it, as an early end, then follows everywhere."""
        if self.alone:
            return record
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([record])[0]

    def take_over(self, model: nn.Module) -> None:
        """Set weights and buffers to those of the main process.

        Equal devices stay equal by themselves. Unlike ones round differently, and this keeps it from adding up.
        """
        if self.alone:
            return
        from accelerate.utils import broadcast

        for tensor in model.state_dict().values():
            broadcast(tensor)
