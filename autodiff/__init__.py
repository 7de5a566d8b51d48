"""Automatic differentiation of plain NumPy code, in forward and reverse mode, to any order.

>>> import numpy as np
>>> from autodiff import grad
>>> grad(lambda x: np.sum(np.sin(x) ** 2))(np.array([0.0, np.pi / 4]))
array([0., 1.])

`autodiff.calculus` has the learner's view: derivatives as matrices, tables, paths and drawings. `docs/tour.md` walks
through it.
"""

from autodiff.checking import check_grads, debug_nans, numerical_jacobian
from autodiff.core import DerivativeError, Primitive, Traced
from autodiff.custom_operators import FUSED, fused
from autodiff.operands import array
from autodiff.registry import implements
from autodiff.rules.families import bilinear, binary, define, linear, unary
from autodiff.rules.indexing import at
from autodiff.transforms import (
    checkpoint,
    elementwise_grad,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
)

__all__ = [
    "FUSED",
    "DerivativeError",
    "Primitive",
    "Traced",
    "array",
    "at",
    "bilinear",
    "binary",
    "check_grads",
    "checkpoint",
    "debug_nans",
    "define",
    "elementwise_grad",
    "fused",
    "grad",
    "hessian",
    "hvp",
    "implements",
    "jacobian",
    "jvp",
    "linear",
    "linearize",
    "numerical_jacobian",
    "stop_gradient",
    "unary",
    "value_and_grad",
    "vjp",
]
