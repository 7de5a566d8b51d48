"""Similarities between sets of cameras, errors of poses, and corrections that move the whole world."""

import numpy as np
import pytest
from aligning import aligning, pose_errors, similarity

from nerf_mini.geometry.alignment import in_world, world_motions
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at, rigid_motion


def some_poses(rng, count=6, spread=1.0):
    places = np.array([2.0, -1.0, 1.5]) + spread * rng.standard_normal((count, 3))
    return np.stack([look_at(place, (5.0, 1.0, 0.3 * i)) for i, place in enumerate(places)])


def some_similarity(rng):
    return similarity(rigid_motion(np.r_[rng.uniform(-2, 2, 3), 0, 0, 0])[:3, :3], rng.standard_normal(3), 1.7)


def moved_poses(poses, there):
    return in_world(Cameras.make(poses, (20, 16), 15.0), there).poses


@pytest.mark.parametrize("places", ["anywhere", "one line", "one place"])
def test_the_similarity_between_worlds_is_found(rng, places):
    poses = some_poses(rng)
    if places == "one line":
        poses[:, :3, 3] = np.outer(np.arange(6), [1.0, 2.0, 0.5]) + 1
    elif places == "one place":
        poses[:, :3, 3] = [1.0, 2.0, 3.0]
    wanted = some_similarity(rng)
    found = aligning(poses, moved_poses(poses, wanted))
    scale = 1.0 if places == "one place" else 1.7
    np.testing.assert_allclose(found[:3, :3] / scale, wanted[:3, :3] / 1.7, atol=1e-12)
    np.testing.assert_allclose(moved_poses(poses, found), moved_poses(poses, wanted), atol=1e-12)


def test_points_are_seen_in_the_same_places_after_a_similarity(rng):
    cameras = Cameras.make(some_poses(rng), (20, 16), 15.0, near=1.0, far=9.0)
    there = some_similarity(rng)
    points, view = np.array([5.0, 1.0, 1.0]) + 0.1 * rng.standard_normal((6, 3)), np.arange(6)
    moved = in_world(cameras, there)
    image = moved.project(points @ there[:3, :3].T + there[:3, 3], view)
    np.testing.assert_allclose(image, cameras.project(points, view), rtol=1e-9)
    np.testing.assert_allclose([moved.near, moved.far], [1.7 * cameras.near, 1.7 * cameras.far])


def test_errors_of_poses_are_those_that_were_made(rng):
    poses = some_poses(rng)
    turns, moves = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
    turns *= np.array([1e-7, 1e-3, 0.1, 1.0, 2.0, 3.1])[:, None] / np.linalg.norm(turns, axis=1, keepdims=True)
    wrong = poses @ rigid_motion(np.concatenate([turns, np.zeros((6, 3))], axis=1))
    wrong[:, :3, 3] += moves
    angle, distance = pose_errors(wrong, poses)
    np.testing.assert_allclose(angle, np.linalg.norm(turns, axis=1), rtol=1e-6)
    np.testing.assert_allclose(distance, np.linalg.norm(moves, axis=1))


def test_world_motions_are_the_corrections_of_a_moving_world(rng):
    """The correction that an infinitesimal similarity amounts to lies in their span, whatever it is."""
    poses, step = some_poses(rng), 1e-6
    basis = world_motions(poses)
    assert basis.shape == (36, 7)
    np.testing.assert_allclose(basis.T @ basis, np.eye(7), atol=1e-12)
    turn = rigid_motion(np.r_[step * rng.standard_normal(3), 0, 0, 0])[:3, :3]
    moved = moved_poses(poses, similarity(turn, step * rng.standard_normal(3), 1 + 0.3 * step))
    relative = np.linalg.inv(poses) @ moved
    skew = relative[:, [2, 0, 1], [1, 2, 0]]
    twist = np.concatenate([skew, relative[:, :3, 3]], axis=1).reshape(-1) / step
    np.testing.assert_allclose(basis @ (basis.T @ twist), twist, atol=1e-4)


def test_cameras_in_one_place_cannot_grow_apart(rng):
    poses = some_poses(rng)
    poses[:, :3, 3] = [1.0, 2.0, 3.0]
    assert world_motions(poses).shape == (36, 6)
    assert world_motions(poses[:1]).shape == (6, 6), "one camera is the world"
