"""What a model is: a region, a sampler and a field, and how they become renderings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import numpy as np

from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Region
from nerf_mini.ops import OperatorUse
from nerf_mini.rendering.volume import Rendering, first_crossing
from nerf_mini.samplers import Density, Sampler, Samples


class Model(ABC):
    """A radiance field that can be rendered, differentiably and fast.

    Attributes:
        region: the part of space that it covers.
        sampler: where to look along the rays of a training step.
        sparse: names of parameters of which a step touches a part only.
        random_background: whether to train on random colours behind pictures with alpha, so that what is not opaque
            cannot pass for the colour of the background.
        supersampling: n of the n x n rays through each pixel in training, where the configuration leaves it to the
            model.
        distortion: the weight of the distortion loss where the configuration leaves it to the model.
        endless: whether the field goes on outside of its region.
        rays_at_once: rays of a picture to work on together: enough for kernels at full speed, in bounded memory.
    """

    region: Region
    sampler: Sampler
    sparse: Collection[str] = ()
    random_background: bool = False
    supersampling: int = 1
    distortion: float = 0.0
    endless: bool = False
    rays_at_once: int = 1 << 12

    @property
    @abstractmethod
    def operators(self) -> tuple[OperatorUse, ...]:
        """The operators of a training step, for the warm-up: those that take longest to compile first."""

    @abstractmethod
    def init(self, rng: np.random.Generator) -> dict[str, Any]:
        """Fresh parameters: nested dicts of arrays."""

    @abstractmethod
    def density(self, parameters: Any) -> Density:
        """Density as a function of points (n, 3) in the unit cube, before the region scales it; plain arrays, no
        derivative."""

    @abstractmethod
    def render(
        self,
        parameters: Any,
        rays: Rays,
        samples: Samples,
        background: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> tuple[Rendering, ...]:
        """The renderings of a training step, the final one last; differentiable in parameters and rays.

        `samples` are the sampler's. With `rng`, the density is noisy and further samples are jittered, as in training.
        """

    @abstractmethod
    def view(self, parameters: Any, rays: Rays, background: np.ndarray) -> Rendering:
        """What rays see, the same every time; no derivative. The weights of the samples may be left out."""

    @abstractmethod
    def query(self, parameters: Any, points: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Density per scene unit (n,) and colour (n, 3) at points (n, 3) of the scene, seen along directions (n, 3).

        The density is 0 outside of the region.
        """

    def density_at(self, parameters: Any, points: np.ndarray) -> np.ndarray:
        """Density per scene unit (n,) float32 at points (n, 3) of the scene: that of `query`, without the colour."""
        points = np.ascontiguousarray(points, np.float32)
        unit = self.region.to_unit(points)
        density, scale = self.density(parameters)(unit), self.region.scale(unit)
        density = density * self.region.density_scale(points) * (1.0 if scale is None else scale)
        inside = self.endless | ((unit >= 0) & (unit <= 1)).all(axis=1)
        return np.where(inside, density, 0.0).astype(np.float32, copy=False)

    def first_reached(self, parameters: Any, rays: Rays, transmittance: float) -> np.ndarray:
        """The distance (rays,) float64, in scene units, at which the transmittance falls to `transmittance`; infinite
        where more is left to the end. A model whose `view` leaves out weights and samples has a way of its own."""
        return first_crossing(self.view(parameters, rays, np.zeros(3)), self.region, rays, transmittance)

    @abstractmethod
    def samples_at_once(self) -> int:
        """About how many samples a training step or a picture works on together, for a forecast of memory."""

    @abstractmethod
    def bytes_per_ray(self) -> int:
        """What a training step keeps of a ray between its forward and its backward pass, at most.

        Steps that would keep too much are taken in parts. 0 where the sampler bounds it.
        """

    @abstractmethod
    def bytes_kept(self) -> int:
        """What a training step keeps between its forward and its backward pass, if it is not taken in parts."""

    def sample(self, parameters: Any, rays: Rays, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Samples]:
        """The rays that a step can take, by index, and where to look along them."""
        return self.sampler.sample(self.region.enter(rays), self.density(parameters), rng)
