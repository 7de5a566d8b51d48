"""One step of Adam on one array of parameters."""

from __future__ import annotations

import numpy as np

from nerf_mini.kernels import adam as kernels
from nerf_mini.ops.registry import rehearsal


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


@rehearsal
def one_adam_step(sparse: bool) -> None:
    """For the warm-up."""
    arrays = (np.ones(2, np.float32) for _ in range(4))
    adam_step(*arrays, step=1, rate=0.1, beta1=0.9, beta2=0.9, epsilon=1e-8, sparse=sparse)
