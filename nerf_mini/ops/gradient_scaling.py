"""Gradients of samples near cameras made smaller: the value of a function stays, its derivative is scaled."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import stop_gradient


def scale_gradient(values: Any, factor: np.ndarray) -> Any:
    """The values (n,) or (n, k) as they are, to the bit; their derivative is multiplied by factor (n,), an array of
    their dtype. Plain NumPy.

    >>> from autodiff import grad
    >>> float(grad(lambda x: np.sum(scale_gradient(x, np.array([0.25])) ** 2))(np.array([3.0]))[0])
    1.5
    """
    if np.ndim(factor) != 1 or np.shape(values)[:1] != np.shape(factor):
        raise ValueError(f"scale_gradient takes values (n, ...) and factor (n,), not {np.shape(values)}")
    still = stop_gradient(values)
    return still + factor.reshape(factor.shape + (1,) * (np.ndim(values) - 1)) * (values - still)


def near_camera_factor(t: np.ndarray, length: float) -> np.ndarray:
    """min(1, (t / length)^2) for samples at distances t (n,): how densely a camera samples space falls with the square
    of the distance, and so do its gradients near it, which would grow floaters there (Philip and Deschaintre 2023)."""
    near = np.minimum(t * t.dtype.type(1 / length), t.dtype.type(1))
    return near * near
