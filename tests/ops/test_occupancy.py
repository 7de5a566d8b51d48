"""What the occupancy operators promise to callers who are not the sampler."""

import numpy as np
import pytest

from nerf_mini import ops
from nerf_mini.ops import OccupiedCells


def test_a_wider_frustum_keeps_more_cells():
    cube, pose = np.array([-1.0, -1.0, -1.0, 2.0]), np.eye(4)
    pose[2, 3] = 3.0  # looks along -z at the cube

    def seen(*frustums):
        density = np.zeros((1, 16, 16, 16), np.float32)
        ops.mark_unseen(density, cube, np.stack([pose] * len(frustums)), np.array(frustums))
        return density != ops.UNSEEN

    narrow = seen((-0.13, 0.13, -0.13, 0.13))
    assert 0 < narrow.sum() < 16**3
    for more in (seen((-0.13, 0.3, -0.13, 0.13)), seen((-0.13, 0.13, -0.13, 0.13), (-0.2, 0.2, -0.2, 0.2))):
        assert np.all(more[narrow]) and more.sum() > narrow.sum()
    assert seen((-np.inf, np.inf, -np.inf, np.inf)).all()


def test_cells_behind_the_camera_are_unseen():
    cube, pose = np.array([-1.0, -1.0, -1.0, 2.0]), np.eye(4)  # in the middle, looking along -z
    density = np.zeros((1, 16, 16, 16), np.float32)
    ops.mark_unseen(density, cube, pose[None], np.array([[-5.0, 5.0, -5.0, 5.0]]))
    assert (density[..., 10:] == ops.UNSEEN).all() and (density[..., :6] != ops.UNSEEN).all()


@pytest.mark.parametrize(("levels", "resolution"), [(1, 8), (1, 64), (3, 32)])
def test_how_far_all_blocks_are_empty(levels, resolution):
    """Chebyshev distances to occupied blocks, and to where another level begins, from their definition."""
    rng, blocks = np.random.default_rng(levels), resolution // 4
    cells = ops.all_occupied(np.array([0.0, 0.0, 0.0, 1.0]), resolution, levels)
    occupied = rng.random((levels, *(resolution,) * 3)) < 4 / resolution**3
    cells.bits[...] = np.packbits(occupied, axis=-1, bitorder="little")
    ops.measure_clear(cells)
    places = np.stack(np.meshgrid(*[np.arange(blocks)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for level in range(levels):
        stops = np.argwhere(occupied[level]) // 4
        if level > 0:
            stops = np.concatenate(
                [stops, places[np.all((places >= blocks // 4) & (places < 3 * blocks // 4), axis=1)]]
            )
        if level < levels - 1:
            around = np.stack(np.meshgrid(*[np.arange(-1, blocks + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
            stops = np.concatenate([stops, around[np.any((around < 0) | (around >= blocks), axis=1)]])
        expected = np.min(np.max(np.abs(places[:, None] - stops), axis=2), axis=1)
        np.testing.assert_array_equal(cells.clear[level].reshape(-1), np.minimum(expected, 16))


def test_an_empty_grid_is_clear_all_over():
    cells = OccupiedCells(
        np.array([0.0, 0.0, 0.0, 1.0]), np.zeros((1, 32, 32, 4), np.uint8), np.zeros((1, 8, 8, 8), np.uint8)
    )
    ops.measure_clear(cells)
    assert (cells.clear == 8).all()
