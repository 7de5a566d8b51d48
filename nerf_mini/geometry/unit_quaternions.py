"""Rotations as matrices and as unit quaternions w, x, y, z."""

from __future__ import annotations

import numpy as np


def quaternions(matrices: np.ndarray) -> np.ndarray:
    """Unit quaternions w, x, y, z with w >= 0: (n, 3, 3) -> (n, 4).

    The eigenvector of the largest eigenvalue of a symmetric matrix (Bar-Itzhack 2000): no case is special.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.moveaxis(matrices, 0, -1)
    rows = [
        [xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, xx - yy - zz, xy + yx, xz + zx],
        [xz - zx, xy + yx, yy - xx - zz, yz + zy],
        [yx - xy, xz + zx, yz + zy, zz - xx - yy],
    ]
    vectors = np.linalg.eigh(np.moveaxis(np.array(rows), -1, 0))[1][..., -1]
    return np.where(vectors[:, :1] < 0.0, -vectors, vectors)


def rotations(q: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) of unit quaternions q (..., 4); the inverse of `quaternions`."""
    w, x, y, z = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
