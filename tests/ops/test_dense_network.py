"""The network and the encoding: accuracy, invariances, slopes of every parameter, bits that threads do not change."""

import numba
import numpy as np
import pytest

from autodiff import FUSED, vjp
from nerf_mini.fields import MLPField
from nerf_mini.ops import GridMLPShape, MLPShape, encode, mlp, mlp_density, mlp_parameter_shapes
from nerf_mini.ops.dense_network import plan_of
from nerf_mini.ops.plan import Activations, workspace

SKIPPED = MLPShape(depth=3, width=24, skip=2, position_frequencies=4, direction_frequencies=2)


def random_parameters(shape, rng, dtype=np.float64):
    return {
        name: {
            "weight": (rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)).astype(dtype),
            "bias": (0.3 * rng.standard_normal(outputs)).astype(dtype),
        }
        for name, (inputs, outputs) in mlp_parameter_shapes(shape).items()
    }


def random_inputs(rng, samples, rays, dtype=np.float64, shape=SKIPPED):
    """Inputs, features of rays, and the ray of each sample."""
    return (
        rng.uniform(-1, 1, (samples, shape.inputs)).astype(dtype),
        rng.standard_normal((rays, shape.ray_features)).astype(dtype),
        np.arange(samples) * rays // samples,
    )


def reference(points, features, ray, parameters, shape):
    """The plain NumPy version in float64."""
    flat = [layer[key].astype(np.float64) for layer in parameters.values() for key in ("weight", "bias")]
    return FUSED["mlp"].reference(points.astype(np.float64), features.astype(np.float64), ray, *flat, shape=shape)


# -- the encoding ------------------------------------------------------------------------------------------------------


def test_encoding_is_the_formula_of_the_paper(rng):
    """gamma(p) = (sin 2^0 pi p, cos 2^0 pi p, ..., sin 2^(L-1) pi p, cos 2^(L-1) pi p), three columns each."""
    x = rng.uniform(-2, 2, (50, 3))
    wanted = np.concatenate([f(2.0**k * np.pi * x) for k in range(5) for f in (np.sin, np.cos)], axis=1)
    np.testing.assert_allclose(encode(x, 5), wanted, atol=1e-13)
    without_pi = np.concatenate([x] + [f(2.0**k * x) for k in range(5) for f in (np.sin, np.cos)], axis=1)
    np.testing.assert_allclose(encode(x, 5, identity=True, factor_pi=False), without_pi, atol=1e-13)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_slope_of_the_encoding(rng, dtype, tolerance):
    """d sin(a p)/dp = a cos(a p) and d cos(a p)/dp = -a sin(a p), a = 2^k pi."""
    x = rng.uniform(-1, 1, (300, 3)).astype(dtype)
    out, pullback = vjp(lambda x: encode(x, 4), x)
    for k in range(4):
        a = np.pi * 2.0**k
        angle = a * x.astype(np.float64)
        for part, wanted in ((0, a * np.cos(angle)), (1, -a * np.sin(angle))):
            g = np.zeros_like(out)
            g[:, 6 * k + 3 * part : 6 * k + 3 * part + 3] = 1
            np.testing.assert_allclose(pullback(g)[0], wanted, atol=tolerance * a)


def test_encoding_of_large_coordinates_stays_accurate(rng):
    """M4: 2^k x is exact in binary, and so is its remainder by 2; sin(pi remainder) is then exact to rounding.

    At x = 10^5 and k = 9 the naive float32 sine of 2^k pi x has lost every digit.
    """
    x = rng.uniform(-1e5, 1e5, (1000, 3)).astype(np.float32)
    remainder = np.fmod(x.astype(np.float64) * 2.0**9, 2.0)
    exact = np.sin(np.pi * remainder)
    found = encode(x, 10)[:, 54:57]
    naive = np.sin(np.float32(2.0**9 * np.pi) * x)
    assert np.abs(naive - exact).max() > 0.1
    np.testing.assert_allclose(found, exact, atol=5e-7)
    inside = network_columns(x)
    np.testing.assert_allclose(inside, exact[:, 0], atol=2e-6)


def network_columns(x):
    """sin(2^9 pi x_0) as the network's own encoding has it: one unit for each sign, the density their difference."""
    shape = MLPShape(depth=1, width=2, skip=None, position_frequencies=10, direction_frequencies=None)
    parameters = {name: {"weight": np.zeros(io, np.float32), "bias": np.zeros(io[1], np.float32)}
                  for name, io in mlp_parameter_shapes(shape).items()}  # fmt: skip
    parameters["layer0"]["weight"][54] = [1, -1]
    parameters["density"]["weight"][:, 0] = [1, -1]
    return mlp(x, np.zeros((1, 0), np.float32), np.zeros(len(x), int), parameters, shape)[:, 3]


def test_points_without_three_coordinates_are_refused():
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 3\), got \(5, 2\)"):
        encode(np.ones((5, 2)), 3)
    with pytest.raises(ValueError, match="leaves nothing"):
        encode(np.ones((5, 3)), 0)


# -- the network -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 127, 128, 129, 2049])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_every_row_is_that_of_the_reference_whatever_the_number_of_samples(rng, samples, dtype, tolerance):
    """Around the tile of 128 samples and the 16 chunks of tiles; values and slopes by the points."""
    parameters = random_parameters(SKIPPED, rng, dtype)
    points, features, ray = random_inputs(rng, samples, min(samples, 50), dtype)
    out, pullback = vjp(lambda p: mlp(p, features, ray, parameters, SKIPPED), points)
    wanted, exact_pullback = vjp(
        lambda p: reference_of(p, features, ray, parameters), points.astype(np.float64)
    )  # fmt: skip
    assert np.abs(out - wanted).max() <= tolerance * (1 + np.abs(wanted).max())
    g = rng.standard_normal(out.shape).astype(dtype)
    found, slopes = pullback(g)[0], exact_pullback(g.astype(np.float64))[0]
    # a unit within rounding of its kink may fall on the other side in float32
    off = np.abs(found - slopes).max(axis=1) > 10 * tolerance * (1 + np.abs(slopes).max())
    assert off.mean() <= (2e-3 if dtype == np.float32 else 0)


def reference_of(points, features, ray, parameters):
    flat = [layer[key].astype(np.float64) for layer in parameters.values() for key in ("weight", "bias")]
    return FUSED["mlp"].reference(points, features.astype(np.float64), ray, *flat, shape=SKIPPED)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_in_another_order_give_the_same_rows_bit_for_bit(rng, dtype):
    parameters = random_parameters(SKIPPED, rng, dtype)
    points, features, ray = random_inputs(rng, 700, 9, dtype)
    order = rng.permutation(700)
    straight = mlp(points, features, ray, parameters, SKIPPED)
    np.testing.assert_array_equal(mlp(points[order], features, ray[order], parameters, SKIPPED), straight[order])
    some = slice(130, 391)
    np.testing.assert_array_equal(mlp(points[some], features, ray[some], parameters, SKIPPED), straight[some])


def test_only_what_depends_on_the_direction_changes_with_it(rng):
    """The density sees the point alone; with direction_frequencies None the colour does too."""
    for frequencies in (2, None):
        shape = MLPShape(depth=2, width=16, skip=None, position_frequencies=3, direction_frequencies=frequencies)
        parameters = random_parameters(shape, rng)
        points, features, ray = random_inputs(rng, 60, 5, shape=shape)
        here, there = (mlp(points, d, ray, parameters, shape) for d in (features, -features))
        np.testing.assert_array_equal(here[:, 3], there[:, 3])
        assert np.array_equal(here[:, :3], there[:, :3]) == (frequencies is None)


@pytest.mark.parametrize(
    "shape",
    [
        MLPShape(depth=2, width=5, skip=1, position_frequencies=2, direction_frequencies=1),
        MLPShape(depth=1, width=4, skip=None, position_frequencies=1, direction_frequencies=None, identity=True),
        GridMLPShape(inputs=4, width=5, bottleneck=3, color_depth=1, ray_features=2),
    ],
    ids=["skip-and-view", "view-independent", "behind-a-grid"],
)
def test_slopes_of_every_parameter_input_and_ray_feature(rng, shape, one_thread):
    """d<u, out>/dx by the backward kernel against central differences of the forward kernel, number by number."""
    parameters = random_parameters(shape, rng)
    points, features, ray = random_inputs(rng, 9, 3, shape=shape)
    out, pullback = vjp(lambda p, d, w: mlp(p, d, ray, w, shape), points, features, parameters)
    u = rng.standard_normal(out.shape)
    by_points, by_features, by_parameters = pullback(u)

    def slopes(array, h=1e-6):
        found = np.empty(array.shape)
        for i in np.ndindex(array.shape):
            kept, ends = array[i], []
            for array[i] in (kept + h, kept - h):
                ends.append(np.sum(u * mlp(points, features, ray, parameters, shape)))
            array[i] = kept
            found[i] = (ends[0] - ends[1]) / (2 * h)
        return found

    np.testing.assert_allclose(by_points, slopes(points), atol=1e-7)
    np.testing.assert_allclose(by_features, slopes(features), atol=1e-7)
    for name, layer in parameters.items():
        for key, array in layer.items():
            np.testing.assert_allclose(by_parameters[name][key], slopes(array), atol=1e-7, err_msg=f"{name} {key}")


def test_threads_change_no_bit_of_value_or_gradient(rng):
    """5000 samples make 40 tiles, in 16 chunks that are shared among the threads."""
    parameters = random_parameters(SKIPPED, rng, np.float32)
    points, features, ray = random_inputs(rng, 5000, 70, np.float32)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            out, pullback = vjp(lambda p, d, w: mlp(p, d, ray, w, SKIPPED), points, features, parameters)
            by_points, by_features, by_parameters = pullback(np.cos(out))
            weights = [layer[key] for layer in by_parameters.values() for key in ("weight", "bias")]
            found.append([out, by_points, by_features, *weights])
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes()


def test_networks_of_many_shapes_in_turn_do_not_mix_up_their_scratch(rng):
    """More architectures than any cache holds, the first one again at the end."""
    points, _, ray = random_inputs(rng, 40, 4)
    features = np.zeros((4, 0))
    kept = []
    for turn in range(2):
        for width in range(2, 150):
            shape = MLPShape(depth=1, width=width, skip=None, position_frequencies=1, direction_frequencies=None)
            parameters = random_parameters(shape, np.random.default_rng(width))
            out = mlp(points, features, ray, parameters, shape)
            if turn == 0:
                kept.append(out)
            else:
                np.testing.assert_array_equal(out, kept[width - 2])
    np.testing.assert_allclose(kept[-1], reference(points, features, ray, parameters, shape), atol=1e-12)


SHAPES = [SKIPPED, GridMLPShape(inputs=7, width=24, bottleneck=6, color_depth=2, ray_features=5)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=["encoded-points", "behind-a-grid"])
variants = pytest.mark.parametrize(
    ("dtype", "bfloat16"), [(np.float32, False), (np.float64, False), (np.float32, True)],
    ids=["float32", "float64", "bfloat16"],
)  # fmt: skip


@shapes
@variants
def test_the_density_alone_has_the_bits_of_the_whole_network(rng, shape, dtype, bfloat16):
    parameters = random_parameters(shape, rng, dtype)
    inputs, features, ray = random_inputs(rng, 333, 7, dtype, shape)
    raw = mlp(inputs, features, ray, parameters, shape, bfloat16)
    np.testing.assert_array_equal(mlp_density(parameters, shape, bfloat16)(inputs), raw[:, 3])


@shapes
@variants
def test_no_result_depends_on_what_memory_held_before(rng, shape, dtype, bfloat16):
    """Scratch memory full of NaN changes no bit; 150 samples leave rows of their second tile unused."""
    parameters = random_parameters(shape, rng, dtype)
    inputs, features, ray = random_inputs(rng, 150, 4, dtype, shape)

    def results():
        out, pullback = vjp(lambda *a: mlp(a[0], a[1], ray, a[2], shape, bfloat16), inputs, features, parameters)
        by_inputs, by_features, by_parameters = pullback(np.ones_like(out))
        density = mlp_density(parameters, shape, bfloat16)(inputs)
        weights = [layer[key] for layer in by_parameters.values() for key in ("weight", "bias")]
        return b"".join(array.tobytes() for array in (out, density, by_inputs, by_features, *weights))

    before = results()
    plan = plan_of(shape)
    memory = [a for (_, name), a in workspace.of_plan[plan].items() if name in ("activations", "values", "gradients")]
    memory += [a for (_, name), a in workspace.of_plan[plan].items() if name == "words"]
    memory += [array for arrays in workspace.free[plan].values() for array in arrays]
    assert len(memory) >= 5
    for array in memory:
        array.view(np.uint8)[...] = 255  # not a number, in every format
    assert results() == before


@shapes
def test_the_padding_of_packed_weights_stays_zero(rng, shape):
    """Packing writes the same places every time, so that memory that is used again needs no clearing."""
    plan = plan_of(shape)
    for dtype, word in ((np.float32, np.float32), (np.float32, np.uint32)):
        for transposed in (False, True):
            flat = [np.full(s, 2.0, dtype) for io in shape.parameter_shapes().values() for s in (io, io[1:])]
            plan.packed_for_now(flat, np.dtype(word), transposed)
            flat = [np.ones_like(p) for p in flat]
            again, fresh = (pack(flat, np.dtype(word), transposed) for pack in (plan.packed_for_now, plan.packed))
            for used, new in zip(again, fresh, strict=True):
                np.testing.assert_array_equal(used, new)
            assert np.count_nonzero(fresh.values) < fresh.values.size, "there is padding"


def test_parameters_of_another_shape_are_refused_by_name(rng):
    points, features, ray = random_inputs(rng, 4, 2)
    parameters = random_parameters(SKIPPED, rng)
    parameters["layer2"]["bias"] = np.zeros(7)
    with pytest.raises(ValueError, match=r"'layer2' must have a weight \(48, 24\) and a bias.*\(7,\)"):
        mlp(points, features, ray, parameters, SKIPPED)
    del parameters["view"]
    parameters["layer2"]["bias"] = np.zeros(24)
    with pytest.raises(ValueError, match="'view'"):
        mlp(points, features, ray, parameters, SKIPPED)


@pytest.mark.parametrize(
    "settings",
    [{"depth": 0}, {"width": 1}, {"skip": 8}, {"skip": 0}, {"direction_frequencies": -1}, {"position_frequencies": 0}],
)
def test_architectures_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError):
        MLPShape(**settings)


# -- what is kept for the backward pass --------------------------------------------------------------------------------


def pullback_of(rng, samples, seed=0):
    points, features, ray = random_inputs(rng, samples, 3)
    parameters = random_parameters(SKIPPED, np.random.default_rng(seed))
    return vjp(lambda p: mlp(points, features, ray, p, SKIPPED), parameters)[1]


def test_passes_that_live_together_do_not_share_memory(rng):
    """And a pullback may be used more than once."""
    g = [rng.standard_normal((samples, 4)) for samples in (300, 500, 200)]
    seeds = range(3)

    def one(i):
        return pullback_of(np.random.default_rng(i), len(g[i]), i)(g[i])[0]

    alone = [one(i) for i in seeds]
    together = [pullback_of(np.random.default_rng(i), len(g[i]), i) for i in seeds]
    for _ in range(2):
        for i in reversed(seeds):
            found = together[i](g[i])[0]
            for name, layer in alone[i].items():
                np.testing.assert_array_equal(found[name]["weight"], layer["weight"])


def test_memory_is_used_again_and_what_is_too_small_is_given_up():
    free = []
    small, large = Activations(free, 2, 5, np.float32), Activations(free, 8, 5, np.float32)
    address = large.array.ctypes.data
    del small, large
    assert len(free) == 2
    again = Activations(free, 7, 5, np.float32)
    assert again.array.shape == (7, 5) and again.array.ctypes.data == address
    assert free == [], "two tiles are too few, and will be again"
    del again
    assert len(free) == 1 and free[0].shape == (10, 5)


# -- the field ---------------------------------------------------------------------------------------------------------


def test_density_and_colour_are_activated_as_documented(rng):
    """relu(raw + noise) or log(1 + exp(raw + noise - 1)); colours by the logistic function, without overflow."""
    points, _, ray = random_inputs(rng, 30, 3)
    directions = np.eye(3)
    cube = (points + 1) / 2
    features = MLPField(SKIPPED).ray_features(directions)
    noise = rng.standard_normal(30)
    parameters = random_parameters(SKIPPED, rng)
    parameters["color"]["bias"][:] = [800, -800, 0]
    raw = mlp(points, features, ray, parameters, SKIPPED)
    density, color = MLPField(SKIPPED, "relu")(parameters, cube, directions, ray, noise)
    np.testing.assert_allclose(density, np.maximum(raw[:, 3] + noise, 0), atol=1e-12)
    np.testing.assert_allclose(color[:, 2], 1 / (1 + np.exp(-raw[:, 2])), rtol=1e-12)
    np.testing.assert_allclose(color[:, :2], np.tile([1.0, 0.0], (30, 1)), atol=1e-37)
    density, _ = MLPField(SKIPPED, "softplus")(parameters, cube, directions, ray, noise)
    np.testing.assert_allclose(density, np.log1p(np.exp(raw[:, 3] + noise - 1)), rtol=1e-12)
    with pytest.raises(ValueError, match="gelu"):
        MLPField(SKIPPED, "gelu")


def test_initial_weights_are_glorot_uniform_and_biases_zero():
    """Uniform in +-sqrt(6 / (in + out)), so of variance 2 / (in + out); in float32."""
    parameters = MLPField(MLPShape()).init(np.random.default_rng(0))
    assert list(parameters) == list(mlp_parameter_shapes(MLPShape()))
    for (inputs, outputs), layer in zip(mlp_parameter_shapes(MLPShape()).values(), parameters.values(), strict=True):
        assert layer["weight"].shape == (inputs, outputs) and layer["weight"].dtype == np.float32
        assert np.abs(layer["weight"]).max() <= np.float32(np.sqrt(6 / (inputs + outputs)))
        assert np.var(layer["weight"]) == pytest.approx(2 / (inputs + outputs), rel=0.3)
        assert not layer["bias"].any()
