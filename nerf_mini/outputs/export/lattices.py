"""Densities on a lattice of points in a box, slab by slab, where the field says that something is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nerf_mini import ops
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.regions import Region
from nerf_mini.samplers import OccupancySampler
from nerf_mini.training import Trainer

POINTS_AT_ONCE = 1 << 18  # of which the field is asked for the density
SLAB_BYTES = 1 << 26
LARGEST_DENSITY = 1e30  # beyond which differences of densities might overflow


@dataclass(frozen=True)
class Lattice:
    """Points in the middles of cubic cells that fill a box of the scene.

    shape: how many along each side of the box; spacing: in scene units.
    """

    box: Crop
    shape: tuple[int, int, int]
    spacing: float

    @classmethod
    def filling(cls, box: Crop, resolution: int) -> Lattice:
        """With n cells along the longest side; the last ones along the others may stick out of the box."""
        spacing = float(np.max(box.sides)) / resolution
        x, y, z = (max(2, math.ceil(side / spacing - 1e-6)) for side in box.sides.tolist())
        return cls(box, (x, y, z), spacing)

    @property
    def corner(self) -> np.ndarray:
        """The place (3,) of the first point."""
        return self.box.center - self.box.turn @ (0.5 * self.box.sides - 0.5 * self.spacing)

    def points(self, places: np.ndarray) -> np.ndarray:
        """Places (n, 3) counted in cells from the first point, as points of the scene, float64."""
        return self.corner + (places * self.spacing) @ self.box.turn.T

    def layers(self, first: int, count: int) -> np.ndarray:
        """The points (count, ny, nz, 3) float32 of some layers."""
        _, ny, nz = self.shape
        axes = (self.spacing * self.box.turn).T
        x, y, z = (np.arange(n)[:, None] * axis for n, axis in zip((count, ny, nz), axes, strict=True))
        start = self.corner + first * axes[0]
        return ((start + x)[:, None, None] + y[:, None] + z).astype(np.float32)


def density_slabs(trainer: Trainer, lattice: Lattice) -> Iterator[np.ndarray]:
    """The density per scene unit at the points of a lattice, some layers (layers, ny, nz) float32 after the other.

    Where a grid of occupied cells is kept, it is 0 in cells beside which nothing is: what the field says there, nobody
    has asked for in training.
    """
    model, parameters, sampler = trainer.model, trainer.field, trainer.model.sampler
    near = NearOccupied(model.region, sampler.grid.cells) if isinstance(sampler, OccupancySampler) else None
    nx, ny, nz = lattice.shape
    thick = max(1, SLAB_BYTES // (16 * ny * nz))
    for first in range(0, nx, thick):
        points = lattice.layers(first, min(thick, nx - first))
        shape, points = points.shape[:3], points.reshape(-1, 3)
        wanted = np.arange(len(points)) if near is None else np.flatnonzero(near(points))
        density = np.zeros(len(points), np.float32)
        for start in range(0, len(wanted), POINTS_AT_ONCE):
            part = wanted[start : start + POINTS_AT_ONCE]
            density[part] = np.minimum(model.density_at(parameters, points[part]), LARGEST_DENSITY)
        yield density.reshape(shape)


class NearOccupied:
    """Which points of the scene lie in an occupied cell, or in one beside such a cell."""

    def __init__(self, region: Region, cells: ops.OccupiedCells):
        self.region, self.cube = region, cells.cube
        self.levels = beside(ops.occupied(cells))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) float32 -> (n,) bool."""
        levels, resolution = self.levels.shape[:2]
        if levels == 1:  # the innermost cube is the unit cube
            place = self.region.to_unit(points) - np.float32(0.5)
        else:
            middle = (self.cube[:3] + 0.5 * self.cube[3]).astype(np.float32)
            place = (points - middle) * np.float32(1.0 / self.cube[3])
        reach = np.abs(place).max(axis=1)
        level = np.ceil(np.log2(np.maximum(2.0 * reach, 1.0))).astype(np.int64)
        index = ((place / np.exp2(level)[:, None].astype(np.float32) + 0.5) * resolution).astype(np.int64)
        index = np.clip(index, 0, resolution - 1)
        found = self.levels[np.minimum(level, levels - 1), index[:, 0], index[:, 1], index[:, 2]]
        return found & (level < levels)


def beside(occupied: np.ndarray) -> np.ndarray:
    """Cells that are occupied or touch one that is, across levels too: (levels, n, n, n) bool -> the same.

    A level covers the middle half of the next one, so that a cell of the next is occupied if any of the eight is that
    it holds.
    """
    levels, n = occupied.shape[:2]
    whole, middle = occupied.copy(), slice(n // 4, n - n // 4)
    for level in range(1, levels):
        inner = whole[level - 1].reshape(n // 2, 2, n // 2, 2, n // 2, 2).any(axis=(1, 3, 5))
        whole[level, middle, middle, middle] |= inner
    grown = np.empty_like(whole)
    around = (np.arange(-1, n + 1) // 2) + n // 4  # where a level's cells, and those around it, are in the next level
    for level in range(levels):
        if level + 1 < levels:
            padded = whole[level + 1][np.ix_(around, around, around)]
        else:
            padded = np.zeros((n + 2,) * 3, bool)
        padded[1:-1, 1:-1, 1:-1] = whole[level]
        for axis in range(3):
            low, high = ((slice(None),) * axis + (part,) for part in (slice(None, -2), slice(2, None)))
            inside = (slice(None),) * axis + (slice(1, -1),)
            padded = padded[low] | padded[inside] | padded[high]
        grown[level] = padded
    return grown
