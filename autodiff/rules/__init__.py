"""Derivative rules, one table per family of NumPy functions. Importing this package fills the registry."""

from autodiff.registry import NON_DIFFERENTIABLE, REFUSED, REGISTRY
from autodiff.rules import (  # noqa: F401
    contraction,
    decompositions,
    elementwise,
    indexing,
    linalg,
    norms,
    numerical,
    reduction,
    shape,
    statistics,
)

__all__ = ["NON_DIFFERENTIABLE", "REFUSED", "REGISTRY"]
