"""Hierarchical sampling: more samples where the coarse pass saw something."""

import numpy as np

from autodiff import stop_gradient
from nerf_mini.ops import sample_histogram

FLOOR = 1e-5  # added to every weight, so that an empty ray is sampled evenly


def fine_samples(
    t: np.ndarray, weights: np.ndarray, samples: int, rng: np.random.Generator | None = None
) -> np.ndarray:
    """The coarse distances and `samples` more, drawn in proportion to the coarse weights (Mildenhall et al. 2020,
    eq. 5).

    t, weights (rays, coarse) -> (rays, coarse + samples), ascending. The bins lie between the mid-points of
    neighbouring distances and carry the weight of the sample between them. Without `rng` the quantiles are evenly
    spaced. No gradient flows through the positions.
    """
    t, weights = stop_gradient(t), stop_gradient(weights)
    rays, coarse = t.shape
    if coarse < 3:
        raise ValueError(f"hierarchical sampling needs at least 3 coarse samples, got {coarse}")
    edges = 0.5 * (t[:, 1:] + t[:, :-1])  # (rays, coarse - 1)
    # one quantile in each of equally likely shares, jittered in training: ascending, and better spread than free draws
    within = np.full((rays, samples), 0.5, t.dtype) if rng is None else rng.random((rays, samples), t.dtype)
    u = (np.arange(samples, dtype=t.dtype) + within) / t.dtype.type(samples)  # (rays, samples)
    new = sample_histogram(edges, weights[:, 1:-1] + t.dtype.type(FLOOR), np.minimum(u, 1))
    return np.sort(np.concatenate([t, new], axis=1), axis=1)
