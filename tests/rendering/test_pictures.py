"""The quadrature of the volume integral: known values, closed-form derivatives, limits, and exact scenes.

Throughout, tau_i = sigma_i delta_i, alpha_i = 1 - exp(-tau_i), T_i = exp(-sum_{j<i} tau_j), w_i = T_i alpha_i.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff import check_grads, grad, jacobian
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Box
from nerf_mini.ops import composite, distortion, positions
from nerf_mini.rendering.volume import render
from nerf_mini.samplers import Samples, pack, stratified_samples
from nerf_mini.scenes.synthetic import default_blobs

# Three rays of one, no and four samples.
STARTS, COUNTS, RAY = np.array([0, 1, 1]), np.array([1, 0, 4]), np.array([0, 2, 2, 2, 2])
ONE, RGB = np.ones(5), np.ones((5, 3))


def random_samples(rng, n):
    """density, color, t, delta of one ray, and its start and count."""
    t = np.sort(rng.uniform(2, 6, n))
    return rng.uniform(0, 3, n), rng.random((n, 3)), t, rng.uniform(0.05, 0.5, n), np.array([0]), np.array([n])


# -- known values ------------------------------------------------------------------------------------------------------


def test_weights_of_given_opacities_of_samples():
    """R1: alphas [.4], [], [.3, .8, .8, .5]; a ray without samples gives nothing."""
    density = -np.log1p(-np.array([0.4, 0.3, 0.8, 0.8, 0.5]))
    color, distance, opacity, weights = composite(density, RGB, ONE, ONE, STARTS, COUNTS)
    np.testing.assert_allclose(weights, [0.4, 0.3, 0.56, 0.112, 0.014], atol=1e-15)
    np.testing.assert_allclose(opacity, [0.4, 0, 0.986], atol=1e-15)
    assert opacity[1] == distance[1] == 0 and not color[1].any()


def test_transmittance_and_a_sample_that_is_left_out():
    """R2: w / alpha is T = [1, 1, .7, .14, .028]; without the sample of .3 it does not attenuate: [1, 1, .2, .04]."""
    alpha = np.array([0.4, 0.3, 0.8, 0.8, 0.5])
    weights = composite(-np.log1p(-alpha), RGB, ONE, ONE, STARTS, COUNTS)[3]
    np.testing.assert_allclose(weights / alpha, [1, 1, 0.7, 0.14, 0.028])
    kept = alpha[[0, 2, 3, 4]]
    weights = composite(-np.log1p(-kept), RGB[:4], ONE[:4], ONE[:4], np.array([0, 1, 1]), np.array([1, 0, 3]))[3]
    np.testing.assert_allclose(weights / kept, [1, 1, 0.2, 0.04])


def test_weights_and_slopes_of_given_densities():
    """R3: d(sum w)/d sigma_i = delta_i exp(-sum of the ray's tau): e^-.4, and e^-1.8 four times."""
    density = np.array([0.4, 0.8, 0.1, 0.8, 0.1])
    weights = composite(density, RGB, ONE, ONE, STARTS, COUNTS)[3]
    np.testing.assert_allclose(weights, [0.3297, 0.5507, 0.0428, 0.2239, 0.0174], atol=5e-5)
    slope = grad(lambda density: composite(density, RGB, ONE, ONE, STARTS, COUNTS)[3].sum())(density)
    np.testing.assert_allclose(slope, [np.exp(-0.4)] + 4 * [np.exp(-1.8)])


def test_packed_rays_in_any_arrangement_render_as_one_by_one(rng):
    """R4: equal counts, ragged counts and shuffled rays are the same rays; opacity is the sum of weights by ray."""
    counts = np.array([5, 0, 1, 9, 3])
    starts = np.cumsum(counts) - counts
    n = counts.sum()
    density, color, t, delta = rng.uniform(0, 2, n), rng.random((n, 3)), rng.uniform(2, 6, n), rng.uniform(0, 1, n)
    together = composite(density, color, t, delta, starts, counts)
    for ray, (start, count) in enumerate(zip(starts, counts, strict=True)):
        part = slice(start, start + count)
        alone = composite(density[part], color[part], t[part], delta[part], np.array([0]), np.array([count]))
        for a, b in zip(alone[:3], together[:3], strict=True):
            np.testing.assert_array_equal(a[0], b[ray])
        np.testing.assert_array_equal(alone[3], together[3][part])
    order = np.array([3, 0, 4, 2, 1])
    shuffled = composite(density, color, t, delta, starts[order], counts[order])
    for a, b in zip(shuffled[:3], together[:3], strict=True):
        np.testing.assert_array_equal(a, b[order])
    by_index = np.zeros(5)
    np.add.at(by_index, np.repeat(np.arange(5), counts), together[3])
    np.testing.assert_allclose(together[2], by_index, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_and_gradients_are_finite_for_extreme_densities_and_distances(dtype):
    """R5: density e^m, distances t e^k, 100 rays of 128 samples."""
    for m, k in itertools.product((-100, -10, 0, 10), repeat=2):
        t = np.tile(np.linspace(0, 1, 129) * np.exp(float(k)), (100, 1)).astype(dtype)
        samples = pack(t[:, :-1], t[:, -1])
        density = np.full(samples.t.shape, np.exp(float(m)), dtype)

        def weights(density, t, delta, samples=samples):
            return composite(density, np.ones((len(t), 3), dtype), t, delta, samples.starts, samples.counts)[3]

        found = weights(density, samples.t, samples.delta)
        assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1
        slopes = grad(lambda *xs: np.sum(weights(*xs) ** 2), argnums=(0, 1, 2))(density, samples.t, samples.delta)
        assert all(np.isfinite(s).all() for s in slopes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_opaque_sample_takes_all_the_weight(dtype):
    """R6: one interval of density 1e10 hides what is behind; without anything before it, its weight is 1."""
    for hot in (0, 3, 7):
        density = np.zeros(8, dtype)
        density[hot] = 1e10
        ones = np.ones(8, dtype)
        weights = composite(density, np.ones((8, 3), dtype), ones, ones, np.array([0]), np.array([8]))[3]
        np.testing.assert_allclose(weights, np.eye(8)[hot], atol=1e-5)


# -- closed forms ------------------------------------------------------------------------------------------------------


def test_slope_of_the_colour_by_density(rng):
    """dC/dsigma_i = delta_i (T_{i+1} c_i - sum_{j>i} w_j c_j)."""
    density, color, t, delta, starts, counts = random_samples(rng, 12)
    weights = composite(density, color, t, delta, starts, counts)[3]
    beyond = np.exp(-np.cumsum(density * delta))  # T_{i+1}
    behind = np.cumsum((weights[:, None] * color)[::-1], axis=0)[::-1] - weights[:, None] * color
    wanted = delta[:, None] * (beyond[:, None] * color - behind)  # (samples, 3)
    found = jacobian(lambda density: composite(density, color, t, delta, starts, counts)[0][0])(density)
    np.testing.assert_allclose(found, wanted.T, atol=1e-14)


def test_slope_of_the_opacity_by_density_and_length(rng):
    """opacity = 1 - exp(-sum tau): d/dsigma_i = delta_i exp(-sum tau), d/ddelta_i = sigma_i exp(-sum tau)."""
    density, color, t, delta, starts, counts = random_samples(rng, 12)
    through = np.exp(-np.sum(density * delta))
    opacity = composite(density, color, t, delta, starts, counts)[2]
    np.testing.assert_allclose(opacity, [1 - through], rtol=1e-14)
    slopes = grad(lambda density, delta: composite(density, color, t, delta, starts, counts)[2][0], argnums=(0, 1))
    by_density, by_length = slopes(density, delta)
    np.testing.assert_allclose(by_density, delta * through, rtol=1e-11)
    np.testing.assert_allclose(by_length, density * through, rtol=1e-11)


def test_slopes_by_colour_and_distance_are_the_weights(rng):
    density, color, t, delta, starts, counts = random_samples(rng, 7)
    weights = composite(density, color, t, delta, starts, counts)[3]
    by_color = jacobian(lambda color: composite(density, color, t, delta, starts, counts)[0][0])(color)
    np.testing.assert_array_equal(by_color, np.eye(3)[:, None, :] * weights[:, None])
    by_distance = jacobian(lambda t: composite(density, color, t, delta, starts, counts)[1][0])(t)
    np.testing.assert_array_equal(by_distance, weights)


densities = st.lists(st.floats(0, 50), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(densities, st.integers(0, 19), st.floats(0.01, 0.99))
def test_splitting_a_sample_in_two_changes_nothing(values, which, share):
    """Two intervals of one density and colour that make up the first: its weight is shared out, the ray is the same."""
    density = np.array(values)
    n, which = len(density), which % len(values)
    color, delta = np.random.default_rng(n).random((n, 3)), np.full(n, 0.1)
    t = np.arange(n) / 10
    twice = np.insert(np.arange(n), which, which)
    parts = delta[twice].copy()
    parts[which : which + 2] *= [share, 1 - share]
    whole = composite(density, color, t, delta, np.array([0]), np.array([n]))
    split = composite(density[twice], color[twice], t[twice], parts, np.array([0]), np.array([n + 1]))
    for a, b in zip(split[:3], whole[:3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(split[3][which : which + 2].sum(), whole[3][which], rtol=1e-12, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(densities, st.sampled_from([np.float32, np.float64]))
def test_weights_are_shares_that_sum_to_the_opacity(values, dtype):
    density = np.array(values, dtype)
    n = len(density)
    ones = np.ones(n, dtype)
    color, distance, opacity, weights = composite(
        density, np.ones((n, 3), dtype), ones, ones, np.array([0]), np.array([n])
    )
    rounding = 4 * n * np.finfo(dtype).eps
    assert weights.min() >= 0 and opacity[0] <= 1 + rounding
    np.testing.assert_allclose(weights.sum(), opacity[0], atol=rounding)
    np.testing.assert_allclose(opacity[0], -np.expm1(-np.sum(density, dtype=np.float64)), atol=rounding)
    np.testing.assert_allclose([*color[0], distance[0]], opacity[0], atol=rounding)  # of white at distance 1


# -- whole rays --------------------------------------------------------------------------------------------------------

SPACE = Box((0.0, 0.0, 0.0), 1.0)  # its unit cube has the coordinates of the scene


def constant_field(density):
    def field(parameters, points, directions, ray_index, noise):
        return np.full(len(points), density), np.full((len(points), 3), 0.25)

    return field


def down(rays, far=5.0):
    """Rays from (0, 0, 4) straight down, between the distances 2 and `far`."""
    origins, directions = np.tile([0.0, 0.0, 4.0], (rays, 1)), np.tile([0.0, 0.0, -1.0], (rays, 1))
    return Rays(origins, directions, np.full(rays, 2.0), np.full(rays, far), np.zeros(rays, np.int64))


def test_background_shines_through_what_is_not_opaque():
    """color = sum w c + (1 - opacity) background, for one background or one per ray; None is black."""
    rays = down(2)
    samples = pack(np.tile([2.0, 3.0, 4.0], (2, 1)), rays.far)
    through = np.exp(-3 * 0.4)
    backgrounds = np.array([[1.0, 0.0, 0.5], [0.2, 0.4, 0.6]])
    black = render(constant_field(0.4), None, SPACE, rays, samples)
    np.testing.assert_allclose(black.color, 0.25 * (1 - through))
    each = render(constant_field(0.4), None, SPACE, rays, samples, backgrounds)
    np.testing.assert_allclose(each.color, 0.25 * (1 - through) + through * backgrounds)
    one = render(constant_field(0.4), None, SPACE, rays, samples, backgrounds[0])
    np.testing.assert_allclose(one.color, 0.25 * (1 - through) + through * backgrounds[:1].repeat(2, 0))
    nothing = render(constant_field(0.0), None, SPACE, rays, samples, backgrounds)
    np.testing.assert_array_equal(nothing.color, backgrounds)


def test_depth_is_the_mean_distance_and_safe_where_there_is_nothing():
    rays = down(1)
    samples = pack(np.array([[2.0, 3.0, 4.0]]), rays.far)
    wall = render(constant_field(1e6), None, SPACE, rays, samples)
    np.testing.assert_allclose(wall.depth, [2.0])
    thin = render(constant_field(1e-9), None, SPACE, rays, samples)
    np.testing.assert_allclose(thin.depth, [3.0], rtol=1e-6)
    empty = render(constant_field(0.0), None, SPACE, rays, samples)
    np.testing.assert_array_equal(empty.depth, [0.0])

    def depth(scale):
        def field(parameters, points, directions, ray_index, noise):
            return scale * np.ones(len(points)), np.ones((len(points), 3))

        return render(field, None, SPACE, rays, samples).depth.sum()

    assert np.isfinite(grad(depth)(0.0))


def test_a_ray_without_samples_shows_the_background():
    samples = Samples(np.array([3.0]), np.array([1.0]), np.array([1]), np.array([0, 0]), np.array([0, 1]))
    rendering = render(constant_field(2.0), None, SPACE, down(2), samples, np.array([0.1, 0.2, 0.3]))
    np.testing.assert_array_equal(rendering.color[0], [0.1, 0.2, 0.3])
    assert rendering.opacity[0] == rendering.depth[0] == 0 and rendering.opacity[1] > 0.8


def test_a_field_is_asked_at_points_of_the_unit_cube_and_answers_per_scene_unit():
    """The region decides where the field lies; depth and optical depth are those of the scene, whatever its side."""
    rays, asked = down(2), []
    samples = pack(np.tile([2.0, 3.0, 4.0], (2, 1)), rays.far)

    def field(parameters, points, directions, ray_index, noise):
        asked.append(points)
        return constant_field(0.4)(parameters, points, directions, ray_index, noise)

    for box in (SPACE, Box((-2.0, -1.0, -3.0), 5.0)):
        rendering = render(field, None, box, rays, samples)
        np.testing.assert_allclose(asked[-1], (samples.points(rays) - box.low) / box.side, rtol=1e-15)
        np.testing.assert_allclose(rendering.opacity, 1 - np.exp(-3 * 0.4), rtol=1e-14)
        np.testing.assert_array_equal(rendering.depth, render(field, None, SPACE, rays, samples).depth)


def test_rendering_is_differentiable_in_rays_and_background(rng):
    """Through points, density and colour of a soft blob, in both modes and to second order."""
    box = Box((-2.0, -1.0, -3.0), 5.0)
    center = box.to_unit(np.array([0.2, -0.1, 0.0]))

    def field(parameters, points, directions, ray_index, noise):
        offset = box.side * (points - center)
        density = 4 * np.exp(-np.sum(offset**2, axis=1))
        return density, 0.5 + 0.5 * np.sin(box.side * points + directions[ray_index])

    rays = down(2, far=6.0)
    samples = pack(np.tile(np.linspace(2, 5.5, 8), (2, 1)), rays.far)

    def color(origins, directions, background):
        bent = Rays(origins, directions, rays.near, rays.far, rays.view)
        rendering = render(field, None, box, bent, samples, background)
        return rendering.color, rendering.depth, rendering.opacity

    check_grads(color, (rays.origins, rays.directions + rng.normal(0, 0.1, (2, 3)), rng.random((2, 3))), order=2)


# -- exact scenes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("offset", [0.0, 0.6, 0.99])
def test_a_homogeneous_ball_has_opacity_by_its_chord(density, offset):
    """acc = 1 - exp(-sigma chord), chord = 2 sqrt(1 - offset^2).

    Samples h apart see the chord within one h, so |acc - exact| <= sigma h exp(-sigma (chord - h)), whatever the
    number of samples; intervals that tile the chord itself give it exactly.
    """
    chord = 2 * np.sqrt(1 - offset**2)
    exact = 1 - np.exp(-density * chord)
    rays = down(1, far=6.0)
    rays.origins[0, 0] = offset

    def ball(parameters, points, directions, ray_index, noise):
        inside = np.sum(points**2, axis=1) < 1
        return np.where(inside, density, 0.0), np.ones((len(points), 3))

    for n in (16, 100, 1000):
        t = stratified_samples(rays.near, rays.far, n, dtype=np.float64)
        h = 4 / n
        found = render(ball, None, SPACE, rays, pack(t, rays.far)).opacity[0]
        assert abs(found - exact) <= density * h * np.exp(-density * (chord - h)) + 1e-12
    tiled = np.linspace(4 - chord / 2, 4 + chord / 2, 8)[:-1]
    samples = pack(tiled[None] + 1e-9, np.array([4 + chord / 2 + 1e-9]))
    np.testing.assert_allclose(render(ball, None, SPACE, rays, samples).opacity, exact, rtol=1e-7)


@pytest.fixture(scope="module")
def view_of_blobs():
    """Rays through a volume of blobs, and their exact colour, opacity and depth."""
    pose = look_at([2.4, 2.4, 2.1], [0.0, 0.0, 0.0])
    rays = Cameras.from_field_of_view(pose, 12, 12, 0.5, 2.0, 6.0).image_rays(dtype=np.float64)
    return rays, default_blobs().render_exact(rays.origins, rays.directions, 2.0, 6.0)


def render_view(rays, n, dtype=np.float64):
    blobs, box = default_blobs(), Box((-1.5, -1.5, -1.5), 3.0)

    def field(parameters, points, directions, ray_index, noise):
        points = np.array(box.low) + box.side * points.astype(np.float64)
        return blobs.density(points).astype(dtype), blobs.color(points).astype(dtype)

    t = stratified_samples(rays.near, rays.far, n, dtype=dtype)
    single = Rays(rays.origins.astype(dtype), rays.directions.astype(dtype), rays.near, rays.far, rays.view)
    return render(field, None, box, single, pack(t, rays.far))


def test_the_quadrature_converges_to_exact_colours_with_second_order(view_of_blobs):
    """Samples in the middle of their intervals: for a smooth volume halving them divides the error by four."""
    rays, (color, opacity, depth) = view_of_blobs
    seen = opacity > 0.5
    assert seen.sum() > 20
    errors = []
    for n in (64, 128, 256, 512):
        found = render_view(rays, n)
        errors.append([np.abs(found.color - color).max(), np.abs(found.depth - depth)[seen].max()])
        np.testing.assert_allclose(found.opacity, opacity, atol=1e-6)  # the sum of a smooth density converges at once
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    assert np.all((ratios > 3.5) & (ratios < 4.6)), ratios
    assert errors[-1][0] < 1e-4


def test_single_precision_renders_the_exact_colours(view_of_blobs):
    rays, (color, opacity, _) = view_of_blobs
    found = render_view(rays, 1024, np.float32)
    assert found.color.dtype == np.float32
    np.testing.assert_allclose(found.color, color, atol=3e-5)
    np.testing.assert_allclose(found.opacity, opacity, atol=3e-6)


# -- distortion and positions ------------------------------------------------------------------------------------------


def test_distortion_of_one_interval_and_of_two_points():
    """w^2 delta / 3 of one interval; 2 w_1 w_2 |t_1 - t_2| of two thin ones; 0 of none."""
    starts, counts = np.array([0, 1, 3]), np.array([1, 2, 0])
    weights, t, delta = np.array([0.5, 0.2, 0.3]), np.array([2.0, 1.0, 4.0]), np.array([0.6, 0.0, 0.0])
    np.testing.assert_allclose(distortion(weights, t, delta, starts, counts), [0.25 * 0.6 / 3, 2 * 0.06 * 3, 0])


def test_ranges_and_rays_that_do_not_exist_are_refused():
    one, index = np.ones(3), np.array([0, 0, 2])
    with pytest.raises(ValueError, match="ranges of the 3 samples"):
        distortion(one, one, one, np.array([1]), np.array([3]))
    with pytest.raises(ValueError, match="name rays 0 to 1"):
        positions(np.ones((2, 3)), np.ones((2, 3)), one, index)
