"""The derivative in its layouts, as a limit, as a linear form, and as a scale of volumes."""

import numpy as np
import pytest

from autodiff.calculus import D, difference_table, differential, volume_scale


def test_whole_numbers_and_lists_are_taken_for_real_numbers():
    assert D(lambda x: x**2)(3) == 6.0
    np.testing.assert_array_equal(D(lambda x: x @ x)([1, 2]), [[2.0, 4.0]])
    assert volume_scale(lambda p: p * 2, [1, 2, 3]) == pytest.approx(8.0)


def test_layout_of_vectors_of_length_one_and_zero():
    assert D(lambda x: x)(np.ones(1)).shape == (1, 1)
    assert D(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert D(np.sum)(np.zeros(0)).shape == (1, 0)


def test_other_arguments_are_held_constant_and_derivatives_nest():
    assert D(lambda x, y: x**2 * y, 1)(3.0, 5.0) == 9.0
    assert D(D(np.sin))(0.5) == pytest.approx(-np.sin(0.5))
    assert D(D(lambda x: x[0] ** 2 * x[1]))(np.ones(2)).shape == (1, 2, 2)


def test_difference_table_shows_the_valley():
    errors = [row[2] for row in difference_table(np.sin, 1.0).rows]
    assert 0 < errors.index(min(errors)) < len(errors) - 1  # neither the largest nor the smallest step is best


def test_differential_of_a_vector_function_argument():
    u, du = differential(lambda x: x @ x, np.array([1.0, 2.0]))
    np.testing.assert_array_equal(u, [2.0, 4.0])
    assert du(np.array([0.5, 0.5])) == 3.0
