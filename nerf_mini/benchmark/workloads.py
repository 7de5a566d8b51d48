"""What is measured: full training steps of three networks, on random rays, and the arithmetic they need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nerf_mini.config import PRESETS, Config, SamplingConfig
from nerf_mini.models import NeRF, RayBatch
from nerf_mini.ops import BFLOAT16, MLPShape, mlp_parameter_shapes
from nerf_mini.training.optimiser import adam_init, adam_update

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
        paper = PRESETS["paper"]
        return replace(
            paper,
            network=replace(paper.network, depth=self.depth, width=self.width, skip=self.skip),
            sampling=SamplingConfig(coarse_samples=self.coarse_samples, fine_samples=self.fine_samples),
            training=replace(paper.training, rays=self.rays),
        )

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


def network_shape(config: Config) -> MLPShape:
    """The shape of both networks of a configuration."""
    return NeRF(config, NEAR, FAR).field.shape


def multiplications(config: Config) -> int:
    """Multiply-adds of the network for one sample, forward."""
    return sum(inputs * outputs for inputs, outputs in mlp_parameter_shapes(network_shape(config)).values())


def random_batch(rays: int, seed: int = 0) -> RayBatch:
    """Rays from the sphere of radius 4 towards the origin, with random target colours."""
    rng = np.random.default_rng(seed)
    origins = rng.standard_normal((rays, 3))
    origins *= 4 / np.linalg.norm(origins, axis=1, keepdims=True)
    directions = 0.5 * rng.standard_normal((rays, 3)) - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    colors = rng.random((rays, 3), np.float32)
    return RayBatch(origins.astype(np.float32), directions.astype(np.float32), colors, np.ones((rays, 3), np.float32))


class OwnStep:
    """One training step of nerf-mini, in float32 or bfloat16; call it to take it."""

    def __init__(self, workload: Workload, precision: Precision = "float32"):
        self.config = replace(workload.config(), precision=precision)
        self.method = NeRF(self.config, NEAR, FAR)
        self.rng = np.random.default_rng(0)
        self.parameters = self.method.init(self.rng)
        self.state = adam_init(self.parameters)
        self.batch = random_batch(workload.rays)

    def __call__(self) -> float:
        metrics, gradient = self.method.loss_and_gradient(self.parameters, self.batch, self.rng)
        adam_update(self.config.optimiser, self.parameters, gradient, self.state)
        return metrics["loss"]
