"""Arrays of which few entries matter, packed to be sent, without rounding."""

from __future__ import annotations

import numpy as np

from nerf_mini.kernels import packing as kernels

PACKED_AT_ONCE = 128  # numbers of an array for each word of the bitmap


def pack_changed(values: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """What of values (n,) float32 has other bits than `before` (n,), by default zeros, in units of four numbers.

    n is a multiple of `PACKED_AT_ONCE`. Returns (m,) uint32: a bit for each unit, then the units whose bit is set.
    """
    units = values.view(np.uint32).reshape(-1, 32, 4)
    bits = np.empty(len(units), np.uint32)
    if before is None:
        kernels.mark_nonzero(units, bits)
    else:
        kernels.mark_changed(units, before.view(np.uint32).reshape(units.shape), bits)
    starts, count = _starts(bits)
    message = np.empty(len(bits) + 4 * count, np.uint32)
    message[: len(bits)] = bits
    kernels.take_units(units, bits, starts, message[len(bits) :].reshape(-1, 4))
    return message


def unpack(message: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Write what `pack_changed` has packed into values (n,) float32, in place: what was not packed stays as it is.

    Returns what follows in the message.
    """
    units = values.view(np.uint32).reshape(-1, 32, 4)
    bits = message[: len(units)]
    starts, count = _starts(bits)
    end = len(bits) + 4 * count
    kernels.put_units(message[len(bits) : end].reshape(-1, 4), bits, starts, units)
    return message[end:]


def _starts(bits: np.ndarray) -> tuple[np.ndarray, int]:
    """Before how many units each word's units come, (words,) int64, and how many there are in all."""
    ends = np.cumsum(np.bitwise_count(bits), dtype=np.int64)
    return np.concatenate([[0], ends[:-1]]), int(ends[-1]) if len(ends) else 0
