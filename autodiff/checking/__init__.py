"""Tools that check derivatives: against differences, for NaN, and against the list of NumPy's functions."""

from autodiff.checking.debugging import debug_nans
from autodiff.checking.derivatives import check_grads, numerical_jacobian

__all__ = ["check_grads", "debug_nans", "numerical_jacobian"]
