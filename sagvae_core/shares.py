"""Which rows of a batch each of several processes works on.

Every process holds the whole batch, infers the one graph of it from all its rows (eqs. 5-7) and draws all its random
numbers: graph and noise are those of a single process. Only the rows' own work, their codes, the decoder and the
completion, is divided. Were the rows divided first, as loaders of data do, each process would infer another graph from
fewer rows, and more processes would train another model.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Share:
    """What process ``index`` of ``count`` takes of a batch of ``total`` rows: a stretch of them, as long as others'.

    With fewer rows than processes some have none. They work on the first row and count it zero times: so everyone has
    gradients of the same parameters to add up, and no layer is asked for nothing.
    """

    total: int
    index: int
    count: int

    @property
    def _ends(self) -> tuple[int, int]:
        return self.index * self.total // self.count, (self.index + 1) * self.total // self.count

    @property
    def counted(self) -> int:
        """How many rows are this process's own."""
        start, end = self._ends
        return end - start

    @property
    def rows(self) -> slice:
        """The rows to work on, at least one."""
        return slice(*self._ends) if self.counted else slice(0, 1)


def take(rows: Tensor, share: Share | None) -> Tensor:
    """The rows of a whole batch (B, ...) that are in ``share``; all where it is None."""
    return rows if share is None else rows[share.rows]


def spread(values: Tensor, share: Share | None) -> Tensor:
    """``values`` of the share's rows at their places in the batch, zero at all others: (B, ...).

    Added up over the processes, these are the values of all rows.
    """
    if share is None:
        return values
    whole = values.new_zeros(share.total, *values.shape[1:])
    if share.counted:
        whole[share.rows] = values
    return whole
