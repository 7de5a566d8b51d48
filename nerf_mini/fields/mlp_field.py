"""The paper's field: a multilayer perceptron from encoded point and direction to density and colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from nerf_mini.fields.base import Density, glorot_layers, with_codes, with_noise
from nerf_mini.fields.coarse_to_fine import band_weights, with_weighted_inputs
from nerf_mini.ops import (
    DensityActivation,
    MLPShape,
    OperatorUse,
    activate,
    activate_density,
    mlp,
    mlp_bytes,
    mlp_density,
    mlp_parameter_shapes,
    positional_encoding,
)


@dataclass(frozen=True)
class MLPField:
    """Density and colour of points in the unit cube, which the encoding sees as [-1, 1]^3."""

    shape: MLPShape
    density_activation: DensityActivation = "softplus"
    bfloat16: bool = False  # see `ops.mlp`

    def __post_init__(self):
        if self.density_activation not in get_args(DensityActivation):
            raise ValueError(
                f"density_activation is one of {get_args(DensityActivation)}, not {self.density_activation!r}"
            )

    @property
    def bytes_per_sample(self) -> int:
        """See `Field`."""
        return mlp_bytes(self.shape, self.bfloat16)

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """See `Field`."""
        constants = (0,) if self.shape.codes else (0, 1)
        network = OperatorUse("mlp", {"bfloat16": self.bfloat16}, constants=constants)
        return network, OperatorUse("activate")

    def init(self, rng: np.random.Generator, dtype=np.float32) -> dict[str, Any]:
        """See `Field`."""
        return glorot_layers(mlp_parameter_shapes(self.shape), rng, dtype)

    def density(self, parameters: Any) -> Density:
        """See `Field`."""
        raw = mlp_density(parameters, self.shape, self.bfloat16)
        return lambda points: activate_density(raw(2 * points - 1), self.density_activation)

    def __call__(
        self,
        parameters: Any,
        points: Any,
        directions: Any,
        ray_index: np.ndarray,
        noise: Any = None,
        codes: Any = None,
    ) -> tuple[Any, Any]:
        """See `Field`; the noise is the regulariser of the paper's appendix A."""
        features = self.ray_features(directions, codes)
        raw = mlp(2 * points - 1, features, ray_index, parameters, self.shape, self.bfloat16)  # (samples, 4)
        return activate(with_noise(raw, noise), self.density_activation)

    def coarsened(self, parameters: Any, detail: float) -> Any:
        """See `Field`: the bands are the octaves of the encoding of points."""
        shape = self.shape
        weights = np.repeat(band_weights(shape.position_frequencies, detail), 6)
        weights = np.concatenate([np.ones(3 * shape.identity), weights])
        first = ["layer0"] if shape.skip is None else ["layer0", f"layer{shape.skip}"]
        for name in first:
            parameters = with_weighted_inputs(parameters, name, weights)
        return parameters

    def ray_features(self, directions: Any, codes: Any = None) -> Any:
        """The encoded directions, and codes, (rays, shape.ray_features)."""
        shape = self.shape
        if shape.direction_frequencies is None:
            return np.zeros((len(directions), 0), directions.dtype)
        encoded = positional_encoding(
            directions,
            frequencies=shape.direction_frequencies,
            identity=shape.identity,
            factor_pi=shape.factor_pi,
        )
        return with_codes(encoded, codes, shape.codes)
