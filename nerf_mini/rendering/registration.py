"""Where a picture was taken from: the pose whose rendering fits it best."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import rigid_motion
from nerf_mini.rendering.images import Renderer, render_rays

PIXELS, ROUNDS, SETTLED = 4096, 12, 0.02  # at most the first two; steps of pixels below which nothing changes any more


def registered(
    model: Renderer,
    parameters: Any,
    camera: Cameras,
    target: np.ndarray,
    background: np.ndarray,
    mask: np.ndarray,
) -> Cameras:
    """One camera, moved to where its rendering fits a picture best, from nearby.

    Gauss-Newton with damping (Levenberg 1944, Marquardt 1963) on the squared differences of colours in up to `PIXELS`
    pixels, always the same. Derivatives are central differences over half a pixel, so that they are those of what is
    seen, at the size of what can be seen.

    Args:
        camera: a single one.
        target: its picture (height, width, 3) in [0, 1].
        mask: (height, width) bool, the pixels to fit.
    """
    row, column = np.nonzero(mask)
    if len(row) > PIXELS:
        chosen = np.random.default_rng(0).choice(len(row), PIXELS, replace=False)
        row, column = row[chosen], column[chosen]
    wanted = target[row, column]

    def seen(pose: np.ndarray) -> np.ndarray:
        rays = replace(camera, poses=pose[None]).rays(0, column, row)
        return render_rays(model, parameters, rays, background)

    pose, damping = camera.poses[0], 1e-3
    first = seen(pose)
    opaque = first[:, 4] > 0.5
    pixel = 1.0 / float(np.max(camera.focal))  # radians
    distance = float(np.median(first[opaque, 3])) if opaque.any() else 1.0
    unit = np.repeat([pixel, pixel * distance], 3)  # a twist by one of these moves the picture by about a pixel
    residual = first[:, :3] - wanted
    for _ in range(ROUNDS):
        sides = [[seen(pose @ rigid_motion(h * step))[:, :3] for h in (0.5, -0.5)] for step in np.diag(unit)]
        slopes = np.stack([(ahead - behind).reshape(-1) for ahead, behind in sides], axis=1).astype(np.float64)
        normal, right = slopes.T @ slopes, slopes.T @ residual.reshape(-1)
        pose, residual, damping, moved = _improved(pose, residual, damping, normal, right, unit, seen, wanted)
        if moved < SETTLED:
            break
    return replace(camera, poses=pose[None])


def _improved(pose, residual, damping, normal, right, unit, seen, wanted):
    """Pose, residual and damping after a step that lowers the error, and its length in pixels; 0 where none does."""
    error = float(np.sum(residual.astype(np.float64) ** 2))
    for _ in range(5):
        scaled = normal + damping * np.diag(np.diag(normal) + 1e-12)
        step = -np.linalg.lstsq(scaled, right, rcond=None)[0]
        there = pose @ rigid_motion(step * unit)
        found = seen(there)[:, :3] - wanted
        if float(np.sum(found.astype(np.float64) ** 2)) < error:
            return there, found, 0.1 * damping, float(np.abs(step).max())
        damping *= 10.0
    return pose, residual, damping, 0.0
