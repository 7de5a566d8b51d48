"""A training step of the instant method, and each of its stages alone."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autodiff import vjp
from nerf_mini.benchmark.parts import Part
from nerf_mini.benchmark.workloads import Precision
from nerf_mini.config import PRESETS
from nerf_mini.fields import HashGridField
from nerf_mini.models import Instant, draw_batch
from nerf_mini.models.instant import ROOM
from nerf_mini.ops import activate, composite, hash_grid, mlp, spherical_harmonics
from nerf_mini.scenes.synthetic import make_scene
from nerf_mini.training.loop import Training, start, train, train_step
from nerf_mini.training.optimiser import adam_init, adam_update

WARM_UP = 400  # steps, until the occupancy grid is that of the later training
SCENE, SIZE, VIEWS = "shapes", 64, 30


@dataclass
class InstantStep:
    """A training that is past its first steps; call it to take one more."""

    training: Training

    @classmethod
    def warmed_up(cls, precision: Precision) -> InstantStep:
        """With the default preset, on a toy scene that is made for it."""
        preset = PRESETS["default"]
        settings = replace(preset.training, max_steps=WARM_UP, checkpoint_every=10**9, validate_every=10**9)
        with tempfile.TemporaryDirectory() as folder:
            data = make_scene(SCENE, Path(folder) / "scene", size=SIZE, views=VIEWS)
            config = replace(preset, precision=precision, training=settings)
            training = start(data, Path(folder) / "run", config)
            train(training)
        return cls(training)

    @property
    def samples(self) -> int:
        """Of a step, about."""
        return self.training.run.config.occupancy.samples_per_step

    def __call__(self) -> None:
        train_step(self.training)


def stages(step: InstantStep) -> list[Part]:
    """The stages of a step with the arguments that they have there, in the order in which they run."""
    training = step.training
    method, parameters, rng = training.method, training.state.parameters, np.random.default_rng(0)
    assert isinstance(method, Instant) and isinstance(method.field, HashGridField)
    field, views = method.field, training.scene.splits["train"]
    rays = method.rays_of_step()
    batch = draw_batch(views, rays, "random", 1.0, rng)
    jitter = rng.random(rays, np.float32)

    def march():
        return method._march(batch.origins, batch.directions, jitter, method.step, ROOM * method.budget)

    marched = march()

    def visible():
        return method._visible(parameters, batch.origins, batch.directions, marched, method.step)

    seen = visible()

    def pack():
        return seen.packed(batch.origins, batch.directions, method.cube, method.step, method.budget)

    _, directions, points, samples = pack()
    n, grid = len(points), field.grid
    encoding, grid_pullback = vjp(lambda tables: hash_grid(points, tables, grid), parameters["tables"])
    harmonics = spherical_harmonics(directions)

    def network(encoding: Any, layers: Any) -> Any:
        return mlp(encoding, harmonics, samples.ray_index, layers, field.network, field.bfloat16)

    raw, network_pullback = vjp(network, encoding, parameters["network"])
    (density, color), activation_pullback = vjp(lambda raw: activate(raw, "exp"), raw)
    spans = samples.t, samples.delta, samples.starts, samples.counts
    _, composite_pullback = vjp(lambda d, c: composite(d, c, *spans), density, color)
    gradient = {"tables": grid_pullback(encoding)[0], "network": network_pullback(raw)[1]}
    state, settings = adam_init(parameters), training.run.config.optimiser
    flops = 2e-9 * n * sum(layer["weight"].size for layer in parameters["network"].values())
    gathered = 4e-9 * n * grid.levels * 8 * grid.features
    table_bytes = 1e-9 * parameters["tables"].nbytes
    return [
        Part("occupancy update", "GB", 4e-9 * method.occupancy.resolution**3 / 256, lambda: method.occupancy.update(
            field.density(parameters), WARM_UP, rng)),
        Part("batch of rays", "GB", 1e-9 * 48 * rays, lambda: draw_batch(views, rays, "random", 1.0, rng)),
        Part("marching", "GB", 4e-9 * len(marched.t), march),
        Part("what is visible", "GB", gathered, visible),
        Part("packing", "GB", 1e-9 * 28 * n, pack),
        Part("hash grid forward", "GB", gathered, lambda: hash_grid(points, parameters["tables"], grid)),
        Part("network forward", "GFLOP", flops, lambda: network(encoding, parameters["network"])),
        Part("activations and compositing", "GB", 4e-9 * 30 * n, lambda: (
            activation_pullback(activate(raw, "exp")), composite_pullback(composite(density, color, *spans)))),
        Part("network backward", "GFLOP", 2 * flops, lambda: network_pullback(raw)),
        Part("hash grid backward", "GB", 2 * gathered, lambda: grid_pullback(encoding)),
        Part("Adam", "GB", 2 * table_bytes, lambda: adam_update(
            settings, parameters, gradient, state, None, method.lazy)),
    ]  # fmt: skip
