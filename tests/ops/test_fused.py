"""Every registered fused operator against its reference: value, first and second derivatives, in float32 and float64.

The oracle is the reference evaluated in float64. An operator without examples here fails the suite.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import nerf_mini.ops  # noqa: F401  (registers the operators)
from autodiff import FUSED, grad, hvp, jvp, vjp
from autodiff.custom_operators import kernels_apply
from nerf_mini.ops import GridMLPShape, GridShape, MLPShape, mlp_parameter_shapes
from nerf_mini.ops.registry import SKELETONS

# Relative to the largest entry of what is compared. The kernels compute as the reference does, up to the order of sums.
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


@dataclass(frozen=True)
class Example:
    """Arguments for one call: `make(rng)` returns them in float64; `params` are the keywords."""

    label: str
    make: Callable[[np.random.Generator], tuple]
    params: dict[str, Any] = field(default_factory=dict)


def strided(array: np.ndarray) -> np.ndarray:
    """The same numbers, not contiguous in any axis."""
    wide = np.zeros(tuple(2 * n for n in array.shape), array.dtype)
    view = wide[(slice(None, None, 2),) * array.ndim]
    view[...] = array
    return view


def points(*shape, layout=np.ascontiguousarray):
    return lambda rng: (layout(rng.uniform(-1.5, 1.5, shape)),)


def mlp_example(label, samples, rays, shape, layout=np.ascontiguousarray):
    def make(rng):
        index = np.sort(rng.integers(max(rays, 1), size=samples))
        flat = []
        for inputs, outputs in mlp_parameter_shapes(shape).values():
            flat += [rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs), 0.3 * rng.standard_normal(outputs)]
        arrays = rng.uniform(-1, 1, (samples, shape.inputs)), rng.standard_normal((rays, shape.ray_features))
        return layout(arrays[0]), layout(arrays[1]), index, *(layout(p) for p in flat)

    return Example(label, make, {"shape": shape})


def paper(**settings):
    return MLPShape(**{"skip": None, "position_frequencies": 3, "direction_frequencies": 2, **settings})


def behind_grid(**settings):
    return GridMLPShape(**{"inputs": 12, "width": 20, "bottleneck": 5, "color_depth": 2, **settings})


def grid_example(label, samples, spread=(0.0, 1.0), layout=np.ascontiguousarray, **shape):
    """Points in `spread`, each coordinate at least 1e-3 away from where the derivative jumps."""
    shape = GridShape(**{"levels": 3, "features": 2, "log2_entries": 7, "base": 3, "finest": 17, **shape})

    def make(rng):
        pool = rng.uniform(*spread, 50 * samples)
        places = np.outer(shape.table[:, 2], pool)
        smooth = np.all(np.abs(places - np.rint(places)) > 1e-3 * shape.table[:, 2:3], axis=0)
        coordinates = pool[smooth][: 3 * samples].reshape(samples, 3)
        return layout(coordinates), layout(rng.standard_normal((shape.entries, shape.features)))

    return Example(label, make, {"shape": shape})


def samples_of_rays(counts, gaps=0, order=None, layout=np.ascontiguousarray):
    """Samples of rays with these counts, with `gaps` samples of no ray after each; `order` shuffles the rays."""

    def make(rng):
        many = np.array(counts, np.int64)
        starts = np.cumsum(many + gaps) - many - gaps
        if order is not None:
            starts, many = starts[order], many[order]
        n = int(sum(counts) + gaps * len(counts))
        t = np.sort(rng.uniform(2, 6, n))
        floats = rng.uniform(0, 3, n), rng.uniform(0, 1, (n, 3)), t, rng.uniform(0.05, 0.5, n)
        return *(layout(array) for array in floats), starts, many

    return make


def histogram(rays, bins, samples, empty=0.0, layout=np.ascontiguousarray):
    """Histograms with a share `empty` of their bins empty, and quantiles that keep clear of the bins' boundaries."""

    def make(rng):
        weights = rng.uniform(0.1, 1, (rays, bins)) * (rng.random((rays, bins)) >= empty)
        weights[:, bins // 2] += 0.1  # never all empty
        total = weights.sum(axis=1, keepdims=True)
        edges = np.sort(rng.uniform(0, 4, (rays, bins + 1)), axis=1)
        chosen = np.array([rng.choice(bins, samples, p=w / w.sum()) for w in weights], np.int64).reshape(rays, samples)
        before = np.cumsum(weights, axis=1) - weights
        within = rng.uniform(0.2, 0.8, (rays, samples))
        u = np.take_along_axis(before, chosen, 1) + within * np.take_along_axis(weights, chosen, 1)
        return layout(edges), layout(weights), layout(u / total)

    return make


def raw_outputs(samples, layout=np.ascontiguousarray):
    return lambda rng: (layout(rng.uniform(-6, 6, (samples, 4))),)


def positions_example(samples, rays, ordered=True, layout=np.ascontiguousarray):
    def make(rng):
        index = rng.integers(max(rays, 1), size=samples)
        arrays = rng.standard_normal((rays, 3)), rng.standard_normal((rays, 3)), rng.uniform(0, 3, samples)
        return *(layout(array) for array in arrays), np.sort(index) if ordered else index

    return make


def weights_of_rays(*args, **kwargs):
    """Weights, distances and intervals of `samples_of_rays`."""

    def make(rng):
        weights, _, t, delta, starts, counts = samples_of_rays(*args, **kwargs)(rng)
        return weights, t, delta, starts, counts

    return make


def points_all_over(count, layout=np.asarray):
    """Points from near the middle to far away, clear of the kinks of their largest coordinate."""

    def make(rng):
        sizes = np.sort(rng.uniform(0.1, 0.7, (count, 3)), axis=1) * [0.5, 0.8, 1.0]
        signs = rng.choice([-1.0, 1.0], (count, 3))
        return (layout(rng.permuted(signs * sizes, axis=1) * rng.choice([1.0, 3.0, 40.0], (count, 1))),)

    return make


EXAMPLES: dict[str, list[Example]] = {
    "activate": [
        Example("relu", raw_outputs(30), {"density": "relu"}),
        Example("softplus", raw_outputs(30), {"density": "softplus"}),
        Example("exp", raw_outputs(30), {"density": "exp"}),
        Example("two-tiles", raw_outputs(515), {"density": "exp"}),
        Example("no-sample", raw_outputs(0), {"density": "softplus"}),
        Example("strided", raw_outputs(9, layout=strided), {"density": "softplus"}),
    ],
    "contract": [
        Example("middle-and-beyond", points_all_over(40)),
        Example("two-blocks", points_all_over(5000)),
        Example("no-point", points_all_over(0)),
        Example("strided", points_all_over(9, layout=strided)),
    ],
    "distortion": [
        Example("equal-counts", weights_of_rays([6] * 4)),
        Example("ragged-with-empty-rays", weights_of_rays([3, 0, 1, 7, 0])),
        Example("samples-of-no-ray", weights_of_rays([2, 5, 0, 3], gaps=2)),
        Example("no-sample", weights_of_rays([0, 0])),
        Example("strided", weights_of_rays([4, 3], layout=strided)),
    ],
    "encode": [
        Example("points", points(7, 3), {"frequencies": 4}),
        Example("one-point", points(1, 3), {"frequencies": 1}),
        Example("no-point", points(0, 3), {"frequencies": 2}),
        Example("batch-of-tiles", points(3, 101, 3), {"frequencies": 3}),
        Example("identity-only", points(5, 3), {"frequencies": 0, "identity": True}),
        Example("paper-code", points(6, 3), {"frequencies": 4, "identity": True, "factor_pi": False}),
        Example("without-pi", points(6, 3), {"frequencies": 4, "factor_pi": False}),
        Example("strided", points(9, 3, layout=strided), {"frequencies": 3, "identity": True}),
    ],
    "mlp": [
        mlp_example("skip-and-view", 37, 5, paper(depth=3, width=20, skip=2)),
        mlp_example("view-independent", 33, 4, paper(depth=2, width=32, direction_frequencies=None)),
        mlp_example("points-one-sample", 1, 1, paper(depth=2, width=33)),
        mlp_example("points-no-sample", 0, 2, paper(depth=2, width=8)),
        mlp_example("no-ray", 0, 0, paper(depth=1, width=8)),
        mlp_example("points-two-tiles", 131, 7, paper(depth=2, width=24, skip=1)),
        mlp_example("one-layer", 12, 3, paper(depth=1, width=2, identity=True)),
        mlp_example("paper-code", 20, 3, paper(depth=2, width=40, skip=1, identity=True, factor_pi=False)),
        mlp_example("view-without-features", 20, 3, paper(depth=1, width=16, direction_frequencies=0)),
        mlp_example("points-strided", 19, 4, paper(depth=2, width=18, skip=1), layout=strided),
        mlp_example("two-colour-layers", 37, 5, behind_grid()),
        mlp_example("one-colour-layer", 33, 4, behind_grid(color_depth=1, bottleneck=16)),
        mlp_example("no-features", 21, 4, behind_grid(ray_features=0)),
        mlp_example("more-features-than-a-vector", 21, 4, behind_grid(ray_features=45)),
        mlp_example("rows-two-tiles", 131, 7, behind_grid(inputs=32, width=32)),
        mlp_example("rows-one-sample", 1, 1, behind_grid()),
        mlp_example("rows-no-sample", 0, 2, behind_grid()),
        mlp_example("rows-strided", 19, 4, behind_grid(), layout=strided),
    ],
    "composite": [
        Example("equal-counts", samples_of_rays([8] * 5)),
        Example("ragged-with-empty-rays", samples_of_rays([3, 0, 1, 7, 0])),
        Example("samples-of-no-ray", samples_of_rays([2, 5, 0, 3], gaps=2)),
        Example("rays-in-any-order", samples_of_rays([2, 4, 3], gaps=1, order=[2, 0, 1])),
        Example("one-sample", samples_of_rays([1])),
        Example("no-sample", samples_of_rays([0, 0])),
        Example("no-ray", samples_of_rays([])),
        Example("strided", samples_of_rays([4, 3], layout=strided)),
    ],
    "hash_grid": [
        grid_example("hashed-and-dense", 40),
        grid_example("four-features", 21, features=4),
        grid_example("two-tiles", 131, levels=2, finest=9),
        grid_example("outside-the-cube", 24, spread=(-0.5, 1.5)),
        grid_example("many-collisions", 30, levels=2, log2_entries=2),
        grid_example("one-cell", 9, levels=1, base=1, finest=1),
        grid_example("one-sample", 1),
        grid_example("no-sample", 0),
        grid_example("strided", 17, layout=strided),
    ],
    "positions": [
        Example("several-rays", positions_example(9, 4)),
        Example("rays-in-any-order", positions_example(9, 4, ordered=False)),
        Example("no-sample", positions_example(0, 2)),
        Example("no-ray", positions_example(0, 0)),
        Example("strided", positions_example(7, 3, layout=strided)),
    ],
    "sample_histogram": [
        Example("full", histogram(4, 6, 9)),
        Example("some-bins-empty", histogram(5, 9, 7, empty=0.5)),
        Example("one-bin", histogram(2, 1, 3)),
        Example("one-sample", histogram(3, 4, 1)),
        Example("no-sample", histogram(3, 4, 0)),
        Example("no-ray", histogram(0, 4, 3)),
        Example("strided", histogram(3, 5, 4, layout=strided)),
    ],
}

# Operators of this package; tests of autodiff may register others in the same process.
OPERATORS = sorted(name for name, op in FUSED.items() if op.forward.__module__.startswith("nerf_mini."))
for _name in OPERATORS:  # the examples that operators carry for the warm-up
    _args, _params = FUSED[_name].example()
    EXAMPLES.setdefault(_name, []).append(Example("registered", lambda rng, args=_args: args, _params))
CASES = [pytest.param(name, e, id=f"{name}-{e.label}") for name in OPERATORS for e in EXAMPLES.get(name, [])]

cases = pytest.mark.parametrize(("name", "example"), CASES)
precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


class Call:
    """An example as functions of its float arguments: `operator(*xs)` on kernels, `oracle(*xs)` by the reference."""

    def __init__(self, name, example, dtype):
        self.op = FUSED[name]
        self.rng = np.random.default_rng(zlib.crc32(f"{name} {example.label}".encode()))
        full = example.make(self.rng)
        self.chosen = [i for i, arg in enumerate(full) if arg.dtype.kind == "f"]
        self.full, self.params = list(full), example.params
        self.xs = [self._as(full[i], dtype) for i in self.chosen]  # what the operator gets
        self.exact = [x.astype(np.float64) for x in self.xs]  # the same numbers for the oracle
        self.tolerance = TOLERANCE[dtype]

    @staticmethod
    def _as(array, dtype):
        """Another dtype in the same layout: contiguous, or strided as it came."""
        return array.astype(dtype) if array.flags.c_contiguous else strided(array.astype(dtype))

    def _arguments(self, xs):
        arguments = list(self.full)
        for i, x in zip(self.chosen, xs, strict=True):
            arguments[i] = x
        return arguments

    def operator(self, *xs):
        return as_list(self.op(*self._arguments(xs), **self.params))

    def oracle(self, *xs):
        return as_list(self.op.reference(*self._arguments(xs), **self.params))

    def random_like(self, arrays):
        return [self.rng.standard_normal(np.shape(a)).astype(a.dtype) for a in arrays]


def as_list(out):
    return list(out) if isinstance(out, tuple) else [out]


def doubles(arrays):
    return [np.asarray(a, np.float64) for a in arrays]


def dot(xs, ys):
    """<x, y> over lists of arrays, in float64."""
    return sum(float(np.sum(np.asarray(x, np.float64) * y)) for x, y in zip(xs, ys, strict=True))


def assert_near(found, wanted, tolerance):
    for i, (f, w) in enumerate(zip(found, wanted, strict=True)):
        assert np.shape(f) == np.shape(w)
        scale = 1 + np.max(np.abs(w), initial=0.0)
        np.testing.assert_allclose(f, w, rtol=0, atol=tolerance * scale, err_msg=f"number {i}")


def assert_same_form(found, like):
    assert [(f.shape, f.dtype) for f in found] == [(a.shape, a.dtype) for a in like]


def test_every_fused_operator_has_examples():
    assert OPERATORS == sorted(EXAMPLES)
    assert all(len(examples) > 1 for name, examples in EXAMPLES.items() if name != "grid_mlp"), "that of `mlp` do"


@pytest.mark.parametrize("name", OPERATORS)
@precisions
def test_the_skeleton_has_the_form_of_what_forward_returns(name, dtype):
    """The warm-up calls backward kernels with it: another dtype, and it would compile the wrong version."""
    args, params = FUSED[name].example()
    args = [a if a.dtype.kind == "i" else a.astype(dtype) for a in args]
    found, wanted = (f(*args, **params) for f in (SKELETONS[name], FUSED[name].forward))
    assert forms(found) == forms(wanted)


def forms(tree):
    """Shapes, dtypes and layout of the arrays in nested tuples, and in what is kept of networks."""
    if isinstance(tree, tuple):
        return [forms(part) for part in tree]
    array = getattr(tree, "array", tree)
    return array.shape, array.dtype, array.flags.c_contiguous


@cases
@precisions
def test_value_is_that_of_the_reference(name, example, dtype):
    call = Call(name, example, dtype)
    assert kernels_apply(call._arguments(call.xs)), "the example does not reach the kernels"
    out, wanted = call.operator(*call.xs), call.oracle(*call.exact)
    assert_near(out, wanted, call.tolerance)
    assert all(o.dtype == dtype for o in out)


@cases
@precisions
def test_reference_keeps_the_dtype(name, example, dtype):
    call = Call(name, example, dtype)
    assert_same_form(call.oracle(*call.xs), call.operator(*call.xs))


@cases
@precisions
def test_results_are_not_buffers_of_a_later_call(name, example, dtype):
    call = Call(name, example, dtype)
    out, pullback = vjp(call.operator, *call.xs)
    kept = [o.copy() for o in out]
    ones = [np.ones_like(o) for o in out]
    gradient = pullback(ones)
    kept_gradient = [g.copy() for g in gradient]
    others = [x + x.dtype.type(0.125) for x in call.xs]
    again, pull_again = vjp(call.operator, *others)
    pull_again(ones)
    for before, now in zip(kept + kept_gradient, [*out, *gradient], strict=True):
        np.testing.assert_array_equal(before, now)
    if call.xs[0].size and out[0].size:
        assert any(np.any(a != k) for a, k in zip(again, kept, strict=True)), "the second call should differ"


@cases
@precisions
def test_first_derivative_is_that_of_the_reference(name, example, dtype):
    """J'u by the backward kernel against reverse mode through the reference, for every float argument."""
    call = Call(name, example, dtype)
    out, pullback = vjp(call.operator, *call.xs)
    us = call.random_like(out)
    gradient = pullback(us)
    wanted = vjp(call.oracle, *call.exact)[1](doubles(us))
    assert_same_form(gradient, call.xs)
    assert_near(gradient, wanted, 5 * call.tolerance)


@cases
def test_gradient_does_not_depend_on_which_others_are_wanted(name, example):
    """Differentiating one argument at a time gives what differentiating all at once gives."""
    call = Call(name, example, np.float32)
    out, pullback = vjp(call.operator, *call.xs)
    us = call.random_like(out)
    together = pullback(us)
    for k in range(len(call.xs)):
        alone = vjp(lambda x, k=k: call.operator(*call.xs[:k], x, *call.xs[k + 1 :]), call.xs[k])[1](us)[0]
        np.testing.assert_array_equal(alone, together[k])


@cases
@precisions
def test_adjoint_identity(name, example, dtype):
    """<u, Jv> = <J'u, v>: forward mode, by the reference, and reverse mode, by the kernel, are one linear map."""
    call = Call(name, example, dtype)
    out, pullback = vjp(call.operator, *call.xs)
    us, vs = call.random_like(out), call.random_like(call.xs)
    _, tangent = jvp(call.operator, call.xs, vs)
    assert_same_form(tangent, out)
    gradient = pullback(us)
    scale = 1 + dot(map(np.abs, us), map(np.abs, tangent)) + dot(map(np.abs, gradient), map(np.abs, vs))
    assert abs(dot(us, tangent) - dot(gradient, vs)) <= 5 * call.tolerance * scale


@cases
def test_derivatives_are_the_slopes_of_the_kernel(name, example):
    """Jv, and <J'u, v>, against (f(x + hv) - f(x - hv)) / 2h of the forward kernel in float64."""
    call = Call(name, example, np.float64)
    vs, h = call.random_like(call.xs), 1e-6
    ahead, behind = (call.operator(*[x + s * h * v for x, v in zip(call.xs, vs, strict=True)]) for s in (1, -1))
    slope = [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]
    out, tangent = jvp(call.operator, call.xs, vs)
    assert_near(tangent, slope, 1e-7)
    us = call.random_like(out)
    gradient = vjp(call.operator, *call.xs)[1](us)
    scale = 1 + dot(map(np.abs, us), map(np.abs, slope))
    assert abs(dot(gradient, vs) - dot(us, slope)) <= 1e-7 * scale


@cases
@precisions
def test_second_derivatives_are_those_of_the_reference(name, example, dtype):
    """Hv of f(x) = sum u sin(op(x)) in three ways through the operator, against Hv through the reference.

    Forward over reverse is `hvp`; reverse over reverse is the gradient of <grad f, v>; reverse over forward is the
    gradient of the directional derivative of f along v.
    """
    call = Call(name, example, dtype)
    us = call.random_like(call.operator(*call.xs))
    vs = call.random_like(call.xs)

    def objective(function, us):
        return lambda xs: sum(
            (np.sum(u * np.sin(o)) for u, o in zip(us, function(*xs), strict=True)), 0.0 * xs[0].sum()
        )

    f = objective(call.operator, us)
    wanted = hvp(objective(call.oracle, doubles(us)), call.exact, doubles(vs))
    forward_over_reverse = hvp(f, call.xs, vs)
    reverse_over_reverse = grad(lambda xs: inner(grad(f)(xs), vs))(call.xs)
    reverse_over_forward = grad(lambda xs: jvp(f, (xs,), (vs,))[1])(call.xs)
    for found in (forward_over_reverse, reverse_over_reverse, reverse_over_forward):
        assert_same_form(found, call.xs)
        assert_near(found, wanted, 50 * call.tolerance)


@cases
def test_second_derivatives_are_the_slopes_of_the_kernels_gradient(name, example):
    """Hv against (grad f(x + hv) - grad f(x - hv)) / 2h with gradients by the backward kernel, in float64."""
    call = Call(name, example, np.float64)
    us, vs, h = call.random_like(call.operator(*call.xs)), call.random_like(call.xs), 1e-6

    def f(xs):
        return sum((np.sum(u * np.sin(o)) for u, o in zip(us, call.operator(*xs), strict=True)), 0.0 * xs[0].sum())

    ahead, behind = (grad(f)([x + s * h * v for x, v in zip(call.xs, vs, strict=True)]) for s in (1, -1))
    slope = [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]
    assert_near(hvp(f, call.xs, vs), slope, 1e-6)


def inner(xs, ys):
    return sum(np.sum(x * y) for x, y in zip(xs, ys, strict=True))
