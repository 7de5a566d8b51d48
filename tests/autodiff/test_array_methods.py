"""Traced values as arrays: operators, methods and attributes, and the messages where plain arrays would be needed."""

import copy
import inspect
import math
import operator

import numpy as np
import pytest
from calls import Through
from examples import EXAMPLES

import autodiff
from autodiff import DerivativeError, check_grads, grad, jvp, vjp

x = np.array([[0.6, 1.7, 2.3], [3.4, 4.6, 5.8]])


def inside(f, value=x):
    """What f does with a traced value."""
    found = []
    vjp(lambda v: found.append(f(v)) or v, value)
    return found[0]


def refused(f, *fragments, value=x):
    with pytest.raises(DerivativeError) as failure:
        inside(f, value)
    for fragment in fragments:
        assert fragment in str(failure.value), str(failure.value)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow", "mod"])
@pytest.mark.parametrize(
    "other", [2.0, x + 0.25, [1.0, 2.0, 3.0], np.float64(2.0)], ids=["float", "array", "list", "number"]
)
def test_operators_on_both_sides(name, other):
    function = getattr(operator, name)
    check_grads(lambda v: function(v, other), (x,), order=1)
    check_grads(lambda v: function(other, v), (x,), order=1)


def test_unary_operators_and_matrix_product():
    check_grads(lambda v: -v + abs(v) - +v, (x,))
    check_grads(lambda v: v @ v.T + np.ones((2, 2)) @ (v @ x.T), (x,))


def test_divmod_and_floor_division():
    whole, rest = inside(lambda v: divmod(v, 2.0))
    assert isinstance(whole, np.ndarray)
    np.testing.assert_array_equal(inside(lambda v: v // 2.0), x // 2.0)
    np.testing.assert_array_equal(inside(lambda v: 7.0 // v), 7.0 // x)
    check_grads(lambda v: divmod(v, 2.0)[1], (x,), order=1)
    assert autodiff.core.primal(rest).shape == x.shape


def test_augmented_assignment_makes_a_new_value():
    def f(v):
        y = 1 * v
        y += 1
        y *= v
        y -= v
        y /= 2
        y **= 2
        return y

    check_grads(f, (x,))


def test_comparisons_are_plain():
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        answer = inside(lambda v, name=name: getattr(operator, name)(v, 2.5))
        np.testing.assert_array_equal(answer, getattr(operator, name)(x, 2.5))
        assert type(answer) is np.ndarray
    assert grad(lambda v: v * 2 if v > 0 else v * 3)(1.0) == 2.0
    assert inside(lambda v: 0.6 in v)


METHODS = [
    "v.sum(axis=0)", "v.mean()", "v.var(1)", "v.std(ddof=1)", "v.prod(axis=-1, keepdims=True)", "v.max()", "v.min(0)",
    "v.cumsum(1)", "v.cumprod()", "v.ravel()", "v.flatten('F')", "v.reshape(3, 2)", "v.reshape((3, -1))",
    "v.reshape(-1)", "v.transpose()", "v.transpose(1, 0)", "v.T", "v.mT", "v.swapaxes(0, 1)", "v.squeeze()",
    "v.repeat(2, axis=0)", "v.take([0, 2], axis=1)", "v.trace()", "v.diagonal(1)", "v.dot(v.T)", "v.clip(1.0, 3.0)",
    "v.clip(min=1.0)", "v.clip(max=3.0)", "v.compress([True, False], axis=0)", "v.conj()", "v.conjugate()",
    "v.copy()", "v.astype(float)", "v.real", "v.flat", "copy.copy(v)", "copy.deepcopy(v)",
]  # fmt: skip


@pytest.mark.parametrize("text", METHODS)
def test_methods_and_attributes(text):
    def f(v):
        return eval(text, {"v": v, "copy": copy})

    wanted = np.asarray(f(x)) if text != "v.flat" else x.ravel()
    np.testing.assert_allclose(jvp(f, (x,), (x,))[0], wanted)
    check_grads(
        lambda v: f(v) if not isinstance(v, np.ndarray) or text != "v.flat" else np.ravel(v), (x,), directions=1
    )


@pytest.mark.parametrize(
    "text",
    ["argmax()", "argmin(0)", "argsort()", "argpartition(1)", "all()", "any(axis=0)", "nonzero()", "round(1)", "shape",
     "dtype", "ndim", "size", "nbytes", "itemsize", "imag", "astype(int)"],
)  # fmt: skip
def test_methods_and_attributes_that_are_constants(text):
    def f(v):
        return eval(f"v.{text}", {"v": v})

    assert repr(inside(f)) == repr(f(x))


def test_ndarray_methods_are_all_there_or_refused_by_the_lack_of_them():
    """Methods that a traced value does not have are those about memory, files and types other than floats."""
    missing = {name for name in dir(np.ndarray) if not name.startswith("_") and not hasattr(autodiff.Traced, name)}
    assert missing <= {
        "base", "byteswap", "ctypes", "data", "device", "dump", "dumps", "flags", "getfield", "setflags", "strides",
        "to_device", "tofile", "view", "itemset", "newbyteorder", "ptp", "tostring",
    }  # fmt: skip


def test_ufunc_methods():
    check_grads(lambda v: np.add.outer(v, v[0]), (x,))
    check_grads(lambda v: np.multiply.outer(v, [1.0, 2.0]), (x,))
    check_grads(lambda v: np.maximum.reduce(v, axis=1), (x,))
    refused(lambda v: np.subtract.reduce(v), "np.subtract.reduce has no derivative rule")
    refused(lambda v: np.add.reduceat(v, [0, 1]), "np.add.reduceat has no derivative rule")


def test_lists_of_traced_values_are_arrays_where_numpy_takes_arrays():
    check_grads(lambda v: np.multiply([v[0, 0], v[0, 1]], v[:, :2]), (x,))
    check_grads(lambda v: np.concatenate([[v[0, 0], v[0, 1]], v[1]]), (x,))


def test_printing():
    assert inside(repr, np.float64(1.5)) == "Traced(np.float64(1.5))"
    assert inside(lambda v: f"{v:.2f}", np.float64(1.5)) == "1.50"


def test_half_written_calls_are_explained():
    refused(lambda v: np.clip(v, 0, 1, dtype=float), "np.clip under differentiation", "dtype")
    refused(lambda v: np.exp(v, where=x > 1), "np.exp under differentiation takes no where=")
    refused(lambda v: np.pad(v, 1, mode="linear_ramp"), "linear_ramp", "constant, edge, reflect")
    refused(lambda v: np.repeat(v, v[0]), "np.repeat has a derivative by its array only")


def test_error_inside_a_user_function_is_not_disguised():
    def f(v):
        return np.piecewise(v, [x > 1], [lambda u: u + "text"])

    with pytest.raises(TypeError) as failure:
        inside(f)
    assert not isinstance(failure.value, DerivativeError)


# -- arrays of traced values -------------------------------------------------------------------------------------------


def test_a_rotation_matrix_is_orthogonal_and_turns_at_unit_speed():
    def rotation(angles):
        (ca, sa), (cb, sb) = ((np.cos(angle), np.sin(angle)) for angle in angles)
        return autodiff.array([[ca, -sa, 0.0], [sa, ca, 0.0], [0, 0, 1]]) @ autodiff.array(
            ([1.0, 0.0, 0.0], [0.0, cb, -sb], [0.0, sb, cb])
        )

    angles = np.array([0.3, -1.1])
    check_grads(rotation, (angles,))
    np.testing.assert_allclose(rotation(angles) @ rotation(angles).T, np.eye(3), atol=1e-15)
    derivative = jvp(rotation, (angles,), (np.array([1.0, 0.0]),))[1]
    np.testing.assert_allclose(derivative @ rotation(angles).T, [[0, -1, 0], [1, 0, 0], [0, 0, 0]], atol=1e-15)


@pytest.mark.parametrize(
    "nest",
    [
        lambda v: v,
        lambda v: [v, v],
        lambda v: [v[0, 0], 1, 2.5],
        lambda v: ([v[0], v[1]], [[0.0, 1.0, 2.0], v[0] ** 2]),
        lambda v: [[[v[0, 1]]]],
        lambda v: [np.ones(3), v[1], [v[0, 0], 2, v[0, 1]]],
    ],
)
@pytest.mark.parametrize("dtype", [None, np.float32])
def test_array_is_that_of_numpy(nest, dtype):
    for given in (x, x.astype(np.float32)):
        value = jvp(lambda v: autodiff.array(nest(v), dtype), (given,), (given,))[0]
        wanted = np.array(nest(given), dtype)
        assert value.dtype == wanted.dtype
        np.testing.assert_array_equal(value, wanted)
    check_grads(lambda v: autodiff.array(nest(v)), (x,))


def test_array_of_plain_values_and_of_nothing():
    assert autodiff.array([1, 2]).dtype == int
    assert autodiff.array([]).shape == (0,)
    assert autodiff.array([[], []]).shape == (2, 0)
    copy_of_x = autodiff.array(x)
    assert copy_of_x is not x and np.array_equal(copy_of_x, x)


def test_array_refuses_irregular_nesting():
    for f in (lambda v: [[v[0, 0]], [v[0, 1], 1.0]], lambda v: [v[0, 0], v[0]], lambda v: [v[0], [1.0]]):
        with pytest.raises(ValueError, match="same shape"):
            inside(lambda v, f=f: autodiff.array(f(v)))


# -- the messages ------------------------------------------------------------------------------------------------------


def set_item(array, index, value):
    array[index] = value


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "0"), ((0, 1), "0, 1"), (slice(1, None), "1:"), ((slice(None), slice(0, 2, 2)), ":, 0:2:2"),
        (Ellipsis, "..."), ([0, 1], "[0, 1]"), (np.array([0, 1]), "[0, 1]"), ((None, -1), "None, -1"),
        (np.int64(1), "1"), ((), "()"),
    ],
)  # fmt: skip
def test_assignment_shows_what_to_write(index, text):
    refused(
        lambda v: set_item(v, index, 1.0), f"instead of x[{text}] = v write x = autodiff.at(x)[{text}].set(v)", ".add"
    )
    eval(f"autodiff.at(x)[{text}].set(1.0)", {"autodiff": autodiff, "x": x})


def test_augmented_assignment_to_an_entry():
    def f(v):
        v[0] += 1.0

    refused(f, "autodiff.at(x)[0].set(v)", ".add(v) for +=")


def test_writing_into_plain_arrays():
    plain = np.zeros((2, 3))
    refused(lambda v: set_item(plain, 0, v[0]), "autodiff.at(a)[i].set(x)", "autodiff.array")
    refused(lambda v: np.add(plain, v, out=plain), "np.add(..., out=a)", "use the returned value")
    refused(lambda v: np.sum(v, axis=0, out=plain[0]), "np.sum(..., out=a)")
    refused(lambda v: operator.iadd(plain, v), "a = a + x")
    refused(lambda v: np.add.at(plain, 0, v[0]), "autodiff.at(a)[index].add(v)")
    refused(lambda v: np.copyto(plain, v), "np.copyto", "autodiff.at(a)[index].set(v)")
    refused(lambda v: np.fill_diagonal(v, 0.0), "np.fill_diagonal", "np.where")
    refused(lambda v: np.put(plain, [0], v[0, 0]), "np.put")
    assert not plain.any()


def test_writing_one_number_into_a_plain_array():
    """NumPy puts its own ValueError in front; ours, with the advice, is its cause."""
    with pytest.raises(ValueError, match="setting an array element") as failure:
        inside(lambda v: set_item(np.zeros(3), 0, v[0, 0]))
    assert "autodiff.at(a)[i].set(x)" in str(failure.value.__cause__)


def test_methods_that_change_the_array():
    refused(lambda v: v.sort(), "x.sort() changes", "np.sort(x)")
    refused(lambda v: v.fill(0.0), "np.full_like")
    refused(lambda v: v.put(0, 1.0), "autodiff.at(x)[index].set(v)")


def test_plain_numbers():
    number = np.float64(2.0)
    for f in (float, int, complex, operator.index, lambda v: v.item(), lambda v: v.tolist(), math.sin):
        refused(f, "plain number", "autodiff.stop_gradient(x)", value=number)
    refused(math.sin, "np.sin, not math.sin", value=number)
    refused(bool, "compare it with a number", value=number)
    refused(lambda v: 1 if v else 0, "x > 0", value=number)


def test_plain_arrays():
    for f in (
        lambda v: np.array([v, v]),
        lambda v: np.array([v[0, 0], 1.0]),
        lambda v: np.array([v[0, 0]], dtype=object),
        np.asarray,
        lambda v: np.asarray(v, dtype=object),
        lambda v: np.sum([v, v]),
        lambda v: np.ones((2, 2)).dot(v),
        lambda v: np.arange(v[0, 0]),
        lambda v: np.full(3, v[0, 0]),
        lambda v: np.ones(3)[v[0]],
        lambda v: np.random.default_rng(0).normal(v),
        lambda v: np.r_[v[0], v[1]],
        lambda v: np.float32(v[0, 0]),
    ):
        refused(f, "Write autodiff.array([x, y]) for np.array([x, y])", "autodiff.stop_gradient")


def test_shapes_from_traced_values():
    for f in (lambda v: np.zeros(v[0, 0]), lambda v: np.ones(4).reshape(v[0, 0])):
        with pytest.raises(TypeError):
            inside(f)


def test_missing_rule_names_function_and_neighbour():
    refused(
        lambda v: np.linalg.eig(v[:, :2]),
        "np.linalg.eig has no derivative rule",
        "nearest covered function is np.linalg.eigh",
    )
    refused(lambda v: np.nanmedian(v), "np.nanmedian has no derivative rule", "The nearest covered function is np.nan")
    refused(lambda v: np.i0(v), "np.i0 has no derivative rule", "autodiff.implements")
    refused(lambda v: np.gcd(v, v), "np.gcd has no derivative rule")
    refused(np.frompyfunc(lambda u: u, 1, 1), "has no derivative rule")


def test_a_user_can_add_a_rule():
    assert np.i0 not in autodiff.rules.REGISTRY
    autodiff.implements(np.i0)(lambda v: v**2)
    try:
        assert grad(np.i0)(3.0) == 6.0
    finally:
        del autodiff.rules.REGISTRY[np.i0]


# -- writing into `out` ------------------------------------------------------------------------------------------------


def place_of_out(function):
    """The position of `out` among the parameters of a NumPy function; None without one that is positional."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    return names.index("out") if "out" in names else None


WITH_OUT = {f: place_of_out(f) for f in autodiff.rules.REGISTRY if place_of_out(f) and not isinstance(f, np.ufunc)}


@pytest.mark.parametrize("function", WITH_OUT, ids=lambda f: f.__name__)
def test_out_by_position_is_refused_as_by_keyword(function):
    """It would not be written into, and the caller would read what was in it before."""
    parameters = list(inspect.signature(function).parameters.values())[: WITH_OUT[function]]

    def with_out(*args, **kwargs):
        given = dict(zip([p.name for p in parameters], args, strict=False)) | kwargs
        return function(*[given.get(p.name, p.default) for p in parameters], np.zeros(3))

    example = EXAMPLES[function][0]
    f, arrays = (example.call if isinstance(example, Through) else example).draw(with_out)
    with pytest.raises(DerivativeError, match="writes into the plain array"):
        vjp(f, *arrays)


@pytest.mark.parametrize("text", ["sum", "prod", "mean", "var", "std", "max", "min", "cumsum", "cumprod", "trace"])
def test_methods_refuse_out(text):
    refused(lambda v: getattr(v, text)(out=np.zeros(())), f"np.{text}(..., out=a)")
