"""Cameras, rays and camera paths: golden values, round trips and the geometry that defines them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.geometry.cameras import Intrinsics, camera_rays, image_rays, look_at, project
from nerf_mini.geometry.paths import orbit, orbit_like, spiral, spiral_like
from nerf_mini.io.images import downscale

coordinate = st.floats(-5.0, 5.0)
point = st.tuples(coordinate, coordinate, coordinate).map(np.array)


def _random_poses(count: int, seed: int = 0) -> np.ndarray:
    """Random rotations, by QR, and positions: (count, 4, 4)."""
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    for pose in poses:
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        pose[:3, :3] = rotation * np.sign(np.linalg.det(rotation))
        pose[:3, 3] = rng.normal(size=3)
    return poses


def test_rays_of_a_small_camera_are_the_golden_ones():
    """3x4 pixels, focal length 5, turned so that the camera looks along +x of the world with z up."""
    camera = Intrinsics(width=3, height=4, focal_x=5.0, focal_y=5.0, center_x=1.5, center_y=2.0)
    pose = np.array([[0.0, 0.0, -1.0, 7.0], [-1.0, 0.0, 0.0, 8.0], [0.0, 1.0, 0.0, 9.0], [0.0, 0.0, 0.0, 1.0]])
    origins, directions = image_rays(camera, pose, np.float64)
    left, level = np.array([1.0, 0.0, -1.0]), np.array([1.5, 0.5, -0.5, -1.5])  # in pixels from the middle
    golden = np.array([[5.0, y, z] for z in level for y in left])
    np.testing.assert_allclose(directions, golden / np.linalg.norm(golden, axis=1, keepdims=True), atol=1e-15)
    np.testing.assert_array_equal(origins, np.tile([7.0, 8.0, 9.0], (12, 1)))


def test_directions_are_unit_and_in_the_asked_dtype():
    camera = Intrinsics.from_field_of_view(31, 17, 1.2)
    for dtype, tolerance in ((np.float32, 2e-7), (np.float64, 1e-15)):
        origins, directions = image_rays(camera, _random_poses(1)[0], dtype)
        assert origins.dtype == directions.dtype == dtype
        assert origins.flags.c_contiguous and directions.flags.c_contiguous
        np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=tolerance)


def test_a_batch_over_many_views_is_the_views_one_by_one():
    camera, poses, rng = Intrinsics.from_field_of_view(20, 10, 0.9), _random_poses(5), np.random.default_rng(1)
    view, columns, rows = rng.integers(5, size=40), rng.integers(20, size=40), rng.integers(10, size=40)
    origins, directions = camera_rays(camera, poses[view], columns, rows)
    for i in range(40):
        one_origin, one_direction = camera_rays(camera, poses[view[i]], columns[i], rows[i])
        np.testing.assert_array_equal(origins[i], one_origin)
        np.testing.assert_array_equal(directions[i], one_direction)


@given(st.floats(-10.0, 60.0), st.floats(-10.0, 40.0), st.floats(0.1, 50.0), st.integers(0, 2**32 - 1))
def test_projecting_a_point_of_a_ray_gives_its_pixel_back(column, row, distance, seed):
    camera = Intrinsics(width=48, height=32, focal_x=40.0, focal_y=44.0, center_x=23.0, center_y=17.5)
    pose = _random_poses(1, seed)[0]
    origin, direction = camera_rays(camera, pose, column, row, np.float64)
    pixel = project(origin + distance * direction, camera, pose)
    np.testing.assert_allclose(pixel, [column + 0.5, row + 0.5], atol=1e-9)


def test_what_is_behind_a_camera_has_no_image():
    camera = Intrinsics.from_field_of_view(8, 8, 1.0)
    assert np.isnan(project([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], camera, np.eye(4))).all()


def test_field_of_view_reaches_the_edges_of_the_image():
    camera = Intrinsics.from_field_of_view(100, 60, 0.8)
    _, (left, right) = camera_rays(camera, np.eye(4), [-0.5, 99.5], [29.5, 29.5], np.float64)
    assert np.arccos(left @ right) == pytest.approx(0.8, abs=1e-12)
    assert (camera.center_x, camera.center_y) == (50.0, 30.0)


def test_half_resolution_is_exact():
    camera = Intrinsics(width=90, height=60, focal_x=77.0, focal_y=79.0, center_x=44.0, center_y=31.0)
    assert camera.scaled(0.5) == Intrinsics(45, 30, 38.5, 39.5, 22.0, 15.5)
    assert camera.scaled(0.5).scaled(2.0) == camera


def test_a_half_resolution_camera_sees_the_full_image_downscaled():
    """Pixels painted with a linear function of the direction: the average of 2x2 must be the half camera's pixel."""
    camera = Intrinsics.from_field_of_view(16, 12, 0.7)

    def paint(intrinsics: Intrinsics) -> np.ndarray:
        _, directions = image_rays(intrinsics, np.eye(4), np.float64)
        slopes = directions / -directions[:, 2:]  # linear in column and row
        return ((slopes + 1.0) * 100.0).reshape(intrinsics.height, intrinsics.width, 3)

    averaged = paint(camera).reshape(6, 2, 8, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(paint(camera.scaled(0.5)), averaged, atol=1e-12)
    small = downscale(paint(camera).astype(np.uint8), 2)
    assert np.abs(small - averaged).max() <= 1.5  # 1 lost in painting 8 bits, 1/2 in rounding the average


def test_uneven_sizes_keep_the_field_of_view():
    camera = Intrinsics.from_field_of_view(101, 51, 0.8).scaled(0.5)
    expected = Intrinsics.from_field_of_view(camera.width, camera.height, 0.8)
    assert (camera.focal_x, camera.center_x, camera.center_y) == pytest.approx(
        (expected.focal_x, expected.center_x, expected.center_y)
    )
    with pytest.raises(ValueError, match="leaves no pixel"):
        camera.scaled(0.001)


@given(point, point, point)
def test_look_at_puts_the_target_in_the_middle_and_up_upwards(position, target, up):
    if np.linalg.norm(position - target) < 1e-3 or np.linalg.norm(up) < 1e-3:
        return
    pose = look_at(position, target, up)
    rotation = pose[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-7)
    assert np.linalg.det(rotation) > 0.0
    np.testing.assert_array_equal(pose[:3, 3], position)
    np.testing.assert_allclose(-pose[:3, 2], (target - position) / np.linalg.norm(target - position), atol=1e-12)
    assert pose[:3, 1] @ up >= -1e-6


def test_look_at_special_cases():
    level = look_at((4.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    np.testing.assert_allclose(level[:3, :3], np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    above = look_at((0.0, 0.0, 4.0), (0.0, 0.0, 0.0))
    np.testing.assert_allclose(above[:3, :3].T @ above[:3, :3], np.eye(3), atol=1e-15)
    with pytest.raises(ValueError, match="where it stands"):
        look_at((1.0, 2.0, 3.0), (1.0, 2.0, 3.0))


def test_an_orbit_keeps_distance_elevation_and_even_steps():
    target, up = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0])
    poses = orbit(12, 4.0, 30.0, target, up)
    offsets = poses[:, :3, 3] - target
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), 4.0)
    np.testing.assert_allclose(offsets @ up, 4.0 * np.sin(np.radians(30.0)))
    np.testing.assert_allclose(-poses[:, :3, 2], -offsets / 4.0, atol=1e-12)
    steps = np.linalg.norm(offsets - np.roll(offsets, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0])  # the step from the last to the first among them: the video loops


def test_a_spiral_covers_its_elevations():
    poses = spiral(40, 2.0, (10.0, 60.0), turns=3)
    elevations = np.degrees(np.arcsin(poses[:, 2, 3] / 2.0))
    assert elevations.min() == pytest.approx(10.0) and elevations.max() == pytest.approx(60.0)
    assert np.argmin(elevations) == 0 and np.argmax(elevations) == 20


def test_an_orbit_like_training_cameras_finds_what_they_look_at():
    target = np.array([0.5, -0.3, 0.2])
    training = orbit(9, 3.0, 25.0, target)
    training = np.concatenate([training, orbit(9, 3.0, 45.0, target), orbit(9, 3.0, 65.0, target)])
    np.testing.assert_allclose(orbit_like(training, 7), orbit(7, 3.0, 45.0, target), atol=1e-9)
    np.testing.assert_allclose(spiral_like(training, 7), spiral(7, 3.0, (25.0, 65.0), target=target), atol=1e-9)


def test_an_orbit_like_cameras_with_another_up_follows_it():
    training = orbit(16, 3.0, 20.0, up=(0.0, 1.0, 0.0))
    np.testing.assert_allclose(orbit_like(training, 5)[:, 1, 3], 3.0 * np.sin(np.radians(20.0)), atol=1e-9)


def test_one_training_camera_is_enough_for_an_orbit():
    lone = look_at((3.0, 0.0, 1.5), (0.0, 0.0, 0.0))[None]
    np.testing.assert_allclose(orbit_like(lone, 4)[0], lone[0], atol=1e-9)
    outward = look_at((3.0, 0.0, 1.5), (6.0, 0.0, 3.0))[None]  # the origin lies behind it: one unit ahead instead
    ahead = outward[0, :3, 3] - outward[0, :3, 2]
    distances = np.linalg.norm(orbit_like(outward, 4)[:, :3, 3] - ahead, axis=1)
    np.testing.assert_allclose(distances, 1.0)
    assert np.isfinite(spiral_like(lone, 4)).all()
