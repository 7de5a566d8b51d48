"""Gradients to the owners of their stripes, and parameters back to all. Nothing is rounded, and nobody else adds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nerf_mini.ops import pack_changed, unpack
from nerf_mini.ranks.communicator import Communicator
from nerf_mini.ranks.layout import STRIPE, Layout
from nerf_mini.ranks.shards import Node, covering, finished, owned_shards


class Exchange:
    """The two exchanges of a step.

    With `sparse`, only what is not zero of a gradient is sent, and of the parameters what has changed: the same bits,
    in fewer bytes where a step touches a part of large tables. R ranks send 2 (R - 1) / R of the vector each without,
    if R is a power of two; up to twice as much otherwise.
    """

    def __init__(self, communicator: Communicator, layout: Layout, shards: int, sparse: bool):
        self.communicator, self.layout, self.shards, self.sparse = communicator, layout, shards, sparse

    def nodes_of(self, rank: int) -> list[Node]:
        """The nodes of the tree whose sums a rank makes."""
        return covering(self.shards, owned_shards(self.shards, self.communicator.size, rank))

    def summed(self, sums: Mapping[Node, np.ndarray]) -> np.ndarray:
        """This rank's part of the sum over all shards, from its vectors of `nodes_of`, which may be overwritten."""
        team, layout = self.communicator, self.layout
        if team.size == 1:
            return finished(self.shards, sums)
        parts = [
            np.concatenate([self._packed(layout.part(vector, rank)) for vector in sums.values()])
            for rank in range(team.size)
        ]
        mine, whole = len(layout.stripes[team.rank]), {}
        del sums
        for rank, message in enumerate(team.exchange(parts)):
            for node in self.nodes_of(rank):
                part = np.zeros(mine * STRIPE, np.float32)
                message = self._unpacked(message, part)
                whole[node] = part
        return finished(self.shards, whole)

    def spread(self, vector: np.ndarray, part: np.ndarray) -> None:
        """Write the parts of all ranks, this one's being `part`, into a vector (length,) that is the same everywhere,
        in place."""
        team, layout = self.communicator, self.layout
        if team.size == 1:
            return layout.put(vector, 0, part)
        message = self._packed(part, layout.part(vector, team.rank))
        for rank, received in enumerate(team.gather(message)):
            theirs = layout.part(vector, rank)
            self._unpacked(received, theirs)
            layout.put(vector, rank, theirs)
        return None

    def _packed(self, part: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
        return pack_changed(part, before) if self.sparse else part.view(np.uint32)

    def _unpacked(self, message: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Write a message into a part in place; returns what follows in it."""
        if self.sparse:
            return unpack(message, part)
        part[...] = message[: len(part)].view(np.float32)
        return message[len(part) :]
