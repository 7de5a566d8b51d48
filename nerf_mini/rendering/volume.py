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
