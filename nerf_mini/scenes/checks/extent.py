"""Checks of the scale of a scene: its box, its near and far distances, its sparse points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nerf_mini.scenes.checks.base import Finding, Survey
from nerf_mini.scenes.settling import FORWARD_SPREAD

NEAREST, FARTHEST = 1.0, 20.0  # cameras from the middle of a box, in half sides
LEAST_HIT, LEAST_INSIDE, LEAST_BOUNDED = 0.2, 0.9, 0.95
BOX_SHARE = 0.375  # half the side of a box of which nothing is known, over far - near


def bounds(survey: Survey) -> Iterator[Finding]:
    """What the cameras look at lies between near and far."""
    cameras = survey.cameras
    if survey.front < 0.8 or survey.spread < FORWARD_SPREAD:
        return
    depth = np.linalg.norm(survey.target - survey.positions, axis=1)
    within = float(np.mean((depth >= cameras.near) & (depth <= cameras.far)))
    if within < 0.5:
        text = (
            f"What the cameras look at is {np.median(depth):.3g} away, but near is {np.median(cameras.near):.3g} and "
            f"far {np.median(cameras.far):.3g}: the scale does not fit."
        )
        yield Finding("scale", "error", text, "Scale the positions, or set --near and --far to fit them.")


def box(survey: Survey) -> Iterator[Finding]:
    """The box of a bounded scene is what the cameras see, from not too far; and, where it is a guess from near and far,
    from outside of it. One that is known may hold its cameras: a room does, and transparent pictures may be close-ups.
    """
    space = survey.scene.space
    if space is not None and space.kind != "box":
        return
    if space is None:
        center, half = survey.target, BOX_SHARE * float(np.median(survey.cameras.far - survey.cameras.near))
    else:
        center, half = np.asarray(space.center), space.radius
    if not np.isfinite(half) or half <= 0:
        return
    away = float(np.median(np.linalg.norm(survey.positions - center, axis=1))) / half
    least = NEAREST if space is None else 0.0
    if not least <= away <= FARTHEST:
        text = f"The cameras are {away:.2g} half sides from the middle of the scene's box; 1 to 20 are usual."
        what = "Much of what they see is beyond it" if away < NEAREST else "What they see is a speck within it"
        yield Finding("box", "warning", f"{text} {what}.", "Set --near and --far, or --space unbounded.")
    hit = _hit_share(survey, center, half)
    if hit < LEAST_HIT:
        text = f"Only {hit:.0%} of the cameras' rays meet the scene's box."
        yield Finding("box-missed", "warning", text, "Check that the scale and the centre of the poses fit the scene.")
    points = survey.scene.points
    if points is not None and len(points.positions):
        inside = float(np.mean(np.all(np.abs(points.positions - center) <= half, axis=1)))
        if inside < LEAST_INSIDE:
            text = f"Only {inside:.0%} of the sparse points are in the scene's box."
            yield Finding("box-points", "warning", text, "--space unbounded shows what is around it too.")


def sparse_bounds(survey: Survey) -> Iterator[Finding]:
    """Sparse points lie between near and far of the cameras."""
    points, cameras = survey.scene.points, survey.cameras
    if points is None or not len(points.positions):
        return
    some = points.positions[:: max(1, len(points.positions) // 2000)]
    within, ahead = 0, 0
    for view in range(0, len(survey), max(1, len(survey) // 50)):
        place = cameras.project(some, np.full(len(some), view))
        with np.errstate(invalid="ignore"):
            seen = np.all((place >= 0) & (place <= cameras.size[view]), axis=1)
        depth = np.linalg.norm(some[seen] - survey.positions[view], axis=1)
        within += int(np.count_nonzero((depth >= cameras.near[view]) & (depth <= cameras.far[view])))
        ahead += len(depth)
    if ahead and within < LEAST_BOUNDED * ahead:
        text = f"Only {within / ahead:.0%} of what the cameras see of the sparse points is between near and far."
        yield Finding("bounds", "warning", text, "Set --near and --far to enclose it.")


def _hit_share(survey: Survey, center: np.ndarray, half: float) -> float:
    """The share of the rays of 9 places of each picture that meet a cube."""
    rays = survey.rays_of_places(np.array([1, 3, 5]) / 6)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(center + side - rays.origins) / rays.directions for side in (-half, half)])
    enter, leave = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
    return float(np.mean((enter <= leave) & (leave > 0)))


CHECKS = (bounds, box, sparse_bounds)
