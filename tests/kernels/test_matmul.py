"""The product of the kernels against NumPy's: layouts, bounds, NaN, and pairs of bfloat16."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from nerf_mini.kernels.matmul import BFLOAT16, COLUMNS, ROWS
from nerf_mini.kernels.matmul import panel_matmul as matmul_part
from nerf_mini.ops import GridMLPShape, MLPShape, mlp, mlp_parameter_shapes
from nerf_mini.ops.plan import _write_panels, word_dtype

needs_bfloat16 = pytest.mark.skipif(not BFLOAT16, reason="this CPU does not multiply bfloat16")
tiles = st.integers(1, 3)


@njit
def matmul(*arguments):
    matmul_part(*arguments)


def panels(b, word):
    """B (depth, columns) as the kernels' right operand."""
    out = np.zeros(b.size, word)
    _write_panels(b, out, 0, *b.shape, b.dtype)
    return out


def rounded(x):
    """float32 rounded to 8 bits of mantissa, half to even, by way of exact arithmetic in float64."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(mantissa * 256), exponent - 8)


def pairs(a):
    """A (rows, depth) as words."""
    bits = rounded(a).astype(np.float32).view(np.uint32)
    return bits[:, 0::2] >> 16 | bits[:, 1::2]


def product(a, b_panels, init, columns, floor=-np.inf, transposed=False, init_row=None, out=None):
    """max(init + A @ B, floor), A given as words (rows, depth)."""
    rows, depth = a.shape
    dtype = init.dtype.type
    steps = (1, rows) if transposed else (depth, 1)
    a = np.ascontiguousarray(a.T if transposed else a)
    c = np.empty(rows * columns, init.dtype) if out is None else out
    init_row = columns if init_row is None else init_row
    matmul(
        a.reshape(-1), 0, *steps, b_panels, 0, init.reshape(-1), 0, init_row, c, 0, len(c) // rows, rows, columns,
        depth, dtype(floor),
    )  # fmt: skip
    return c.reshape(rows, -1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [False, True])
@settings(max_examples=20, deadline=None)
@given(rows=tiles, columns=tiles, depth=st.integers(1, 70), seed=st.integers(0, 99))
def test_product(dtype, transposed, rows, columns, depth, seed):
    rng = np.random.default_rng(seed)
    rows, columns = rows * ROWS, columns * COLUMNS
    a, b = rng.standard_normal((rows, depth)).astype(dtype), rng.standard_normal((depth, columns)).astype(dtype)
    init = rng.standard_normal((rows, columns)).astype(dtype)
    found = product(a, panels(b, dtype), init, columns, transposed=transposed)
    scale = np.abs(init) + np.abs(a) @ np.abs(b)
    assert np.all(np.abs(found - (init + a.astype(np.float64) @ b)) <= depth * np.finfo(dtype).eps * scale)


def test_one_row_is_added_to_all_and_the_floor_holds(rng):
    a, b = rng.standard_normal((ROWS, 5), np.float32), rng.standard_normal((5, COLUMNS), np.float32)
    bias = rng.standard_normal(COLUMNS, np.float32)
    found = product(a, panels(b, np.float32), bias, COLUMNS, floor=0.0, init_row=0)
    np.testing.assert_allclose(found, np.maximum(bias + a @ b, 0), atol=1e-5)
    assert found.min() == 0


def test_a_nan_is_never_lost(rng):
    a, b = rng.standard_normal((ROWS, 4), np.float32), rng.standard_normal((4, COLUMNS), np.float32)
    a[3, 2] = np.nan
    found = product(a, panels(b, np.float32), np.zeros((ROWS, COLUMNS), np.float32), COLUMNS, floor=0.0)
    assert np.isnan(found[3]).all() and np.isfinite(np.delete(found, 3, axis=0)).all()


@needs_bfloat16
@settings(max_examples=20, deadline=None)
@given(rows=tiles, columns=tiles, depth=st.integers(1, 40), seed=st.integers(0, 99))
def test_pairs_of_bfloat16_are_rounded_once_and_summed_in_float32(rows, columns, depth, seed):
    rng = np.random.default_rng(seed)
    rows, columns, depth = rows * ROWS, columns * COLUMNS, 2 * depth
    a, b = rng.standard_normal((rows, depth), np.float32), rng.standard_normal((depth, columns), np.float32)
    init = rng.standard_normal((rows, columns), np.float32)
    found = product(pairs(a), panels(b, np.uint32), init, columns)
    scale = np.abs(init) + np.abs(a) @ np.abs(b)
    assert np.all(np.abs(found - (init + rounded(a) @ rounded(b))) <= 2 * depth * np.finfo(np.float32).eps * scale)


@needs_bfloat16
def test_results_as_pairs_are_the_rounded_results(rng):
    a, b = rng.standard_normal((ROWS, 6), np.float32), rng.standard_normal((6, COLUMNS), np.float32)
    init = np.zeros((ROWS, COLUMNS), np.float32)
    numbers = product(pairs(a), panels(b, np.uint32), init, COLUMNS)
    words = product(pairs(a), panels(b, np.uint32), init, COLUMNS, out=np.empty(ROWS * COLUMNS // 2, np.uint32))
    np.testing.assert_array_equal(words, pairs(numbers))


def flat_parameters(shapes, rng):
    parameters = {}
    for name, (inputs, outputs) in shapes.items():
        weight = rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)
        parameters[name] = {"weight": weight.astype(np.float32), "bias": np.full(outputs, 0.1, np.float32)}
    return parameters


NETWORKS = [
    pytest.param(MLPShape(depth=4, width=48, skip=2, position_frequencies=4, direction_frequencies=2), id="points"),
    pytest.param(GridMLPShape(inputs=32, width=64, bottleneck=16, color_depth=2), id="behind-a-grid"),
]


def network(shape, rng, bfloat16):
    parameters = flat_parameters(mlp_parameter_shapes(shape), np.random.default_rng(1))
    inputs = rng.uniform(-1, 1, (300, shape.inputs)).astype(np.float32)
    features = rng.standard_normal((5, shape.ray_features), np.float32)
    index = np.sort(rng.integers(5, size=300))
    return lambda p: mlp(inputs, features, index, p, shape, bfloat16), parameters


def relative_error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@needs_bfloat16
@pytest.mark.parametrize("shape", NETWORKS)
def test_networks_in_bfloat16_stay_close(shape):
    """Values differ from float32 by a few roundings of 2^-9 per layer; gradients by more, since a unit near zero may
    switch. And they do differ."""
    from autodiff import vjp

    results = {}
    for bfloat16 in (False, True):
        function, parameters = network(shape, np.random.default_rng(7), bfloat16)
        out, pullback = vjp(function, parameters)
        results[bfloat16] = out, pullback(np.random.default_rng(8).standard_normal(out.shape, np.float32))[0]
    assert 1e-4 < relative_error(results[True][0], results[False][0]) < 0.02
    for name, layer in results[False][1].items():
        for kind, wanted in layer.items():
            assert relative_error(results[True][1][name][kind], wanted) < 0.15, (name, kind)


def test_bfloat16_is_for_float32_on_a_cpu_that_has_it():
    assert word_dtype(np.float32, False) == np.float32
    assert word_dtype(np.float64, True) == np.float64
    assert word_dtype(np.float32, True) == (np.uint32 if BFLOAT16 else np.float32)
