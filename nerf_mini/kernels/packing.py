"""Which units of an array differ from another one, and those units alone: a unit is four numbers of 32 bits.

A bitmap has a bit for each unit, 32 of them in a word, the lowest first.
"""

import numpy as np
from numba import prange

from nerf_mini.kernels.compiling import parallel_kernel
from nerf_mini.kernels.schedule import PACKING_BLOCK


@parallel_kernel
def mark_changed(values, before, bits):
    """Set the bits (words,) uint32 of units in which values differ from `before`, both (words, 32, 4) uint32."""
    words = bits.size
    for block in prange((words + PACKING_BLOCK - 1) // PACKING_BLOCK):
        for word in range(block * PACKING_BLOCK, min((block + 1) * PACKING_BLOCK, words)):
            found = np.uint32(0)
            for unit in range(32):
                v, b = values[word, unit], before[word, unit]
                if ((v[0] ^ b[0]) | (v[1] ^ b[1]) | (v[2] ^ b[2]) | (v[3] ^ b[3])) != 0:
                    found |= np.uint32(1) << np.uint32(unit)
            bits[word] = found


@parallel_kernel
def mark_nonzero(values, bits):
    """`mark_changed` against nothing but zeros."""
    words = bits.size
    for block in prange((words + PACKING_BLOCK - 1) // PACKING_BLOCK):
        for word in range(block * PACKING_BLOCK, min((block + 1) * PACKING_BLOCK, words)):
            found = np.uint32(0)
            for unit in range(32):
                v = values[word, unit]
                if (v[0] | v[1] | v[2] | v[3]) != 0:
                    found |= np.uint32(1) << np.uint32(unit)
            bits[word] = found


@parallel_kernel
def take_units(values, bits, starts, taken):
    """Copy the units (words, 32, 4) of the bits that are set to taken (units, 4); starts (words,): where the first unit
    of each word goes."""
    words = bits.size
    for block in prange((words + PACKING_BLOCK - 1) // PACKING_BLOCK):
        for word in range(block * PACKING_BLOCK, min((block + 1) * PACKING_BLOCK, words)):
            place, found = starts[word], bits[word]
            for unit in range(32):
                if (found >> np.uint32(unit)) & np.uint32(1):
                    for k in range(4):
                        taken[place, k] = values[word, unit, k]
                    place += 1


@parallel_kernel
def put_units(taken, bits, starts, values):
    """The inverse of `take_units`: units whose bits are not set stay as they are."""
    words = bits.size
    for block in prange((words + PACKING_BLOCK - 1) // PACKING_BLOCK):
        for word in range(block * PACKING_BLOCK, min((block + 1) * PACKING_BLOCK, words)):
            place, found = starts[word], bits[word]
            for unit in range(32):
                if (found >> np.uint32(unit)) & np.uint32(1):
                    for k in range(4):
                        values[word, unit, k] = taken[place, k]
                    place += 1
