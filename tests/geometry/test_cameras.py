"""Cameras, rays and camera paths: golden values, round trips and the geometry that defines them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff import check_grads
from nerf_mini.geometry.cameras import LENS_PARAMETERS, Cameras
from nerf_mini.geometry.corrections import corrected, no_correction
from nerf_mini.geometry.lenses import LENSES
from nerf_mini.geometry.paths import orbit, orbit_like, spiral, spiral_like
from nerf_mini.geometry.poses import look_at, looked_at, rigid_motion
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


def _many_cameras(seed: int = 0) -> Cameras:
    """Four cameras that differ in everything, lenses included."""
    rng = np.random.default_rng(seed)
    return Cameras.make(
        _random_poses(4, seed),
        size=rng.integers(20, 60, (4, 2)),
        focal=rng.uniform(30, 60, (4, 2)),
        center=rng.uniform(10, 30, (4, 2)),
        near=rng.uniform(0.1, 1, 4),
        far=rng.uniform(5, 9, 4),
        lens=["pinhole", "radial-tangential", "pinhole", "radial-tangential"],
        lens_parameters=rng.uniform(-0.05, 0.05, (4, LENS_PARAMETERS)),
    )


def test_rays_of_a_small_camera_are_the_golden_ones():
    """3x4 pixels, focal length 5, turned so that the camera looks along +x of the world with z up."""
    pose = np.array([[0.0, 0.0, -1.0, 7.0], [-1.0, 0.0, 0.0, 8.0], [0.0, 1.0, 0.0, 9.0], [0.0, 0.0, 0.0, 1.0]])
    rays = Cameras.make(pose, size=(3, 4), focal=5.0).image_rays(dtype=np.float64)
    left, level = np.array([1.0, 0.0, -1.0]), np.array([1.5, 0.5, -0.5, -1.5])  # in pixels from the middle
    golden = np.array([[5.0, y, z] for z in level for y in left])
    np.testing.assert_allclose(rays.directions, golden / np.linalg.norm(golden, axis=1, keepdims=True), atol=1e-15)
    np.testing.assert_array_equal(rays.origins, np.tile([7.0, 8.0, 9.0], (12, 1)))


def test_directions_are_unit_and_in_the_asked_dtype():
    camera = Cameras.from_field_of_view(_random_poses(1), 31, 17, 1.2)
    for dtype, tolerance in ((np.float32, 2e-7), (np.float64, 1e-15)):
        rays = camera.image_rays(dtype=dtype)
        assert rays.origins.dtype == rays.directions.dtype == dtype
        np.testing.assert_allclose(np.linalg.norm(rays.directions, axis=1), 1.0, atol=tolerance)


def test_a_batch_over_many_cameras_is_the_cameras_one_by_one():
    cameras, rng = _many_cameras(), np.random.default_rng(1)
    view, columns, rows = rng.integers(4, size=40), rng.integers(20, size=40), rng.integers(20, size=40)
    rays = cameras.rays(view, columns, rows, np.float64)
    for i in range(40):
        one = cameras[view[i]].rays(0, columns[i : i + 1], rows[i : i + 1], np.float64)
        np.testing.assert_allclose(rays.origins[i : i + 1], one.origins, rtol=1e-15)
        np.testing.assert_allclose(rays.directions[i : i + 1], one.directions, rtol=1e-12)
        assert (rays.near[i], rays.far[i]) == (one.near[0], one.far[0])


@pytest.mark.parametrize("lens", LENSES)
@given(st.floats(-5.0, 53.0), st.floats(-5.0, 37.0), st.floats(0.1, 50.0), st.integers(0, 2**32 - 1))
def test_projecting_a_point_of_a_ray_gives_its_pixel_back(lens, column, row, distance, seed):
    parameters = np.random.default_rng(seed).uniform(-0.03, 0.03, len(LENSES[lens].parameters))
    camera = Cameras.make(
        _random_poses(1, seed), (48, 32), (40.0, 44.0), (23.0, 17.5), lens=lens, lens_parameters=parameters
    )
    rays = camera.rays(0, [column], [row], np.float64)
    pixel = camera.project(rays.origins + distance * rays.directions, [0])
    np.testing.assert_allclose(pixel, [[column + 0.5, row + 0.5]], atol=1e-8)


def test_a_lens_that_folds_the_image_over_gives_nan_beyond_the_fold():
    camera = Cameras.make(np.eye(4), (8, 8), 4.0, lens="radial-tangential", lens_parameters=[-0.6])
    rays = camera.rays(0, [3.5, 60.0], [3.5, 3.5], np.float64)
    np.testing.assert_array_equal(rays.directions[0], [0.0, 0.0, -1.0])
    assert np.isnan(rays.directions[1]).all()


def test_a_second_solution_beyond_the_fold_is_none():
    """From the middle of this image towards its corner and on: light comes from ever farther aside, and then there is
    none, although the formula has a solution on the other side of the image."""
    camera = Cameras.make(
        np.eye(4), (31, 33), (31.2, 30.8), (13.5, 25.2), lens="radial-tangential",
        lens_parameters=[-0.0107, 0.0083, 0.0138, -0.0361, -0.0274],
    )  # fmt: skip
    share = np.linspace(0.0, 1.3, 60)
    rays = camera.rays(0, 13.0 + share * 17.5, 24.7 - share * 25.2, np.float64)
    sideways = rays.directions[:, 0] / -rays.directions[:, 2]
    seen = np.isfinite(sideways)
    assert seen[share < 0.9].all() and not seen[share > 1.1].any()
    assert (np.diff(sideways[seen]) > 0).all()


def test_pincushion_and_barrel_bend_to_opposite_sides():
    """k1 > 0 pulls the light of a direction outwards on the image, so that a pixel looks less far to the side."""
    slopes = []
    for k1 in (-0.1, 0.0, 0.1):
        camera = Cameras.make(np.eye(4), (8, 8), 8.0, lens="radial-tangential", lens_parameters=[k1])
        direction = camera.rays(0, [7.0], [3.5], np.float64).directions[0]
        slopes.append(-direction[0] / direction[2])
    assert slopes[0] > slopes[1] > slopes[2] > 0


def test_rays_are_differentiable_in_poses_focal_lengths_and_lenses():
    cameras, rng = _many_cameras(), np.random.default_rng(3)
    view, columns, rows = np.array([0, 1, 1, 2, 3]), rng.uniform(0, 20, 5), rng.uniform(0, 20, 5)

    def rays(correction):
        seen = corrected(cameras, correction).rays(view, columns, rows, np.float64)
        return np.concatenate([seen.origins, seen.directions], axis=1)

    check_grads(rays, (no_correction(cameras, dtype=np.float64),))
    moved = {name: value + 0.05 * rng.normal(size=value.shape) for name, value in no_correction(cameras).items()}
    check_grads(rays, (moved,))


@given(st.integers(0, 2**32 - 1), st.floats(0, 3.1))
def test_rigid_motions_are_rotations_about_their_axis(seed, angle):
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    motion = rigid_motion(np.concatenate([angle * axis, rng.normal(size=3)]))
    rotation = motion[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation @ axis, axis, atol=1e-12)
    assert np.trace(rotation) == pytest.approx(1 + 2 * np.cos(angle), abs=1e-12)
    np.testing.assert_array_equal(motion[3], [0, 0, 0, 1])


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1.0))
def test_half_a_rigid_motion_twice_is_the_whole(seed, size):
    twist = size * np.random.default_rng(seed).normal(size=6)
    half = rigid_motion(twist / 2)
    np.testing.assert_allclose(half @ half, rigid_motion(twist), atol=1e-12)


def test_what_is_behind_a_camera_has_no_image():
    camera = Cameras.from_field_of_view(np.eye(4), 8, 8, 1.0)
    assert np.isnan(camera.project(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), [0, 0])).all()


def test_field_of_view_reaches_the_edges_of_the_image():
    camera = Cameras.from_field_of_view(np.eye(4), 100, 60, 0.8)
    left, right = camera.rays(0, [-0.5, 99.5], [29.5, 29.5], np.float64).directions
    assert np.arccos(left @ right) == pytest.approx(0.8, abs=1e-12)
    np.testing.assert_array_equal(camera.center, [[50.0, 30.0]])
    side = np.tan(0.4)
    np.testing.assert_allclose(camera.frustums(), [[-side, side, -0.6 * side, 0.6 * side]])


@given(st.integers(0, 2**32 - 1))
def test_whatever_a_camera_sees_lies_in_its_frustum(seed):
    cameras = _many_cameras(seed)
    for view in range(len(cameras)):
        rays = cameras.image_rays(view, np.float64)
        local = rays.directions @ cameras.poses[view, :3, :3] * [1, -1, -1]  # OpenCV's axes
        left, right, top, bottom = cameras.frustums()[view]
        x, y = (local[:, :2] / local[:, 2:]).T
        assert left - 2e-2 <= np.nanmin(x) and np.nanmax(x) <= right + 2e-2
        assert top - 2e-2 <= np.nanmin(y) and np.nanmax(y) <= bottom + 2e-2


def test_half_resolution_is_exact():
    camera = Cameras.make(np.eye(4), (90, 60), (77.0, 79.0), (44.0, 31.0))
    half = camera.scaled(0.5)
    np.testing.assert_array_equal(half.size, [[45, 30]])
    np.testing.assert_array_equal(half.focal, [[38.5, 39.5]])
    np.testing.assert_array_equal(half.center, [[22.0, 15.5]])
    np.testing.assert_array_equal(half.scaled(2.0).focal, camera.focal)


def test_a_half_resolution_camera_sees_the_full_image_downscaled():
    """Pixels painted with a linear function of the direction: the average of 2x2 must be the half camera's pixel."""
    camera = Cameras.from_field_of_view(np.eye(4), 16, 12, 0.7)

    def paint(camera: Cameras) -> np.ndarray:
        directions = camera.image_rays(dtype=np.float64).directions
        slopes = directions / -directions[:, 2:]  # linear in column and row
        return ((slopes + 1.0) * 100.0).reshape(camera.size[0, 1], camera.size[0, 0], 3)

    averaged = paint(camera).reshape(6, 2, 8, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(paint(camera.scaled(0.5)), averaged, atol=1e-12)
    small = downscale(paint(camera).astype(np.uint8), 2)
    assert np.abs(small - averaged).max() <= 1.5  # 1 lost in painting 8 bits, 1/2 in rounding the average


def test_uneven_sizes_keep_the_field_of_view():
    camera = Cameras.from_field_of_view(np.eye(4), 101, 51, 0.8).scaled(0.5)
    expected = Cameras.from_field_of_view(np.eye(4), *camera.size[0].tolist(), 0.8)
    np.testing.assert_allclose(camera.focal[:, 0], expected.focal[:, 0])
    np.testing.assert_allclose(camera.center, expected.center)
    with pytest.raises(ValueError, match="leaves no pixel"):
        camera.scaled(0.001)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"poses": np.eye(3)}, "poses must be"),
        ({"lens": "telescope"}, "no lens 'telescope'"),
        ({"lens_parameters": np.zeros(50)}, "50 parameters"),
        ({"lens_parameters": [0.1]}, "'pinhole' takes 0 parameters, but 1 are given"),
    ],
)
def test_cameras_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Cameras.make(**{"poses": np.eye(4), "size": (4, 4), "focal": 4.0, **wrong})


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


def test_the_point_looked_at_is_found_and_falls_back_where_there_is_none():
    target = np.array([0.5, -0.3, 0.2])
    np.testing.assert_allclose(looked_at(orbit(9, 3.0, 25.0, target)), target, atol=1e-9)
    parallel = np.tile(np.eye(4), (3, 1, 1))
    parallel[:, 0, 3] = [-1.0, 0.0, 1.0]
    np.testing.assert_allclose(looked_at(parallel, [0.0, 0.0, -7.0]), [0.0, 0.0, -7.0], atol=1e-12)


def test_paths_stay_among_cameras_on_one_side():
    """Photographs of a thing on a wall: no frame looks at it from behind the wall."""
    target = np.array([0.2, 0.1, 0.3])
    angles = np.linspace(-0.9, 0.9, 12)
    places = target + 3.0 * np.stack([np.sin(angles), -np.cos(angles), 0.2 * np.cos(5 * angles)], axis=1)
    training = np.stack([look_at(place, target) for place in places])
    for path in (orbit_like(training, 24), spiral_like(training, 24)):
        offsets = path[:, :3, 3] - target
        np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), np.median(np.linalg.norm(places - target, axis=1)))
        np.testing.assert_allclose(np.cross(offsets, path[:, :3, 2]), 0, atol=1e-9)  # they look at it
        seen_from = np.arctan2(offsets[:, 0], -offsets[:, 1])
        assert np.abs(seen_from).max() < 0.9 and np.ptp(seen_from) > 0.5
        steps = np.linalg.norm(np.diff(path[:, :3, 3], axis=0, append=path[:1, :3, 3]), axis=1)
        assert steps.max() < 4 * np.median(steps)  # and the film loops
