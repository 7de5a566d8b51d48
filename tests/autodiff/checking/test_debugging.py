"""debug_nans: the operator, the line, the direction and the index of the first bad number."""

import contextvars
import inspect

import numpy as np
import pytest

from autodiff import check_grads, debug_nans, grad, hessian, jvp, vjp


def line_of(function, text):
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, line in enumerate(lines) if text in line)


def test_a_bad_value_names_operator_and_line():
    def f(x):
        y = x - 1.0
        z = np.log(y)
        return np.sum(z)

    with debug_nans(), pytest.raises(FloatingPointError) as failure:
        grad(f)(np.array([2.0, 0.5]))
    message = str(failure.value)
    assert message.startswith("the value of 'log' is nan at index (1,), called at ")
    assert message.endswith(f"{__file__}:{line_of(f, 'np.log')}")


def test_a_bad_cotangent_names_operator_and_line():
    def f(x):
        y = x * 0.0
        return np.sum(np.power(y, 0.5))  # its value is fine, its derivative at 0 is not

    with debug_nans(), pytest.raises(FloatingPointError) as failure:
        grad(f)(np.ones(2))
    message = str(failure.value)
    assert message.startswith("the cotangent for argument 0 of 'power' is inf at index (0,)")
    assert message.endswith(f"{__file__}:{line_of(f, 'np.power')}")


def test_forward_mode_and_higher_orders():
    f = lambda x: x**0.5  # noqa: E731
    with debug_nans(), pytest.raises(FloatingPointError, match="the tangent of 'power' is inf"):
        jvp(f, (0.0,), (1.0,))
    with debug_nans(), pytest.raises(FloatingPointError, match="'power'"):
        grad(grad(f))(0.0)


def test_results_do_not_change():
    with debug_nans():
        check_grads(lambda x: np.sin(x) @ x, (np.ones(3),))
        np.testing.assert_allclose(hessian(lambda x: np.sum(x**3))(np.ones(2)), 6 * np.eye(2))


def test_the_setting_ends_with_the_block_and_belongs_to_the_context():
    with np.errstate(all="ignore"):
        with debug_nans():
            elsewhere = contextvars.Context()
            elsewhere.run(np.seterr, all="ignore")
            assert np.isnan(elsewhere.run(lambda: vjp(lambda x: np.log(x - 1), 0.5)[0]))
        assert np.isnan(vjp(lambda x: np.log(x - 1), 0.5)[0])
        with pytest.raises(RuntimeError), debug_nans():
            raise RuntimeError
        assert np.isnan(vjp(lambda x: np.log(x - 1), 0.5)[0])
