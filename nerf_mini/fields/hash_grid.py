"""A multiresolution hash grid with a small network: the field of Mueller et al. 2022."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_mini.fields.mlp import with_noise
from nerf_mini.ops import (
    GridMLPShape,
    GridShape,
    OperatorUse,
    activate,
    hash_grid,
    mlp,
    mlp_bytes,
    mlp_density,
    mlp_parameter_shapes,
    spherical_harmonics,
    truncated_exp,
)

TABLE_BOUND = 1e-4  # of the features to begin with


@dataclass(frozen=True)
class InstantField:
    """Density and colour of points in the unit cube: density = exp(raw), colour = logistic(raw)."""

    grid: GridShape
    network: GridMLPShape
    bfloat16: bool = False  # see `ops.mlp`

    @property
    def bytes_per_sample(self) -> int:
        """What training keeps of a sample between the forward and the backward pass."""
        return mlp_bytes(self.network, self.bfloat16)

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """The operators of a training step, for the warm-up; points and directions are not learnt."""
        network = OperatorUse("grid_mlp", {"bfloat16": self.bfloat16}, constants=(1,))
        return network, OperatorUse("hash_grid", constants=(0,)), OperatorUse("activate")

    def init(self, rng: np.random.Generator, dtype=np.float32) -> dict[str, Any]:
        """Parameters: features near zero, weights uniform as Glorot and Bengio (2010), biases zero."""
        tables = rng.uniform(-TABLE_BOUND, TABLE_BOUND, (self.grid.entries, self.grid.features)).astype(dtype)
        network = {}
        for name, (inputs, outputs) in mlp_parameter_shapes(self.network).items():
            bound = np.sqrt(6 / (inputs + outputs))
            weight = rng.uniform(-bound, bound, (inputs, outputs)).astype(dtype)
            network[name] = {"weight": weight, "bias": np.zeros(outputs, dtype)}
        return {"tables": tables, "network": network}

    def density_at(self, parameters: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Density alone as a function of points (samples, 3) of the unit cube -> (samples,); no derivative."""
        tables, raw = parameters["tables"], mlp_density(parameters["network"], self.network, self.bfloat16)
        return lambda points: truncated_exp(raw(hash_grid(points, tables, self.grid)))

    def __call__(
        self, parameters: Any, points: Any, directions: Any, ray_index: np.ndarray, noise: Any = None
    ) -> tuple:
        """points (samples, 3), directions (rays, 3), ray_index (samples,) -> density (samples,), color (samples, 3).

        `noise` (samples,) is added to the raw density.
        """
        encoding = hash_grid(points, parameters["tables"], self.grid)  # (samples, levels * features)
        harmonics = spherical_harmonics(directions)  # (rays, 16)
        raw = mlp(encoding, harmonics, ray_index, parameters["network"], self.network, self.bfloat16)  # (samples, 4)
        return activate(with_noise(raw, noise), "exp")
