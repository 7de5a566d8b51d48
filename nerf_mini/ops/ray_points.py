"""Positions of samples along rays as a fused operator."""

import numpy as np

from nerf_mini.kernels import ray_points as kernels
from nerf_mini.ops.registry import fused_operator


def _reference(origins, directions, t, ray_index):
    return origins[ray_index] + t[:, None] * directions[ray_index]


def _forward(origins, directions, t, ray_index):
    out = np.empty((len(t), 3), t.dtype)
    kernels.positions_forward(*_contiguous(origins, directions, t), ray_index, out)
    return out, ()


def _backward(needs, g, saved, origins, directions, t, ray_index):
    origins, directions, t, g = _contiguous(origins, directions, t, g)
    gradients = np.zeros_like(origins), np.zeros_like(directions), np.empty_like(t)
    kernels.positions_backward(g, directions, t, ray_index, *gradients)
    return *gradients, None


def _contiguous(*arrays):
    return [np.ascontiguousarray(array) for array in arrays]


def _example():
    origins, directions = np.array([[0.0, 1.0, 2.0], [3.0, 2.0, 1.0]]), np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.2]])
    return [origins, directions, np.array([0.5, 1.5, 2.0]), np.array([0, 0, 1])], {}


_positions = fused_operator(
    "positions",
    reference=_reference,
    forward=_forward,
    backward=_backward,
    example=_example,
    skeleton=lambda origins, directions, t, ray_index: (np.zeros((len(t), 3), t.dtype), ()),
)


def positions(origins, directions, t, ray_index):
    """Points origin + t direction, (samples, 3), of samples at distances t (samples,) along their rays.

    origins, directions (rays, 3); ray_index (samples,) int64, the ray of each sample.
    """
    if np.shape(origins) != np.shape(directions) or np.shape(origins)[1:] != (3,) or np.shape(t) != np.shape(ray_index):
        raise ValueError(
            "positions takes origins and directions (rays, 3), and t and ray_index of one shape; got"
            f" {np.shape(origins)}, {np.shape(directions)}, {np.shape(t)}, {np.shape(ray_index)}"
        )
    ray_index, rays = np.asarray(ray_index, np.int64), np.shape(origins)[0]
    if ray_index.size and not 0 <= ray_index.min() <= ray_index.max() < rays:
        raise ValueError(f"positions: ray_index must name rays 0 to {rays - 1}")
    return _positions(origins, directions, t, ray_index)
