"""The tables of both modes, and the paths of the total derivative."""

import numpy as np
import pytest

from autodiff import DerivativeError, grad
from autodiff.calculus import forward_table, paths, reverse_table


def two_layers(x, w):
    return np.sum(np.tanh(w @ x) ** 2)


X, W = np.array([0.5, -1.0]), np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])


def test_tables_of_array_functions_agree_with_the_gradient():
    gx, gw = grad(two_layers, argnums=(0, 1))(X, W)
    adjoints = {row[0].split(" ")[0]: row[3] for row in reverse_table(two_layers, X, W).rows}
    np.testing.assert_allclose(adjoints["x"], gx)
    np.testing.assert_allclose(adjoints["w"], gw)
    rows = forward_table(two_layers, X, W, direction=(np.ones(2), np.zeros((3, 2)))).rows
    assert rows[-1][3] == pytest.approx(np.sum(gx))
    np.testing.assert_allclose(paths(two_layers, X, W).total, gx)
    np.testing.assert_allclose(paths(two_layers, X, W, argnum=1).total, gw)


def test_forward_table_of_several_arguments_seeds_the_first():
    rows = forward_table(lambda x, y: x * y, 3.0, 5.0).rows
    assert [row[3] for row in rows] == [1.0, 0.0, 5.0]
    assert rows[-1][2] == "y·x' + x·y'"


@pytest.mark.parametrize(
    ("f", "rule"),
    [
        (lambda x: x**3, "3·x^2·x'"),
        (lambda x: 2.0 - x, "-x'"),
        (lambda x: 1.0 / x, "-1/x²·x'"),
        (lambda x: np.sqrt(x), "1/(2·u1)·x'"),
        (lambda x: np.tanh(x), "(1-u1²)·x'"),
        (lambda x: np.arctan(x), "∂u1/∂x·x'"),
    ],
)
def test_rules_are_written_as_in_the_lectures(f, rule):
    assert forward_table(f, 2.0).rows[-1][2] == rule


def test_reverse_table_of_a_subtraction():
    assert reverse_table(lambda x, y: x * x - y, 3.0, 5.0).rows[-2:] == [
        ("y", 5.0, "-ū2", -1.0),
        ("x", 3.0, "ū1·x + ū1·x", 6.0),
    ]


def test_columns_are_aligned_with_letters_that_have_combining_marks():
    lines = str(reverse_table(lambda x: np.sin(x), 1.0)).splitlines()
    assert lines[0].split() == ["variable", "value", "rule", "adjoint"]
    assert len({line.index(part) for line, part in zip(lines[1:], ("seed", "ū1·cos"), strict=True)}) == 1


def test_paths_are_counted_and_bounded():
    def doubling(x):
        for _ in range(6):
            x = x + x
        return x

    found = paths(doubling, 1.0)
    assert len(found.paths) == 64 and found.total == 64.0
    with pytest.raises(DerivativeError, match="more than 50 paths"):
        paths(doubling, 1.0, most=50)


def test_paths_of_a_constant_function():
    with pytest.raises(DerivativeError, match="one output that depends on its arguments"):
        paths(lambda x: 3.0, 1.0)
