"""The check of sparse points against where the pictures show them: the strongest there is, where there are any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nerf_mini.scenes.checks.base import Finding, Survey

MOST_PIXELS, OF_LONGEST_SIDE = 2.0, 1 / 800  # a median error beyond both is none of a sound capture
OUTLYING = 4.0  # times the median of all views
BEHIND = 0.001
FEWEST = 20  # observations from which a view is judged


@dataclass(frozen=True)
class Errors:
    """How far sparse points land from where they were seen.

    pixels (k,), of the full-size picture, NaN for points behind their camera; view (k,); ratio: of full size to size,
    a median.
    """

    pixels: np.ndarray
    view: np.ndarray
    ratio: float


def reprojection_errors(survey: Survey) -> Errors | None:
    """The errors of all observations in pictures of the scene; None where there are none."""
    points = survey.scene.points
    if points is None or points.observations is None:
        return None
    seen = points.observations
    number = {name: view for view, name in enumerate(survey.names)}
    views = np.array([number.get(name, -1) for name in seen.names], np.int64)
    view = views[seen.image] if len(seen.image) else np.zeros(0, np.int64)
    known = view >= 0
    if not known.any():
        return None
    place = survey.cameras.project(points.positions[seen.point[known]], view[known])
    ratio = np.ones((len(place), 2))  # of the pictures in which points were seen to those of the scene
    if seen.size is not None:
        ratio = seen.size[seen.image[known]] / survey.cameras.size[view[known]]
    error = np.linalg.norm(ratio * place - seen.place[known], axis=1)
    return Errors(error, view[known], float(np.median(ratio)))


def reprojection(survey: Survey) -> Iterator[Finding]:
    """|project(X) - x| of every observation x of a sparse point X."""
    errors = reprojection_errors(survey)
    if errors is None:
        return
    behind = float(np.mean(~np.isfinite(errors.pixels)))
    if behind > BEHIND:
        text = f"{behind:.1%} of the sparse points that a picture shows are behind its camera, or beyond its lens."
        advice = "The poses' axes or their direction (camera-to-world) are wrong, or pictures and poses are mixed up."
        yield Finding("reprojection-behind", "error", text, advice)
    pixels = np.where(np.isfinite(errors.pixels), errors.pixels, np.inf)
    median = float(np.median(pixels))
    limit = max(MOST_PIXELS, OF_LONGEST_SIDE * errors.ratio * float(survey.cameras.size.max()))
    if median > limit:
        away = f"{median:.1f} pixels from" if np.isfinite(median) else "nowhere near"
        text = f"Sparse points land {away} where the pictures show them; below 1 pixel is usual."
        advice = "Check focal length, principal point, lens, the pictures' size, and which picture has which pose."
        yield Finding("reprojection", "error", text, advice)
        return
    own = np.array([np.median(pixels[errors.view == view]) for view in range(len(survey)) if _seen(errors, view)])
    which = np.array([view for view in range(len(survey)) if _seen(errors, view)])
    off = which[own > max(limit, OUTLYING * median)] if len(own) else which
    if len(off):
        text = f"In {len(off)} pictures sparse points land far from where they were seen: {survey.listed(off)}."
        advice = "Their poses are wrong, or they are another's: leave them out, or find their poses again."
        yield Finding("reprojection-views", "warning", text, advice)


def _seen(errors: Errors, view: int) -> bool:
    return int(np.count_nonzero(errors.view == view)) >= FEWEST


CHECKS = (reprojection,)
