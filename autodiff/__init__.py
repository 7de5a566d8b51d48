"""Automatic differentiation of plain NumPy code, in forward and reverse mode, to any order.

>>> import numpy as np
>>> from autodiff import grad
>>> grad(lambda x: np.sum(np.sin(x) ** 2))(np.array([0.0, np.pi / 4]))
array([0., 1.])
"""

from . import numpy_protocol  # noqa: F401  (gives traced values their array behaviour)
from .core import DerivativeError, Primitive, Traced
from .fused import FUSED, fused
from .rules.families import bilinear, binary, define, implements, linear, unary
from .transforms import (
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
    "bilinear",
    "binary",
    "checkpoint",
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
    "stop_gradient",
    "unary",
    "value_and_grad",
    "vjp",
]
