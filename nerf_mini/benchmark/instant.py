"""A training step of the instant method, and each of its stages alone."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autodiff import vjp
from nerf_mini.benchmark.parts import Part
from nerf_mini.benchmark.workloads import Precision
from nerf_mini.config import from_preset
from nerf_mini.fields import HashGridField
from nerf_mini.ops import activate, composite, hash_grid, mlp, spherical_harmonics
from nerf_mini.samplers import OccupancySampler, Samples
from nerf_mini.scenes import draw_pixels, load_scene
from nerf_mini.scenes.synthetic import make_scene
from nerf_mini.training import Trainer
from nerf_mini.training.optimiser import adam_init, adam_update
from nerf_mini.training.step import Batch

WARM_UP = 400  # steps, until the occupancy grid is that of the later training
SCENE, SIZE, VIEWS = "shapes", 64, 30


@dataclass
class InstantStep:
    """A training that is past its first steps; call it to take one more."""

    trainer: Trainer

    @classmethod
    def warmed_up(cls, precision: Precision) -> InstantStep:
        """With the default preset, on a toy scene that is made for it."""
        with tempfile.TemporaryDirectory() as folder:
            scene = load_scene(make_scene(SCENE, Path(folder) / "scene", size=SIZE, views=VIEWS))
        trainer = Trainer(from_preset("default", precision=precision), scene.cameras, scene)
        trainer.train(on_step=lambda report: report.step == WARM_UP)
        return cls(trainer)

    @property
    def samples(self) -> int:
        """Of a step, about."""
        sampler = self.trainer.model.sampler
        assert isinstance(sampler, OccupancySampler)
        return sampler.full_budget

    def __call__(self) -> None:
        self.trainer.step()


def stages(step: InstantStep) -> list[Part]:
    """The stages of a step with the arguments that they have there, in the order in which they run."""
    trainer, rng = step.trainer, np.random.default_rng(0)
    model, parameters, views = trainer.model, trainer.state.parameters["field"], trainer.views
    sampler, field = model.sampler, getattr(model, "field", None)
    assert isinstance(sampler, OccupancySampler) and isinstance(field, HashGridField)
    count = sampler.rays_of_step()

    def draw() -> Batch:
        return Batch(draw_pixels(views, count, 1.0, rng), rng.random((count, 3), np.float32))

    batch = draw()
    jitter, all_rays = rng.random(count, np.float32), batch.rays(views.cameras)

    def see() -> Samples:
        return sampler.visible(all_rays, jitter, field.density(parameters), sampler.schedule.least_weight)

    samples = see()
    rays = all_rays[: len(samples.counts)]

    def place() -> np.ndarray:
        return model.region.points(rays, samples.t, samples.ray_index)

    points, n, grid = place(), len(samples), field.grid
    encoding, grid_pullback = vjp(lambda tables: hash_grid(points, tables, grid), parameters["tables"])
    harmonics = spherical_harmonics(rays.directions)

    def network(encoding: Any, layers: Any) -> Any:
        return mlp(encoding, harmonics, samples.ray_index, layers, field.network, field.bfloat16)

    raw, network_pullback = vjp(network, encoding, parameters["network"])
    (density_of, color), activation_pullback = vjp(lambda raw: activate(raw, "exp"), raw)
    spans = samples.t, samples.delta, samples.starts, samples.counts
    _, composite_pullback = vjp(lambda d, c: composite(d, c, *spans), density_of, color)
    gradient = {"field": {"tables": grid_pullback(encoding)[0], "network": network_pullback(raw)[1]}}
    state, optimiser = adam_init(trainer.state.parameters), trainer.config.optimiser
    flops = 2e-9 * n * sum(layer["weight"].size for layer in parameters["network"].values())
    gathered = 4e-9 * n * grid.levels * 8 * grid.features
    table_bytes = 1e-9 * parameters["tables"].nbytes
    cells = 4e-9 * sampler.grid.density.size / sampler.schedule.share
    return [
        Part("occupancy update", "GB", cells, lambda: sampler.grid.update(field.density(parameters), WARM_UP, rng)),
        Part("batch of pixels", "GB", 1e-9 * 48 * count, draw),
        Part("rays", "GB", 1e-9 * 48 * count, lambda: batch.rays(views.cameras)),
        Part("what is visible", "GB", gathered, see),
        Part("points", "GB", 1e-9 * 24 * n, place),
        Part("hash grid forward", "GB", gathered, lambda: hash_grid(points, parameters["tables"], grid)),
        Part("network forward", "GFLOP", flops, lambda: network(encoding, parameters["network"])),
        Part("activations and compositing", "GB", 4e-9 * 30 * n, lambda: (
            activation_pullback(activate(raw, "exp")), composite_pullback(composite(density_of, color, *spans)))),
        Part("network backward", "GFLOP", 2 * flops, lambda: network_pullback(raw)),
        Part("hash grid backward", "GB", 2 * gathered, lambda: grid_pullback(encoding)),
        Part("Adam", "GB", 2 * table_bytes, lambda: adam_update(
            optimiser, trainer.groups, trainer.state.parameters, gradient, state, 0.0)),
    ]  # fmt: skip
