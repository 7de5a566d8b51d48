"""The terms of the training loss, a function each, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_mini.config import LossConfig
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Region
from nerf_mini.ops import distortion
from nerf_mini.rendering.volume import Rendering

CAPTURE_DISTORTION = 1e-2  # weight of the distortion loss for scenes without bounds; see docs/tuning.md


@dataclass(frozen=True)
class LossTerms:
    """The loss and its terms, each weighted as in the loss.

    fine: the photometric loss of the final rendering; coarse: those of the renderings before it; distortion: the spread
    of the weights along rays.
    """

    fine: Any
    coarse: Any = 0.0
    distortion: Any = 0.0

    @property
    def total(self) -> Any:
        """The sum."""
        return self.fine + self.coarse + self.distortion


def photometric(rendering: Rendering, target: np.ndarray) -> Any:
    """mean |C - C_target|^2 over rays and channels (Mildenhall et al. 2020, eq. 6); target (rays, 3)."""
    return np.mean((rendering.color - target) ** 2)


def ray_spread(rendering: Rendering, rays: Rays, region: Region) -> Any:
    """How far the weight along each ray is spread out, mean over rays (Barron et al. 2022, eq. 15).

    Distances are measured as shares of the way from near to far, so that the loss does not depend on the unit of
    length; how the way is divided is the region's choice.
    """
    samples = rendering.samples
    middle, length = region.share(samples.t, samples.delta, region.enter(rays), samples.counts)
    return np.mean(distortion(rendering.weights, middle, length, samples.starts, samples.counts))


def loss_terms(
    renderings: Sequence[Rendering], rays: Rays, region: Region, target: np.ndarray, weights: LossConfig
) -> LossTerms:
    """The loss of the renderings of a batch, coarse to fine: L = sum of photometric losses + weighted regularisers."""
    *coarse, fine = renderings
    of_coarse: Any = 0.0
    for rendering in coarse:
        of_coarse = of_coarse + photometric(rendering, target)
    default = 0.0 if region.bounded else CAPTURE_DISTORTION
    weight = default if weights.distortion is None else weights.distortion
    spread: Any = weight * ray_spread(fine, rays, region) if weight > 0 else 0.0
    return LossTerms(photometric(fine, target), of_coarse, spread)
