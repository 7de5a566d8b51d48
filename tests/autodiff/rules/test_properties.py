"""Properties of every rule, over random calls: nothing is silently wrong, in forward and reverse mode alike.

A call under differentiation does one of two things: it gives NumPy's value with the right derivative, or it raises.
"""

import warnings

import numpy as np
import pytest
from calls import Call, Kind, flatten
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff import DerivativeError, Traced, check_grads, grad, jvp, linearize, tree, vjp
from autodiff.registry import name_of

every_function = pytest.mark.parametrize("function", EXAMPLES, ids=name_of)
few = settings(max_examples=6, deadline=None, derandomize=True)
seeds = st.integers(0, 999)


def assert_value(found, wanted, dtype):
    for ours, theirs in zip(tree.flatten(found)[0], tree.flatten(wanted)[0], strict=True):
        assert np.shape(ours) == np.shape(theirs)
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
        scale = np.max(np.abs(np.asarray(theirs, float)), initial=1.0, where=np.isfinite(theirs))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e3 * np.finfo(dtype).eps * scale)


@every_function
@few
@given(data=st.data())
def test_both_modes_give_the_value_and_the_derivative_at_any_mixture_of_dtypes(function, data):
    """jvp against vjp by the adjoint identity, both against central differences, the value against NumPy."""
    f, arrays = data.draw(st.sampled_from(EXAMPLES[function])).draw(function, seed=data.draw(seeds))
    dtypes = [data.draw(st.sampled_from([np.float32, np.float64])) for _ in arrays]
    arrays = [np.asarray(x, dtype) for x, dtype in zip(arrays, dtypes, strict=True)]
    coarsest = min(dtypes, key=lambda dtype: np.finfo(dtype).bits)
    plain = f(*arrays)
    assert_value(jvp(f, arrays, arrays)[0], plain, coarsest)
    assert_value(vjp(f, *arrays)[0], plain, coarsest)
    tolerance = 2e-2 if coarsest is np.float32 else 1e-4
    check_grads(f, arrays, order=1, directions=1, seed=data.draw(seeds), rtol=tolerance, atol=tolerance)


@every_function
def test_one_argument_under_differentiation_beside_plain_ones(function):
    """Where NumPy lets the traced argument through to the rule; its own refusals of plain arguments are loud."""
    for example in EXAMPLES[function]:
        f, arrays = example.draw(function, seed=1)
        for i, x in enumerate(arrays if len(arrays) > 1 else []):

            def of_one(x, i=i, f=f, arrays=arrays):
                return f(*arrays[:i], x, *arrays[i + 1 :])

            try:
                value = jvp(of_one, (x,), (x,))[0]
            except (DerivativeError, ValueError):
                with pytest.raises((DerivativeError, ValueError)):
                    vjp(of_one, x)
                continue
            assert_value(value, of_one(x), np.float64)
            check_grads(of_one, (x,), order=1, directions=1)


@every_function
def test_options_are_differentiated_or_refused(function):
    """Every real number among the options of the examples, in turn under differentiation."""
    for example in EXAMPLES[function]:
        if not isinstance(example, Call):
            continue
        leaves, rebuild = flatten((example.args, example.kwargs))
        _, arrays = example.draw(function)
        for place in [i for i, leaf in enumerate(leaves) if type(leaf) is float and np.isfinite(leaf)]:

            def of_option(value, place=place, leaves=leaves, rebuild=rebuild, arrays=arrays):
                given = iter(arrays)
                full = [next(given) if type(leaf) is Kind else leaf for leaf in leaves]
                full[place] = value
                args, kwargs = rebuild(full)
                return function(*args, **kwargs)

            try:
                jvp(of_option, (leaves[place],), (1.0,))
            except (TypeError, ValueError):
                with pytest.raises((TypeError, ValueError)):
                    vjp(of_option, leaves[place])
                continue
            check_grads(of_option, (leaves[place],), order=1)


@every_function
@few
@given(data=st.data())
def test_complex_intermediates_are_refused_in_both_modes(function, data):
    """A complex value from a real one, and a complex constant beside one: never a result in one mode alone."""
    f, arrays = data.draw(st.sampled_from(EXAMPLES[function])).draw(function, seed=data.draw(seeds))
    for complex_first in (lambda *xs: f(*[x + 0j for x in xs]), lambda *xs: f(*[x * np.complex64(1) for x in xs])):
        for mode in (lambda g: jvp(g, arrays, arrays), lambda g: vjp(g, *arrays), lambda g: linearize(g, *arrays)):
            with pytest.raises(DerivativeError, match="gave a complex value"):
                mode(complex_first)
    if len(arrays) > 1:
        i = data.draw(st.integers(0, len(arrays) - 1))
        x, constants = arrays[i], [a + 0.5j for a in arrays]

        def beside_constants(x):
            return f(*constants[:i], x, *constants[i + 1 :])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            forward = outcome(beside_constants, lambda g: jvp(g, (x,), (x,)))
            assert forward == outcome(beside_constants, lambda g: vjp(g, x))


def outcome(f, mode):
    """The kind of error, or the dtypes of the traced values among the outputs, which must be real."""
    dtypes = []

    def remember(x):
        out = f(x)
        dtypes.extend(leaf.dtype for leaf in tree.flatten(out)[0] if type(leaf) is Traced)
        return out

    try:
        mode(remember)
    except Exception as error:  # NumPy has errors of its own for complex arguments
        return type(error)
    assert all(dtype.kind == "f" for dtype in dtypes)
    return dtypes


# -- single faults that such tests have found --------------------------------------------------------------------------


def test_the_mantissa_is_not_constant():
    mantissa, exponent = jvp(np.frexp, (np.array([3.0, -0.3, 0.0]),), (np.ones(3),))[1]
    np.testing.assert_array_equal(mantissa, [0.25, 2.0, 1.0])
    assert not exponent.any()
    assert grad(lambda x: np.ldexp(*np.frexp(x)))(5.0) == 1.0


def test_an_open_grid_of_values_is_not_constant():
    check_grads(lambda x: np.multiply(*np.ix_(x, x)), (np.array([0.5, 2.0]),))


@pytest.mark.parametrize("order", [1.0, 2.0, 2.5])
def test_the_order_of_a_vector_norm_is_differentiated_also_where_the_norm_has_a_short_form(order):
    x = np.array([0.5, -2.0, 0.0, 1.5])
    check_grads(lambda x, p: np.linalg.norm(x, p), (x[[0, 1, 3]], order))
    size = np.abs(x[x != 0])
    norm = np.sum(size**order) ** (1 / order)
    by_order = norm / order * (np.sum(size**order * np.log(size)) / norm**order - np.log(norm))
    assert grad(lambda p, x: np.linalg.vector_norm(1.0 * x, ord=p), argnums=(0, 1))(order, x)[0] == pytest.approx(
        by_order
    )


def test_svd_of_a_symmetric_matrix_reads_one_triangle():
    a = np.array([[2.0, 7.0], [1.0, -3.0]])
    found, wanted = vjp(lambda a: np.linalg.svd(a, hermitian=True), a)[0], np.linalg.svd(a, hermitian=True)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.abs(ours), np.abs(theirs))
    np.testing.assert_allclose((found.U * found.S) @ found.Vh, [[2.0, 1.0], [1.0, -3.0]], atol=1e-12)


def test_quantiles_outside_the_range_are_refused_as_by_numpy():
    for q in (-0.1, np.array([0.5, 1.1])):
        with pytest.raises(ValueError, match="range"):
            grad(lambda x, q=q: np.sum(np.quantile(x, q)))(np.ones(3))


@pytest.mark.parametrize("dtype", [object, str, complex, "datetime64[s]"])
def test_astype_refuses_what_would_hide_the_derivative(dtype):
    with pytest.raises(DerivativeError, match="astype to"):
        grad(lambda x: np.sum(x.astype(dtype)))(np.ones(2))
