"""The price of differentiation per operation, on arrays so small that nothing else counts."""

import gc
import time

import numpy as np
import pytest

from autodiff import grad, jvp, vjp

OPERATIONS = 500
x = np.ones(4)


def best_time(function, repeats=40):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.fixture(scope="module")
def slowness():
    """How much slower than the machine of the budget this one runs plain Python, at least 1."""

    def loop():
        items = []
        for i in range(10_000):
            items.append((i, str))

    return max(1.0, best_time(loop) / 0.5e-3)


def repeated(operation):
    def f(y):
        for _ in range(OPERATIONS):
            y = operation(y)
        return y

    return f


@pytest.mark.parametrize(
    "operation", [lambda y: y * y, lambda y: y + 1.0, np.sin, np.tanh], ids=["mul", "add", "sin", "tanh"]
)
def test_recording_costs_at_most_two_and_a_half_microseconds(operation, slowness):
    f = repeated(operation)
    assert best_time(lambda: vjp(f, x)) / OPERATIONS < 2.5e-6 * slowness
    _, pullback = vjp(f, x)
    assert best_time(lambda: pullback(x)) / OPERATIONS < 3.5e-6 * slowness
    assert best_time(lambda: jvp(f, (x,), (x,))) / OPERATIONS < 4e-6 * slowness


def test_a_small_gradient(slowness):
    g = grad(lambda y: np.sum(np.tanh(y) * y))
    assert best_time(lambda: [g(x) for _ in range(50)]) / 50 < 50e-6 * slowness


def test_time_grows_with_the_length_of_the_tape_and_no_faster():
    def seconds(n):
        def f(y):
            total = y
            for _ in range(n):
                total = total + y * 0.5
            return np.sum(total)

        return best_time(lambda: grad(f)(x), repeats=10)

    gc.disable()  # its own time grows with all objects alive in the process
    try:
        assert seconds(8000) < 24 * seconds(1000)  # quadratic would be 64 times
    finally:
        gc.enable()
