"""The distortion of the weights along each ray as a fused operator."""

import numpy as np

from nerf_mini.kernels import ray_distortion as kernels
from nerf_mini.ops.compositing import example_samples
from nerf_mini.ops.registry import fused_operator


def _reference(weights, t, delta, starts, counts):
    most = int(counts.max(initial=0))
    if most == 0:
        return np.zeros(len(starts), weights.dtype)
    inside = np.arange(most) < counts[:, None]  # (rays, most)
    index = np.where(inside, starts[:, None] + np.arange(most), 0)
    w = np.where(inside, weights[index], 0.0)  # (rays, most)
    place = t[index]
    apart = np.abs(place[:, :, None] - place[:, None, :])  # (rays, most, most)
    return np.einsum("ri,rj,rij->r", w, w, apart) + np.sum(w * w * delta[index], axis=1) / 3.0


def _forward(weights, t, delta, starts, counts):
    arrays = [np.ascontiguousarray(array) for array in (weights, t, delta)]
    out = np.empty(len(starts), weights.dtype)
    kernels.distortion_forward(*arrays, starts, counts, out)
    return out, ()


def _backward(needs, g, saved, weights, t, delta, starts, counts):
    arrays = [np.ascontiguousarray(array) for array in (weights, t, delta)]
    gradients = [np.zeros_like(array) for array in arrays]
    kernels.distortion_backward(np.ascontiguousarray(g), *arrays, starts, counts, *gradients)
    return *gradients, None, None


_distortion = fused_operator(
    "distortion",
    reference=_reference,
    forward=_forward,
    backward=_backward,
    example=lambda: ([np.array([0.2, 0.7, 0.5]), *example_samples()[1:]], {}),
    skeleton=lambda weights, t, delta, starts, counts: (np.zeros(len(starts), weights.dtype), ()),
)


def distortion(weights, t, delta, starts, counts):
    """How far each ray's weight is spread out: 0 for one thin sample, (rays,).

        sum_{i,j} w_i w_j |t_i - t_j| + 1/3 sum_i w_i^2 delta_i      (Barron et al. 2022, eq. 15)

    weights, t, delta (samples,), packed as in `composite`; t is in the middle of the interval that a sample stands for,
    in order along the ray. Units are those of t. Linear in the number of samples (Sun et al. 2022).

    >>> distortion(np.array([0.5, 0.5]), np.array([1.0, 3.0]), np.zeros(2), np.array([0]), np.array([2]))
    array([1.])
    """
    starts, counts = np.asarray(starts, np.int64), np.asarray(counts, np.int64)
    if not np.shape(weights) == np.shape(t) == np.shape(delta):
        raise ValueError(
            f"distortion takes arrays of one shape (samples,); got {np.shape(weights)}, {np.shape(t)},"
            f" {np.shape(delta)}"
        )
    if starts.shape != counts.shape or (len(starts) and (starts.min() < 0 or (starts + counts).max() > len(weights))):
        raise ValueError(f"distortion: starts and counts must name ranges of the {len(weights)} samples, one per ray")
    return _distortion(weights, t, delta, starts, counts)
