"""Triangle meshes in memory: their normals, their parts and their border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TriangleMesh:
    """vertices (v, 3) float; faces (f, 3) int64, counter-clockwise seen from outside; colors (v, 3) float32 in [0, 1],
    where there are any."""

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray | None = None

    def with_faces(self, chosen: np.ndarray) -> TriangleMesh:
        """Some of the faces, by indices or (f,) bool, and no vertex beside theirs."""
        faces = self.faces[chosen]
        used = np.zeros(len(self.vertices), bool)
        used[faces] = True
        number = np.cumsum(used) - 1
        return TriangleMesh(self.vertices[used], number[faces], None if self.colors is None else self.colors[used])

    def normals(self) -> np.ndarray:
        """Unit normals of the vertices (v, 3) float32: the mean of those of the faces around, weighted by their areas;
        0 where there is no face."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        doubled = np.cross(b - a, c - a)  # twice the area long
        total = np.empty((len(self.vertices), 3))
        for axis in range(3):
            weights = np.repeat(doubled[:, axis], 3)
            total[:, axis] = np.bincount(self.faces.reshape(-1), weights, len(self.vertices))
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return np.divide(total, length, out=np.zeros_like(total), where=length > 0).astype(np.float32)

    def spread(self, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (v, c) of vertices where they are known, (v,) bool, carried on along edges: ring by ring, a vertex
        without one gets the mean of its neighbours'. Returns values, and where there are any now."""
        values, known = values.copy(), known.copy()
        ends = self.faces[:, [0, 1, 2, 1, 2, 0]].reshape(-1, 2, 3).transpose(1, 0, 2).reshape(2, -1)
        start, end = np.concatenate([ends, ends[::-1]], axis=1)
        while True:
            new = ~known[end]
            start, end = start[new], end[new]
            told = known[start]
            if not told.any():
                return values, known
            near, count = end[told], np.bincount(end[told], minlength=len(values))
            for channel in range(values.shape[1]):
                total = np.bincount(near, values[start[told], channel], len(values))
                values[count > 0, channel] = total[count > 0] / count[count > 0]
            known |= count > 0

    def parts(self) -> np.ndarray:
        """The connected part of each face (f,): the smallest vertex that can be reached from it.

        Labels sink along edges and are followed to their end, in turns (Shiloach and Vishkin 1982): a few rounds,
        however long the way.
        """
        label = np.arange(len(self.vertices))
        first, last = self.faces[:, [0, 1]].reshape(-1), self.faces[:, [1, 2]].reshape(-1)
        while True:
            a, b = label[first], label[last]
            apart = a != b
            if not apart.any():
                return label[self.faces[:, 0]]
            a, b = a[apart], b[apart]
            np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
            while not np.array_equal(label, label[label]):
                label = label[label]

    def large_parts(self, least: float) -> TriangleMesh:
        """Without the parts that have less than a share `least` of the largest one's faces; 1 keeps the largest."""
        if not len(self.faces):
            return self
        _, index, counts = np.unique(self.parts(), return_inverse=True, return_counts=True)
        kept = counts >= least * counts.max()
        if least >= 1:
            kept = np.arange(len(counts)) == np.argmax(counts)
        return self.with_faces(kept[index])

    def odd_edges(self) -> tuple[int, int]:
        """How many edges belong to one face only, and how many to more than two. A mesh with neither is watertight:
        it has an inside."""
        ends = np.sort(np.concatenate([self.faces[:, [0, 1]], self.faces[:, [1, 2]], self.faces[:, [2, 0]]]), axis=1)
        edges = ends[:, 0] * len(self.vertices) + ends[:, 1]
        _, faces = np.unique(edges, return_counts=True)
        return int(np.count_nonzero(faces == 1)), int(np.count_nonzero(faces > 2))
