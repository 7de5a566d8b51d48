"""The transformations: their answers against closed forms, their edge cases, and every way of nesting them."""

import collections
import dataclasses
import itertools

import numpy as np
import pytest

import autodiff
from autodiff import (
    check_grads,
    elementwise_grad,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    numerical_jacobian,
    stop_gradient,
    value_and_grad,
    vjp,
)

rng = np.random.default_rng(0)
A = rng.standard_normal((3, 4))
x4 = rng.standard_normal(4)


def f(x):
    """A scalar function of a vector with a dense Hessian."""
    return np.sum(np.tanh(A @ x) ** 2) + np.exp(x[0] * x[1])


# -- answers -----------------------------------------------------------------------------------------------------------


def test_gradient_equals_differences():
    np.testing.assert_allclose(grad(f)(x4), numerical_jacobian(f, x4), rtol=1e-8)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobian_equals_differences(mode):
    def g(x):
        return np.sin(A @ x).reshape(1, 3) * x[:2].reshape(2, 1)

    found = jacobian(g, mode=mode)(x4)
    assert found.shape == (2, 3, 4)
    np.testing.assert_allclose(found, numerical_jacobian(g, x4), rtol=1e-7)


def test_jacobian_runs_the_function_once():
    runs = []

    def g(x):
        runs.append(1)
        return A @ x

    for mode in ("forward", "reverse"):
        runs.clear()
        jacobian(g, mode=mode)(x4)
        assert len(runs) == 1


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobian_of_trees(mode):
    def g(p, q):
        return {"sum": p["a"] + q, "number": p["b"] * np.sum(q)}

    p, q = {"a": np.ones(2), "b": np.float64(3.0)}, np.array([1.0, 2.0])
    found = jacobian(g, argnums=(0, 1), mode=mode)(p, q)
    by_p, by_q = found["sum"]
    np.testing.assert_array_equal(by_p["a"], np.eye(2))
    np.testing.assert_array_equal(by_p["b"], np.zeros(2))
    np.testing.assert_array_equal(by_q, np.eye(2))
    assert found["number"][0]["b"] == 3.0
    np.testing.assert_array_equal(found["number"][1], [3.0, 3.0])


def test_hessian_and_hvp():
    H = hessian(f)(x4)
    np.testing.assert_allclose(H, numerical_jacobian(grad(f), x4), rtol=1e-7)
    np.testing.assert_allclose(H, H.T, rtol=1e-12)
    v = rng.standard_normal(4)
    np.testing.assert_allclose(hvp(f, x4, v), H @ v, rtol=1e-12)


def test_hessian_of_two_arguments_is_a_block_matrix():
    blocks = hessian(lambda x, y: np.sum(x) ** 2 * y, argnums=(0, 1))(np.ones(2), 3.0)
    np.testing.assert_array_equal(blocks[0][0], np.full((2, 2), 6.0))
    np.testing.assert_array_equal(blocks[0][1], [4.0, 4.0])
    np.testing.assert_array_equal(blocks[1][0], [4.0, 4.0])
    assert blocks[1][1] == 0.0


def test_linearize_is_the_tangent_map_and_runs_the_function_once():
    runs = []

    def g(x, y):
        runs.append(1)
        return np.sin(x) * y

    out, pushforward = linearize(g, x4, 2.0)
    np.testing.assert_array_equal(out, np.sin(x4) * 2.0)
    for _ in range(3):
        dx, dy = rng.standard_normal(4), rng.standard_normal()
        np.testing.assert_allclose(pushforward(dx, dy), jvp(lambda x, y: np.sin(x) * y, (x4, 2.0), (dx, dy))[1])
    assert len(runs) == 1


def test_elementwise_grad():
    np.testing.assert_allclose(elementwise_grad(np.tanh)(x4), 1 - np.tanh(x4) ** 2)
    second = elementwise_grad(elementwise_grad(np.sin))
    np.testing.assert_allclose(second(x4), -np.sin(x4))


def test_value_and_grad_with_aux_and_several_argnums():
    def g(x, y, scale=1.0):
        product = x * y * scale
        return np.sum(product), {"product": product, "name": "aux"}

    (value, aux), (gx, gy) = value_and_grad(g, argnums=(0, -1), has_aux=True)(x4, 2.0, scale=3.0)
    assert value == pytest.approx(np.sum(x4 * 6))
    np.testing.assert_allclose(aux["product"], x4 * 6.0)
    assert type(aux["product"]) is np.ndarray and aux["name"] == "aux"
    np.testing.assert_allclose(gx, np.full(4, 6.0))
    assert gy == pytest.approx(np.sum(x4) * 3)
    gradient, aux = grad(g, has_aux=True)(x4, 2.0)
    np.testing.assert_allclose(gradient, np.full(4, 2.0))
    assert aux["name"] == "aux"


def test_vjp_and_jvp_with_aux():
    out, pullback, aux = vjp(lambda x: (x * x, x + 1), x4, has_aux=True)
    np.testing.assert_array_equal(aux, x4 + 1)
    np.testing.assert_array_equal(pullback(np.ones(4))[0], 2 * x4)
    out, tangent, aux = jvp(lambda x: (x * x, x + 1), (x4,), (np.ones(4),), has_aux=True)
    np.testing.assert_array_equal(out, x4 * x4)
    np.testing.assert_array_equal(tangent, 2 * x4)
    np.testing.assert_array_equal(aux, x4 + 1)


def test_a_pullback_can_be_called_any_number_of_times():
    _, pullback = vjp(lambda x: np.sin(x) * x, x4)
    first = pullback(np.ones(4))[0]
    pullback(np.zeros(4))
    np.testing.assert_array_equal(pullback(np.ones(4))[0], first)


# -- trees -------------------------------------------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "left right")


@dataclasses.dataclass(frozen=True)
class Layer:
    weight: np.ndarray
    bias: np.ndarray


def test_gradients_have_the_form_of_their_argument():
    parameters = {
        "layers": [Layer(A, np.zeros(3)), Layer(A.T, np.zeros(4))],
        "pair": Pair(1.0, (2.0, None)),
        "default": collections.defaultdict(float, z=3.0),
    }

    def loss(p):
        y = x4
        for layer in p["layers"]:
            y = np.tanh(layer.weight @ y + layer.bias)
        return np.sum(y) * p["pair"].left * p["pair"].right[0] + p["default"]["z"] ** 2

    g = grad(loss)(parameters)
    assert autodiff.tree.paths(g) == autodiff.tree.paths(parameters)
    assert isinstance(g["layers"][0], Layer) and g["layers"][0].weight.shape == A.shape
    assert isinstance(g["pair"], Pair) and g["pair"].right[1] is None
    assert isinstance(g["default"], collections.defaultdict) and g["default"]["z"] == 6.0
    check_grads(loss, (parameters,), order=1)


# -- edge cases of arguments and outputs -------------------------------------------------------------------------------


def test_scalars_of_every_kind():
    for x in (3.0, np.float64(3.0), np.array(3.0)):
        g = grad(lambda x: x * x)(x)
        assert g == 6.0 and np.shape(g) == () and g.dtype == np.float64
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        assert grad(lambda x: np.sin(x) * x)(dtype(2)).dtype == dtype


def test_empty_arrays():
    assert grad(np.sum)(np.zeros((0, 3))).shape == (0, 3)
    assert jacobian(lambda x: x * 2)(np.zeros(0)).shape == (0, 0)
    assert jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert hessian(np.sum)(np.zeros(0)).shape == (0, 0)


def test_functions_that_ignore_their_argument_have_a_zero_gradient():
    g = grad(lambda x, y: np.sum(y))(np.ones(3, np.float32), np.ones(2))
    np.testing.assert_array_equal(g, np.zeros(3))
    assert g.dtype == np.float32
    assert grad(lambda x: 5.0)(1.0) == 0.0
    assert grad(lambda x: 5)(1.0) == 0.0
    assert jvp(lambda x: 5.0, (1.0,), (1.0,)) == (5.0, 0.0)
    np.testing.assert_array_equal(jacobian(lambda x: np.ones(2))(np.ones(3)), np.zeros((2, 3)))


def test_an_argument_returned_as_it_is():
    pullback = vjp(lambda x: x, x4)[1]
    np.testing.assert_array_equal(pullback(x4)[0], x4)
    assert grad(lambda x: x)(2.0) == 1.0
    np.testing.assert_array_equal(jacobian(lambda x: x)(x4), np.eye(4))


def test_an_output_appearing_twice():
    def g(x):
        y = np.sin(x)
        return y, y, x

    _, pullback = vjp(g, x4)
    (cotangent,) = pullback((np.ones(4), 2 * np.ones(4), np.ones(4)))
    np.testing.assert_allclose(cotangent, 3 * np.cos(x4) + 1)
    check_grads(g, (x4,))


def test_an_argument_passed_twice():
    assert grad(lambda x, y: x * y, argnums=(0, 1))(3.0, 3.0) == (3.0, 3.0)


def test_one_value_used_many_times_accumulates():
    def g(x):
        y = x * 2
        return np.sum(sum(y * k for k in range(10)))

    np.testing.assert_array_equal(grad(g)(np.ones(3)), np.full(3, 90.0))


def test_gradients_belong_to_the_caller():
    """Writable, independent of each other and of the cotangent that was passed in."""
    ga, gb = grad(lambda a, b: np.sum(a + b), argnums=(0, 1))(np.ones(3), np.ones(3))
    ga += 1
    np.testing.assert_array_equal(gb, np.ones(3))
    seed = np.ones(3)
    (g,) = vjp(lambda x: x.reshape(3, 1), np.ones(3))[1](seed.reshape(3, 1))
    g += 1
    np.testing.assert_array_equal(seed, np.ones(3))


def test_gradients_do_not_write_into_arrays_of_the_function():
    c = np.ones(3)
    x = np.ones(3)
    grad(lambda x: np.sum((x + c) * c + x * c + x))(x)
    np.testing.assert_array_equal(c, np.ones(3))
    np.testing.assert_array_equal(x, np.ones(3))


# -- nesting -----------------------------------------------------------------------------------------------------------


def test_perturbation_confusion():
    """d/dx (x d/dy (x + y)) = 1, which an implementation that mixes up its levels answers with 2."""
    assert grad(lambda x: x * grad(lambda y: x + y)(2.0))(1.0) == 1.0
    assert jvp(lambda x: x * jvp(lambda y: x + y, (2.0,), (1.0,))[1], (1.0,), (1.0,))[1] == 1.0
    assert grad(lambda x: x * jvp(lambda y: x * y, (2.0,), (1.0,))[1])(3.0) == 6.0
    assert jvp(lambda x: x * grad(lambda y: x * y)(2.0), (3.0,), (1.0,))[1] == 6.0


def derivative_forward(f):
    return lambda x: jvp(f, (x,), (1.0,))[1]


def derivative_reverse(f):
    return lambda x: vjp(f, x)[1](1.0)[0]


@pytest.mark.parametrize("modes", list(itertools.product([derivative_forward, derivative_reverse], repeat=4)))
def test_fourth_derivative_in_every_mixture_of_modes(modes):
    g = lambda x: np.exp(2 * x) * x**3  # noqa: E731
    exact = np.exp(1.0) * (16 * 0.125 + 4 * 8 * 3 * 0.25 + 6 * 4 * 6 * 0.5 + 4 * 2 * 6)
    for mode in modes:
        g = mode(g)
    assert g(0.5) == pytest.approx(exact, rel=1e-12)


def test_a_high_order():
    g = np.sin
    for _ in range(7):
        g = grad(g)
    assert g(0.3) == pytest.approx(-np.cos(0.3), rel=1e-12)


def test_jvp_of_vjp_of_jvp():
    def inner(x):
        return jvp(lambda x: np.sin(x) * x, (x,), (x,))[1]

    def middle(x):
        return vjp(inner, x)[1](np.ones(4))[0]

    found = jvp(middle, (x4,), (np.ones(4),))[1]
    # inner = x (sin x + x cos x); its second derivative:
    np.testing.assert_allclose(found, 4 * np.cos(x4) - 5 * x4 * np.sin(x4) - x4**2 * np.cos(x4), rtol=1e-10)


def test_linearize_and_jacobian_inside_grad():
    assert grad(lambda x: linearize(lambda y: x * y**2, x)[1](1.0))(3.0) == pytest.approx(12.0)  # d/dx 2x^2
    assert grad(lambda x: np.sum(jacobian(lambda y: y**3)(x * np.ones(2))))(2.0) == pytest.approx(24.0)  # d/dx 6x^2
    assert grad(lambda x: np.sum(hessian(lambda y: np.sum(y**3) * x)(np.ones(2))))(2.0) == pytest.approx(12.0)
    np.testing.assert_allclose(jacobian(jacobian(lambda x: np.sin(x)))(x4[:1]), [[[-np.sin(x4[0])]]])


def test_a_traced_value_from_outside_is_a_constant_inside():
    found = grad(lambda x: np.sum(grad(lambda y: np.sum(y**2 * x))(x)))(np.array([1.0, 2.0]))
    np.testing.assert_allclose(found, [4.0, 8.0])  # 2 x^2


def test_stop_gradient_stops_all_levels():
    assert grad(grad(lambda x: stop_gradient(x) ** 2 * x))(3.0) == 0.0
    assert jvp(lambda x: stop_gradient({"a": x})["a"] * x, (3.0,), (1.0,))[1] == 3.0


def test_a_pullback_takes_a_python_number():
    for f in (lambda b: b @ b, lambda b: np.dot(b, b), np.sum, np.linalg.norm):
        pullback = vjp(f, np.arange(1.0, 4.0))[1]
        np.testing.assert_array_equal(pullback(2.0)[0], pullback(np.float64(2.0))[0])
