"""The method of the paper: a coarse and a fine network, trained together by the photometric loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import value_and_grad

from ..config import Config
from ..fields import MLPField
from ..ops import NetworkShape
from ..samplers import fine_samples, pack, stratified_samples
from ..volume import Rendering, render
from .batch import RayBatch


class NeRF:
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

    def init(self, rng: np.random.Generator) -> dict[str, Any]:
        """Fresh parameters of both networks."""
        return {"coarse": self.field.init(rng), "fine": self.field.init(rng)}

    def render(
        self, parameters: Any, origins: Any, directions: Any, background: Any, rng: np.random.Generator | None = None
    ) -> tuple[Rendering, Rendering]:
        """The coarse and the fine rendering of rays (rays, 3).

        With `rng`, samples are jittered and the density is noisy, as in training; without, all is deterministic.
        """
        rays = len(origins)
        t = stratified_samples(self.near, self.far, rays, self.sampling.coarse_samples, rng)
        coarse = self._pass(parameters["coarse"], origins, directions, t, background, rng)
        weights = coarse.weights.reshape(t.shape)
        t = fine_samples(t, weights, self.sampling.fine_samples, rng)
        return coarse, self._pass(parameters["fine"], origins, directions, t, background, rng)

    def _pass(self, parameters, origins, directions, t, background, rng) -> Rendering:
        samples = pack(t, self.far)
        noise = None
        if rng is not None and self.sampling.density_noise > 0:
            noise = np.float32(self.sampling.density_noise) * rng.standard_normal(t.size, np.float32)
        return render(self._scaled_field, parameters, origins, directions, samples, background, noise)

    def _scaled_field(self, parameters, points, directions, ray_index, noise):
        """The field in the coordinates of its encoding, in which the scene fits into [-1, 1]^3."""
        return self.field(parameters, points * self.scale, directions, ray_index, noise)

    def loss_and_gradient(self, parameters: Any, batch: RayBatch, rng: np.random.Generator) -> tuple[dict[str, float], Any]:
        """The coarse + fine photometric loss of a batch, its parts, and the gradient in the form of the parameters."""

        def loss(parameters):
            coarse, fine = self.render(parameters, batch.origins, batch.directions, batch.background, rng)
            coarse_loss = np.mean((coarse.color - batch.target) ** 2)
            fine_loss = np.mean((fine.color - batch.target) ** 2)
            return coarse_loss + fine_loss, (fine_loss, fine.color)

        (total, (fine_loss, color)), gradient = value_and_grad(loss, has_aux=True)(parameters)
        spread = np.std(color, axis=0).max()  # 0 where the network has collapsed to one colour
        return {"loss": float(total), "fine_loss": float(fine_loss), "spread": float(spread)}, gradient
