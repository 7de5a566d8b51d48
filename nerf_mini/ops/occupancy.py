"""The occupancy grid: nested cubes of cells, each with the density that the field was last seen to have there.

A density grid is (levels, resolution, resolution, resolution) float32, where resolution is a power of two and at least
8, or 32 with several levels: a cube, and around it cubes of twice the size each. Cells that no camera sees, or that a
finer level covers, hold UNSEEN (-1); they are never occupied. Which cells are occupied is stored as bits, in
`OccupiedCells`. `cube` is (4,) float64: the low corner and the side of the innermost cube.
"""

from __future__ import annotations

import numpy as np

from nerf_mini.kernels import marching
from nerf_mini.kernels import occupancy as kernels
from nerf_mini.kernels.marching import OccupiedCells
from nerf_mini.ops.registry import rehearsal

UNSEEN = kernels.UNSEEN
_FURTHEST = 16  # blocks that are leapt over at once; to look further costs more than it saves
_STRIDE = 1640531527  # odd, without small factors, and far from every simple fraction of a power of two


def all_occupied(cube: np.ndarray, resolution: int, levels: int = 1) -> OccupiedCells:
    """A grid in which every cell is occupied."""
    bits = np.full((levels, resolution, resolution, resolution // 8), 255, np.uint8)
    return OccupiedCells(cube, bits, np.zeros((levels, *(resolution // marching.BLOCK,) * 3), np.uint8))


def occupied(cells: OccupiedCells) -> np.ndarray:
    """Which cells are occupied: (levels, resolution, resolution, resolution) bool."""
    return np.unpackbits(cells.bits, axis=-1, bitorder="little").view(bool)


def mark_occupied(density: np.ndarray, threshold: float, cells: OccupiedCells) -> None:
    """Occupied, in place in `cells`, are those cells whose density exceeds the threshold."""
    kernels.mark_occupied(density, np.float32(threshold), cells.bits)
    measure_clear(cells)


def measure_clear(cells: OccupiedCells) -> None:
    """Find out from the bits of `cells`, in place, how far around each block of cells all are empty: 16 blocks at
    most."""
    clear, side = cells.clear, marching.BLOCK
    levels, blocks = clear.shape[:2]
    columns = cells.bits.reshape(levels, blocks, side, blocks, side, -1)
    either = np.bitwise_or.reduce(np.bitwise_or.reduce(columns, axis=4), axis=2)  # two blocks to a byte
    near = np.zeros((levels, *(blocks + 2,) * 3), bool)  # with a block more on each side
    near[:-1] = True  # where the next level begins
    near[:, 1:-1, 1:-1, 1:-1] = np.stack([either & 0x0F, either & 0xF0], axis=-1).reshape(clear.shape) != 0
    inner = slice(1 + blocks // 4, 1 + blocks - blocks // 4)
    near[1:, inner, inner, inner] = True  # where the level inside begins
    clear[...] = 0
    for _ in range(min(blocks, _FURTHEST)):
        far = ~near[:, 1:-1, 1:-1, 1:-1]
        if not far.any():
            break
        clear += far
        for axis in range(1, 4):
            near = _grown(near, axis)


def _grown(marked: np.ndarray, axis: int) -> np.ndarray:
    """With the neighbours, on both sides along an axis, of what is marked."""
    grown = marked.copy()
    low = (*(slice(None),) * axis, slice(None, -1))
    high = (*(slice(None),) * axis, slice(1, None))
    grown[high] |= marked[low]
    grown[low] |= marked[high]
    return grown


def mark_unseen(
    density: np.ndarray, cube: np.ndarray, poses: np.ndarray, frustums: np.ndarray, least_views: int = 1
) -> None:
    """Set to UNSEEN, in place, the density of the cells that fewer than `least_views` cameras see, and of those that a
    finer level covers.

    poses (views, 4, 4), camera to world; frustums (views, 4): the least and the largest x / z and y / z of what a
    camera sees, in OpenCV's axes (x right, y down, z forward); all infinite for one that sees all around.
    """
    arrays = (np.ascontiguousarray(array, np.float64) for array in (poses, frustums))
    kernels.mark_unseen(density, cube, *arrays, min(least_views, len(poses)))


def sweep(first: int, count: int, cells: int) -> np.ndarray:
    """The next visits of an endless sweep over all cells, in scattered order: (count,) int64, indices below `cells`.

    Visits number `first`, first + 1, ...; every cell has one in as many visits as there are cells.
    """
    return np.arange(first, first + count) * _STRIDE % cells


def cell_points(cells: np.ndarray, jitter: np.ndarray, resolution: int) -> np.ndarray:
    """A point in each of some cells: (n,) indices into the flat grid -> (n, 3) float32.

    jitter (n, 3) float32 in [0, 1) is its place in the cell. Points are in units of the innermost cube, from its
    corner: in [0, 1) there, and beyond in the levels around it.
    """
    points = np.empty((len(cells), 3), np.float32)
    kernels.cell_points(cells, jitter, resolution, points)
    return points


def update_cells(density: np.ndarray, cells: np.ndarray, found: np.ndarray, decay: float) -> None:
    """density = max(decay * density, found) in place, in the cells (n,) given, except for unseen ones.

    `cells` are indices into the flat grid; found (n,) is the density that the field has there.
    """
    kernels.update_cells(density.reshape(-1), cells, found, decay)


def mean_density(density: np.ndarray) -> float:
    """Mean over the cells that a camera sees."""
    return kernels.mean_density(density.reshape(-1))


@rehearsal
def occupancy_update() -> None:
    """For the warm-up: what a training does with its grid."""
    cube = np.array([0.0, 0.0, 0.0, 1.0])
    density, cells = np.zeros((1, 8, 8, 8), np.float32), all_occupied(cube, 8)
    mark_unseen(density, cube, np.eye(4)[None], np.array([[-1.0, 1.0, -1.0, 1.0]]))
    visited = sweep(0, 4, density.size)
    cell_points(visited, np.zeros((4, 3), np.float32), 8)
    update_cells(density, visited, np.zeros(4, np.float32), 0.9)
    mark_occupied(density, mean_density(density), cells)
