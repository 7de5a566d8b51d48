"""Multiresolution hash encoding as a fused operator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autodiff import stop_gradient
from nerf_mini.kernels import hash_encoding as kernels
from nerf_mini.ops.registry import fused_operator


@dataclass(frozen=True)
class GridShape:
    """A multiresolution grid: `levels` grids over the unit cube, with `features` numbers at each vertex.

    Resolutions grow geometrically from `base` to `finest` cells a side. A level has at most 2^log2_entries entries:
    finer ones are hashed.
    """

    levels: int = 8
    features: int = 4
    log2_entries: int = 17
    base: int = 16
    finest: int = 1024

    def __post_init__(self):
        if self.levels < 1 or self.features not in kernels.FEATURES:
            raise ValueError(f"a grid needs levels >= 1 and features among {kernels.FEATURES}")
        if not 1 <= self.log2_entries <= 28:
            raise ValueError(f"log2_entries must lie in 1..28, not {self.log2_entries}")
        if not 1 <= self.base <= self.finest < 2**20:
            raise ValueError(f"resolutions must satisfy 1 <= base <= finest < 2^20, got {self.base} and {self.finest}")

    @cached_property
    def table(self) -> np.ndarray:
        """(levels, 4) int64: first entry, entries, cells a side, and whether the level is hashed."""
        growth = (self.finest / self.base) ** (1 / max(self.levels - 1, 1))
        rows, start = [], 0
        for level in range(self.levels):
            # the small number keeps the finest resolution from being rounded down
            resolution = int(self.base * growth**level + 1e-6)
            vertices = (resolution + 1) ** 3
            hashed = vertices > 2**self.log2_entries
            entries = 2**self.log2_entries if hashed else vertices
            rows.append((start, entries, resolution, hashed))
            start += entries
        return np.array(rows, np.int64)

    @property
    def entries(self) -> int:
        """Of all levels."""
        return int(self.table[-1, 0] + self.table[-1, 1])

    @property
    def width(self) -> int:
        """Columns of the encoding."""
        return self.levels * self.features


def _reference(points, tables, *, shape):
    inside = np.where(points < 0, 0.0, np.where(points > 1, 1.0, points))  # (samples, 3)
    columns = []
    for start, entries, resolution, hashed in shape.table.tolist():
        scaled = inside * float(resolution)
        cell = np.minimum(np.floor(stop_gradient(scaled)), resolution - 1).astype(np.int64)
        fraction = scaled - cell.astype(points.dtype)  # (samples, 3)
        total = 0.0
        for corner in range(8):
            upper = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
            vertex = (cell + upper).astype(np.uint64)
            if hashed:
                x, y, z = (vertex * np.array(kernels.PRIMES, np.uint64)).T
                index = (x ^ y ^ z) % np.uint64(entries)
            else:
                index = vertex @ (np.uint64(resolution + 1) ** np.arange(3, dtype=np.uint64))
            weight = np.prod(np.where(upper == 1, fraction, 1.0 - fraction), axis=1)
            total = total + weight[:, None] * tables[start + index.astype(np.int64)]  # (samples, features)
        columns.append(total)
    return np.concatenate(columns, axis=1)


def _flat(tables):
    return np.ascontiguousarray(tables).reshape(-1)


def _forward(points, tables, *, shape):
    points = np.ascontiguousarray(points)
    out = np.empty((len(points), shape.width), points.dtype)
    kernels.hash_grid_forward(points, _flat(tables), shape.features, shape.table, out)
    return out, ()


def _backward(needs, g, saved, points, tables, *, shape):
    points, g = np.ascontiguousarray(points), np.ascontiguousarray(g)
    g_points = g_tables = None
    if needs[0]:
        g_points = np.empty_like(points)
        kernels.hash_grid_points_backward(g, points, _flat(tables), shape.features, shape.table, g_points)
    if needs[1]:
        g_tables = np.zeros(tables.shape, tables.dtype)
        kernels.hash_grid_backward(g, points, shape.features, shape.table, g_tables.reshape(-1))
    return g_points, g_tables


def _example():
    shape = GridShape(levels=2, features=4, log2_entries=5, base=2, finest=4)
    tables = np.linspace(-1.0, 1.0, shape.entries * shape.features).reshape(shape.entries, shape.features)
    return [np.array([[0.1, 0.3, 0.7], [0.9, 0.2, 0.45]]), tables], {"shape": shape}


_hash_grid = fused_operator(
    "hash_grid",
    reference=_reference,
    forward=_forward,
    backward=_backward,
    example=_example,
    skeleton=lambda points, tables, *, shape: (np.zeros((len(points), shape.width), points.dtype), ()),
)


def hash_grid(points, tables, shape: GridShape):
    """Multiresolution hash encoding (Mueller et al. 2022): trilinear interpolation in grids of growing resolution.

    points (samples, 3) in the unit cube, outside of which the encoding is that of the nearest point of its surface;
    tables (shape.entries, features), of one dtype with the points. Returns (samples, levels * features).
    """
    if np.shape(points)[1:] != (3,) or np.shape(tables) != (shape.entries, shape.features):
        raise ValueError(
            f"hash_grid takes points (n, 3) and tables {(shape.entries, shape.features)};"
            f" got {np.shape(points)} and {np.shape(tables)}"
        )
    return _hash_grid(points, tables, shape=shape)
