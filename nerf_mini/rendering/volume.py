"""Volume rendering: rays, a field and samples become colour, depth and opacity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Region
from nerf_mini.ops import composite, near_camera_factor, scale_gradient
from nerf_mini.samplers.samples import Samples


@dataclass(frozen=True)
class Rendering:
    """What a batch of rays sees: color (rays, 3), depth and opacity (rays,), the samples and their weights (samples,).

    The depth is the mean distance sum(w t) / sum(w), in scene units; 0 where the ray hits nothing.
    """

    color: Any
    depth: Any
    opacity: Any
    weights: Any = None
    samples: Any = None


def render(
    field: Callable,
    parameters: Any,
    region: Region,
    rays: Rays,
    samples: Samples,
    background: Any = None,
    noise: Any = None,
    near_length: float | None = None,
) -> Rendering:
    """Render rays through a field in a region.

    Rays are those of the scene; samples are placed along them in the region's coordinates. `background` (3,) or
    (rays, 3) shines through what is not opaque, None is black; `noise` (samples,) is added to the raw density. The
    gradients of samples nearer than `near_length` are scaled by `near_camera_factor`. The function is plain NumPy and
    differentiable in every float argument, those of the rays included.
    """
    points = region.points(region.enter(rays), samples.t, samples.ray_index)  # (samples, 3)
    own = {} if rays.codes is None else {"codes": rays.codes}
    density, color = field(parameters, points, rays.directions, samples.ray_index, noise, **own)
    scale = region.scale(points)
    density = density if scale is None else density * scale
    if near_length is not None:
        factor = near_camera_factor(samples.t, near_length)
        density, color = scale_gradient(density, factor), scale_gradient(color, factor)
    color, distance, opacity, weights = composite(
        density, color, samples.t, samples.delta, samples.starts, samples.counts
    )
    depth = region.depth(rays, distance / np.maximum(opacity, 1e-10))
    if background is not None:
        color = color + (1 - opacity)[:, None] * background
    return Rendering(color, depth, opacity, weights, samples)


def first_crossing(rendering: Rendering, region: Region, rays: Rays, transmittance: float) -> np.ndarray:
    """The distance (rays,) float64, in scene units, at which the transmittance falls to `transmittance`; infinite where
    more is left to the end. The rendering must hold its weights and samples.

    A ray's transmittance after its samples 0 .. i is 1 - w_0 - ... - w_i, and falls exponentially in between. A sample
    is taken to lie in the middle of its interval, where one density stands best for all of it.
    """
    samples, weights = rendering.samples, np.asarray(rendering.weights, np.float64)
    total = np.cumsum(weights)
    before = np.concatenate([[0.0], total])[samples.starts]
    after = 1.0 - (total - np.repeat(before, samples.counts))
    (below,) = np.nonzero(after <= transmittance)
    found, first = np.unique(samples.ray_index[below], return_index=True)
    at = below[first]
    into = np.maximum(after[at] + weights[at], transmittance)  # the transmittance before the sample
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.log(into / transmittance) / np.log(into / np.maximum(after[at], 1e-300))
    reached = np.full(len(rays), np.inf)
    reached[found] = samples.t[at] + (np.nan_to_num(np.clip(share, 0.0, 1.0)) - 0.5) * samples.delta[at]
    return scene_distance(region, rays, reached)


def scene_distance(region: Region, rays: Rays, t: np.ndarray) -> np.ndarray:
    """Distances t (rays,) along rays in a region's coordinates as such in scene units, infinite where they were."""
    known = np.isfinite(t)
    depth = region.depth(rays, np.where(known, t, 0.0))
    return np.where(known, depth, np.inf)
