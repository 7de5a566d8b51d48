"""A multiresolution hash grid with a small network: the field of Mueller et al. 2022."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_mini.fields.base import Density, glorot_layers, with_codes, with_noise
from nerf_mini.fields.coarse_to_fine import band_weights, with_weighted_inputs
from nerf_mini.ops import (
    GridMLPShape,
    GridShape,
    OperatorUse,
    activate,
    exp_density,
    hash_grid,
    mlp,
    mlp_bytes,
    mlp_density,
    mlp_parameter_shapes,
    spherical_harmonics,
)

TABLE_BOUND = 1e-4  # of the initial features


@dataclass(frozen=True)
class HashGridField:
    """Density and colour of points in the unit cube: density = exp(raw) / unit_length, colour = logistic(raw).

    `unit_length` is the side of the unit cube in scene units, so that exp(raw) is the optical depth of a side: the same
    initial fog in a scene of any size. The last `codes` of the network's ray features tell pictures apart.
    """

    grid: GridShape
    network: GridMLPShape
    bfloat16: bool = False  # see `ops.mlp`
    unit_length: float = 1.0
    codes: int = 0

    @property
    def bytes_per_sample(self) -> int:
        """See `Field`."""
        return mlp_bytes(self.network, self.bfloat16)

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """See `Field`."""
        network = OperatorUse("grid_mlp", {"bfloat16": self.bfloat16}, constants=() if self.codes else (1,))
        return network, OperatorUse("hash_grid", constants=(0,)), OperatorUse("activate")

    def init(self, rng: np.random.Generator, dtype=np.float32) -> dict[str, Any]:
        """See `Field`; features are near zero."""
        tables = rng.uniform(-TABLE_BOUND, TABLE_BOUND, (self.grid.entries, self.grid.features)).astype(dtype)
        return {"tables": tables, "network": glorot_layers(mlp_parameter_shapes(self.network), rng, dtype)}

    def density(self, parameters: Any) -> Density:
        """See `Field`."""
        tables, raw = parameters["tables"], mlp_density(parameters["network"], self.network, self.bfloat16)
        return lambda points: exp_density(raw(hash_grid(points, tables, self.grid)), 1 / self.unit_length)

    def __call__(
        self,
        parameters: Any,
        points: Any,
        directions: Any,
        ray_index: np.ndarray,
        noise: Any = None,
        codes: Any = None,
    ) -> tuple[Any, Any]:
        """See `Field`."""
        encoding = hash_grid(points, parameters["tables"], self.grid)  # (samples, levels * features)
        features = with_codes(spherical_harmonics(directions), codes, self.codes)  # (rays, 16 + codes)
        raw = mlp(encoding, features, ray_index, parameters["network"], self.network, self.bfloat16)  # (samples, 4)
        density, color = activate(with_noise(raw, noise), "exp")
        return self._per_scene_unit(density), color

    def coarsened(self, parameters: Any, detail: float) -> Any:
        """See `Field`: the bands are the levels."""
        weights = np.repeat(band_weights(self.grid.levels, detail), self.grid.features)
        return {**parameters, "network": with_weighted_inputs(parameters["network"], "density0", weights)}

    def _per_scene_unit(self, density: Any) -> Any:
        return density if self.unit_length == 1 else density * density.dtype.type(1 / self.unit_length)
