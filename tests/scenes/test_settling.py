"""Captures are turned upright, centred and scaled, their space is chosen, and what was done can be undone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit
from nerf_mini.geometry.poses import look_at, rigid_motion
from nerf_mini.geometry.regions import make_region
from nerf_mini.geometry.space import Space, World
from nerf_mini.scenes.scene import Scene, SparsePoints, Views
from nerf_mini.scenes.settling import settled

seeds = st.integers(0, 2**32 - 1)


def scene_of(poses, channels=3, points=None, near=0.0, far=np.inf, focal=20.0):
    cameras = Cameras.make(poses, (16, 12), focal, near=near, far=far)
    views = Views(cameras, np.full((len(cameras) * 192, channels), 100, np.uint8), tuple(map(str, range(len(cameras)))))
    sparse = None if points is None else SparsePoints(points, np.full(len(points), 5))
    return Scene("made", None, "made", {"train": views, "test": views[:2]}, (0.0, 0.0, 0.0), points=sparse)


def moved(poses, seed):
    """The same cameras in another world: turned, shifted, and in another unit."""
    rng = np.random.default_rng(seed)
    move, unit = rigid_motion(rng.normal(size=6) * [1, 1, 1, 9, 9, 9]), 10 ** rng.uniform(-2, 2)
    there = move @ poses
    there[:, :3, 3] *= unit
    return there, unit


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_whatever_the_world_was_the_scene_is_the_same_and_the_way_back_is_known(seed):
    poses, unit = moved(orbit(9, 3.0), seed)
    scene = settled(scene_of(poses))
    cameras = scene.splits["train"].cameras
    positions = cameras.poses[:, :3, 3]
    assert np.median(np.linalg.norm(positions, axis=1)) == pytest.approx(1.0)
    forward = -cameras.poses[:, :3, 2]
    np.testing.assert_allclose(np.cross(positions, forward), 0, atol=1e-6)  # all look at the origin
    np.testing.assert_allclose(np.linalg.norm(cameras.poses[:, :3, 1].mean(axis=0)[:2]), 0, atol=1e-6)  # z is up
    back = scene.to_capture @ np.concatenate([positions.T, np.ones((1, 9))])
    np.testing.assert_allclose(back[:3].T, poses[:, :3, 3], atol=1e-6 * (unit + np.abs(poses).max()))
    np.testing.assert_allclose(np.linalg.det(scene.to_capture[:3, :3]), (3.0 * unit) ** 3, rtol=1e-6)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_points_move_with_the_cameras(seed):
    """They are seen in the same pixels before and after."""
    poses, unit = moved(orbit(6, 3.0), seed)
    rng = np.random.default_rng(seed)
    own = poses[:, :3, 3].mean(axis=0) + 0.1 * unit * rng.normal(size=(40, 3))
    before = scene_of(poses, points=own)
    after = settled(before)
    view = np.arange(40) % 6
    seen = [scene.splits["train"].cameras.project(scene.points.positions, view) for scene in (before, after)]
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-5, atol=1e-5)


def side_by_side(spread=0.3, aim=5.0):
    return np.stack([look_at((x, 0.2 * x, 0), (x * (1 - aim / 50), 0, -aim), (0, 1, 0)) for x in (-spread, 0, spread)])


def test_the_space_follows_from_the_cameras():
    assert settled(scene_of(orbit(9, 3.0))).space.kind == "unbounded"
    assert settled(scene_of(orbit(9, 3.0), channels=4)).space.kind == "box"
    assert settled(scene_of(side_by_side())).space.kind == "forward"
    assert settled(scene_of(orbit(9, 3.0)), space="box").space.kind == "box"


def test_cameras_that_walk_ahead_or_see_sideways_do_not_look_forward():
    """Parallel axes are not enough: one camera beyond the nearest thing of another, or a very wide lens."""
    walking = np.stack([look_at((0.01 * z, 0, z), (0.01 * z, 0, z - 9), (0, 1, 0)) for z in (0.0, -4.0, -8.0)])
    points = np.array([[0.1, 0.0, -1.0]] * 5 + [[0.2, 0.1, -12.0]] * 5)
    assert settled(scene_of(walking, points=points)).space.kind == "unbounded"
    assert settled(scene_of(side_by_side(), focal=0.6)).space.kind == "unbounded"


def test_the_nearest_thing_of_a_forward_scene_is_at_distance_one():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-1, 1, (500, 2)), rng.uniform(-9, -4, 500)])
    scene = settled(scene_of(side_by_side(), points=points))
    depth = -scene.points.positions[:, 2]
    assert 1.0 <= depth.min() < 1.2
    np.testing.assert_allclose(scene.splits["train"].cameras.poses[:, :3, 3].mean(axis=0), 0, atol=1e-9)


def test_bounds_come_from_points_and_give_way_to_what_is_asked_for():
    points = np.random.default_rng(0).normal(size=(500, 3)) * 0.3
    near = settled(scene_of(orbit(9, 3.0), points=points)).splits["train"].cameras.near
    assert (near > 0.3).all() and (near <= 0.75).all()
    asked = settled(scene_of(orbit(9, 3.0), points=points), near=0.2, far=7.0).splits["test"].cameras
    assert (asked.near == 0.2).all() and (asked.far == 7.0).all()
    short = settled(scene_of(orbit(9, 3.0), points=points), far=0.3).splits["train"].cameras
    assert (short.far == 0.3).all() and (short.near < 0.3).all()
    own = settled(scene_of(orbit(9, 3.0), near=0.6, far=30.0)).splits["train"].cameras
    np.testing.assert_allclose(own.near, 0.2)
    np.testing.assert_allclose(own.far, 10.0)


def opposite():
    """Two cameras back to back: their mean axis is no axis."""
    return np.stack([look_at((0, 0, 0), (0, 1, 0)), look_at((0, 0, 0), (0, -1, 0))])


@pytest.mark.parametrize("space", [None, "box", "unbounded", "forward"])
def test_one_camera_and_cameras_in_one_place_settle_too(space):
    for poses in (orbit(1, 3.0), np.stack([np.eye(4)] * 3), opposite()):
        scene = settled(scene_of(poses), space=space)
        assert np.isfinite(scene.to_capture).all() and np.isfinite(scene.splits["train"].cameras.poses).all()
        assert np.linalg.det(scene.to_capture[:3, :3]) > 0


@pytest.mark.parametrize("poses", [opposite(), look_at((0, 0, 0), (0, 1, 0))[None]], ids=["opposite", "turned away"])
def test_cameras_that_see_no_forward_space_are_told_so(poses):
    """One camera looks back; or none sees what lies along -z, where it was said to be."""
    scene = settled(scene_of(poses), space="forward")
    cameras = scene.splits["train"].cameras
    if len(poses) == 1:
        cameras = replace(cameras, poses=cameras.poses @ np.diag([-1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(UserError, match=r"--space forward does not fit: camera \d does not look forward"):
        make_region(scene.space, cameras)


@pytest.mark.parametrize("case", ["none", "without a pose", "beyond the lens"])
def test_a_forward_region_of_cameras_that_see_nothing_is_refused_in_a_sentence(case):
    cameras = Cameras.make(orbit(2, 3.0), (16, 12), 1.0, lens="fisheye", lens_parameters=(0.0, -0.5, 0.0, 0.0))
    if case == "none":
        cameras = cameras[:0]
    elif case == "without a pose":
        cameras = replace(cameras, poses=np.full_like(cameras.poses, np.nan))
    with pytest.raises(UserError, match="--space forward does not fit: no camera sees only what is ahead of it"):
        make_region(Space("forward"), cameras)


def test_a_world_that_was_chosen_before_is_made_again():
    """Whatever the rules say today: a run must find its data set as it was."""
    poses, _ = moved(orbit(9, 3.0), 4)
    first = settled(scene_of(poses))
    world = World(Space("box", radius=0.3), first.to_capture @ rigid_motion(np.array([0.1, 0.2, 0.3, 1, 2, 3.0])))
    again = settled(scene_of(poses), world=world)
    assert again.space == world.space
    np.testing.assert_array_equal(again.to_capture, world.to_capture)
    back = world.to_capture[:3, :3] @ again.splits["train"].cameras.poses[:, :3, 3].T + world.to_capture[:3, 3:]
    np.testing.assert_allclose(back.T, poses[:, :3, 3], atol=1e-9 * np.abs(poses).max())
    same = settled(scene_of(poses), world=World(first.space, first.to_capture)).splits["train"].cameras
    np.testing.assert_allclose(same.poses, first.splits["train"].cameras.poses, atol=1e-12)
