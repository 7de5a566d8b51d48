"""What models share."""

from __future__ import annotations

from typing import Any

import numpy as np

from nerf_mini.config import LossConfig, NetworkConfig
from nerf_mini.errors import UserError
from nerf_mini.fields import Field, MLPField
from nerf_mini.geometry.regions import Region
from nerf_mini.models.precision import Precision, uses_bfloat16
from nerf_mini.ops import MLPShape
from nerf_mini.samplers import Samples


def mlp_field(network: NetworkConfig, precision: Precision, codes: int = 0) -> MLPField:
    """The paper's network, as a configuration asks for it, with `codes` numbers for each training picture.

    Raises UserError for codes in a network whose colour is the same from everywhere.
    """
    if codes and network.direction_frequencies is None:
        raise UserError("--appearance-codes needs --direction-frequencies: they lead into the same layer.")
    shape = MLPShape(
        depth=network.depth,
        width=network.width,
        skip=network.skip,
        position_frequencies=network.position_frequencies,
        direction_frequencies=network.direction_frequencies,
        identity=network.identity,
        factor_pi=network.factor_pi,
        codes=codes,
    )
    return MLPField(shape, network.density_activation, bfloat16=uses_bfloat16(precision))


def noise_of(deviation: float, samples: Samples, rng: np.random.Generator | None) -> np.ndarray | None:
    """Normal noise on the raw density of samples, (samples,) in their precision; None without `rng` or deviation."""
    if rng is None or deviation == 0:
        return None
    real = samples.t.dtype
    return real.type(deviation) * rng.standard_normal(len(samples), real)


def near_length(losses: LossConfig, region: Region) -> float | None:
    """The distance from cameras below which gradients are scaled down, if at all."""
    return region.near_length if losses.near_gradients == "scaled" else None


def query_field(
    field: Field, parameters: Any, region: Region, points: np.ndarray, directions: np.ndarray, bounded: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Density (n,) and colour (n, 3) at points (n, 3) of the scene; if `bounded`, density 0 outside of the region."""
    points = np.ascontiguousarray(points, np.float32)
    unit, directions = region.to_unit(points), np.ascontiguousarray(directions, np.float32)
    density, color = field(parameters, unit, directions, np.arange(len(unit)))
    scale = region.scale(unit)
    density = density * (region.density_scale(points) if scale is None else scale * region.density_scale(points))
    if bounded:
        density = np.where(((unit >= 0) & (unit <= 1)).all(axis=1), density, np.float32(0))
    return density, color
