"""Packed samples: one flat array for all rays, and for each ray where its samples start and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_mini.geometry.rays import Rays
from nerf_mini.ops import positions


@dataclass(frozen=True)
class Samples:
    """Samples along a batch of rays, in the coordinates of the region: scene units, unless it bends them.

    t, delta (samples,): distance along the ray, and length of the interval that a sample stands for;
    ray_index (samples,) int64: the ray of each sample; starts, counts (rays,) int64: the samples of each ray.
    """

    t: Any
    delta: Any
    ray_index: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.ray_index)

    def of_first(self, rays: int) -> Samples:
        """Those of the first rays."""
        if rays == len(self.counts):
            return self
        end = int(self.starts[rays])
        return Samples(self.t[:end], self.delta[:end], self.ray_index[:end], self.starts[:rays], self.counts[:rays])

    def points(self, rays: Rays) -> Any:
        """Points origin + t direction, (samples, 3)."""
        return positions(rays.origins, rays.directions, self.t, self.ray_index)


def pack(t: np.ndarray, far: np.ndarray) -> Samples:
    """The dense case: t (rays, samples) ascending, every ray with as many samples; far (rays,).

    delta_i = t_{i+1} - t_i as in the paper; the last interval ends at `far`, so that what lies there is not made
    opaque.
    """
    rays, samples = t.shape
    end = far[:, None].astype(t.dtype)
    delta = np.maximum(np.diff(t, axis=1, append=end), 0)  # (rays, samples)
    return Samples(
        t=t.reshape(-1),
        delta=delta.reshape(-1),
        ray_index=np.repeat(np.arange(rays), samples),
        starts=np.arange(rays) * samples,
        counts=np.full(rays, samples),
    )


def pack_part(t: np.ndarray, far: np.ndarray, kept: np.ndarray) -> Samples:
    """The samples of `pack` for which kept (rays, samples) is true: the others count as empty."""
    samples = pack(t, far)
    flat, counts = kept.reshape(-1), np.count_nonzero(kept, axis=1)
    return Samples(samples.t[flat], samples.delta[flat], samples.ray_index[flat], np.cumsum(counts) - counts, counts)
