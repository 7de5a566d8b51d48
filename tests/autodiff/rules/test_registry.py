"""Every function in the registry, by the table of examples: value, both modes, second order, float32 and float64.

Nothing here knows a derivative: central differences, the complex step, the adjoint identity and NumPy itself are the
judges (`autodiff.check_grads`).
"""

from pathlib import Path

import numpy as np
import pytest
from examples import BINARY, CONSTANTS, EXAMPLES, UNARY, call
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import autodiff.core
from autodiff import check_grads, jvp, tree, vjp
from autodiff.checking import coverage
from autodiff.core import DerivativeError, Traced
from autodiff.registry import name_of
from autodiff.rules import NON_DIFFERENTIABLE, REFUSED, REGISTRY

CASES = [
    pytest.param(function, example, id=f"{name_of(function)}-{i}")
    for function, examples in EXAMPLES.items()
    for i, example in enumerate(examples)
]


def test_every_registered_function_has_an_example():
    assert {name_of(f) for f in REGISTRY} == {name_of(f) for f in EXAMPLES}


def test_every_constant_has_an_example():
    assert {name_of(f) for f in NON_DIFFERENTIABLE} == {name_of(f) for f in CONSTANTS}


@pytest.mark.parametrize(("function", "example"), CASES)
def test_value_is_that_of_numpy(function, example):
    for dtype in (np.float64, np.float32):
        f, arrays = example.draw(function, dtype)
        plain, traced = f(*arrays), jvp(f, arrays, arrays)[0]
        assert type(traced) is type(plain) or not isinstance(plain, tuple | list)
        assert tree.paths(traced) == tree.paths(plain)
        for ours, theirs in zip(tree.flatten(traced)[0], tree.flatten(plain)[0], strict=True):
            assert np.shape(ours) == np.shape(theirs)
            assert np.asarray(ours).dtype == np.asarray(theirs).dtype
            np.testing.assert_allclose(ours, theirs, rtol=100 * np.finfo(dtype).eps, atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("function", "example"), CASES)
def test_float64_derivatives_of_order_two(function, example):
    f, arrays = example.draw(function, np.float64)
    check_grads(f, arrays, order=2, directions=1)


@pytest.mark.parametrize(("function", "example"), CASES)
def test_float32_derivatives_of_order_two(function, example):
    """The same in float32: gradients and tangents come out in float32, and right to its precision."""
    f, arrays = example.draw(function, np.float32)
    check_grads(f, arrays, order=2, directions=1, rtol=1e-2, atol=1e-2)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("function", [*UNARY, *BINARY], ids=name_of)
def test_broadcasting(function, data):
    """Elementwise functions at any shapes that broadcast together, of any dtypes."""
    kinds = (UNARY[function],) if function in UNARY else BINARY[function]
    shapes = data.draw(mutually_broadcastable_shapes(num_shapes=len(kinds), max_dims=3, max_side=3)).input_shapes
    dtypes = [data.draw(st.sampled_from([np.float32, np.float64])) for _ in kinds]
    seed = data.draw(st.integers(0, 99))
    f, arrays = call(*(kind(*shape) for kind, shape in zip(kinds, shapes, strict=True))).draw(function, seed=seed)
    arrays = [np.asarray(x, dtype) for x, dtype in zip(arrays, dtypes, strict=True)]
    check_grads(f, arrays, order=1, directions=1, rtol=1e-2, atol=1e-2)
    for x, cotangent in zip(arrays, vjp(f, *arrays)[1](f(*arrays)), strict=True):
        assert np.shape(cotangent) == x.shape
        assert cotangent.dtype == x.dtype


@pytest.mark.parametrize(("function", "example"), CONSTANTS.items(), ids=[name_of(f) for f in CONSTANTS])
def test_constants_see_plain_values(function, example):
    f, arrays = example.draw(function)
    seen = []

    def remember(*xs):
        seen.append(f(*xs))
        return xs

    vjp(remember, *arrays)
    answers, wanted = tree.flatten(seen[0])[0], tree.flatten(f(*arrays))[0]
    assert not any(isinstance(answer, Traced) for answer in answers)
    if function is not np.empty_like:
        assert repr(answers) == repr(wanted)


def test_no_function_of_numpy_gives_a_silent_constant():
    """What is in no table is refused by name, with the nearest function that is covered, or with advice."""
    x = Traced(np.ones(3), None, None)
    covered = {*REGISTRY, *NON_DIFFERENTIABLE}
    left = [f for f in coverage.functions_of_numpy() if f not in covered]
    assert len(left) > 20
    for function in left:
        with pytest.raises(DerivativeError, match=name_of(function)) as failure:
            if isinstance(function, np.ufunc):
                function(*[x] * function.nin)
            else:
                x.__array_function__(function, (Traced,), (x,), {})
        assert function in REFUSED or "The nearest covered function is np." in str(failure.value)


@pytest.mark.parametrize(("function", "example"), CASES)
def test_float32_is_never_widened(function, example, monkeypatch):
    """Where NumPy's result is float32, the rules compute in float32 throughout: no cast from float64 is left to do."""
    f, arrays = example.draw(function, np.float32)
    out = f(*arrays)
    if any(np.asarray(leaf).dtype == np.float64 for leaf in tree.flatten(out)[0]):
        return

    def no_cast(t, value):
        assert autodiff.core.dtype_of(t) == autodiff.core.dtype_of(value)
        return t

    monkeypatch.setattr(autodiff.core, "_cast", no_cast)
    jvp(f, arrays, arrays)
    vjp(f, *arrays)[1](out)


def test_coverage_page_is_up_to_date():
    """docs/coverage.md is what `python -m autodiff.checking.coverage` prints."""
    page = (Path(__file__).parents[3] / "docs" / "coverage.md").read_text(encoding="utf-8")
    if f"NumPy {'.'.join(np.__version__.split('.')[:2])}." in page:
        assert page == coverage.markdown()
