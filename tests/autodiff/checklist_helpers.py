"""What the tests of the checklist share: random numbers; derivatives against closed forms and differences."""

import numpy as np

from autodiff import numerical_jacobian
from autodiff.calculus import D

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape) if shape else float(rng.standard_normal())


def agree(f, closed, *args, argnum=0, rtol=1e-9):
    """D(f) in numerator layout equals the closed form, in shape and in value, and both equal central differences."""
    found = np.asarray(D(f, argnum)(*args))
    wanted = np.asarray(closed(*args) if callable(closed) else closed)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-12)

    def of_one(x):
        return np.asarray(f(*args[:argnum], x, *args[argnum + 1 :]))

    differences = numerical_jacobian(of_one, args[argnum])
    np.testing.assert_allclose(found, differences.reshape(found.shape), rtol=1e-6, atol=1e-7)
