"""Parameters as one vector, in stripes that are dealt to ranks: who owns a stripe updates what is in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

STRIPE = 1024  # floats; a multiple of what `ops.packing` packs at a time


class Layout:
    """Arrays of float32 one after the other in a vector, which is filled up with zeros to whole stripes.

    Stripes, not blocks: a step touches the finest tables most, and their owner would send more than all others.

    Attributes:
        length: of the vector.
        stripes: for each rank the stripes that it owns, ascending.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], size: int, undivided: int = 0):
        """`size` ranks; the first `undivided` arrays are owned by rank 0, where they come first too."""
        self.shapes, self._undivided = list(shapes), undivided
        self.edges = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        count = -(-int(self.edges[-1]) // STRIPE)
        self.length = count * STRIPE
        first = -(-int(self.edges[undivided]) // STRIPE)
        owners, load = np.zeros(count, np.int64), np.zeros(size, np.int64)
        load[0] = first
        for stripe in range(first, count):
            owners[stripe] = np.argmin(load)
            load[owners[stripe]] += 1
        self.stripes = [np.flatnonzero(owners == rank) for rank in range(size)]

    def views(self, vector: np.ndarray) -> list[np.ndarray]:
        """The arrays, as parts of a vector (length,)."""
        return self._views(vector, len(self.shapes))

    def undivided(self, part: np.ndarray) -> list[np.ndarray]:
        """The arrays that are not divided, as parts of what rank 0 owns."""
        return self._views(part, self._undivided)

    def _views(self, vector: np.ndarray, count: int) -> list[np.ndarray]:
        places = list(zip(pairwise(self.edges), self.shapes, strict=True))[:count]
        return [vector[first:last].reshape(shape) for (first, last), shape in places]

    def vector(self, arrays: Sequence[np.ndarray], factor: float = 1.0) -> np.ndarray:
        """A new vector (length,) float32 of the arrays times a factor."""
        vector = np.zeros(self.length, np.float32)
        for place, array in zip(self.views(vector), arrays, strict=True):
            np.multiply(array, np.float32(factor), out=place)
        return vector

    def part(self, vector: np.ndarray, rank: int) -> np.ndarray:
        """What a rank owns of a vector: the vector itself where it owns all, else a copy (n,)."""
        if len(self.stripes) == 1:
            return vector
        return vector.reshape(-1, STRIPE)[self.stripes[rank]].reshape(-1)

    def put(self, vector: np.ndarray, rank: int, part: np.ndarray) -> None:
        """Write what a rank owns into a vector, in place."""
        if part is not vector:
            vector.reshape(-1, STRIPE)[self.stripes[rank]] = part.reshape(-1, STRIPE)

    def runs(self, rank: int, kinds: Sequence[int]) -> list[tuple[int, slice]]:
        """Where in a rank's part arrays of one kind lie: (kind, slice), as few as can be; `kinds` has one per array."""
        runs: list[tuple[int, slice]] = []
        edges = self.edges.tolist()
        for place, stripe in enumerate(self.stripes[rank].tolist()):
            begin, end = stripe * STRIPE, min((stripe + 1) * STRIPE, edges[-1])
            shift = place * STRIPE - begin
            for array in range(bisect_right(edges, begin) - 1, len(kinds)):
                first, last = max(begin, edges[array]), min(end, edges[array + 1])
                if first >= end:
                    break
                kind, where = kinds[array], slice(first + shift, last + shift)
                if runs and runs[-1][0] == kind and runs[-1][1].stop == where.start:
                    where = slice(runs.pop()[1].start, where.stop)
                runs.append((kind, where))
        return runs
