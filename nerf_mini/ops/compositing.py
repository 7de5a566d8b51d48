"""Volume rendering of packed samples as a fused operator."""

import numpy as np

from nerf_mini.kernels import compositing as kernels
from nerf_mini.ops.registry import fused_operator


def _reference(density, color, t, delta, starts, counts):
    most = int(counts.max(initial=0))
    inside = np.arange(most) < counts[:, None]  # (rays, most)
    index = np.where(inside, starts[:, None] + np.arange(most), 0)  # (rays, most)
    optical_depth = (
        np.where(inside, (density * delta)[index], 0.0) if most else np.zeros((len(starts), 0), density.dtype)
    )
    before = np.cumsum(optical_depth, axis=1) - optical_depth
    transmittance = np.exp(-before)
    dense = np.where(inside, transmittance * -np.expm1(-optical_depth), 0.0)  # (rays, most)
    owner = np.repeat(np.arange(len(starts)), counts)
    weights = _unpack(dense, density, starts, counts, owner)  # (samples,)
    out_color = np.sum(dense[..., None] * color[index], axis=1)
    return out_color, np.sum(dense * t[index], axis=1), np.sum(dense, axis=1), weights


def _unpack(dense, density, starts, counts, owner):
    """Weights in the order of the samples; a sample of no ray has weight 0."""
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    position = np.repeat(starts, counts) + rank
    row = np.zeros(len(density), np.int64)
    column = np.zeros(len(density), np.int64)
    row[position], column[position] = owner, rank
    used = np.zeros(len(density), bool)
    used[position] = True
    return np.where(used, dense[row, column], 0.0) if len(position) else np.zeros(len(density), density.dtype)


def _contiguous(*arrays):
    return [np.ascontiguousarray(array) for array in arrays]


def _forward(density, color, t, delta, starts, counts):
    density, color, t, delta = _contiguous(density, color, t, delta)
    rays, dtype = len(starts), density.dtype
    out_color, distance, opacity = np.empty((rays, 3), dtype), np.empty(rays, dtype), np.empty(rays, dtype)
    weights, beyond = np.zeros_like(density), np.ones_like(density)
    kernels.composite_forward(density, color, t, delta, starts, counts, out_color, distance, opacity, weights, beyond)
    return (out_color, distance, opacity, weights), (weights, beyond)


def _backward(needs, g, saved, density, color, t, delta, starts, counts):
    density, color, t, delta = _contiguous(density, color, t, delta)
    weights, beyond = saved
    gradients = [np.zeros_like(array) for array in (density, color, t, delta)]
    kernels.composite_backward(density, color, t, delta, starts, counts, weights, beyond, *_contiguous(*g), *gradients)
    return *gradients, None, None


def _skeleton(density, color, t, delta, starts, counts):
    rays, dtype, saved = len(starts), density.dtype, (np.zeros_like(density), np.zeros_like(density))
    return (np.zeros((rays, 3), dtype), np.zeros(rays, dtype), np.zeros(rays, dtype), np.zeros_like(density)), saved


def example_samples():
    """Three samples of two rays: colour, distance, interval, starts and counts."""
    t, delta = np.array([2.0, 3.0, 2.5]), np.array([1.0, 0.5, 1.0])
    return np.linspace(0.1, 0.9, 9).reshape(3, 3), t, delta, np.array([0, 2]), np.array([2, 1])


_composite = fused_operator(
    "composite",
    reference=_reference,
    forward=_forward,
    backward=_backward,
    example=lambda: ([np.array([0.5, 2.0, 1.0]), *example_samples()], {}),
    skeleton=_skeleton,
)


def composite(density, color, t, delta, starts, counts):
    """Colour, distance and opacity of each ray, and the weight of each sample, by the quadrature of the volume
    integral.

        alpha_i = 1 - exp(-density_i delta_i),   T_i = exp(-sum_{j<i} density_j delta_j),   w_i = T_i alpha_i
        color = sum w_i c_i,   distance = sum w_i t_i,   opacity = sum w_i      (Mildenhall et al. 2020, eq. 3)

    Samples are packed: density, t (distance along the ray) and delta (length of the interval), each (samples,),
    and color (samples, 3) hold the samples of all rays; ray r owns the `counts[r]` samples from `starts[r]` on, in
    order from near to far.
    starts and counts are int64, (rays,). A ray without samples is empty: colour, distance and opacity 0.

    Returns (color (rays, 3), distance (rays,), opacity (rays,), weights (samples,)). The distance is not divided
    by the opacity.

    >>> sigma = np.array([0.4, 0.8, 0.1, 0.8, 0.1])
    >>> starts, counts = np.array([0, 1, 1]), np.array([1, 0, 4])
    >>> composite(sigma, np.ones((5, 3)), np.ones(5), np.ones(5), starts, counts)[3].round(4)
    array([0.3297, 0.5507, 0.0428, 0.2239, 0.0174])
    """
    starts, counts = np.asarray(starts, np.int64), np.asarray(counts, np.int64)
    samples = np.shape(density)[0]
    if np.shape(color) != (samples, 3) or np.shape(t) != (samples,) or np.shape(delta) != (samples,):
        raise ValueError(
            "composite takes density (n,), color (n, 3), t (n,) and delta (n,);"
            f" got {np.shape(density)}, {np.shape(color)}, {np.shape(t)} and {np.shape(delta)}"
        )
    if starts.shape != counts.shape or (len(starts) and (starts.min() < 0 or (starts + counts).max() > samples)):
        raise ValueError(f"composite: starts and counts must name ranges of the {samples} samples, one per ray")
    return _composite(density, color, t, delta, starts, counts)
