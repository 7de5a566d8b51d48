"""Identities, tested on random arrays: cheap, and a false one fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def verify(
    lhs: Callable, rhs: Callable, *shapes: Sequence[int], seed: int = 0, trials: int = 5, tol: float = 1e-8
) -> None:
    """Check that two functions agree, in shape and in value, on random arrays of the given shapes.

    Raises `AssertionError` with both values at the worst entry. `()` is the shape of a scalar.

    >>> verify(lambda A, B: np.trace(A @ B), lambda A, B: np.trace(B @ A), (2, 3), (3, 2))
    >>> verify(lambda A: np.trace(A.T @ A), lambda A: np.trace(A) ** 2, (2, 2))
    Traceback (most recent call last):
        ...
    AssertionError: trial 0 of seed 0: the left side is 0.454405, the right side 0.0531904
    """
    for trial in range(trials):
        rng = np.random.default_rng([seed, trial])
        args = [rng.standard_normal(shape)[()] if shape == () else rng.standard_normal(shape) for shape in shapes]
        left, right = np.asarray(lhs(*args)), np.asarray(rhs(*args))
        if left.shape != right.shape:
            raise AssertionError(f"the left side has shape {left.shape}, the right side {right.shape}")
        gap = np.abs(left - right)
        if not np.all(gap <= tol * (1 + np.max(np.abs(right), initial=0.0))):
            worst = np.unravel_index(np.argmax(gap), gap.shape)
            at = f" at index {tuple(map(int, worst))}" if worst else ""
            raise AssertionError(
                f"trial {trial} of seed {seed}: the left side is {left[worst]:.6g}, the right side"
                f" {right[worst]:.6g}{at}"
            )


def holds(
    lhs: Callable, rhs: Callable, *shapes: Sequence[int], seed: int = 0, trials: int = 5, tol: float = 1e-8
) -> bool:
    """Whether `verify` passes.

    >>> holds(lambda A, B: A @ B, lambda A, B: B @ A, (2, 2), (2, 2))
    False
    """
    try:
        verify(lhs, rhs, *shapes, seed=seed, trials=trials, tol=tol)
    except AssertionError:
        return False
    return True
