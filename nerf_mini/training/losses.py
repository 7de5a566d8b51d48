"""The terms of the training loss, a function each, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nerf_mini.config import LossConfig
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Region
from nerf_mini.ops import distortion
from nerf_mini.rendering.volume import Rendering

HUBER = 0.1  # difference of colours from which on the Huber loss is linear


@dataclass(frozen=True)
class LossTerms:
    """The loss and its terms, each weighted as in the loss.

    fine: the photometric loss of the final rendering; coarse: those of the renderings before it; distortion: the spread
    of the weights along rays; penalty: what keeps exposures and cameras near what was given.
    """

    fine: Any
    coarse: Any = 0.0
    distortion: Any = 0.0
    penalty: Any = 0.0

    @property
    def total(self) -> Any:
        """The sum."""
        return self.fine + self.coarse + self.distortion + self.penalty


def photometric(rendering: Rendering, target: np.ndarray, kind: str = "mse") -> Any:
    """The difference e = C - C_target of colours, mean over rays and channels; target (rays, 3).

    mse: e^2 (Mildenhall et al. 2020, eq. 6). huber, with d = `HUBER`: e^2 up to |e| = d, and d (2 |e| - d) above, where
    value and slope meet (Huber 1964, twice his function): near 0 both are on one scale.
    """
    difference = rendering.color - target
    if kind == "mse":
        return np.mean(difference**2)
    size = np.abs(difference)
    inner = np.minimum(size, size.dtype.type(HUBER))
    return np.mean(inner * (2 * size - inner))


def exposed(rendering: Rendering, gain: Any, background: np.ndarray) -> Rendering:
    """The rendering with the light of the scene times a gain (rays, 3), before a background (rays, 3) that keeps its
    colour: that is not part of the picture, but put behind what is transparent."""
    light = rendering.color - (1 - rendering.opacity)[:, None] * background
    return replace(rendering, color=rendering.color + (gain - 1) * light)


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
        of_coarse = of_coarse + photometric(rendering, target, weights.photometric)
    spread: Any = weights.distortion * ray_spread(fine, rays, region) if weights.distortion else 0.0
    return LossTerms(photometric(fine, target, weights.photometric), of_coarse, spread)
