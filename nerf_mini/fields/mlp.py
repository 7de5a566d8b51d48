"""The paper's field: a multilayer perceptron from encoded point and direction to density and colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from nerf_mini.ops import (
    DensityActivation,
    MLPShape,
    OperatorUse,
    activate,
    encode,
    mlp,
    mlp_bytes,
    mlp_parameter_shapes,
)


def with_noise(raw: Any, noise: Any) -> Any:
    """Raw outputs (samples, 4) with `noise` (samples,), or None, added to the density."""
    return raw if noise is None else raw + noise[:, None] * np.array([0, 0, 0, 1], noise.dtype)


@dataclass(frozen=True)
class MLPField:
    """Density and colour of points, from a network of the given shape and the activations of `activate`."""

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
        """What training keeps of a sample between the forward and the backward pass."""
        return mlp_bytes(self.shape, self.bfloat16)

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """The operators of a training step, for the warm-up; points and directions are not learnt."""
        network = OperatorUse("mlp", {"bfloat16": self.bfloat16}, constants=(0, 1))
        return network, OperatorUse("encode", constants=(0,)), OperatorUse("activate")

    def init(self, rng: np.random.Generator, dtype=np.float32) -> dict[str, dict[str, np.ndarray]]:
        """Parameters: weights uniform as Glorot and Bengio (2010), biases zero."""
        parameters = {}
        for name, (inputs, outputs) in mlp_parameter_shapes(self.shape).items():
            bound = np.sqrt(6 / (inputs + outputs))
            weight = rng.uniform(-bound, bound, (inputs, outputs)).astype(dtype)
            parameters[name] = {"weight": weight, "bias": np.zeros(outputs, dtype)}
        return parameters

    def __call__(
        self, parameters: Any, points: Any, directions: Any, ray_index: np.ndarray, noise: Any = None
    ) -> tuple:
        """points (samples, 3), directions (rays, 3), ray_index (samples,) -> density (samples,), color (samples, 3).

        `noise` (samples,) is added to the raw density, the regulariser of the paper's appendix A.
        """
        features = self.ray_features(directions)
        raw = mlp(points, features, ray_index, parameters, self.shape, self.bfloat16)  # (samples, 4)
        return activate(with_noise(raw, noise), self.density_activation)

    def ray_features(self, directions: Any) -> Any:
        """The encoded directions, (rays, shape.ray_features)."""
        shape = self.shape
        if shape.ray_features == 0:
            return np.zeros((len(directions), 0), directions.dtype)
        frequencies = shape.direction_frequencies or 0
        return encode(directions, frequencies, identity=shape.identity, factor_pi=shape.factor_pi)
