"""Stratified sampling: one sample in each of equally long bins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Box, Region
from nerf_mini.ops import OperatorUse
from nerf_mini.samplers.base import Density
from nerf_mini.samplers.samples import Samples, pack

_EVEN = Box((0.0, 0.0, 0.0), 1.0)


def stratified_samples(
    near: np.ndarray, far: np.ndarray, samples: int, rng: np.random.Generator | None = None, dtype=np.float32
) -> np.ndarray:
    """Distances t (rays, samples), ascending in [near, far] (Mildenhall et al. 2020, eq. 2); near, far (rays,).

    t_i is uniform in bin i of `samples` equal bins, drawn from `rng`; without one it is the middle of the bin.
    """
    rays = len(near)
    within = np.full((rays, samples), 0.5, dtype) if rng is None else rng.random((rays, samples), dtype)
    start, width = near[:, None].astype(dtype), ((far - near) / samples)[:, None].astype(dtype)
    return start + (np.arange(samples, dtype=dtype) + within) * width


@dataclass
class StratifiedSampler:
    """As many stratified samples on every ray, spread as the region has it: evenly in a box."""

    rays: int
    samples: int
    region: Region = _EVEN
    operators: ClassVar[tuple[OperatorUse, ...]] = ()

    @property
    def state(self) -> dict[str, np.ndarray]:
        """See `Sampler`: nothing to keep."""
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """See `Sampler`."""

    @property
    def running(self) -> np.ndarray:
        """See `Sampler`: nothing changes."""
        return np.zeros(0)

    @property
    def usual_rays(self) -> int:
        """See `Sampler`."""
        return self.rays

    def rays_of_step(self) -> int:
        """See `Sampler`."""
        return self.rays

    def before_step(self, density: Density, step: int, rng: np.random.Generator) -> None:
        """See `Sampler`."""

    def sample(
        self, rays: Rays, density: Density | None = None, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, Samples]:
        """See `Sampler`; the samples' precision is the rays'."""
        t = self.distances(rays, rng)
        return np.arange(len(rays)), pack(t, rays.far)

    def distances(self, rays: Rays, rng: np.random.Generator | None = None) -> np.ndarray:
        """Distances (rays, samples), ascending from near to far; jittered with `rng`."""
        near, far = self.region.spacing(rays.near), self.region.spacing(rays.far)
        return self.region.unspacing(stratified_samples(near, far, self.samples, rng, rays.origins.dtype.type))
