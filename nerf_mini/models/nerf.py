"""The method of the paper: a coarse and a fine network, trained together by the photometric loss.

And its network with samples from an occupancy grid in place of the hierarchy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from autodiff import tree, value_and_grad
from nerf_mini.config import Config
from nerf_mini.fields import MLPField
from nerf_mini.geometry.cameras import Intrinsics
from nerf_mini.models.base import Method
from nerf_mini.models.instant import OccupancySampled
from nerf_mini.ops import MLPShape, OperatorUse, distortion
from nerf_mini.rendering.volume import Rendering, render
from nerf_mini.samplers import cube_of_cameras, fine_samples, pack, pack_part, stratified_samples
from nerf_mini.scenes.batches import RayBatch

KEPT_BYTES = 1 << 28  # at most, between a forward and a backward pass
LEAST_WEIGHT = 1e-4  # of a coarse bin whose surroundings are worth a look in a picture


def mlp_field(config: Config) -> MLPField:
    """The network that a configuration asks for."""
    network = config.network
    shape = MLPShape(
        depth=network.depth,
        width=network.width,
        skip=network.skip,
        position_frequencies=network.position_frequencies,
        direction_frequencies=network.direction_frequencies,
        identity=network.identity,
        factor_pi=network.factor_pi,
    )
    return MLPField(shape, network.density_activation, bfloat16=config.precision != "float32")


class NeRF(Method):
    """Coarse and fine radiance field with hierarchical sampling (Mildenhall et al. 2020)."""

    def __init__(self, config: Config, near: float, far: float):
        self.field = mlp_field(config)
        self.sampling = config.sampling
        self.scale = np.float32(config.network.scale)
        self.near, self.far = near, far
        self.rays, self.distortion = config.training.rays, config.training.distortion

    def rays_of_step(self) -> int:
        return self.rays

    def samples_at_once(self) -> int:
        """See `Method`."""
        return max(self.rays, self.rays_at_once) * (2 * self.sampling.coarse_samples + self.sampling.fine_samples)

    def _bytes_per_ray(self) -> int:
        return self.field.bytes_per_sample * (2 * self.sampling.coarse_samples + self.sampling.fine_samples)

    def bytes_kept(self) -> int:
        """See `Method`."""
        return min(KEPT_BYTES, self.rays * self._bytes_per_ray())

    def view(self, parameters: Any, origins: np.ndarray, directions: np.ndarray, background: np.ndarray) -> Rendering:
        """The fine rendering, without jitter, and without the samples where the coarse one says that nothing is seen:
        empty space, and what is behind something opaque."""
        t = stratified_samples(self.near, self.far, len(origins), self.sampling.coarse_samples)
        coarse = self._pass(parameters["coarse"], origins, directions, pack(t, self.far), background)
        weights = coarse.weights.reshape(t.shape)
        t = fine_samples(t, weights, self.sampling.fine_samples)
        samples = pack_part(t, self.far, self._worth_a_look(t, weights))
        return self._pass(parameters["fine"], origins, directions, samples, background)

    def _worth_a_look(self, t: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Which of t (rays, samples) lie in or beside one of the coarse bins whose weight, (rays, coarse), matters."""
        coarse = weights.shape[1]
        padded = np.pad(weights, ((0, 0), (1, 1)))
        faint = np.maximum(np.maximum(padded[:, :-2], padded[:, 2:]), weights) < LEAST_WEIGHT  # (rays, coarse)
        bins = ((t - self.near) * (coarse / (self.far - self.near))).astype(np.int64)
        return ~np.take_along_axis(faint, np.clip(bins, 0, coarse - 1), axis=1)

    def init(self, rng: np.random.Generator) -> dict[str, Any]:
        """Fresh parameters of both networks."""
        return {"coarse": self.field.init(rng), "fine": self.field.init(rng)}

    def render(
        self, parameters: Any, origins: Any, directions: Any, background: Any, rng: np.random.Generator | None = None
    ) -> tuple[Rendering, Rendering]:
        """The coarse and the fine rendering of rays (rays, 3).

        With `rng`, samples are jittered and the density is noisy, as in training; without, all is deterministic.
        """
        dtype = origins.dtype.type  # the samples' precision is the rays'
        t = stratified_samples(self.near, self.far, len(origins), self.sampling.coarse_samples, rng, dtype)
        coarse = self._pass(parameters["coarse"], origins, directions, pack(t, self.far), background, rng)
        weights = coarse.weights.reshape(t.shape)
        t = fine_samples(t, weights, self.sampling.fine_samples, rng)
        return coarse, self._pass(parameters["fine"], origins, directions, pack(t, self.far), background, rng)

    def _pass(self, parameters, origins, directions, samples, background, rng=None) -> Rendering:
        noise, real = None, origins.dtype
        if rng is not None and self.sampling.density_noise > 0:
            noise = real.type(self.sampling.density_noise) * rng.standard_normal(len(samples.t), real)
        return render(self._scaled_field, parameters, origins, directions, samples, background, noise)

    def _scaled_field(self, parameters, points, directions, ray_index, noise):
        """The field, in whose unit cube the scene fits when scaled into [-1, 1]^3."""
        return self.field(parameters, (points * self.scale + 1) / 2, directions, ray_index, noise)

    def loss_and_gradient(
        self, parameters: Any, batch: RayBatch, rng: np.random.Generator
    ) -> tuple[dict[str, float], Any]:
        """The coarse + fine photometric loss of a batch, its parts, and the gradient in the form of the parameters.

        A large batch is taken in equal parts, so that its activations have room; their gradients are added.
        """
        rays = len(batch.origins)
        parts = max(1, -(-rays * self._bytes_per_ray() // KEPT_BYTES))
        edges = np.linspace(0, rays, parts + 1).astype(int)
        total, fine_total, gradient, emitted = 0.0, 0.0, None, []
        for first, last in pairwise(edges):
            piece, share = batch.part(slice(first, last)), float(last - first) / rays
            loss, (fine_loss, coarse, fine), piece_gradient = self._loss_and_gradient(parameters, piece, rng)
            total, fine_total = total + share * float(loss), fine_total + share * float(fine_loss)
            weighted = tree.map_leaves(lambda g, share=share: share * g, piece_gradient)
            gradient = weighted if gradient is None else tree.map_leaves(np.add, gradient, weighted)
            emitted.append([_emitted(rendering, piece.background) for rendering in (coarse, fine)])
        spread = np.std(np.concatenate(emitted, axis=1), axis=1)  # (2, 4), of all rays
        return {"loss": total, "fine_loss": fine_total, "spread": float(spread.max(axis=1).min())}, gradient

    def _loss_and_gradient(self, parameters, batch, rng):
        def loss(parameters):
            coarse, fine = self.render(parameters, batch.origins, batch.directions, batch.background, rng)
            coarse_loss = np.mean((coarse.color - batch.target) ** 2)
            fine_loss = np.mean((fine.color - batch.target) ** 2)
            total = coarse_loss + fine_loss
            if self.distortion > 0:
                s, length = fine.samples, np.float32(self.far - self.near)
                middle = (s.t + s.delta / 2) / length  # of the interval that a sample stands for
                spread_out = distortion(fine.weights, middle, s.delta / length, s.starts, s.counts)
                total = total + np.float32(self.distortion) * np.mean(spread_out)
            return total, (fine_loss, coarse, fine)

        (total, rendered), gradient = value_and_grad(loss, has_aux=True)(parameters)
        return total, rendered, gradient


def _emitted(rendering: Rendering, background: np.ndarray) -> np.ndarray:
    """Colour, the background aside, and opacity of rays, (rays, 4): all the same where a network has collapsed."""
    color = rendering.color - (1 - rendering.opacity)[:, None] * background
    return np.column_stack([color, rendering.opacity])


@dataclass(frozen=True)
class CubeMLP:
    """The paper's network in a cube, which its encoding sees as [-1, 1]^3; `side` in scene units."""

    field: MLPField
    side: float

    @property
    def bytes_per_sample(self) -> int:
        """See `CubeField`."""
        return self.field.bytes_per_sample

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """See `CubeField`."""
        return self.field.operators

    def init(self, rng: np.random.Generator) -> dict[str, Any]:
        """See `CubeField`."""
        return self.field.init(rng)

    def density(self, parameters: Any) -> Callable[[np.ndarray], np.ndarray]:
        """See `CubeField`."""
        density = self.field.density(parameters)
        return lambda points: density(points) * np.float32(self.side)

    def __call__(
        self, parameters: Any, points: Any, directions: Any, ray_index: np.ndarray, noise: Any = None
    ) -> tuple:
        """See `CubeField`."""
        density, color = self.field(parameters, points, directions, ray_index, noise)
        return density * np.float32(self.side), color


class OccupancyNeRF(OccupancySampled):
    """One network of the paper, sampled where an occupancy grid says that something is."""

    def __init__(self, config: Config, near: float, far: float, poses: np.ndarray, intrinsics: Intrinsics):
        cube = cube_of_cameras(poses, near, far, config.occupancy.cube_side)
        field = CubeMLP(mlp_field(config), cube.side)
        super().__init__(field, config, cube, near, far, poses, intrinsics)
