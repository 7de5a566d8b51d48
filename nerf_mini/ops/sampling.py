"""Inverse-CDF sampling as a fused operator."""

import numpy as np

from autodiff import stop_gradient
from nerf_mini.kernels import sampling as kernels
from nerf_mini.ops.registry import fused_operator


def _bins(weights, u):
    """The bin of each u, (rays, samples), and the cumulative (rays, bins + 1): plain values, no derivative."""
    zero = np.zeros((len(weights), 1), weights.dtype)
    cumulative = np.concatenate([zero, np.cumsum(weights, axis=1)], axis=1)
    target = u * cumulative[:, -1:]
    bins = np.empty(u.shape, np.int64)
    for ray in range(len(weights)):
        row = cumulative[ray]
        found = np.clip(np.searchsorted(row, target[ray], side="right") - 1, 0, weights.shape[1] - 1)
        filled = np.maximum.accumulate(np.where(weights[ray] > 0, np.arange(weights.shape[1]), 0))
        bins[ray] = filled[found]
    return bins


def _reference(edges, weights, u):
    bins = _bins(stop_gradient(weights), stop_gradient(u))
    cumulative = np.concatenate([np.zeros_like(weights[:, :1]), np.cumsum(weights, axis=1)], axis=1)
    low, high = np.take_along_axis(edges, bins, 1), np.take_along_axis(edges, bins + 1, 1)
    fraction = (u * cumulative[:, -1:] - np.take_along_axis(cumulative, bins, 1)) / np.take_along_axis(weights, bins, 1)
    return low + np.clip(fraction, 0.0, 1.0) * (high - low)


def _forward(edges, weights, u):
    edges, weights, u = (np.ascontiguousarray(array) for array in (edges, weights, u))
    samples, bins = np.empty_like(u), np.empty(u.shape, np.int64)
    kernels.sample_forward(edges, weights, u, samples, bins)
    return samples, bins


def _backward(needs, g, saved, edges, weights, u):
    g, edges, weights, u = (np.ascontiguousarray(array) for array in (g, edges, weights, u))
    gradients = [np.zeros_like(array) for array in (edges, weights, u)]
    kernels.sample_backward(g, edges, weights, u, saved, *gradients)
    return gradients


def _example():
    edges, weights = np.array([[0.0, 1.0, 3.0], [1.0, 2.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 1.0]])
    return [edges, weights, np.array([[0.2, 0.7], [0.3, 0.9]])], {}


_sample = fused_operator(
    "sample_histogram",
    reference=_reference,
    forward=_forward,
    backward=_backward,
    example=_example,
    skeleton=lambda edges, weights, u: (np.zeros_like(u), np.zeros(u.shape, np.int64)),
)


def sample_histogram(edges, weights, u):
    """Samples of a piecewise-constant density on each ray: the inverse of its cumulative distribution at u.

    edges (rays, bins + 1) ascending, weights (rays, bins) >= 0 with a positive sum (they need not sum to 1; a bin holds
    probability mass w_k / sum w, whatever its width), u (rays, samples) in [0, 1]. Returns samples (rays,
    samples), ascending where u is. Bins of zero weight are never chosen. Differentiable in all three; the bin of a
    sample is held fixed.

    >>> sample_histogram(np.array([[0.0, 1.0, 3.0]]), np.array([[1.0, 1.0]]), np.array([[0.25, 0.75]]))
    array([[0.5, 2. ]])
    """
    rays, bins = np.shape(weights)
    if np.shape(edges) != (rays, bins + 1) or np.shape(u)[:1] != (rays,):
        raise ValueError(
            "sample_histogram takes edges (rays, bins + 1), weights (rays, bins) and u (rays, samples);"
            f" got {np.shape(edges)}, {np.shape(weights)} and {np.shape(u)}"
        )
    return _sample(edges, weights, u)
