"""Threads, exceptions and leaked values: one differentiation never disturbs another."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from autodiff import DerivativeError, debug_nans, grad, hessian, jvp, vjp


def test_nested_derivatives_in_many_threads():
    start = threading.Barrier(8)

    def work(seed):
        x = np.random.default_rng(seed).standard_normal(5)
        start.wait()
        for _ in range(20):
            H = hessian(lambda x: np.sum(np.sin(x)) ** 2)(x)
            s, c = np.sin(x), np.cos(x)
            np.testing.assert_allclose(H, 2 * np.outer(c, c) - np.diag(2 * np.sum(s) * s), atol=1e-12)
            assert grad(lambda x: x * grad(lambda y: x + y)(2.0))(1.0) == 1.0
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_debug_nans_in_one_thread_does_not_reach_another():
    inside, done = threading.Event(), threading.Event()

    def debugging():
        with debug_nans():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=debugging)
    thread.start()
    inside.wait(10)
    with np.errstate(all="ignore"):
        assert grad(lambda x: x / x * 0 + np.log(x - 1))(0.5) == -2.0  # a NaN value passes unremarked here
    done.set()
    thread.join()


def test_everything_works_after_exceptions():
    def broken(x):
        grad(lambda y: y * x)(2.0)
        raise KeyError

    for _ in range(3):
        for transformation in (
            lambda: grad(broken)(1.0),
            lambda: jvp(broken, (1.0,), (1.0,)),
            lambda: vjp(broken, 1.0),
        ):
            with pytest.raises(KeyError):
                transformation()
    assert grad(lambda x: x * grad(lambda y: x + y)(2.0))(1.0) == 1.0


def test_an_exception_caught_inside_the_function():
    def f(x):
        try:
            grad(lambda y: y.nothing)(x)
        except AttributeError:
            return x**2

    assert grad(f)(3.0) == 6.0


@pytest.mark.parametrize("mode", ["grad", "jvp"])
def test_a_leaked_value_is_refused(mode):
    leaked = []

    def f(x):
        leaked.append(x * 2)
        return x * 1.0

    if mode == "grad":
        grad(f)(1.0)
    else:
        jvp(f, (1.0,), (1.0,))
    expected = f"a value traced by {mode} was used in 'multiply' after {mode} had returned"
    with pytest.raises(DerivativeError, match=expected):
        leaked[0] * 2
    with pytest.raises(DerivativeError, match=expected):
        grad(lambda y: y * leaked[0])(1.0)


def test_a_leaked_value_is_refused_after_an_exception_too():
    leaked = []

    def f(x):
        leaked.append(x)
        raise KeyError

    with pytest.raises(KeyError):
        grad(f)(1.0)
    with pytest.raises(DerivativeError, match="after grad had returned"):
        leaked[0] + 1
