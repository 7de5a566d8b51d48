"""The checker: it passes what is right, and finds and names what is wrong."""

import numpy as np
import pytest

from autodiff import check_grads, define, numerical_jacobian

rng = np.random.default_rng(0)


def product(jvp_scale=1.0, vjp_scale=1.0, entry=None, shape=True, dtype=True):
    """x * y with a fault: a factor in one of the rules for y, or in one entry only, or a wrong shape or dtype."""

    def jvp(tangents, out, x, y):
        tx, ty = tangents
        return (0 if tx is None else tx * y) + (0 if ty is None else ty * x * jvp_scale)

    def vjp(needs, g, out, x, y):
        scale = np.full(np.shape(y), 1.0)
        scale.flat[slice(None) if entry is None else entry] = vjp_scale
        return g * y, g * x * scale

    return define("product", lambda x, y: x * y, jvp=jvp, vjp=vjp)


x, y = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_right_derivatives_pass(dtype):
    check_grads(product(), (x.astype(dtype), y.astype(dtype)))
    check_grads(lambda p: {"out": np.tanh(p["w"]) @ p["x"], "n": np.sum(p["x"] ** 2)}, ({"w": x, "x": y[0]},))


def test_third_order_and_single_modes():
    for modes in (["forward"], ["reverse"], ["forward", "reverse"]):
        check_grads(lambda x: np.sin(x) * np.exp(x), (x[0],), order=3, modes=modes, directions=1)


def test_a_wrong_reverse_rule_is_named_with_argument_and_entry():
    with pytest.raises(AssertionError) as failure:
        check_grads(product(vjp_scale=2.0, entry=4), (x, y), modes=["reverse"])
    message = str(failure.value)
    assert "reverse mode of product, direction 0 of seed 0" in message
    assert "by args[1], flat index 4, is" in message
    assert "central differences give" in message


def test_a_wrong_forward_rule_is_named():
    def scaled(p, q):
        return product(jvp_scale=1.001)(p, q["w"])

    with pytest.raises(AssertionError, match=r"forward mode of scaled.*by args\[1\]\['w'\], flat index"):
        check_grads(scaled, (x, {"w": y}))


def test_every_argument_is_checked():
    """The well-known trap: a checker that looks at the first argument only passes this."""
    with pytest.raises(AssertionError, match=r"args\[1\]"):
        check_grads(product(vjp_scale=-1.0), (x, y), modes=["reverse"])


def test_a_fault_of_second_order_is_found_and_named():
    wrong_second = define(
        "wrong_second",
        np.sin,
        jvp=lambda t, out, x: t[0] * np.cos(x),
        vjp=lambda needs, g, out, x: (g * wrong_cos(x),),
    )
    check_grads(wrong_second, (x,), order=1)
    with pytest.raises(AssertionError, match=r"the reverse derivative of wrong_second.*by args\[0\]"):
        check_grads(wrong_second, (x,), order=2)


wrong_cos = define(
    "wrong_cos", np.cos, jvp=lambda t, out, x: t[0] * np.sin(x), vjp=lambda needs, g, out, x: (g * np.sin(x),)
)


def test_a_small_error_is_caught_by_the_complex_step():
    """One part in ten million passes central differences, but not the exact derivative of an analytic function."""
    nearly = define(
        "nearly",
        np.sin,
        jvp=lambda t, out, x: t[0] * np.cos(x) * (1 + 1e-7),
        vjp=lambda needs, g, out, x: (g * np.cos(x) * (1 + 1e-7),),
    )
    with pytest.raises(AssertionError, match="forward mode of nearly"):
        check_grads(nearly, (x,), order=1)


def test_the_adjoint_identity_ties_the_modes_together():
    """Both rules within the tolerance of differences, but not of each other; abs keeps the complex step out."""
    apart = define(
        "apart",
        np.abs,
        jvp=lambda t, out, x: t[0] * np.sign(x) * (1 + 3e-7),
        vjp=lambda needs, g, out, x: (g * np.sign(x) * (1 - 3e-7),),
    )
    with pytest.raises(AssertionError, match=r"adjoint identity <u, Jv> = <J'u, v> fails for apart"):
        check_grads(apart, (x,), order=1)


def test_functions_that_are_not_analytic_are_fine():
    check_grads(lambda x: np.abs(x) + np.maximum(x, 0.1) + np.where(x > 0, x, 2 * x), (x,))


def test_values_that_are_not_floats_are_held_constant():
    check_grads(lambda x, i, flag: x[i] if flag else x, (x, 1, True))
    with pytest.raises(ValueError, match="at least one floating-point argument"):
        check_grads(lambda i: i, (1,))


def test_edge_cases():
    check_grads(lambda x: 3.0, (1.0,))
    check_grads(np.sum, (np.zeros((0, 2)),))
    check_grads(lambda x: (x, x, np.sum(x)), (x,))
    check_grads(lambda x: np.log(x), (np.array([1e-3, 1.0, 1e3]),))
    with pytest.raises(ValueError, match="modes is a sequence"):
        check_grads(np.sin, (1.0,), modes="forward")


def test_the_value_must_not_change_under_differentiation():
    f = lambda x: x if isinstance(x, np.ndarray) else x[:1]  # noqa: E731
    with pytest.raises(AssertionError, match=r"the value of output 0 has shape \(1,\).*expected shape \(3,\)"):
        check_grads(f, (np.ones(3),))


def test_numerical_jacobian():
    A = rng.standard_normal((3, 4))
    np.testing.assert_allclose(numerical_jacobian(lambda x: A @ x, np.ones(4)), A, rtol=1e-10)
    J = numerical_jacobian(lambda X: X @ X.T, A)
    assert J.shape == (3, 3, 3, 4)
    np.testing.assert_allclose(numerical_jacobian(np.exp, 1.0), np.e, rtol=1e-11)
