"""What a sampler is: it says where along rays to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from nerf_mini.fields.base import Density
from nerf_mini.geometry.rays import Rays
from nerf_mini.ops import OperatorUse
from nerf_mini.samplers.samples import Samples


class Sampler(Protocol):
    """Where to look along the rays of a training step. No derivative flows through what it does.

    `density` is that of a field: per scene unit, at points of the unit cube.
    """

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """The operators of a training step, for the warm-up."""

    @property
    def state(self) -> dict[str, np.ndarray]:
        """Arrays that change in place as training goes on; they go into checkpoints."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from the arrays of an earlier `state`, which are copied."""

    @property
    def running(self) -> np.ndarray:
        """Those of them that `sample` changes, as one array (k,) float64: means of the past."""

    @property
    def usual_rays(self) -> int:
        """About how many rays a step takes once there is something to see, known beforehand."""

    def rays_of_step(self) -> int:
        """How many rays to draw for the next step."""

    def before_step(self, density: Density, step: int, rng: np.random.Generator) -> None:
        """Called before the rays of a step are drawn; `step` counts from 0."""

    def sample(self, rays: Rays, density: Density, rng: np.random.Generator | None) -> tuple[np.ndarray, Samples]:
        """The rays that the step can take, the first ones, by index (chosen,), and the samples of those rays."""
