"""What the processes of one training say to each other. Each of them has a rank, from 0 on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np

Value = TypeVar("Value")


class Communicator(Protocol):
    """The processes of one training. All of them make the same calls in the same order: each waits for the others.

    Attributes:
        rank: of this process, from 0 to size - 1; rank 0 writes, and decides what depends on the clock.
        size: how many processes there are.
        sent: bytes of arrays that this one has sent to others so far.
    """

    rank: int
    size: int
    sent: int

    def exchange(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Send parts[q] (n,) uint32 to rank q; returns what each rank has sent to this one, in order of ranks."""

    def gather(self, part: np.ndarray) -> list[np.ndarray]:
        """The parts (n,) of all ranks, in order; of one dtype, but their lengths may differ."""

    def collect(self, value: Value) -> list[Value]:
        """A small value of each rank, in order: for what happens once."""

    def lead(self, work: Callable[[], Value]) -> Value:
        """Have rank 0 do some work, however long it takes, and tell all what it returned, a small value.

        Raises in all ranks the UserError that it raises in rank 0.
        """


class Alone:
    """The communicator of the only process."""

    rank, size, sent = 0, 1, 0

    def exchange(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Communicator`."""
        return list(parts)

    def gather(self, part: np.ndarray) -> list[np.ndarray]:
        """See `Communicator`."""
        return [part]

    def collect(self, value: Value) -> list[Value]:
        """See `Communicator`."""
        return [value]

    def lead(self, work: Callable[[], Value]) -> Value:
        """See `Communicator`."""
        return work()


ALONE = Alone()
