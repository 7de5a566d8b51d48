"""Checks of poses alone: are they rotations, and do the cameras look where cameras of a capture would?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nerf_mini.scenes.checks.base import Finding, Survey
from nerf_mini.scenes.settling import FORWARD_SPREAD

ROTATION_TOLERANCE = 1e-3
BACKWARDS, CROSSING = 0.2, 0.3  # cameras with what they look at behind them, whose axes meet all the same
ASTRAY, TURNING = 0.5, 0.05  # axes that pass far from any common point, of cameras that do turn
OBJECT_SPREAD, INSIDE_OUT = 0.2, (0.2, 0.8)
_LEAST_SPREAD = 1e-4  # below it the axes are parallel, and meet nowhere
_FEWEST = 4


def rotations(survey: Survey) -> Iterator[Finding]:
    """R^T R = 1 and det R > 0, within 1e-3, and all numbers finite."""
    poses = survey.cameras.poses
    finite = np.isfinite(poses).all(axis=(1, 2))
    turn = np.where(finite[:, None, None], poses, np.eye(4))[:, :3, :3]
    mirrored = np.linalg.det(turn) < 0
    skewed = np.abs(turn.transpose(0, 2, 1) @ turn - np.eye(3)).max(axis=(1, 2)) > ROTATION_TOLERANCE
    for bad, code, text, advice in (
        (~finite, "poses-finite", "hold numbers that are not finite", "Remove them from the file."),
        (mirrored, "mirrored", "mirror (determinant -1)", "Flip one of the cameras' axes."),
        (skewed, "rotations", "have a 3x3 part that is no rotation", "Remove scale and shear from the matrices."),
    ):
        if bad.any():
            named = survey.listed(np.flatnonzero(bad))
            yield Finding(code, "error", f"{bad.sum()} of {len(bad)} poses {text}: {named}.", advice)


def looking(survey: Survey) -> Iterator[Finding]:
    """Whether the optical axes meet before the cameras, and what kind of capture that is."""
    if len(survey) < _FEWEST or survey.spread < _LEAST_SPREAD:
        if len(survey) >= _FEWEST:
            yield Finding("forward", "note", "All cameras look the same way.", "--space forward suits such a capture.")
        return
    front, miss = survey.front, survey.miss
    if front < BACKWARDS and miss < CROSSING:
        text = f"{1 - front:.0%} of the cameras have the point where their optical axes meet behind them."
        advice = (
            "The axes look like OpenCV's (y down, z forward): negate the second and third column of each pose. "
            "World-to-camera matrices of a circle of cameras look like this too."
        )
        yield Finding("axes", "warning", text, advice)
    elif miss > ASTRAY and survey.spread > TURNING:
        text = (
            f"The optical axes meet nowhere: they pass the best point at {miss:.2f} of its distance, and {front:.0%} "
            "of the cameras have it before them."
        )
        advice = (
            "Check that the poses are camera-to-world, not world-to-camera or transposed. A walk that looks outwards "
            "from inside a room looks like this too."
        )
        yield Finding("poses-astray", "warning", text, advice)
    elif INSIDE_OUT[0] <= front <= INSIDE_OUT[1]:
        text = f"Only {front:.0%} of the cameras have the middle of the scene before them: an inside-out capture."
        yield Finding("inside-out", "note", text, "--space unbounded suits it. Was it not meant so, check the poses.")
    if front > INSIDE_OUT[1]:
        if survey.spread < FORWARD_SPREAD:
            text = f"The capture looks one way (spread of the axes {survey.spread:.3f})."
            yield Finding("forward", "note", text, "--space forward suits it.")
        elif survey.spread >= OBJECT_SPREAD:
            text = f"The cameras surround what they look at (spread of the axes {survey.spread:.2f})."
            yield Finding("around", "note", text, "Nothing to do.")


CHECKS = (rotations, looking)
