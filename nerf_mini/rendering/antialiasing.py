"""Pixels that are wider than those that a field was trained on: each shows the mean over several rays.

A field holds detail of the size of the pixels it was trained on. In a smaller picture, or from further away, one ray
through the middle of each pixel would pick some of that detail and miss the rest: edges become jagged, and films
flicker. What a pixel shows is the mean over the area that it covers. A regular grid of rays, each as wide as the pixels
of the training, takes that mean of what the field has learnt, without asking it for anything else.
"""

from __future__ import annotations

import math

import numpy as np

MOST = 8  # rays along a side of a pixel: the work of a picture is bounded
TOLERANCE = 0.05  # by how much pixels may be wider and be left as they are; see docs/tuning.md


def rays_along_pixel(width: float, trained: float) -> int:
    """How many rays along a side of a pixel a picture needs whose pixels have this width, in a field that was trained
    on rays up to `trained` wide: their ratio rounded up, from 1 to `MOST`; 1 where it is unknown."""
    ratio = width / trained if trained > 0 else math.nan
    if math.isnan(ratio):
        return 1
    return math.ceil(min(max(ratio - TOLERANCE, 1.0), float(MOST)))


def places_in_pixel(supersampling: int) -> tuple[np.ndarray, np.ndarray]:
    """Where n x n rays leave a pixel, as offsets of column and row from its middle: (n^2,), (n^2,) float64."""
    offset = (np.arange(supersampling) + 0.5) / supersampling - 0.5
    return np.tile(offset, supersampling), np.repeat(offset, supersampling)


def jittered_places(pixels: int, supersampling: int, rng: np.random.Generator) -> np.ndarray:
    """Where n x n rays leave each of some pixels in training: one in each of as many equal squares of a pixel, as
    offsets of column and row from its middle, (pixels, n^2, 2) float32."""
    within = (rng.random((pixels, supersampling**2, 2), np.float32) - np.float32(0.5)) / np.float32(supersampling)
    return within + np.stack(places_in_pixel(supersampling), axis=-1).astype(np.float32)


def mean_over_rays(seen: np.ndarray, lit: np.ndarray) -> np.ndarray:
    """What pixels show of what their rays see: colour, depth and opacity (pixels, rays, 5) -> (pixels, 5) float32.

    Only rays that are `lit` (pixels, rays) count, where any is: others leave beside the lens. Colours, in front of
    their background, and opacities are plain means; the depth is that of what is opaque, sum(o z) / sum(o).
    """
    weight = np.where(lit.any(axis=1, keepdims=True), lit, True)
    share = weight / weight.sum(axis=1, keepdims=True)  # float64, or equal values would not have just that mean
    mean = np.einsum("pr,prc->pc", share, seen)
    total = np.einsum("pr,pr,pr->p", share, seen[..., 4], seen[..., 3])
    mean[:, 3] = total / np.maximum(mean[:, 4], 1e-10)
    return mean.astype(np.float32)
