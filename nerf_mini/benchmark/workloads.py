"""What is measured: full training steps of three networks, on random rays, and the arithmetic they need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nerf_mini.config import Config, NerfConfig, from_preset
from nerf_mini.fields import MLPField
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.models import make_model
from nerf_mini.models.common import mlp_field
from nerf_mini.ops import BFLOAT16, mlp_parameter_shapes
from nerf_mini.scenes import BLACK, PixelBatch, SceneCameras
from nerf_mini.training.optimiser import ParameterGroup, Schedule, adam_init, adam_update
from nerf_mini.training.step import Batch, loss_and_gradient

NEAR, FAR = 2.0, 6.0
Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16") if BFLOAT16 else ("float32",)  # that this CPU has


@dataclass(frozen=True)
class Workload:
    """A training step: coarse and fine network of depth x width, coarse + fine samples a ray, rays a step."""

    name: str
    depth: int
    width: int
    skip: int | None
    coarse_samples: int
    fine_samples: int
    rays: int

    def config(self) -> Config:
        """The method's configuration; encodings of 10 and 4 octaves with the identity, as in the paper's code."""
        return from_preset(
            "paper", depth=self.depth, width=self.width, skip=self.skip, coarse_samples=self.coarse_samples,
            fine_samples=self.fine_samples, rays=self.rays,
        )  # fmt: skip

    @property
    def samples(self) -> int:
        """Network evaluations of a step: the coarse samples, and coarse and fine ones again in the fine pass."""
        return self.rays * (2 * self.coarse_samples + self.fine_samples)

    @property
    def flops(self) -> float:
        """Multiplications and additions of a step's matrix products: once forward and twice backward."""
        return 6.0 * self.samples * multiplications(self.config())


WORKLOADS = (
    Workload("train-8x256", 8, 256, 5, 64, 128, 512),
    Workload("train-4x128", 4, 128, None, 64, 64, 1024),
    Workload("train-4x64", 4, 64, None, 64, 64, 1024),
)


def field_of(config: Config) -> MLPField:
    """The network of a configuration; coarse and fine have the same shape."""
    assert isinstance(config.model, NerfConfig)
    return mlp_field(config.model.network, config.precision)


def multiplications(config: Config) -> int:
    """Multiply-adds of the network for one sample, forward."""
    return sum(inputs * outputs for inputs, outputs in mlp_parameter_shapes(field_of(config).shape).values())


def random_rays(rays: int, seed: int = 0) -> tuple[Cameras, Batch]:
    """Rays from the sphere of radius 4 towards the origin, each of a camera with one pixel, with random targets."""
    rng = np.random.default_rng(seed)
    places = rng.standard_normal((rays, 3))
    places *= 4 / np.linalg.norm(places, axis=1, keepdims=True)
    poses = np.stack([look_at(place, 0.5 * rng.standard_normal(3)) for place in places])
    cameras = Cameras.make(poses, (1, 1), 1.0, near=NEAR, far=FAR)
    none, values = np.zeros(rays, np.int64), rng.integers(0, 256, (rays, 3), np.uint8)
    return cameras, Batch(PixelBatch(np.arange(rays), none, none, values), np.ones((rays, 3), np.float32))


class OwnStep:
    """One training step of nerf-mini, in float32 or bfloat16; call it to take it."""

    def __init__(self, workload: Workload, precision: Precision = "float32"):
        self.config = replace(workload.config(), precision=precision)
        self.cameras, self.batch = random_rays(workload.rays)
        self.model = make_model(self.config, SceneCameras({"train": self.cameras}, BLACK))
        self.rng = np.random.default_rng(0)
        self.parameters = {"field": self.model.init(self.rng)}
        self.state = adam_init(self.parameters)
        optimiser = self.config.optimiser
        self.groups = [ParameterGroup((), Schedule(optimiser.learning_rate, optimiser.final_rate, optimiser.decay))]

    def __call__(self) -> float:
        losses = self.config.losses
        found = loss_and_gradient(self.model, self.parameters, self.cameras, self.batch, losses, self.rng)
        adam_update(self.config.optimiser, self.groups, self.parameters, found.gradient, self.state, 0.0)
        return found.terms.total
