"""One step of Adam on one array of parameters."""

from __future__ import annotations

import numpy as np

from nerf_mini.kernels import adam as kernels


def adam_step(
    parameters: np.ndarray,
    gradient: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    step: int,
    rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    sparse: bool = False,
) -> None:
    """Update parameters, mean and variance in place (Kingma and Ba 2015, algorithm 1).

    All four arrays have one shape and one dtype; the three that change are contiguous. `step` counts from 1. With
    `sparse`, entries whose gradient is exactly zero are left alone, with their mean and variance: for tables of which a
    step touches only a part.
    """
    update = kernels.adam_step_sparse if sparse else kernels.adam_step
    flat = (array.reshape(-1) for array in (parameters, np.ascontiguousarray(gradient), mean, variance))
    update(*flat, rate, beta1, beta2, epsilon, step)
