"""Stratified sampling: one sample in each of equally long bins."""

import numpy as np


def stratified_samples(
    near: float, far: float, rays: int, samples: int, rng: np.random.Generator | None = None, dtype=np.float32
) -> np.ndarray:
    """Distances t (rays, samples), ascending in [near, far] (Mildenhall et al. 2020, eq. 2).

    t_i is uniform in bin i of `samples` equal bins, drawn from `rng`; without one it is the middle of the bin.
    """
    within = np.full((rays, samples), 0.5, dtype) if rng is None else rng.random((rays, samples), dtype)
    return (dtype(near) + (np.arange(samples, dtype=dtype) + within) * dtype((far - near) / samples)).astype(dtype)
