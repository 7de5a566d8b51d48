"""The model of the paper: a coarse and a fine network with hierarchical sampling (Mildenhall et al. 2020)."""

from __future__ import annotations

from typing import Any

import numpy as np

from nerf_mini.config import Config, NerfConfig
from nerf_mini.errors import UserError
from nerf_mini.fields import MLPField
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Box, Region, make_region
from nerf_mini.models.base import Model
from nerf_mini.models.common import mlp_field, near_length, noise_of, query_field
from nerf_mini.ops import OperatorUse
from nerf_mini.rendering.volume import Rendering, render
from nerf_mini.samplers import Density, Samples, StratifiedSampler, fine_samples, pack, pack_part
from nerf_mini.scenes import SceneCameras

LEAST_WEIGHT = 1e-4  # of a coarse bin whose surroundings are evaluated in a picture


class NerfModel(Model):
    """Coarse and fine radiance field, in a cube around the origin that the encoding sees as [-1, 1]^3, or in the space
    that a capture fills."""

    sampler: StratifiedSampler

    def __init__(self, config: Config, settings: NerfConfig, scene: SceneCameras):
        self.field: MLPField = mlp_field(settings.network, config.precision, config.appearance.appearance_codes)
        bounded = scene.space is None or scene.space.kind == "box"
        around_origin = Box.centered(np.zeros(3), 2.0 / settings.network.scale)
        self.region: Region = around_origin if bounded else make_region(scene.space, scene.train)
        self.endless = bounded
        rays = config.training.of_shard(settings.rays)
        if rays < 1:
            raise UserError(
                f"--shards {config.training.shards}: a step has {config.training.batch * settings.rays} rays, and each"
                " shard needs one at least. Take fewer shards, or raise --rays or --batch."
            )
        self.sampler = StratifiedSampler(rays, settings.hierarchical.coarse_samples, self.region)
        self.coarse_samples = settings.hierarchical.coarse_samples
        self.fine_samples = settings.hierarchical.fine_samples
        self.density_noise = config.losses.density_noise
        self.near_length = near_length(config.losses, self.region)

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """See `Model`."""
        drawn = OperatorUse("sample_histogram", constants=(0, 1, 2))
        return *self.field.operators, *self.region.operators, drawn, OperatorUse("composite")

    def init(self, rng: np.random.Generator) -> dict[str, Any]:
        """See `Model`: parameters of both networks."""
        return {"coarse": self.field.init(rng), "fine": self.field.init(rng)}

    def density(self, parameters: Any) -> Density:
        """See `Model`."""
        return self.field.density(parameters["fine"])

    def render(
        self,
        parameters: Any,
        rays: Rays,
        samples: Samples,
        background: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> tuple[Rendering, ...]:
        """See `Model`: the coarse and the fine rendering."""
        coarse = self._pass(parameters["coarse"], rays, samples, background, rng)
        t, far = samples.t.reshape(len(rays), -1), self.region.enter(rays).far
        t = self._refined(t, coarse.weights.reshape(t.shape), rng)
        return coarse, self._pass(parameters["fine"], rays, pack(t, far), background, rng)

    def _refined(self, t: np.ndarray, weights: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """The coarse distances (rays, coarse) with the fine ones among them."""
        region = self.region
        return region.unspacing(fine_samples(region.spacing(t), weights, self.fine_samples, rng))

    def _pass(
        self,
        parameters: Any,
        rays: Rays,
        samples: Samples,
        background: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> Rendering:
        noise = noise_of(self.density_noise, samples, rng)
        return render(self.field, parameters, self.region, rays, samples, background, noise, self.near_length)

    def view(self, parameters: Any, rays: Rays, background: np.ndarray) -> Rendering:
        """See `Model`: the fine rendering, without the samples where the coarse one says that nothing is seen: empty
        space, and what is behind something opaque."""
        inside = self.region.enter(rays)
        t = self.sampler.distances(inside)
        coarse = self._pass(parameters["coarse"], rays, pack(t, inside.far), background)
        weights = coarse.weights.reshape(t.shape)
        t = self._refined(t, weights)
        return self._pass(
            parameters["fine"], rays, pack_part(t, inside.far, self._seen(t, weights, inside)), background
        )

    def _seen(self, t: np.ndarray, weights: np.ndarray, rays: Rays) -> np.ndarray:
        """Which of t (rays, samples) lie in or beside one of the coarse bins whose weight, (rays, coarse), matters."""
        coarse, place = weights.shape[1], self.region.spacing
        padded = np.pad(weights, ((0, 0), (1, 1)))
        faint = np.maximum(np.maximum(padded[:, :-2], padded[:, 2:]), weights) < LEAST_WEIGHT  # (rays, coarse)
        near, far = place(rays.near), place(rays.far)
        bins = ((place(t) - near[:, None]) * (coarse / (far - near))[:, None]).astype(np.int64)
        return ~np.take_along_axis(faint, np.clip(bins, 0, coarse - 1), axis=1)

    def query(self, parameters: Any, points: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Model`: of the fine network, also outside of a box, where it is periodic."""
        bounded = not self.endless
        return query_field(self.field, parameters["fine"], self.region, points, directions, bounded)

    def _evaluations(self) -> int:
        """Of the networks, for one ray."""
        return 2 * self.coarse_samples + self.fine_samples

    def samples_at_once(self) -> int:
        """See `Model`."""
        return max(self.sampler.rays, self.rays_at_once) * self._evaluations()

    def bytes_per_ray(self) -> int:
        """See `Model`."""
        return self.field.bytes_per_sample * self._evaluations()

    def bytes_kept(self) -> int:
        """See `Model`."""
        return self.sampler.rays * self.bytes_per_ray()
