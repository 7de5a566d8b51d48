"""The cube that a field covers: its corners, the way into the unit cube and along rays, and its place in a scene."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff import check_grads
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Box

coordinate = st.floats(-50.0, 50.0)
boxes = st.builds(Box, st.tuples(coordinate, coordinate, coordinate), st.floats(0.01, 100.0))


def _random_rays(count: int, dtype=np.float64, seed: int = 0) -> Rays:
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origins = rng.uniform(-3, 3, (count, 3))
    return Rays(origins.astype(dtype), directions.astype(dtype), np.zeros(count), np.ones(count), np.zeros(count, int))


@given(boxes)
def test_corners_become_those_of_the_unit_cube(box):
    corners = np.array(box.low) + box.side * np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij"), -1)
    wanted = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij"), -1)
    rounding = 4 * np.finfo(float).eps * (np.abs(corners).max() / box.side + 1)
    np.testing.assert_allclose(box.to_unit(corners), wanted, atol=rounding)
    np.testing.assert_allclose(box.to_unit(box.center), 0.5, atol=rounding)


@given(boxes, st.integers(0, 2**32 - 1))
def test_lengths_shrink_by_the_unit_length_and_the_diagonal_is_the_longest_way(box, seed):
    first, second = np.array(box.low) + box.side * np.random.default_rng(seed).random((2, 3))
    within = np.linalg.norm(box.to_unit(first) - box.to_unit(second)) * box.unit_length
    distance = np.linalg.norm(first - second)
    assert within == pytest.approx(distance, rel=1e-9, abs=1e-12 * (np.abs(box.low).max() + box.side))
    assert distance <= box.diagonal == pytest.approx(np.sqrt(3) * box.side)


def test_inside_and_outside_stay_what_they_are(rng):
    box = Box((-1.0, 2.0, 0.5), 1.5)
    points = np.array(box.low) + 1.5 * rng.uniform(-0.3, 1.3, (1000, 3))
    inside = ((points >= box.low) & (points <= np.array(box.low) + 1.5)).all(axis=1)
    unit = box.to_unit(points)
    assert 100 < inside.sum() < 900
    np.testing.assert_array_equal(((unit >= 0) & (unit <= 1)).all(axis=1), inside)


def test_a_box_by_its_centre():
    box = Box.centered(np.array([1.0, -2.0, 0.25]), 0.5)
    assert box == Box((0.75, -2.25, 0.0), 0.5)
    np.testing.assert_array_equal(box.center, [1.0, -2.0, 0.25])
    np.testing.assert_array_equal(box.cube, [0.75, -2.25, 0.0, 0.5])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-14)])
def test_points_along_rays_are_the_points_of_the_scene_in_unit_coordinates(rng, dtype, tolerance):
    box, rays, ray_index = Box((-2.0, -1.0, 0.3), 2.7), _random_rays(9, dtype), rng.integers(0, 9, 50)
    t = rng.uniform(0, 5, 50).astype(dtype)
    found = box.points(rays, t, ray_index)
    assert found.dtype == dtype and box.to_unit(rays.origins).dtype == dtype
    scene = rays.origins[ray_index].astype(float) + t[:, None].astype(float) * rays.directions[ray_index]
    np.testing.assert_allclose(found, box.to_unit(scene), rtol=0, atol=tolerance)


def test_points_are_differentiable_in_rays_and_distances(rng):
    box, rays, ray_index = Box((-2.0, -1.0, 0.3), 2.7), _random_rays(4), np.array([0, 0, 2, 3, 2])

    def points(origins, directions, t):
        return box.points(Rays(origins, directions, rays.near, rays.far, rays.view), t, ray_index)

    check_grads(points, (rays.origins, rays.directions, rng.uniform(0, 5, 5)), order=2)
    check_grads(box.to_unit, (rng.normal(size=(6, 3)),))


# -- its place in a scene ----------------------------------------------------------------------------------------------


def test_the_box_lies_around_what_the_cameras_look_at(blobs):
    from nerf_mini.scenes import load_scene

    cameras = load_scene(blobs).cameras.train
    box = Box.around(cameras)
    assert box.side == 3.0
    np.testing.assert_allclose(box.center, 0.0, atol=1e-6)  # the cameras of the blobs look at the origin
    assert Box.around(cameras, 2.5).side == 2.5
    np.testing.assert_allclose(Box.around(cameras, 2.5).center, box.center, atol=1e-12)
    one = Box.around(cameras[:1])
    pose = cameras.poses[0]
    np.testing.assert_allclose(np.array(one.low) + 1.5, pose[:3, 3] - 4 * pose[:3, 2], atol=1e-6)


def test_bounds_that_differ_from_view_to_view_count_from_the_first_to_the_last():
    target = np.array([0.3, -0.2, 0.1])
    cameras = Cameras.make(orbit(3, 4.0, target=target), (8, 8), 8.0, near=[3.0, 2.0, 2.5], far=[5.0, 5.5, 6.0])
    box = Box.around(cameras)
    assert box.side == 0.75 * (6.0 - 2.0)
    np.testing.assert_allclose(box.center, target, atol=1e-9)


def test_pixels_across_the_box_are_those_of_its_middle():
    """A camera at distance D with focal length f sees a side s, face on and in the middle, as f s / D pixels."""
    box = Box((-1.0, -1.0, -1.0), 2.0)
    poses = np.array([look_at((0.0, -4.0, 0.0), (0.0, 0.0, 0.0)), look_at((4.0, 0.0, 0.0), (0.0, 0.0, 0.0))])
    cameras = Cameras.from_field_of_view(poses, 100, 80, 0.7)
    ends = cameras.project(np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), [0, 0])
    assert box.pixels_across(cameras) == pytest.approx(abs(ends[1, 0] - ends[0, 0]))


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_marching_steps_are_as_long_as_pixels_are_wide(unit):
    """Whatever the unit of length; pictures twice as large have twice as many, up to a limit, and tiny ones a few."""
    box = Box.centered(np.zeros(3), 3.0 * unit)
    cameras = Cameras.from_field_of_view(orbit(4, 4.0 * unit), 200, 200, 0.69, 2 * unit, 6 * unit)
    steps = box.march_steps(cameras)
    pixel = 4.0 * unit / cameras.focal[0, 0]  # wide, in the middle of the box
    assert 0.7 * pixel < box.diagonal / steps < 0.9 * pixel
    assert box.march_steps(cameras.scaled(2.0)) == pytest.approx(2 * steps, abs=1)
    assert box.march_steps(cameras.scaled(8.0)) == box.march_steps(cameras.scaled(16.0)) == 1024
    assert box.march_steps(cameras.scaled(0.1)) == 128
