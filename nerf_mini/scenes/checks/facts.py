"""What is in a data set, as a record and as the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerf_mini.geometry.alignment import scale_of
from nerf_mini.scenes.checks.base import Survey
from nerf_mini.scenes.checks.lens import FLAT, fields_of_view, lens_effects
from nerf_mini.scenes.checks.points import reprojection_errors
from nerf_mini.scenes.scene import Scene


@dataclass(frozen=True)
class Summary:
    """The facts of a data set. Pairs are the least and the largest value over all views; distances in scene units.

    lens_displacement, in pixels, and reprojection, the median in pixels of the full-size picture, are None where there
    is nothing to measure, as with points that are all behind their cameras. scale: units of the files per unit of the
    scene.
    """

    kind: str
    views: dict[str, int]
    width: tuple[int, int]
    height: tuple[int, int]
    lenses: tuple[str, ...]
    focal: tuple[float, float]
    field_of_view: tuple[float, float]
    lens_displacement: float | None
    unlit: float
    held_out: str
    space: str
    near: tuple[float, float]
    far: tuple[float, float]
    scale: float
    alpha: bool
    ignored: float
    sparse_points: int
    observations: int
    reprojection: float | None
    distance: float
    picture_bytes: int


def summary(scene: Scene) -> Summary:
    """The facts of a scene."""
    survey = Survey(scene)
    cameras, points, errors = survey.cameras, scene.points, reprojection_errors(survey)
    effects = lens_effects(cameras)
    moved = [displacement for displacement, _ in effects if np.isfinite(displacement)]
    ignored = sum(int((~views.valid).sum()) for views in scene.splits.values() if views.valid is not None)
    bent = any(name != "pinhole" for name in cameras.lens.tolist())
    flat = np.isin(cameras.lens, FLAT)
    pixels = sum(len(views.pixels) for views in scene.splits.values())
    return Summary(
        scene.kind, {split: len(views) for split, views in scene.splits.items()},
        _whole(cameras.size[:, 0]), _whole(cameras.size[:, 1]), tuple(sorted(set(cameras.lens.tolist()))),
        _pair(cameras.focal), _pair(fields_of_view(cameras)[flat, 0]), max(moved) if bent and moved else None,
        max(beyond for _, beyond in effects), scene.held_out, "box" if scene.space is None else scene.space.kind,
        _pair(cameras.near), _pair(cameras.far), scale_of(scene.to_capture),
        any(views.has_alpha for views in scene.splits.values()), ignored / pixels,
        0 if points is None else len(points.positions),
        0 if points is None or points.observations is None else len(points.observations.point),
        None if errors is None or not np.isfinite(errors.pixels).any() else float(np.nanmedian(errors.pixels)),
        survey.distance,
        sum(views.pixels.nbytes for views in scene.splits.values()),
    )  # fmt: skip


def rows(facts: Summary) -> list[tuple[str, str]]:
    """What to print of it: names and values."""
    views = ", ".join(f"{count} {split}" for split, count in facts.views.items())
    lens = ", ".join(facts.lenses)
    if facts.lens_displacement is not None:
        lens += f" (moves a pixel by up to {facts.lens_displacement:.1f})"
    if facts.unlit:
        lens += f" ({facts.unlit:.1%} of the pixels without light)"
    table = [
        ("kind", facts.kind),
        ("views", views),
        ("held out", facts.held_out),
        ("size", f"{_span(facts.width, 'd')} x {_span(facts.height, 'd')} pixels" + (", alpha" if facts.alpha else "")),
        ("lens", lens),
        ("focal length", f"{_span(facts.focal, '.1f')} pixels, {_span(facts.field_of_view, '.1f')} degrees across"),
        ("space", facts.space),
        ("near, far", f"{_span(facts.near, '.3g')}, {_span(facts.far, '.3g')}"),
        ("distance", f"{facts.distance:.3g} from the cameras to what they look at"),
        ("scale", f"{facts.scale:.4g} units of the files in one of the scene"),
    ]
    if facts.ignored:
        table.append(("masked out", f"{facts.ignored:.1%} of all pixels"))
    points = f"{facts.sparse_points}"
    if facts.reprojection is not None:
        points += f", {facts.observations} observations, reprojected to {facts.reprojection:.2f} pixels (median)"
    table.append(("sparse points", points))
    return table


def _pair(values: np.ndarray) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if len(values) else (float("nan"), float("nan"))


def _whole(values: np.ndarray) -> tuple[int, int]:
    return int(values.min()), int(values.max())


def _span(pair: tuple[float, float], form: str) -> str:
    low, high = (format(value, form) for value in pair)
    return low if low == high else f"{low} to {high}"
