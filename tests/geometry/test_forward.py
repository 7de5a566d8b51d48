"""What lies before cameras that look the same way: the projective map, and that it leaves rays straight."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff import check_grads
from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Forward, make_region
from nerf_mini.geometry.space import Space

REGION = Forward((0.2, -0.1, 0.4), 1.5, (-0.9, -0.7), (2.0, 1.5))
seeds = st.integers(0, 2**32 - 1)


def forward_rays(seed, count=20):
    rng = np.random.default_rng(seed)
    directions = np.concatenate([rng.uniform(-0.6, 0.6, (count, 2)), -np.ones((count, 1))], axis=1)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origins = np.array(REGION.center) + rng.uniform(-0.3, 0.3, (count, 3))
    return Rays(origins, directions, np.zeros(count), np.ones(count), np.zeros(count, int))


@given(seeds, st.floats(0.0, 0.999))
@settings(deadline=None)  # the first call compiles
def test_rays_stay_straight_and_distances_come_back(seed, s):
    """The point at s of a ray in the region is the image of the point at that depth of the ray of the scene."""
    rays = forward_rays(seed)
    inside, t = REGION.enter(rays), np.full(len(rays), s)
    found = REGION.points(inside, t, np.arange(len(rays)))
    along = -(1.5 + (rays.origins[:, 2] - 0.4)) / rays.directions[:, 2] if s == 0 else REGION.depth(rays, t)
    scene = rays.origins + along[:, None] * rays.directions
    np.testing.assert_allclose(found, REGION.to_unit(scene), atol=1e-9)
    np.testing.assert_allclose(found[:, 2], s, atol=1e-9)
    assert (inside.near == 0).all() and (inside.far == 1).all()


def test_the_map_by_hand():
    """At depth d before the centre: (x / d, y / d) over the window, and 1 - near / d."""
    point = np.array([0.2 + 0.6, -0.1 - 0.3, 0.4 - 3.0])
    np.testing.assert_allclose(REGION.to_unit(point), [(0.2 + 0.9) / 2.0, (-0.1 + 0.7) / 1.5, 0.5])
    behind = REGION.to_unit(np.array([0.0, 0.0, 1.0]))
    assert (behind < 0).all()


def test_half_of_the_way_is_the_first_doubling_of_the_distance():
    ray = Rays(np.array([REGION.center]), np.array([[0.0, 0.0, -1.0]]), np.zeros(1), np.ones(1), np.zeros(1, int))
    assert REGION.depth(ray, np.array([0.5]))[0] == pytest.approx(3.0)
    assert REGION.depth(ray, np.array([1.0]))[0] > 1e4


def test_entering_is_differentiable_in_the_rays():
    rays, t = forward_rays(3, 4), np.array([0.1, 0.5, 0.7, 0.9])

    def points(origins, directions):
        inside = REGION.enter(Rays(origins, directions, rays.near, rays.far, rays.view))
        return REGION.points(inside, t, np.arange(4))

    check_grads(points, (rays.origins, rays.directions))


def test_a_density_per_region_length_becomes_one_per_scene_unit():
    """The optical depth of a short way is the same in both coordinates, straight ahead."""
    ray = Rays(np.array([REGION.center]), np.array([[0.0, 0.0, -1.0]]), np.zeros(1), np.ones(1), np.zeros(1, int))
    s = np.array([0.6, 0.6 + 1e-6])
    ends = [REGION.depth(ray, s[i : i + 1])[0] for i in (0, 1)]
    point = np.array([[0.2, -0.1, 0.4 - ends[0]]])
    assert REGION.density_scale(point)[0] * (ends[1] - ends[0]) == pytest.approx(1e-6, rel=1e-3)


def cameras(turn=0.0, back=0.0):
    poses = np.stack([look_at((x, 0.1 * x, 0.0), (x + turn * x, 0.0, -5.0), (0, 1, 0)) for x in (-0.4, 0.0, 0.3)])
    poses[0, 2, 3] = back
    return Cameras.make(poses, (60, 40), 55.0)


def test_the_window_holds_all_that_the_cameras_see():
    seen, space = cameras(), Space("forward", radius=1.0)
    region = make_region(space, seen)
    for view in range(3):
        inside = region.enter(seen.image_rays(view, np.float64))
        for s in (0.0, 1.0):
            unit = region.points(inside, np.full(len(inside), s), np.arange(len(inside)))
            assert (unit[:, :2] >= 0).all() and (unit[:, :2] <= 1).all()
    assert region.pixels_across(seen) == pytest.approx(max(region.side) * 55.0)


@pytest.mark.parametrize("bad", [cameras(turn=60.0), cameras(back=-2.0)], ids=["sideways", "beyond the plane"])
def test_cameras_that_do_not_look_forward_are_refused(bad):
    with pytest.raises(UserError, match="--space forward does not fit: camera"):
        make_region(Space("forward", radius=1.0), bad)


def test_a_camera_beyond_the_plane_sees_from_where_it_stands_on():
    """Samples begin at the camera, not behind it; and at the plane for cameras before it."""
    origins = np.array([[0.2, -0.1, 0.4 - 3.0], [0.2, -0.1, 0.4]])
    rays = Rays(origins, np.array([[0.0, 0.0, -1.0]] * 2), np.zeros(2), np.ones(2), np.zeros(2, int))
    inside = REGION.enter(rays)
    np.testing.assert_allclose(inside.near, [0.5, 0.0])  # 1 - 1.5 / 3
    assert REGION.depth(rays, inside.near + 1e-6)[0] == pytest.approx(0.0, abs=1e-3)


def test_rays_that_do_not_look_ahead_are_empty_and_finite():
    directions = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.6, 0.0, -0.8]])
    rays = Rays(np.tile(REGION.center, (3, 1)), directions, np.zeros(3), np.ones(3), np.zeros(3, int))
    inside = REGION.enter(rays)
    assert np.isfinite(inside.origins).all() and np.isfinite(inside.directions).all()
    np.testing.assert_array_equal(inside.near < inside.far, [False, False, True])
