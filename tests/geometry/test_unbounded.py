"""All of space in the unit cube: the contraction, its derivative, and how samples are spread along rays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff import check_grads, jacobian
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Unbounded
from nerf_mini.ops import contract

REGION = Unbounded((1.0, -2.0, 0.5), 3.0)
seeds = st.integers(0, 2**32 - 1)


def anywhere(seed, count=50):
    """Points in radii, from the middle to far away, none near the edges where the map has a kink."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)) * 10 ** rng.uniform(-2, 3, (count, 1))
    sizes = np.sort(np.abs(points), axis=1)
    clear = (np.abs(sizes[:, 2] - 1) > 1e-3) & (sizes[:, 2] - sizes[:, 1] > 1e-3 * sizes[:, 2])
    return points[clear]


def inverse(unit):
    """From the unit cube back: z / (|z| (2 - |z|)) outside of the middle, in the largest norm."""
    z = 4 * unit - 2
    size = np.max(np.abs(z), axis=1, keepdims=True)
    return np.where(size > 1, z / (size * (2 - size)), z)


@given(seeds)
@settings(deadline=None)  # the first call compiles
def test_the_contraction_loses_nothing(seed):
    points = anywhere(seed)
    np.testing.assert_allclose(inverse(contract(points)), points, rtol=1e-9)


def test_the_middle_stays_and_infinity_lies_on_the_cube():
    middle = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    np.testing.assert_allclose(4 * contract(middle) - 2, middle, atol=1e-15)
    far = contract(np.array([[1e9, 0.0, 0.0], [0.0, -1e12, 1e11]]))
    np.testing.assert_allclose(far, [[1.0, 0.5, 0.5], [0.5, 0.0, 0.55]], atol=1e-8)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_the_volume_shrinks_as_the_formula_says(seed):
    """det J = (2 m - 1)^2 / m^6 outside of the middle, for the map to the cube of side 4."""
    points = anywhere(seed, 5)
    for point in points:
        matrix = 4 * jacobian(lambda p: contract(p[None])[0])(point)
        m = max(1.0, np.abs(point).max())
        assert np.linalg.det(matrix) == pytest.approx((2 * m - 1) ** 2 / m**6, rel=1e-6)


def test_the_contraction_is_continuous_and_keeps_the_order_along_a_ray():
    t = np.geomspace(1e-3, 1e6, 4000)
    for direction in np.random.default_rng(0).normal(size=(5, 3)):
        reach = np.max(np.abs(contract(t[:, None] * direction) - 0.5), axis=1)
        assert (np.diff(reach) > 0).all() and np.diff(reach).max() < 3e-3 and reach[-1] < 0.5


def test_points_along_rays_are_those_of_the_scene(rng):
    rays = Rays(rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), np.zeros(4), np.ones(4), np.zeros(4, int))
    t, ray_index = 10 ** rng.uniform(-1, 3, 30), rng.integers(0, 4, 30)
    scene = rays.origins[ray_index] + t[:, None] * rays.directions[ray_index]
    np.testing.assert_allclose(REGION.points(rays, t, ray_index), REGION.to_unit(scene), atol=1e-12)
    np.testing.assert_allclose(REGION.to_unit(np.array(REGION.center)), 0.5, atol=1e-15)

    def points(origins, directions):
        return REGION.points(Rays(origins, directions, rays.near, rays.far, rays.view), t, ray_index)

    check_grads(points, (rays.origins, rays.directions))


def test_cells_are_warped_as_points_of_the_scene_are(rng):
    low, side = REGION.cube[:3], REGION.cube[3]
    in_cubes = (0.5 + rng.uniform(-0.5, 0.5, (100, 3)) * 2.0 ** rng.integers(0, 11, (100, 1))).astype(np.float32)
    wanted = REGION.to_unit(low + side * in_cubes.astype(float))
    np.testing.assert_allclose(REGION.warp(in_cubes.copy()), wanted, atol=2e-6)


@given(st.floats(0.0, 1e4), st.floats(0.0, 1e4))
def test_spacing_ascends_from_zero_to_one_and_has_an_inverse(first, second):
    s = REGION.spacing(np.array([first, second]))
    assert (s >= 0).all() and (s < 1).all()
    assert (first < second) <= (s[0] <= s[1])
    np.testing.assert_allclose(REGION.unspacing(s), [first, second], rtol=1e-6, atol=1e-9)


def test_intervals_as_shares_of_the_way_add_up_to_it():
    t = np.geomspace(0.1, 1000.0, 30)
    rays = Rays(np.zeros((1, 3)), np.ones((1, 3)), t[:1], t[-1:], np.zeros(1, int))
    middle, length = REGION.share(t[:-1], np.diff(t), rays, np.array([29]))
    assert length.sum() == pytest.approx(1.0) and (length > 0).all() and (np.diff(middle) > 0).all()


def test_density_thins_out_in_proportion_to_the_distance(rng):
    """The same raw density at twice the distance is half the density: a cloud twice as large is as opaque."""
    direction = rng.normal(size=3)
    direction *= 4.0 * REGION.radius / np.abs(direction).max()
    near, far = (REGION.scale(REGION.to_unit(np.array(REGION.center) + k * direction)[None])[0] for k in (1, 2))
    assert near == pytest.approx(0.25) and far == pytest.approx(0.125)
    assert REGION.scale(REGION.to_unit(np.array(REGION.center) + 0.2 * direction)[None])[0] == 1.0


def test_pixels_across_the_cube_are_those_of_four_radii():
    cameras = Cameras.make(look_at((1.0, -2.0, 12.5), REGION.center, (0, 1, 0)), (100, 80), 90.0)
    assert REGION.pixels_across(cameras) == pytest.approx(90.0 * 12.0 / 12.0)
