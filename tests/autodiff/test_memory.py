"""Memory: no growth, no cycles, release in step with the backward pass, nothing kept that no rule reads."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

from autodiff import checkpoint, define, grad, hessian, jacobian, jvp, linearize, value_and_grad, vjp

MEGABYTE = 2**20
BIG = np.ones(MEGABYTE // 8)


@pytest.fixture
def traced_memory():
    """Bytes allocated since the test began: now, and at most."""
    gc.collect()
    tracemalloc.start()
    yield tracemalloc.get_traced_memory
    tracemalloc.stop()


def test_ten_thousand_gradients_leave_nothing_behind(traced_memory):
    x = np.linspace(0, 1, 8)
    f = value_and_grad(lambda p, y: np.sum(np.tanh(p["w"] * y + p["b"]) ** 2))
    parameters = {"w": x, "b": 0.5}
    gc.disable()  # what is left then would be reference cycles
    try:
        for _ in range(100):
            f(parameters, x)
        before = traced_memory()[0]
        for _ in range(10_000):
            f(parameters, x)
        assert traced_memory()[0] - before < 20_000
    finally:
        gc.enable()


def test_no_reference_cycles():
    def everything(x):
        f = lambda x: np.sum(np.sin(x) * x)  # noqa: E731
        hessian(f)(x), jacobian(np.sin)(x), vjp(f, x)[1](1.0), jvp(f, (x,), (x,)), linearize(f, x)[1](x)
        grad(checkpoint(f))(x)

    everything(np.ones(3))
    gc.collect()
    gc.disable()
    try:
        everything(np.ones(3))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_no_memory_is_kept_after_an_exception(traced_memory):
    def f(x):
        y = np.exp(x * x)
        raise ArithmeticError(y is None)

    before = traced_memory()[0]
    for _ in range(5):
        with pytest.raises(ArithmeticError):
            grad(f)(BIG)
    gc.collect()
    assert traced_memory()[0] - before < MEGABYTE / 2


def test_entries_are_released_as_the_backward_pass_goes():
    alive = []
    saved: list[weakref.ref] = []

    def vjp_rule(needs, g, out, x):
        alive.append(sum(ref() is not None for ref in saved))
        return (g * out,)

    step = define("step", lambda x: np.exp(-x), jvp=lambda t, out, x: -t[0] * out, vjp=vjp_rule)

    def f(x):
        for _ in range(5):
            x = step(x)
            saved.append(weakref.ref(x.primal))
        return np.sum(x)

    grad(f)(BIG)
    assert alive == [5, 4, 3, 2, 1]


def test_linear_operations_keep_no_arrays(traced_memory):
    def f(x):
        for _ in range(10):
            x = -(x + 1.0).reshape(-1)
        return np.sum(x)

    before = traced_memory()[0]
    _, pullback = vjp(f, BIG)
    assert traced_memory()[0] - before < MEGABYTE
    np.testing.assert_array_equal(pullback(1.0)[0], np.ones_like(BIG))


def test_functions_of_their_output_do_not_keep_their_argument(traced_memory):
    before = traced_memory()[0]
    pullback = vjp(lambda x: np.exp(x + 1.0), BIG)[1]  # x + 1 is read by no rule; exp(x + 1) is
    assert traced_memory()[0] - before < 1.5 * MEGABYTE
    del pullback


def test_checkpoint_trades_memory_for_time(traced_memory):
    def block(x):
        for _ in range(10):
            x = np.sin(x)
        return x

    def peak_of(wrap):
        start = traced_memory()[0]
        tracemalloc.reset_peak()
        grad(lambda x: np.sum(wrap(block)(wrap(block)(wrap(block)(wrap(block)(x))))))(BIG)
        return (traced_memory()[1] - start) / MEGABYTE

    assert peak_of(lambda f: f) > 38
    assert peak_of(checkpoint) < 20


def test_fan_out_accumulates_in_place(traced_memory):
    """A hundred cotangents of one value need a few arrays, and one pass over memory each."""

    def f(x):
        y = x * 1.0
        total = 0.0
        for k in range(100):
            total = total + np.sum(y * float(k))
        return total

    start = traced_memory()[0]
    tracemalloc.reset_peak()
    g = grad(f)(BIG)
    assert g[0] == 4950.0
    assert (traced_memory()[1] - start) / MEGABYTE < 8
