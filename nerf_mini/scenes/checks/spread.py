"""Checks of where cameras stand: baselines, duplicates, overlap, splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nerf_mini.scenes.checks.base import Finding, Severity, Survey

SPARSE, STANDING = 0.3, 0.002  # nearest baselines, over the distance of what is looked at
SAME_PLACE, SAME_TURN = 1e-6, 1e-4
LEAST_OVERLAP, NEIGHBOURS = 0.5, 3
FEWEST_VIEWS = 12
_GRID = np.array([1, 3, 5]) / 6  # places along each side of a picture


def baselines(survey: Survey) -> Iterator[Finding]:
    """The median distance b between neighbouring cameras: they see what is D away at an angle of 2 atan(b / 2D)."""
    if len(survey) < 3:
        return
    median = float(np.median(survey.nearest[0])) / survey.depth
    angle = np.degrees(2 * np.arctan(median / 2))
    if median < STANDING:
        text = f"The cameras hardly move: neighbours are {median:.1e} of the scene's distance apart."
        advice = "Depth cannot be told from turning on the spot. Walk around while you take the pictures."
        yield Finding("standing", "warning", text, advice)
    elif median > SPARSE:
        text = f"Neighbouring cameras are {angle:.0f} degrees apart, seen from what they look at."
        yield Finding("sparse", "warning", text, "Take more pictures, so that neighbours share most of what they show.")


def duplicates(survey: Survey) -> Iterator[Finding]:
    """Poses that occur twice."""
    away, which = survey.nearest
    turn = survey.cameras.poses[:, :3, :3]
    same = (away < SAME_PLACE * survey.distance) & (np.abs(turn - turn[which]).max(axis=(1, 2)) < SAME_TURN)
    if same.any():
        text = (
            f"{same.sum()} of {len(survey)} pictures share a pose with another: {survey.listed(np.flatnonzero(same))}."
        )
        yield Finding("duplicate-poses", "warning", text, "Remove doubles, or give each its own pose.")


def overlap(survey: Survey) -> Iterator[Finding]:
    """How much of each picture its nearest neighbours show too, at the distance of what it looks at."""
    if len(survey) <= NEIGHBOURS or survey.front < 0.8:
        return
    shares = overlaps(survey)
    alone = np.flatnonzero(shares < LEAST_OVERLAP)
    if len(alone):
        text = (
            f"{len(alone)} of {len(survey)} pictures share less than half of what they show with their neighbours: "
            f"{survey.listed(alone)}."
        )
        severity: Severity = "warning" if len(alone) > 0.1 * len(survey) else "note"
        yield Finding("overlap", severity, text, "Take more pictures there: neighbours should share 70 % or more.")


def overlaps(survey: Survey) -> np.ndarray:
    """Of each view the mean share of 9 places, (V,), that its nearest cameras have in their pictures."""
    cameras, positions = survey.cameras, survey.positions
    depth = np.sum((survey.target - positions) * survey.axes, axis=1)
    depth = np.where(depth > 0, depth, survey.distance)
    rays = survey.rays_of_places(_GRID)
    places = len(_GRID) ** 2
    along = np.sum(rays.directions * survey.axes[rays.view], axis=1)
    points = rays.origins + rays.directions * (depth[rays.view] / np.maximum(along, 0.1))[:, None]
    near = np.stack([_nearest(positions, view) for view in range(len(survey))])  # (V, NEIGHBOURS)
    point = np.repeat(points.reshape(len(survey), 1, places, 3), NEIGHBOURS, axis=1).reshape(-1, 3)
    other = np.repeat(near.ravel(), places)
    place = cameras.project(point, other)
    with np.errstate(invalid="ignore"):
        seen = np.all((place >= 0) & (place <= cameras.size[other]), axis=1)
    return seen.reshape(len(survey), -1).mean(axis=1)


def _nearest(positions: np.ndarray, view: int) -> np.ndarray:
    """The nearest cameras, (NEIGHBOURS,)."""
    return np.argsort(np.linalg.norm(positions - positions[view], axis=1), kind="stable")[1 : NEIGHBOURS + 1]


def splits(survey: Survey) -> Iterator[Finding]:
    """Enough views to train on, and some to test with."""
    counts = {split: len(views) for split, views in survey.scene.splits.items()}
    if counts.get("train", 0) < FEWEST_VIEWS:
        text = f"There are {counts.get('train', 0)} pictures to train on."
        yield Finding("few-views", "warning", text, "Take more: 50 to 150 sharp ones suit most scenes.")
    if not counts.get("test"):
        text = "No picture is held out, so that nothing tells how good new views are."
        yield Finding("no-test", "note", text, "Hold some out: --test-every 8.")


CHECKS = (baselines, duplicates, overlap, splits)
