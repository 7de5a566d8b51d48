"""Every form of x[...], functional updates, and the functions that move entries, with indices drawn at random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices, integer_array_indices

from autodiff import at, check_grads, grad, jvp

quick = settings(max_examples=30, deadline=None)
SHAPES = array_shapes(min_dims=1, max_dims=3, max_side=3)


@st.composite
def shape_and_index(draw):
    """A shape and an index of any kind: slices, integers, ellipsis, newaxis; integer arrays; a mask."""
    shape = draw(SHAPES)
    kind = draw(st.sampled_from(["basic", "arrays", "mask", "mixed"]))
    if kind == "basic":
        return shape, draw(basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if kind == "arrays":
        return shape, draw(integer_array_indices(shape, result_shape=array_shapes(max_dims=2, max_side=3)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if kind == "mask":
        return shape, rng.random(shape) < 0.5
    return shape, (rng.integers(-shape[0], shape[0], 4), Ellipsis)


def numbers(shape):
    return np.random.default_rng(0).standard_normal(shape)


@quick
@given(shape_and_index())
def test_taking(case):
    shape, index = case
    x = numbers(shape)
    np.testing.assert_array_equal(jvp(lambda x: x[index], (x,), (x,))[1], x[index])
    check_grads(lambda x: x[index], (x,), directions=1)


@quick
@given(shape_and_index())
def test_setting(case):
    shape, index = case
    x = numbers(shape)
    v = numbers(x[index].shape) + 1
    wanted = x.copy()
    wanted[index] = v
    np.testing.assert_array_equal(at(x)[index].set(v), wanted)
    check_grads(lambda x, v: at(x)[index].set(v), (x, v), directions=1)


@quick
@given(shape_and_index())
def test_adding_and_multiplying(case):
    shape, index = case
    x = numbers(shape)
    v = numbers(x[index].shape) + 1
    for update, ufunc in (("add", np.add), ("multiply", np.multiply)):
        wanted = x.copy()
        ufunc.at(wanted, index, v)
        np.testing.assert_allclose(getattr(at(x)[index], update)(v), wanted)
        check_grads(lambda x, v, update=update: getattr(at(x)[index], update)(v), (x, v), directions=1)


def test_updates_broadcast_and_keep_the_dtype():
    x = np.zeros((2, 3), np.float32)
    assert at(x)[0].set(1.5).dtype == np.float32
    gradient = grad(lambda v: np.sum(at(x)[:, 1].set(v) * 2))(3.0)
    assert gradient == 4.0
    assert at(np.zeros(3, int))[1].set(1.5).tolist() == [0.0, 1.5, 0.0]


def test_updates_leave_their_argument_alone():
    x = np.zeros(3)
    at(x)[0].set(1.0)
    at(x)[0].add(1.0)
    np.testing.assert_array_equal(x, np.zeros(3))


def test_a_plain_array_may_take_a_traced_value():
    assert grad(lambda v: np.sum(at(np.zeros(3))[1].set(v) ** 2))(3.0) == 6.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scattering_adds_what_was_taken_twice(dtype):
    gradient = grad(lambda x: np.sum(x[[0, 0, 2]]))(np.ones(3, dtype))
    np.testing.assert_array_equal(gradient, np.array([2, 0, 1], dtype))
    assert gradient.dtype == dtype


def test_index_out_of_bounds_is_the_error_of_numpy():
    with pytest.raises(IndexError, match="out of bounds"):
        grad(lambda x: x[5])(np.ones(3))


def test_unpacking_iterating_and_length():
    def f(x):
        a, b = x
        assert len(x) == 2
        return a * b + sum(x)

    np.testing.assert_array_equal(grad(f)(np.array([2.0, 5.0])), [6.0, 3.0])
