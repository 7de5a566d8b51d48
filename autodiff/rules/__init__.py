"""Derivative rules, one table per family of NumPy functions. Importing this package fills the registry."""

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
from autodiff.rules.families import NON_DIFFERENTIABLE, REFUSED, REGISTRY

__all__ = ["NON_DIFFERENTIABLE", "REFUSED", "REGISTRY"]
