"""The surface on which values of a lattice reach a level, as triangles. Not differentiable: a mesh is an output, and no
loss depends on it; so it is a plain operator, with a kernel and a reference, and no fused one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from nerf_mini.kernels import surface_nets as kernels


class Surface(NamedTuple):
    """vertices (v, 3) float32, in lattice coordinates: (i, j, k) is the place of values[i, j, k]; faces (f, 3) int64,
    counter-clockwise seen from where the values are lower."""

    vertices: np.ndarray
    faces: np.ndarray


def surface_nets(slabs: Iterable[np.ndarray], level: float) -> Surface:
    """The surface between values above a level and the others, by naive surface nets (Gibson 1998).

    slabs: layers of the lattice's first axis, (layers, ny, nz) float32 each, one after the other; however they are cut,
    the surface is the same, and no more than one is needed at a time. There is no surface where the lattice ends: what
    reaches its border is left open there. Values must be finite.
    """
    vertices, quads = [np.empty((0, 3), np.float32)], [np.empty((0, 4), np.int64)]
    last, ids, layer, vertex_count = None, np.empty((2, 0, 0), np.int64), 0, 0
    for new in slabs:
        slab = new if last is None else np.concatenate([last, new])
        last = slab[-1:].copy()
        if min(slab.shape) < 2:
            continue
        if not ids.size:
            ids = np.empty((2, slab.shape[1] - 1, slab.shape[2] - 1), np.int64)
        found = np.zeros((2, len(slab) - 1), np.int64)
        kernels.count_surface(slab, level, layer, *found)
        added = np.empty((found[0].sum(), 3), np.float32), np.empty((found[1].sum(), 4), np.int64)
        kernels.fill_surface(slab, level, layer, vertex_count, ids, *added)
        vertices.append(added[0])
        quads.append(added[1])
        layer, vertex_count = layer + len(slab) - 1, vertex_count + len(added[0])
    places = np.concatenate(vertices)
    return Surface(places, triangles(places, np.concatenate(quads)))


def triangles(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Two triangles for each quad, (q, 4) -> (2 q, 3), cut along the shorter diagonal."""
    a, b, c, d = (vertices[quads[:, corner]] for corner in range(4))
    across = ((a - c) ** 2).sum(axis=1) > ((b - d) ** 2).sum(axis=1)
    quads = np.where(across[:, None], np.roll(quads, -1, axis=1), quads)  # now the cut is from the first to the third
    return quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def surface_nets_reference(values: np.ndarray, level: float) -> Surface:
    """`surface_nets` of a whole lattice (nx, ny, nz) in plain NumPy: the same vertices in the same order, and the same
    faces in another."""
    above, cells = values > level, tuple(n - 1 for n in values.shape)
    total, crossings = np.zeros((*cells, 3)), np.zeros(cells, np.int64)
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        for a, b in np.ndindex(2, 2):
            low = [slice(0, -1)] * 3
            for other, offset in zip(others, (a, b), strict=True):
                low[other] = slice(offset, offset + cells[other])
            high = [slice(1, None) if other == axis else part for other, part in enumerate(low)]
            first, last = (values[tuple(part)].astype(np.float64) for part in (low, high))
            crossed = above[tuple(low)] != above[tuple(high)]
            share = np.divide(level - first, last - first, out=np.zeros(cells), where=crossed)
            crossings += crossed
            total[..., axis] += share
            total[..., others] += crossed[..., None] * np.array([a, b])
    mixed = crossings > 0
    vertices = total[mixed] / crossings[mixed][:, None] + np.argwhere(mixed)
    ids = np.full(cells, -1)
    ids[mixed] = np.arange(len(vertices))
    quads = [_quads_about(axis, above, ids) for axis in range(3)]
    places = vertices.astype(np.float32)
    return Surface(places, triangles(places, np.concatenate(quads)))


def _quads_about(axis: int, above: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The quads (q, 4) around the edges along an axis."""
    above, ids = (array.transpose(axis, (axis + 1) % 3, (axis + 2) % 3) for array in (above, ids))
    inside = above[:-1, 1:-1, 1:-1]
    crossed = inside != above[1:, 1:-1, 1:-1]
    around = [ids[:, :-1, :-1], ids[:, 1:, :-1], ids[:, 1:, 1:], ids[:, :-1, 1:]]
    quads = np.stack([corner[crossed] for corner in around], axis=1)
    return np.where(inside[crossed][:, None], quads, quads[:, [0, 3, 2, 1]])
