"""Samples where there is something: marching through a grid of cells that the field has found occupied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nerf_mini import ops
from nerf_mini.geometry.cameras import Intrinsics
from nerf_mini.ops.occupancy import OccupiedCells, all_occupied
from nerf_mini.samplers.samples import RaySamples

# Every step looks at a share of the cells; more eagerly at first, when the field changes fastest.
EAGER_STEPS, EAGER_SHARE, SHARE = 64, 16, 256
EAGER_DECAY, DECAY = 0.95, 0.7  # of a cell's density at each look
REFRESH = 16  # steps between decisions which cells are occupied
OCCUPIED = (
    5.0  # density of a cell that counts as occupied, unless the mean is lower; optical depth per side of the cube
)


@dataclass(frozen=True)
class Cube:
    """An axis-aligned cube in world coordinates."""

    low: tuple[float, float, float]
    side: float

    @property
    def array(self) -> np.ndarray:
        """(4,) float64, for the kernels."""
        return np.array([*self.low, self.side])


def cube_of_cameras(poses: np.ndarray, near: float, far: float, side: float | None = None) -> Cube:
    """The cube around what the cameras, poses (views, 4, 4), look at.

    Its centre is the point nearest to all their axes; its side, where none is given, 3/4 of far - near: the usual 3 for
    Blender's scenes.
    """
    axes, origins = -poses[:, :3, 2], poses[:, :3, 3]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # projections that take out the axis, (views, 3, 3)
    # a little pull to the middle of the rays decides where the axes, being parallel, do not
    middle = np.mean(origins + 0.5 * (near + far) * axes, axis=0)
    matrix = np.sum(across, axis=0) + 1e-3 * len(poses) * np.eye(3)
    right = np.einsum("vij,vj->i", across, origins) + 1e-3 * len(poses) * middle
    center = np.linalg.solve(matrix, right)
    side = 0.75 * (far - near) if side is None else side
    low = center - 0.5 * side
    return Cube((float(low[0]), float(low[1]), float(low[2])), float(side))


def pixels_across(cube: Cube, poses: np.ndarray, intrinsics: Intrinsics) -> float:
    """How many pixels a picture needs for the side of the cube, at the median distance of the cameras from its middle.

    Cameras in the middle count as half a side away.
    """
    middle = np.array(cube.low) + 0.5 * cube.side
    distance = float(np.median(np.linalg.norm(poses[:, :3, 3] - middle, axis=1)))
    return intrinsics.focal_x * cube.side / max(distance, 0.5 * cube.side)


@dataclass
class OccupancyGrid:
    """Which cells of a cube are worth a look.

    density (resolution,) * 3 float32: a decaying maximum of what the field said, UNSEEN (-1) where no camera looks;
    cells: which are occupied; cursor (1,) int64: cells looked at so far.
    The arrays are the whole state.
    """

    cube: Cube
    density: np.ndarray
    cells: OccupiedCells
    cursor: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))

    @classmethod
    def full(cls, cube: Cube, resolution: int) -> OccupancyGrid:
        """A grid in which every cell is occupied; the resolution is a power of two and at least 8."""
        return cls(cube, np.zeros((resolution,) * 3, np.float32), all_occupied(cube.array, resolution))

    @property
    def bits(self) -> np.ndarray:
        return self.cells.bits

    @property
    def resolution(self) -> int:
        return len(self.density)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The state, by name; changed in place by `update`."""
        return {"density": self.density, "bits": self.cells.bits, "blocks": self.cells.blocks, "cursor": self.cursor}

    def forget_unseen(self, poses: np.ndarray, intrinsics: Intrinsics) -> None:
        """Remove for good the cells that no camera sees, poses (views, 4, 4)."""
        i, views = intrinsics, (len(poses), 1)
        sizes, focals = np.tile([i.width, i.height], views), np.tile([i.focal_x, i.focal_y], views)
        centers = np.tile([i.center_x, i.center_y], views)
        ops.mark_unseen(self.density, self.cube.array, poses, sizes, focals, centers)
        self.mark_occupied(-0.5)

    def mark_occupied(self, threshold: float) -> None:
        """Decide which cells are occupied: those whose density exceeds the threshold."""
        ops.mark_occupied(self.density, threshold, self.cells)

    def update(self, density_at: Callable, step: int, rng: np.random.Generator) -> None:
        """Look at the next cells of an endless sweep over all, and now and then decide anew which are occupied.

        density_at(points (n, 3) in the unit cube, float32) -> (n,). The work is spread evenly over the steps.
        """
        cells = self.resolution**3
        eager = step < EAGER_STEPS
        count = cells // (EAGER_SHARE if eager else SHARE)
        jitter = rng.random((count, 3), np.float32)
        indices, points = ops.cell_points(int(self.cursor[0]), jitter, self.resolution)
        found = density_at(points)
        ops.update_cells(self.density, indices, found, EAGER_DECAY if eager else DECAY)
        self.cursor[0] = (self.cursor[0] + count) % cells
        if (step + 1) % REFRESH == 0:
            self.mark_occupied(min(ops.mean_density(self.density), OCCUPIED))

    def march(
        self, origins: np.ndarray, directions: np.ndarray, jitter: np.ndarray, near: float, far: float, step: float,
        room: int,
    ) -> MarchedRays:  # fmt: skip
        """All samples in occupied cells, of rays (rays, 3) float32; jitter (rays,) in [0, 1) shifts a ray's lattice."""
        bounds = np.full(len(origins), near, np.float64), np.full(len(origins), far, np.float64)
        return MarchedRays(
            *ops.march(origins, directions, *bounds, self.cells, step=step, jitter=jitter, capacity=room)
        )


@dataclass
class MarchedRays:
    """Samples of rays with gaps between: t (room,), starts and counts (rays,). A count of -1 is a ray without room."""

    t: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def packed(
        self, origins: np.ndarray, directions: np.ndarray, cube: Cube, step: float, budget: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, RaySamples]:
        """The first rays that fit into a budget of samples.

        Returns their indices, their directions, the samples' points in the unit cube (samples, 3), and the samples.
        """
        rays = np.flatnonzero(self.counts >= 0)
        ends = np.cumsum(self.counts[rays])
        fitting = int(np.searchsorted(ends, budget, side="right"))
        rays, ends = rays[:fitting], ends[:fitting]
        counts = self.counts[rays]
        points, t, ray_index, kept = ops.gather_samples(
            origins, directions, cube.array, self.t, self.starts, self.counts, rays
        )
        delta = np.full(len(t), step / cube.side, np.float32)
        return rays, kept, points, RaySamples(t, delta, ray_index, ends - counts, counts)
