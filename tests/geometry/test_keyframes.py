"""Ways through keyframes: what they pass through, and what they do not depend on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerf_mini.geometry.keyframes import Keyframes
from nerf_mini.geometry.paths import orbit
from nerf_mini.geometry.poses import look_at, rigid_motion
from nerf_mini.geometry.unit_quaternions import quaternions, rotations


def _some(rng, count, loop=False):
    poses = np.stack([look_at(rng.uniform(-3, 3, 3), rng.uniform(-0.5, 0.5, 3)) for _ in range(count)])
    return Keyframes(poses, rng.uniform(0.4, 1.2, count), loop)


def _nearest(poses, wanted):
    return np.abs(poses[:, None] - wanted[None]).max(axis=(2, 3)).min(axis=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.booleans())
def test_the_way_passes_through_its_keyframes(seed, count, loop):
    keyframes = _some(np.random.default_rng(seed), count, loop)
    poses, fields = keyframes.way(4001)
    assert _nearest(poses, keyframes.poses).max() < 0.02
    np.testing.assert_allclose(poses[0], keyframes.poses[0], atol=1e-9)
    np.testing.assert_allclose(fields[0], keyframes.fields_of_view[0])
    if not loop:
        np.testing.assert_allclose(poses[-1], keyframes.poses[-1], atol=1e-9)
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].swapaxes(1, 2), np.tile(np.eye(3), (4001, 1, 1)), atol=1e-9
    )
    assert np.all((fields > 0) & (fields < np.pi))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_way_through_moved_keyframes_is_the_moved_way(seed, loop):
    rng = np.random.default_rng(seed)
    keyframes, motion = _some(rng, 4, loop), rigid_motion(rng.normal(size=6))
    moved, _ = Keyframes(motion @ keyframes.poses, keyframes.fields_of_view, loop).way(20)
    np.testing.assert_allclose(moved, motion @ keyframes.way(20)[0], atol=1e-8)


def test_between_two_keyframes_the_way_is_straight_and_even():
    poses = np.stack([look_at((4, y, 1), (0, y, 0)) for y in (0.0, 2.0)])
    found, fields = Keyframes(poses, np.array([0.6, 0.6])).way(5)
    np.testing.assert_allclose(found[:, :3, 3], [[4, y, 1] for y in (0, 0.5, 1, 1.5, 2)], atol=1e-12)
    np.testing.assert_allclose(found[:, :3, :3], np.tile(poses[0, :3, :3], (5, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(fields, 0.6)


def test_twelve_keyframes_of_a_circle_give_the_circle():
    twelve = orbit(12, 3.0)
    poses, _ = Keyframes(twelve, np.full(12, 0.7), loop=True).way(120)
    np.testing.assert_allclose(poses, orbit(120, 3.0), atol=0.02)


def test_a_loop_closes_without_a_repeated_frame():
    keyframes = _some(np.random.default_rng(3), 5, loop=True)
    poses, _ = keyframes.way(400)
    steps = np.linalg.norm(np.diff(np.concatenate([poses, poses[:1]])[:, :3, 3], axis=0), axis=1)
    assert 0 < steps[-1] < 2 * np.median(steps)


def test_keyframes_that_coincide_are_no_trouble():
    pose = look_at((3, 0, 1), (0, 0, 0))
    poses, fields = Keyframes(np.stack([pose, pose, pose]), np.array([0.6, 0.6, 0.9]), loop=True).way(10)
    np.testing.assert_allclose(poses, np.tile(pose, (10, 1, 1)), atol=1e-9)
    assert np.isfinite(fields).all()


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1.0, np.pi - 1e-9, np.pi])
def test_quaternions_and_matrices_are_each_other_s_inverse(angle):
    turn = rigid_motion(np.array([0.6 * angle, 0.0, 0.8 * angle, 0.0, 0.0, 0.0]))[None, :3, :3]
    np.testing.assert_allclose(rotations(quaternions(turn)), turn, atol=1e-12)
