"""The method of the paper: a coarse and a fine network, trained together by the photometric loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import value_and_grad

from ..cameras import Intrinsics
from ..config import Config
from ..fields import MLPField
from ..ops import NetworkShape
from ..samplers import fine_samples, pack, stratified_samples
from ..volume import Rendering, render
from .base import Method
from .batch import RayBatch


class NeRF(Method):
    """Coarse and fine radiance field with hierarchical sampling (Mildenhall et al. 2020)."""

    def __init__(self, config: Config, near: float, far: float):
        network = config.network
        shape = NetworkShape(
            depth=network.depth,
            width=network.width,
            skip=network.skip,
            position_frequencies=network.position_frequencies,
            direction_frequencies=network.direction_frequencies,
            identity=network.identity,
            factor_pi=network.factor_pi,
        )
        self.field = MLPField(shape, network.density_activation)
        self.sampling = config.sampling
        self.scale = np.float32(network.scale)
        self.near, self.far = near, far
        self.rays = config.training.rays

    @classmethod
    def of_cameras(cls, config: Config, near: float, far: float, poses: np.ndarray, intrinsics: Intrinsics) -> NeRF:
        return cls(config, near, far)

    def rays_of_step(self) -> int:
        return self.rays

    def view(self, parameters: Any, origins: np.ndarray, directions: np.ndarray, background: np.ndarray) -> Rendering:
        """The fine rendering, without jitter."""
        return self.render(parameters, origins, directions, background)[1]

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
        coarse = self._pass(parameters["coarse"], origins, directions, t, background, rng)
        weights = coarse.weights.reshape(t.shape)
        t = fine_samples(t, weights, self.sampling.fine_samples, rng)
        return coarse, self._pass(parameters["fine"], origins, directions, t, background, rng)

    def _pass(self, parameters, origins, directions, t, background, rng) -> Rendering:
        samples = pack(t, self.far)
        noise = None
        if rng is not None and self.sampling.density_noise > 0:
            noise = t.dtype.type(self.sampling.density_noise) * rng.standard_normal(t.size, t.dtype)
        return render(self._scaled_field, parameters, origins, directions, samples, background, noise)

    def _scaled_field(self, parameters, points, directions, ray_index, noise):
        """The field in the coordinates of its encoding, in which the scene fits into [-1, 1]^3."""
        return self.field(parameters, points * self.scale, directions, ray_index, noise)

    def loss_and_gradient(
        self, parameters: Any, batch: RayBatch, rng: np.random.Generator
    ) -> tuple[dict[str, float], Any]:
        """The coarse + fine photometric loss of a batch, its parts, and the gradient in the form of the parameters."""

        def loss(parameters):
            coarse, fine = self.render(parameters, batch.origins, batch.directions, batch.background, rng)
            coarse_loss = np.mean((coarse.color - batch.target) ** 2)
            fine_loss = np.mean((fine.color - batch.target) ** 2)
            return coarse_loss + fine_loss, (fine_loss, fine)

        (total, (fine_loss, fine)), gradient = value_and_grad(loss, has_aux=True)(parameters)
        return {
            "loss": float(total),
            "fine_loss": float(fine_loss),
            "spread": _spread(fine, batch.background),
        }, gradient


def _spread(rendering: Rendering, background: np.ndarray) -> float:
    """How much rays differ in colour or opacity, the background aside: 0 where the network has collapsed to one
    colour."""
    emitted = rendering.color - (1 - rendering.opacity)[:, None] * background  # (rays, 3)
    return float(max(np.std(emitted, axis=0).max(), np.std(rendering.opacity)))
