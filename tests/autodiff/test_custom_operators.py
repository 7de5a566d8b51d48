"""Checkpoints, custom operators and fused operators: in every mode and order, like any other function."""

import collections

import numpy as np
import pytest

import autodiff
from autodiff import DerivativeError, check_grads, checkpoint, define, grad, hessian, jacobian

rng = np.random.default_rng(0)
x4 = rng.standard_normal(4)


def test_checkpoint_gives_the_same_derivatives():
    def block(p, x, power=2):
        return {"out": np.tanh(p["w"] @ x) ** power, "norm": np.sum(x**2)}

    def loss(wrap):
        def of(p, x):
            y = wrap(block)(p, x, power=2)
            z = wrap(block)(p, y["out"])
            return np.sum(z["out"]) + y["norm"]

        return of

    W, x = {"w": rng.standard_normal((4, 4))}, x4
    plain = grad(loss(lambda f: f), argnums=(0, 1))(W, x)
    rerun = grad(loss(checkpoint), argnums=(0, 1))(W, x)
    np.testing.assert_allclose(rerun[0]["w"], plain[0]["w"], rtol=1e-12)
    np.testing.assert_allclose(rerun[1], plain[1], rtol=1e-12)
    check_grads(loss(checkpoint), (W, x), order=2, directions=1)


def test_checkpoint_nests_and_reruns():
    runs = []

    def g(x):
        runs.append(1)
        return np.sin(x)

    h = checkpoint(lambda x: checkpoint(g)(x) * 2)
    assert grad(h)(0.0) == 2.0
    assert len(runs) == 3  # the value; the rerun of h; the rerun of g in it
    assert grad(grad(h))(1.0) == pytest.approx(-2 * np.sin(1.0))
    np.testing.assert_allclose(hessian(lambda x: np.sum(checkpoint(np.exp)(x)))(x4), np.diag(np.exp(x4)))


def test_checkpoint_refuses_hidden_arguments():
    with pytest.raises(DerivativeError, match="pass it as an argument"):
        grad(lambda w: checkpoint(lambda x: x * w)(w))(2.0)


def test_checkpoint_of_nothing():
    assert grad(lambda x: (checkpoint(lambda x: {})(x), x)[1])(2.0) == 1.0
    assert grad(lambda x: checkpoint(lambda x: 3.0)(x))(2.0) == 0.0


def test_checkpoint_of_mixed_arguments():
    g = checkpoint(lambda x, i, name: (x[i], name))
    assert grad(lambda x: g(x, 2, "n")[0])(x4)[2] == 1.0


def test_a_custom_operator_in_every_mode():
    cube = define(
        "cube",
        lambda x: x**3,
        jvp=lambda tangents, out, x: tangents[0] * 3 * x**2,
        vjp=lambda needs, g, out, x: (g * 3 * x**2,),
    )
    check_grads(cube, (x4,), order=3)
    np.testing.assert_allclose(hessian(lambda x: np.sum(cube(x)))(x4), np.diag(6 * x4))


def test_a_custom_operator_with_several_outputs():
    def halves_vjp(needs, g, out, x):
        return (np.concatenate([g[0], g[1]]),)

    halves = define(
        "halves",
        lambda x: (x[:2], x[2:]),
        jvp=lambda tangents, out, x: (tangents[0][:2], tangents[0][2:]),
        vjp=halves_vjp,
    )
    check_grads(halves, (x4,))
    check_grads(lambda x: halves(x)[1] ** 2, (x4,))  # one output unused
    np.testing.assert_allclose(jacobian(lambda x: halves(x)[0], mode="forward")(x4), np.eye(2, 4))


def test_a_fused_operator_without_second_order_kernels_has_all_derivatives():
    calls = collections.Counter()

    def forward(x, scale):
        calls["forward"] += 1
        return np.sin(x) * scale, np.cos(x)

    def backward(needs, g, saved, x, scale):
        calls["backward"] += 1
        return g * saved * scale if needs[0] else None, np.sum(g * np.sin(x)) if needs[1] else None

    op = autodiff.fused("test_sine", reference=lambda x, scale: np.sin(x) * scale, forward=forward, backward=backward)
    try:
        scale = np.array(2.0)
        np.testing.assert_allclose(grad(lambda x: np.sum(op(x, scale)))(x4), np.cos(x4) * 2)
        assert calls == {"forward": 1, "backward": 1}
        check_grads(op, (x4, scale), order=3, directions=1)
        np.testing.assert_allclose(hessian(lambda x: np.sum(op(x, scale)))(x4), np.diag(-2 * np.sin(x4)))
        np.testing.assert_allclose(jacobian(lambda x: op(x, scale), mode="forward")(x4), np.diag(2 * np.cos(x4)))
        assert grad(grad(checkpoint(lambda x: np.sum(op(x * np.ones(3), scale)))))(1.0) == pytest.approx(-6 * np.sin(1))
        assert "test_sine" in autodiff.FUSED
        with pytest.raises(ValueError, match="exists already"):
            autodiff.fused("test_sine", reference=np.sin, forward=forward, backward=backward)
    finally:
        del autodiff.FUSED["test_sine"]


def test_a_fused_operator_may_have_a_value_that_keeps_nothing():
    calls = collections.Counter()

    def value(x):
        calls["value"] += 1
        return x**2

    def forward(x):
        calls["forward"] += 1
        return x**2, 2 * x

    op = autodiff.fused(
        "test_square",
        reference=lambda x: x**2,
        forward=forward,
        backward=lambda needs, g, slope, x: (g * slope,),
        value=value,
    )
    try:
        np.testing.assert_allclose(op(x4), x4**2)
        assert calls == {"value": 1}
        np.testing.assert_allclose(grad(lambda x: np.sum(op(x)))(x4), 2 * x4)
        assert calls == {"value": 1, "forward": 1}
    finally:
        del autodiff.FUSED["test_square"]


def test_a_fused_operator_carries_example_arguments():
    parts = {"reference": lambda x, power: x**power, "forward": lambda x, power: (x**power, x)}
    parts["backward"] = lambda needs, g, saved, x, power: (g * power * x ** (power - 1),)
    try:
        op = autodiff.fused("test_power", **parts, example=lambda: ([np.ones(2)], {"power": 3}))
        args, params = op.example()
        np.testing.assert_array_equal(op(*args, **params), np.ones(2))
        check_grads(lambda *args: op(*args, **params), args)
        without = autodiff.fused("test_bare", **parts)
        with pytest.raises(LookupError, match=r"'test_bare' has no example arguments.*example="):
            without.example()
    finally:
        for name in ("test_power", "test_bare"):
            autodiff.FUSED.pop(name, None)
