"""What cameras look at together: where their optical axes meet, and how well."""

from __future__ import annotations

from functools import cached_property

import numpy as np


class Aim:
    """The point nearest to all optical axes, and what it tells of a capture.

    The notation is: d the optical axes, o the positions, p the point nearest to all axes, D the median distance of the
    cameras from it.
    """

    def __init__(self, poses: np.ndarray):
        self.poses = poses  # (V, 4, 4), camera-to-world, OpenGL axes

    @property
    def positions(self) -> np.ndarray:
        """o: (V, 3)."""
        return self.poses[:, :3, 3]

    @property
    def axes(self) -> np.ndarray:
        """d: (V, 3), unit vectors."""
        return -self.poses[:, :3, 2]

    @cached_property
    def _across(self) -> np.ndarray:
        return np.eye(3) - self.axes[:, :, None] * self.axes[:, None, :]  # (V, 3, 3), projections across the axes

    @cached_property
    def spread(self) -> float:
        """The least eigenvalue of mean(1 - d d^T): 0 for parallel axes, 2/3 where they point everywhere alike."""
        return float(np.linalg.eigvalsh(self._across.mean(axis=0))[0])

    @cached_property
    def target(self) -> np.ndarray:
        """p: (3,), the least-squares solution of sum (1 - d d^T) (p - o) = 0."""
        start = self.positions.mean(axis=0)
        right = np.einsum("vij,vj->i", self._across, self.positions - start)
        return start + np.linalg.lstsq(self._across.sum(axis=0), right, rcond=1e-9)[0]

    @cached_property
    def distance(self) -> float:
        """D: median |p - o|, never 0."""
        found = float(np.median(np.linalg.norm(self.target - self.positions, axis=1)))
        return found if found > 0 else 1.0

    @cached_property
    def front(self) -> float:
        """The share of cameras that have p before them."""
        return float(np.mean(np.sum((self.target - self.positions) * self.axes, axis=1) > 0))

    @cached_property
    def miss(self) -> float:
        """The rms distance of p from the axes, over D."""
        offset = np.einsum("vij,vj->vi", self._across, self.target - self.positions)
        return float(np.sqrt(np.mean(np.sum(offset * offset, axis=1)))) / self.distance
