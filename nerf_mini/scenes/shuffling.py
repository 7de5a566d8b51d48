"""Drawing without replacement: every pixel once, in random order, before any comes again.

A pass over millions of pixels needs no list of them. What a fixed number of bits can hold is shuffled by a bijection,
and numbers that are too large are shuffled once more, until they fit (cycle walking; Black and Rogaway 2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

ROUNDS = 4


class WholeNumbers(Protocol):
    """What `draw_pixels` needs of a random generator."""

    def integers(self, high: int, /, *, size: int) -> Any:
        """(size,) int64 in [0, high)."""


@dataclass
class Shuffled:
    """Whole numbers in the place of a random generator's: each once, in an order of its own for each pass.

    `drawn` is how many there have been. Whoever knows it and the seed knows what comes next.
    """

    seed: int
    drawn: int = 0

    def integers(self, high: int, /, *, size: int) -> np.ndarray:
        """See `WholeNumbers`."""
        parts, first, last = [], self.drawn, self.drawn + size
        while first < last:
            number, begin = divmod(first, high)
            end = min(high, begin + last - first)
            parts.append(shuffled(np.arange(begin, end), high, np.random.SeedSequence([self.seed, number])))
            first += end - begin
        self.drawn = last
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def shuffled(index: np.ndarray, high: int, key: np.random.SeedSequence) -> np.ndarray:
    """Where a random permutation of the numbers below `high` takes those in index (n,): (n,) int64.

    Each round multiplies by an odd number, adds another, and xors the upper half of the bits into the lower one; each
    of these can be undone, and so can all together.
    """
    bits = max(2, int(high - 1).bit_length())
    mask, half = np.uint64((1 << bits) - 1), np.uint64((bits + 1) // 2)
    rounds = key.generate_state(2 * ROUNDS, np.uint64).reshape(ROUNDS, 2)
    found, left = index.astype(np.uint64), np.arange(len(index))
    while len(left):
        x = found[left]
        for factor, offset in rounds:
            x = (x * (factor | np.uint64(1)) + offset) & mask
            x ^= x >> half
        found[left] = x
        left = left[x >= high]
    return found.astype(np.int64)
