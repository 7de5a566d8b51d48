"""The paper's field: a multilayer perceptron from encoded point and direction to density and colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ops import NetworkShape, network, parameter_shapes

DENSITY_ACTIVATIONS = ("relu", "softplus")


@dataclass(frozen=True)
class MLPField:
    """Density and colour of points, from a network of the given shape.

    The density is relu(raw) as in the paper, or softplus(raw - 1) (Barron et al. 2021), which never stops learning.
    """

    shape: NetworkShape
    density_activation: str = "softplus"

    def __post_init__(self):
        if self.density_activation not in DENSITY_ACTIVATIONS:
            raise ValueError(f"density_activation is one of {DENSITY_ACTIVATIONS}, not {self.density_activation!r}")

    def init(self, rng: np.random.Generator, dtype=np.float32) -> dict[str, dict[str, np.ndarray]]:
        """Parameters: weights uniform as Glorot and Bengio (2010), biases zero."""
        parameters = {}
        for name, (inputs, outputs) in parameter_shapes(self.shape).items():
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
        raw = network(points, directions, ray_index, parameters, self.shape)  # (samples, 4)
        color = 0.5 + 0.5 * np.tanh(0.5 * raw[:, :3])  # the logistic function, without overflow
        raw_density = raw[:, 3] if noise is None else raw[:, 3] + noise
        if self.density_activation == "relu":
            return np.maximum(raw_density, 0.0), color
        return np.logaddexp(raw_density - 1.0, 0.0), color
