"""The contraction of unbounded space as a fused operator."""

import numpy as np

from nerf_mini.kernels import contraction as kernels
from nerf_mini.ops.registry import fused_operator, rehearsal


def _reference(points):
    m = np.max(np.abs(points), axis=1, keepdims=True)
    outside = m > 1
    safe = np.where(outside, m, 1.0)
    factor = np.where(outside, (2.0 - 1.0 / safe) / safe, 1.0)
    return 0.25 * factor * points + 0.5


def _forward(points):
    points = np.ascontiguousarray(points)
    out = np.empty_like(points)
    kernels.contract_forward(points, out)
    return out, ()


def _backward(needs, g, saved, points):
    points = np.ascontiguousarray(points)
    gradient = np.empty_like(points)
    kernels.contract_backward(np.ascontiguousarray(g), points, gradient)
    return (gradient,)


def _example():
    return [np.array([[0.2, -0.3, 0.1], [1.5, 0.4, -0.2], [-0.3, 7.0, -60.0], [0.5, -3.0, 2.0]])], {}


_contract = fused_operator(
    "contract",
    reference=_reference,
    forward=_forward,
    backward=_backward,
    example=_example,
    skeleton=lambda points: (np.zeros_like(points), ()),
)


def contract(points):
    """Points (n, 3), in radii about the middle, in the unit cube: (c(p) + 2) / 4.

    c(p) = p where m = max |p_i| is at most 1, and (2 - 1 / m) p / m elsewhere: Barron et al. 2022, eq. 10, in the
    largest norm.
    """
    if np.shape(points)[1:] != (3,):
        raise ValueError(f"contract takes points (n, 3), not {np.shape(points)}")
    return _contract(points)


def contract_in_place(points: np.ndarray, side: float) -> np.ndarray:
    """The same, without derivatives and in place, of points in units of a cube about the middle, from its corner;
    `side` is the cube's, in radii. Returns the points."""
    kernels.contract_in_place(points, side)
    return points


@rehearsal
def contraction_in_place() -> None:
    """For the warm-up."""
    contract_in_place(np.zeros((1, 3), np.float32), 1.0)
