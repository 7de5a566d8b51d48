"""What a field is: density and colour as functions of a point, and of a viewing direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from nerf_mini.ops import OperatorUse

Density = Callable[[np.ndarray], np.ndarray]
"""Density per scene unit (n,) at points (n, 3) float32 of the unit cube; plain arrays, no derivative."""


class Field(Protocol):
    """Density and colour of points in the unit cube. Density is per scene unit of length."""

    @property
    def bytes_per_sample(self) -> int:
        """What a forward pass keeps of a sample for the backward pass."""

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """The operators of a training step, for the warm-up."""

    def init(self, rng: np.random.Generator, dtype=np.float32) -> dict[str, Any]:
        """Fresh parameters: nested dicts of arrays."""

    def density(self, parameters: Any) -> Density:
        """Density alone as a function of points (n, 3) -> (n,), of the parameters as they are now; no derivative."""

    def __call__(
        self,
        parameters: Any,
        points: Any,
        directions: Any,
        ray_index: np.ndarray,
        noise: Any = None,
        codes: Any = None,
    ) -> tuple[Any, Any]:
        """points (samples, 3), directions (rays, 3), ray_index (samples,) -> density (samples,), color (samples, 3).

        Directions have unit length. `noise` (samples,) is added to the raw density. The colour depends on the `codes`
        (rays, k) of pictures too, in fields that were made for them; None: zeros. Differentiable in all float
        arguments.
        """

    def coarsened(self, parameters: Any, detail: float) -> Any:
        """Parameters with which the field shows a part of its detail, from 0 to 1, coarse first; differentiable."""


def glorot_layers(shapes: dict[str, tuple[int, int]], rng: np.random.Generator, dtype) -> dict[str, Any]:
    """Dense layers with weights uniform as in Glorot and Bengio (2010) and biases zero."""
    layers = {}
    for name, (inputs, outputs) in shapes.items():
        bound = np.sqrt(6 / (inputs + outputs))
        weight = rng.uniform(-bound, bound, (inputs, outputs)).astype(dtype)
        layers[name] = {"weight": weight, "bias": np.zeros(outputs, dtype)}
    return layers


def with_codes(features: Any, codes: Any, width: int) -> Any:
    """Features of rays (rays, n) with `width` numbers more: the codes (rays, width) of their pictures, or zeros."""
    if width == 0:
        return features
    own = np.zeros((len(features), width), features.dtype) if codes is None else codes.astype(features.dtype)
    return np.concatenate([features, own], axis=1)


def with_noise(raw: Any, noise: Any) -> Any:
    """Raw outputs (samples, 4) with `noise` (samples,), or None, added to the density."""
    return raw if noise is None else raw + noise[:, None] * np.array([0, 0, 0, 1], noise.dtype)
