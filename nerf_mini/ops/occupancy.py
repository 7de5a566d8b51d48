"""The occupancy grid: a cube of cells, each with the density that the field was last seen to have there.

A density grid is (resolution, resolution, resolution) float32, where resolution is a power of two and at least 8. Cells
that no camera sees hold UNSEEN (-1); they are never occupied. Which cells are occupied is stored as bits, in
`OccupiedCells`. `cube` is (4,) float64: the low corner and the side of the cube, in scene units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerf_mini.kernels import marching
from nerf_mini.kernels import occupancy as kernels

UNSEEN = kernels.UNSEEN
_STRIDE = 1640531527  # odd, and far from every simple fraction of a power of two


class OccupiedCells(NamedTuple):
    """The occupied cells of a cube.

    cube (4,) float64: low corner and side. bits (resolution, resolution, resolution / 8) uint8: one bit per cell, eight
    neighbours along z to a byte. blocks (resolution / 8,) * 3 uint8: whether any of a block's 8^3 cells is occupied.
    """

    cube: np.ndarray
    bits: np.ndarray
    blocks: np.ndarray


def all_occupied(cube: np.ndarray, resolution: int) -> OccupiedCells:
    """A grid in which every cell is occupied."""
    bits = np.full((resolution, resolution, resolution // 8), 255, np.uint8)
    return OccupiedCells(cube, bits, np.ones((resolution // marching.BLOCK,) * 3, np.uint8))


def mark_occupied(density: np.ndarray, threshold: float, cells: OccupiedCells) -> None:
    """Occupied, in place in `cells`, are those cells whose density exceeds the threshold."""
    kernels.mark_occupied(density, np.float32(threshold), cells.bits, cells.blocks)


def mark_unseen(density: np.ndarray, cube: np.ndarray, poses: np.ndarray, frustums: np.ndarray) -> None:
    """Set to UNSEEN, in place, the density of the cells that lie outside of what all cameras see.

    poses (views, 4, 4), camera to world; frustums (views, 4): the least and the largest x / z and y / z of what a
    camera sees, in OpenCV's axes (x right, y down, z forward).
    """
    arrays = (np.ascontiguousarray(array, np.float64) for array in (poses, frustums))
    kernels.mark_unseen(density, cube, *arrays)


def cell_points(first: int, jitter: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """The next cells of an endless sweep over all cells, and a random point in each.

    The sweep visits every cell once in resolution^3 visits, in scattered order. The result holds visits number `first`,
    first + 1, ..., one for each row of jitter (n, 3), float32 in [0, 1), the point's place in its cell. Returns indices
    into the flat density grid (n,) int64, and points in the unit cube (n, 3) float32.
    """
    count = len(jitter)
    cells, points = np.empty(count, np.int64), np.empty((count, 3), np.float32)
    kernels.cell_points(first, count, _STRIDE, jitter, resolution, cells, points)
    return cells, points


def update_cells(density: np.ndarray, cells: np.ndarray, found: np.ndarray, decay: float) -> None:
    """density = max(decay * density, found) in place, in the cells (n,) given, except for unseen ones.

    `cells` are indices into the flat grid; found (n,) is the density that the field has there.
    """
    kernels.update_cells(density.reshape(-1), cells, found, decay)


def mean_density(density: np.ndarray) -> float:
    """Mean over the cells that a camera sees."""
    return kernels.mean_density(density.reshape(-1))
