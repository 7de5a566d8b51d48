"""Crops against points along rays."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.rays import Rays


def _rays(rng, count):
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origins = rng.uniform(-3, 3, (count, 3))
    return Rays(origins, directions, np.full(count, 0.5), np.full(count, 8.0), np.zeros(count, np.int64))


def _turn(rng):
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return turn * np.linalg.det(turn)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_point_of_a_ray_lies_in_the_crop_if_it_lies_between_the_new_ends(seed):
    rng = np.random.default_rng(seed)
    rays, crop = _rays(rng, 50), Crop(rng.normal(size=3), rng.uniform(0.5, 4, 3), _turn(rng))
    hits, clipped = crop.clip(rays)
    t = rng.uniform(rays.near[:, None], rays.far[:, None], (50, 40))
    points = rays.origins[:, None] + t[..., None] * rays.directions[:, None]
    between = (t > clipped.near[:, None]) & (t < clipped.far[:, None]) & hits[:, None]
    at_an_end = np.minimum(np.abs(t - clipped.near[:, None]), np.abs(t - clipped.far[:, None])) < 1e-9
    assert np.all((crop.contains(points) == between) | at_an_end)


def test_rays_along_a_side_and_from_within():
    crop = Crop.between([0, 0, 0], [1, 1, 1])
    origins = np.array([[-1.0, 0.5, 0.5], [-1.0, 2.0, 0.5], [0.5, 0.5, 0.5], [-1.0, 1.0, 0.5]])
    rays = Rays(origins, np.tile([1.0, 0.0, 0.0], (4, 1)), np.zeros(4), np.full(4, np.inf), np.zeros(4, np.int64))
    hits, clipped = crop.clip(rays)
    assert hits.tolist() == [True, False, True, True]
    np.testing.assert_allclose(clipped.near[[0, 2]], [1.0, 0.0])
    np.testing.assert_allclose(clipped.far[[0, 2]], [2.0, 0.5])


def test_a_crop_moves_with_the_world():
    rng = np.random.default_rng(5)
    crop, points = Crop(rng.normal(size=3), rng.uniform(1, 3, 3), _turn(rng)), 2 * rng.normal(size=(200, 3))
    similarity = np.eye(4)
    similarity[:3] = np.concatenate([1.7 * _turn(rng), rng.normal(size=(3, 1))], axis=1)
    moved = points @ similarity[:3, :3].T + similarity[:3, 3]
    np.testing.assert_array_equal(crop.in_world(similarity).contains(moved), crop.contains(points))
    assert 5 < crop.contains(points).sum() < 195
