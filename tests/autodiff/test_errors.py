"""The messages of the transformations: each says what was wrong and what to write instead."""

import numpy as np
import pytest

import autodiff
from autodiff import DerivativeError, grad, hessian, hvp, jacobian, jvp, linearize, value_and_grad, vjp

x = np.ones(3)


def refused(call, *fragments):
    with pytest.raises(DerivativeError) as failure:
        call()
    for fragment in fragments:
        assert fragment in str(failure.value), str(failure.value)


def test_all_messages_are_type_errors():
    assert issubclass(DerivativeError, TypeError)


@pytest.mark.parametrize("value", [3, True, np.arange(3), np.ones(2, np.uint8)], ids=str)
def test_integer_input(value):
    refused(lambda: grad(np.sum)(value), "grad: argument[0] is", "float(...) or .astype(float)")
    refused(lambda: jvp(np.sum, (value,), (value,)), "jvp: argument[0]", ".astype(float)")


def test_integer_leaf_is_named_by_its_path():
    refused(lambda: grad(lambda p: p["a"])({"a": 1.0, "sizes": [2.0, 3]}), "argument[0]['sizes'][1] is int64")


def test_input_that_is_not_a_number():
    refused(lambda: grad(lambda p: p[0])((1.0, "name")), "argument[0][1]", "only real floating-point values")
    refused(lambda: grad(lambda z: z)(1j), "complex128; only real floating-point values")


def test_non_scalar_output_of_grad():
    refused(
        lambda: grad(lambda x: x * 2)(x),
        "grad takes a function that returns a scalar; it returned an array of shape (3,)",
        "np.sum",
        "jacobian",
    )
    refused(lambda: grad(lambda x: (np.sum(x), x))(x), "it returned a tuple", "has_aux=True")
    refused(lambda: grad(lambda x: None)(x), "it returned None (is a return statement missing?)")
    refused(lambda: grad(lambda x: np.sum(x, keepdims=True))(x), "an array of shape (1,)")


def test_aux_misuse():
    refused(
        lambda: grad(np.sum, has_aux=True)(x), "has_aux=True takes a function that returns (value, aux)", "shape ()"
    )
    refused(lambda: vjp(lambda x: [x, x], x, has_aux=True), "it returned a list")
    refused(lambda: value_and_grad(lambda x: (x, x, x), has_aux=True)(x), "it returned a tuple")


def test_wrong_argnums():
    f = lambda x, y: np.sum(x * y)  # noqa: E731
    refused(lambda: grad(f, argnums=2)(x, x), "grad with respect to argument 2", "called with 2 positional")
    refused(
        lambda: grad(f)(x=x, y=x), "called with 0 positional arguments; arguments given by keyword are held constant"
    )
    refused(lambda: grad(f, argnums="x")(x, x), "the position of an argument or a tuple of positions, not 'x'")
    refused(lambda: grad(f, argnums=(0, 1.0))(x, x), "not (0, 1.0)")
    refused(lambda: jacobian(f, argnums=(0, -2))(x, x), "names an argument twice")
    assert grad(f, argnums=np.int64(1))(x, x).shape == (3,)


def test_wrong_cotangents():
    pullback = vjp(lambda x: {"a": x, "b": np.sum(x)}, x)[1]
    refused(
        lambda: pullback({"a": np.ones(2), "b": 1.0}), "a cotangent has the shape of its output", "['a'] has shape (3,)"
    )
    refused(
        lambda: pullback(np.ones(3)),
        "takes a cotangent of the same structure as the output",
        "got 1 leaves (one array)",
    )
    refused(lambda: vjp(np.sin, x)[1]([1.0, 0.0, 0.0]), "expected 1 leaves (one array), got 3 leaves")


def test_wrong_tangents():
    refused(lambda: jvp(np.sin, x, x), "jvp takes its args as a tuple", "jvp(f, (x,), (v,))")
    refused(lambda: jvp(np.sin, (x,), x), "jvp takes its tangents as a tuple")
    refused(
        lambda: jvp(np.sin, (x,), (1.0,)), "a tangent has the shape of its argument: argument[0] has shape (3,), got ()"
    )
    refused(lambda: jvp(np.sin, (x,), (x, x)), "expected 1 leaves ([0]), got 2 leaves ([0], [1])")
    refused(lambda: linearize(np.sin, x)[1](np.ones(2)), "a tangent has the shape of its argument")
    refused(lambda: hvp(np.sum, x, np.ones(2)), "a tangent has the shape of its argument")


def test_wrong_mode():
    with pytest.raises(ValueError, match='"auto", "forward" or "reverse", not "both"'.replace('"both"', "'both'")):
        jacobian(np.sin, mode="both")


def test_hessian_of_a_vector_function():
    refused(lambda: hessian(np.sin)(x), "a scalar", "shape (3,)")


def test_missing_mode_at_definition():
    with pytest.raises(TypeError, match="needs a rule for both modes"):
        autodiff.define("f", np.sin, jvp=None, vjp=lambda needs, g, out, x: (g,))


def test_values_that_reach_an_operator_by_the_back_door():
    """A closure or a keyword would be taken for a constant, silently; so it is refused."""

    def scale_by(w):
        rules = {"jvp": lambda t, out, x: t[0] * w, "vjp": lambda needs, g, out, x: (g * w,)}
        return autodiff.define("scale", lambda x: x * w, **rules)

    assert grad(scale_by(2.0))(3.0) == 2.0
    assert grad(lambda w: grad(lambda x: scale_by(w)(x))(3.0))(2.0) == 1.0  # fine: to the inner level w is a constant
    refused(lambda: grad(lambda w: scale_by(w)(w))(3.0), "'scale' uses a value under differentiation that is not among")
    refused(lambda: jvp(lambda w: scale_by(w)(w), (3.0,), (1.0,)), "pass it as one")
    by_keyword = autodiff.define("f", lambda x, w: x * w, jvp=lambda *a, **k: 0.0, vjp=lambda *a, **k: (0.0,))
    refused(lambda: grad(lambda x: by_keyword(x, w=x))(1.0), "'f' got a value under differentiation by keyword")


def object_array(x):
    out = np.empty(2, object)
    out[0], out[1] = x[0], x[1] * x[2]
    return out


class Result:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    ("f", "what"),
    [
        (object_array, "an object array"),
        (lambda x: object_array(x) * 2.0, "an object array"),
        (lambda x: object_array(x) * x[:2], "an object array"),
        (lambda x: {"a": x, "b": [np.stack([object_array(x), x[:2]])]}, "an object array"),
        (lambda x: {x[0]}, "a set"),
        (lambda x: (v for v in x), "a generator"),
        (lambda x: Result(np.sum(x)), "a Result"),
    ],
    ids=["filled", "operator", "traced operator", "in a tree", "set", "generator", "class"],
)
def test_traced_values_hidden_in_the_output_are_never_taken_for_constants(f, what):
    advice = (f"the function returned {what}", "autodiff.array", "autodiff.at(a)[i].set(x)", "has_aux=True")
    refused(lambda: grad(f)(x), "grad: ", *advice)
    refused(lambda: vjp(f, x), "vjp: ", *advice)
    refused(lambda: jvp(f, (x,), (x,)), "jvp: ", *advice)
    refused(lambda: jacobian(f)(x), "jacobian: ", *advice)


def test_an_object_array_on_the_way_is_right_or_refused():
    np.testing.assert_array_equal(grad(lambda x: np.sum(object_array(x)))(x), [1.0, 1.0, 1.0])
    refused(lambda: grad(lambda x: np.sum(object_array(x) * x[:2]))(x), "'sum' uses a value under differentiation")
    assert grad(lambda x: (np.sum(x), Result("extra")), has_aux=True)(x)[1].value == "extra"
