"""The mechanism below the transformations: tapes, slots, accumulation, shapes and dtypes."""

import numpy as np
import pytest

from autodiff import DerivativeError, Primitive, Traced, check_grads, define, grad, jvp, linearize, vjp
from autodiff.core import AbstractArray, ReverseTrace, match, primal, zeros_like


def test_a_primitive_needs_both_rules():
    with pytest.raises(TypeError, match="needs a rule for both modes"):
        define("half", np.sin, jvp=None, vjp=lambda needs, g, out, x: (g,))
    with pytest.raises(TypeError, match="needs a rule for both modes"):
        Primitive("half", np.sin, lambda t, out, x: t[0], None)


def test_a_primitive_on_plain_values_is_its_implementation():
    double = define("double", lambda x: 2 * x, jvp=lambda t, out, x: 2 * t[0], vjp=lambda needs, g, out, x: (2 * g,))
    assert double(3.0) == 6.0 and type(double(3.0)) is float
    assert repr(double) == "<primitive double>"


def test_values_of_a_function_are_the_same_under_differentiation():
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)

    def f(x):
        return np.tanh(x @ x.T) / 2 + x[:, :1]

    np.testing.assert_array_equal(vjp(f, x)[0], f(x))
    np.testing.assert_array_equal(jvp(f, (x,), (x,))[0], f(x))


def test_rules_may_be_sloppy_about_broadcasting_and_dtype():
    """A cotangent is summed and cast to what its argument is, a tangent spread and cast to what its output is."""
    sloppy = define(
        "sloppy",
        lambda x, y: x + y,
        jvp=lambda t, out, x, y: np.float64(1.0) * sum(part for part in t if part is not None),
        vjp=lambda needs, g, out, x, y: (g.astype(np.float64), g),
    )
    x, y = np.ones((2, 3), np.float32), np.ones((3, 1, 1), np.float32)
    gx, gy = grad(lambda x, y: np.sum(sloppy(x, y)), argnums=(0, 1))(x, y)
    assert gx.shape == (2, 3) and gx.dtype == np.float32 and gx[0, 0] == 3
    assert gy.shape == (3, 1, 1) and gy.dtype == np.float32 and gy[0, 0, 0] == 6
    out, tangent = jvp(lambda x: sloppy(x, y), (x,), (x,))
    assert tangent.shape == out.shape == (3, 2, 3) and tangent.dtype == np.float32


def test_match_sums_over_broadcast_axes():
    g = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(match(g, np.zeros((3, 1))), g.sum((0, 2))[:, None])
    assert match(g, 0.0) == g.sum()
    np.testing.assert_array_equal(match(2.0, np.zeros((2, 2))), np.full((2, 2), 2.0))
    assert match(g, np.zeros((3, 4), np.float32)).dtype == np.float32


def test_python_numbers_do_not_widen_float32():
    x = np.ones(3, np.float32)
    out, pullback = vjp(lambda x, s: 2.0 * x * s + 1, x, 3.0)
    assert out.dtype == np.float32
    gx, gs = pullback(out)
    assert gx.dtype == np.float32 and gs.dtype == np.float64


def test_python_numbers_do_not_raise_where_numpy_does_not():
    with np.errstate(all="ignore"):
        assert grad(np.log)(0.0) == np.inf
        assert jvp(lambda x: 1 / x, (0.0,), (1.0,))[1] == -np.inf


fourier = define(
    "fourier",
    lambda x: np.fft.fft(x),
    jvp=lambda t, out, x: np.fft.fft(t[0]),
    vjp=lambda needs, g, out, x: (np.real(np.fft.fft(g)),),
)
halves = define(
    "halves",
    lambda x: (x / 2, x * 0.5j),
    jvp=lambda t, out, x: (t[0] / 2, t[0] * 0.5j),
    vjp=lambda needs, g, out, x: (np.real(g[0] / 2 - 0.5j * g[1]),),
)


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda x: np.real((x + 1j) ** 2), "add"),
        (lambda x: np.imag((x + 1j) ** 2), "add"),
        (lambda x: np.abs(1j * x), "multiply"),
        (lambda x: np.angle(x + np.ones(2) * 1j), "add"),
        (lambda x: np.sum(np.exp(1j * x) * np.exp(-1j * x)), "multiply"),
        (lambda x: np.where(x > 0, x, 1j), "where"),
        (lambda x: np.real(np.array([[1j, 1.0]]) @ x), "matmul"),
        (lambda x: np.real(np.complex64(1j) * x.astype(np.float32)), "multiply"),
        (lambda x: np.real(fourier(x)), "fourier"),
        (lambda x: np.real(halves(x)[1]), "halves"),
        (lambda x: np.real(grad(lambda y: np.sum(y * x))(x) * 1j), "multiply"),
    ],
)
def test_complex_intermediates_are_refused_in_every_mode(f, name):
    x = np.ones(2)
    for call in (
        lambda: vjp(f, x),
        lambda: jvp(f, (x,), (x,)),
        lambda: linearize(f, x),
        lambda: jvp(lambda x: jvp(f, (x,), (x,))[1], (x,), (x,)),
        lambda: vjp(lambda x: vjp(f, x)[0], x),
    ):
        with pytest.raises(DerivativeError, match=f"'{name}' gave a complex value; only real ones are differentiated"):
            call()


def test_complex_tangents_and_cotangents_are_refused():
    with pytest.raises(DerivativeError, match="is complex"):
        jvp(np.sin, (1.0,), (1j,))
    with pytest.raises(DerivativeError, match="is complex"):
        vjp(np.sin, 1.0)[1](1j)


def test_complex_constants_that_meet_no_traced_value_are_fine():
    c = np.array([3.0 + 4.0j])
    assert grad(lambda x: np.sum(np.abs(c) * x * np.imag(c)))(2.0) == 20.0


def test_a_rule_with_the_wrong_number_of_cotangents_is_named():
    wrong = define("wrong", lambda x, y: x, jvp=lambda t, out, x, y: t[0], vjp=lambda needs, g, out, x, y: (g,))
    with pytest.raises(DerivativeError, match="'wrong' returned 1 cotangents for 2 arguments"):
        grad(wrong)(1.0, 2.0)


def test_a_rule_with_the_wrong_number_of_tangents_is_named():
    rules = {"jvp": lambda t, out, x: (t[0],), "vjp": lambda needs, g, out, x: (g[0] + g[1],)}
    wrong = define("wrong", lambda x: (x, x), **rules)
    with pytest.raises(DerivativeError, match="'wrong' returned 1 tangents for 2 outputs"):
        jvp(wrong, (1.0,), (1.0,))


def test_none_in_a_reverse_rule_means_zero():
    f = define("first", lambda x, y: x, jvp=lambda t, out, x, y: t[0], vjp=lambda needs, g, out, x, y: (g, None))
    assert grad(f, argnums=(0, 1))(1.0, 2.0) == (1.0, 0.0)


def test_what_no_rule_reads_is_not_kept():
    seen = []

    def vjp_rule(needs, g, out, x):
        seen.append((type(x), type(out), x.shape, x.dtype, x.ndim, x.size))
        return (g,)

    arguments = (lambda x: x * 1.0, lambda t, out, x: t[0], vjp_rule)
    x = np.ones((20, 20), np.float32)
    grad(lambda x: np.sum(Primitive("neither", *arguments, reads=())(x)))(x)
    grad(lambda x: np.sum(Primitive("both", *arguments)(x)))(x)
    assert seen[0] == (AbstractArray, AbstractArray, (20, 20), np.float32, 2, 400)
    assert seen[1][:2] == (np.ndarray, np.ndarray)


def test_a_rule_that_reads_more_than_it_said_is_told():
    rules = {"jvp": lambda t, out, x: t[0] * x, "vjp": lambda needs, g, out, x: (g * x,)}
    liar = Primitive("liar", lambda x: x * x / 2, **rules, reads=["out"])
    with pytest.raises(DerivativeError, match="`reads` leaves out"):
        grad(lambda x: np.sum(liar(x)))(np.ones(1000))
    with pytest.raises(DerivativeError, match="`reads` leaves out"):
        check_grads(liar, (np.ones(3),))


def test_a_small_array_stays_on_the_tape_but_keeps_no_large_one_alive():
    trace = ReverseTrace("test")
    small, large = np.ones(3), np.ones(1000)
    assert trace.unread(small) is small
    assert type(trace.unread(large)) is type(trace.unread(large[:3])) is AbstractArray


def test_the_tape_is_in_order_of_computation():
    trace = ReverseTrace("test")
    x = trace.new(2.0)
    y = x * x + x
    trace.closed = True
    assert [entry[0].name for entry in trace.tape] == ["multiply", "add"]
    assert y.handle == 2 and trace.slots == 3
    assert trace.backward([(y.handle, 1.0)])[x.handle] == 5.0
    assert trace.forward([(x.handle, 1.0)])[y.handle] == 5.0
    assert len(trace.tape) == 2
    trace.backward([(y.handle, 1.0)], release=True)
    assert not trace.tape


def test_levels_not_depth_decide_which_trace_is_innermost():
    outer, inner = ReverseTrace("outer"), ReverseTrace("inner")
    a, b = outer.new(2.0), inner.new(3.0)
    product = a * b
    assert inner.owns(product) and outer.owns(product.primal) and primal(product) == 6.0
    assert outer.owns(a * 1.0) and inner.owns(b * 1.0) and not outer.owns((b * 1.0).primal)


def test_zeros_are_plain():
    trace = ReverseTrace("test")
    assert type(zeros_like(trace.new(np.ones(2, np.float32)))) is np.ndarray
    assert type(zeros_like(trace.new(1.0))) is np.float64


def test_applying_without_traced_arguments_records_nothing():
    calls = []
    p = Primitive("p", lambda x: calls.append(x), lambda *a: None, lambda *a: None)
    p.apply((1,), {})
    assert calls == [1]


def test_traced_values_show_what_they_are():
    shown = []
    grad(lambda x: shown.append(repr(x)) or x)(2.0)
    assert shown == ["Traced(2.0)"]
    assert Traced.__slots__ == ("handle", "owner", "primal")
