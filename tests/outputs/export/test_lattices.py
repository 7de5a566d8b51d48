"""Lattices of points in a box, and which of them are near anything."""

import numpy as np
import pytest
from fog import SCALE, TO_CAPTURE

from nerf_mini import ops
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.regions import Box, Unbounded
from nerf_mini.outputs.export.base import CaptureWorld
from nerf_mini.outputs.export.lattices import Lattice, NearOccupied


def test_a_lattice_fills_its_box_with_cubes():
    turn = TO_CAPTURE[:3, :3] / SCALE
    box = Crop(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 0.5]), turn)
    lattice = Lattice.filling(box, 16)
    assert lattice.shape == (16, 8, 4) and lattice.spacing == pytest.approx(0.125)
    points = np.concatenate([lattice.layers(0, 5), lattice.layers(5, 11)])
    places = np.stack(np.meshgrid(*map(np.arange, lattice.shape), indexing="ij"), axis=-1)
    np.testing.assert_allclose(points, lattice.points(places.reshape(-1, 3)).reshape(points.shape), atol=1e-6)
    np.testing.assert_allclose(points.reshape(-1, 3).mean(axis=0), box.center, atol=1e-6)
    assert box.contains(points).all()
    along = (points - box.center) @ turn
    np.testing.assert_allclose(along.reshape(-1, 3).max(axis=0), 0.5 * box.sides - 0.5 * lattice.spacing, atol=1e-6)


def test_a_box_of_the_capture_is_the_same_in_the_scene(rng):
    world, corners = CaptureWorld(TO_CAPTURE), np.array([9.0, -4.0, 1.0, 11.0, -2.5, 4.0])
    points = rng.uniform(-2, 2, (500, 3))
    placed = world.points(points)
    inside = ((placed >= corners[:3]) & (placed <= corners[3:])).all(axis=1)
    np.testing.assert_array_equal(world.box_in_scene(corners).contains(points), inside)
    record = world.box_record(world.box_in_scene(corners))
    np.testing.assert_allclose(record["center"], 0.5 * (corners[:3] + corners[3:]))
    np.testing.assert_allclose(record["sides"], corners[3:] - corners[:3])
    np.testing.assert_allclose(record["axes"], np.eye(3), atol=1e-12)


def occupied_at(cells: ops.OccupiedCells, points: np.ndarray) -> np.ndarray:
    """Whether points (n, 3) lie in occupied cells: the innermost level that holds a point decides."""
    found, (levels, n) = ops.occupied(cells), cells.bits.shape[:2]
    middle, result = cells.cube[:3] + 0.5 * cells.cube[3], np.zeros(len(points), bool)
    for level in reversed(range(levels)):
        place = (points - middle) / (cells.cube[3] * 2**level) + 0.5
        inside = ((place >= 0) & (place <= 1)).all(axis=1)
        x, y, z = np.minimum((place[inside] * n).astype(int), n - 1).T
        result[inside] = found[level, x, y, z]
    return result


@pytest.mark.parametrize("region", [Box((-1.5, -1.0, -2.0), 3.0), Unbounded((0.2, 0.1, -0.3), 2.0, levels=3)])
def test_near_is_what_is_occupied_and_what_touches_it(region, rng):
    cells = ops.all_occupied(region.cube, 32, region.levels)
    density = (rng.random(cells.bits.shape[:3] + (32,)) < 0.01).astype(np.float32)
    for level in range(1, region.levels):
        density[level, 8:24, 8:24, 8:24] = -1  # the finer level's
    ops.mark_occupied(density, 0.5, cells)
    middle, half = region.cube[:3] + 0.5 * region.cube[3], 0.5 * region.cube[3] * 2 ** (region.levels - 1)
    points = (middle + half * rng.uniform(-1.1, 1.1, (300, 3))).astype(np.float32)
    found = NearOccupied(region, cells)(points)
    level = np.ceil(np.log2(np.maximum(np.abs(points - middle).max(axis=1) / (0.5 * region.cube[3]), 1)))
    size = region.cube[3] / 32 * 2**level
    known = level < region.levels
    touched, around = np.zeros(300, bool), np.zeros(300, bool)
    for steps, result in (((-1, 0, 1), touched), ((-1.5, -1, -0.5, 0, 0.5, 1, 1.5), around)):
        for offset in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3):
            result |= occupied_at(cells, points + size[:, None] * offset)
    assert found[touched & known].all() and 0.1 < found.mean() < 0.6
    assert not found[~around].any() and not found[~known].any()
