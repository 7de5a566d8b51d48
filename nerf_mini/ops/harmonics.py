"""Real spherical harmonics of directions."""

from __future__ import annotations

import numpy as np

DEGREES = (0, 1, 2, 3)


def harmonics_width(degree: int) -> int:
    """The number of harmonics up to a degree."""
    return (degree + 1) ** 2


def spherical_harmonics(directions, degree: int = 3):
    """The real spherical harmonics up to a degree, at most 3, of unit vectors: (..., 3) -> (..., (degree + 1)^2).

    Orthonormal over the sphere, without the Condon-Shortley phase; degree l has the columns l^2 to (l + 1)^2 - 1, in
    the order m = -l..l. Plain NumPy, differentiable.
    """
    if degree not in DEGREES:
        raise ValueError(f"spherical_harmonics has the degrees {DEGREES}, not {degree}")
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    xx, yy, zz = x * x, y * y, z * z
    one = np.ones_like(x)
    c = [float(np.sqrt(k / np.pi)) for k in (1 / 4, 3 / 4, 15 / 4, 5 / 16, 15 / 16, 35 / 32, 105 / 4, 21 / 32, 7 / 16)]
    c0, c1, c2, c20, c22, c33, c32, c31, c30 = c
    columns = [
        c0 * one,
        c1 * y, c1 * z, c1 * x,
        c2 * (x * y), c2 * (y * z), c20 * (3.0 * zz - 1.0), c2 * (x * z), c22 * (xx - yy),
        c33 * (y * (3.0 * xx - yy)), c32 * (x * y * z), c31 * (y * (5.0 * zz - 1.0)), c30 * (z * (5.0 * zz - 3.0)),
        c31 * (x * (5.0 * zz - 1.0)), 0.5 * c32 * (z * (xx - yy)), c33 * (x * (xx - 3.0 * yy)),
    ]  # fmt: skip
    return np.stack(columns[: harmonics_width(degree)], axis=-1)
