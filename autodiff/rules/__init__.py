"""Derivative rules, one table per family of NumPy functions. Importing this package fills the registry."""

from . import contraction, elementwise, indexing, reduction, shape  # noqa: F401
from .families import NON_DIFFERENTIABLE, REGISTRY

__all__ = ["NON_DIFFERENTIABLE", "REGISTRY"]
