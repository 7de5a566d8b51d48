"""Scores of held-out views at several sizes, as mip-NeRF's: from full size down, against shrunk pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

from nerf_mini.errors import UserError, Warn, log_warning, quoted
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.runs.evaluation import ScoredView, evaluate_views, spread_indices
from nerf_mini.runs.folder import Run
from nerf_mini.runs.pictures import changed_pictures
from nerf_mini.runs.records import MultiScaleEvaluation
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.runs.sealing import write_sealed
from nerf_mini.scenes import Views
from nerf_mini.training import Trainer

MIP_NERF = (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))  # Barron et al. 2021, table 1
MOST_SCALES, MOST_DIVISOR = 16, 4096
_NUMBER = re.compile(r"[0-9]{1,9}(/[0-9]{1,9})?|[0-9]{0,9}\.[0-9]{1,9}")  # no exponent, which may be of any size

ScaleReport = Callable[[Fraction, ScoredView], None]
"""Called with each view that was scored, and its scale."""


def parse_scales(text: str) -> tuple[Fraction, ...]:
    """Scales as a command line names them, such as "1,1/2,0.25". Raises UserError for what is none, or has no truth."""
    return checked_scales([_parsed(part.strip()) for part in text.split(",")[: MOST_SCALES + 1]])


def _parsed(text: str) -> Fraction:
    try:
        if _NUMBER.fullmatch(text):
            return Fraction(text)
    except ZeroDivisionError:
        pass
    raise UserError(f"--scales: {quoted(text)} is no scale; give numbers or fractions with commas between: 1,1/2,1/4.")


def checked_scales(scales: Iterable[float | Fraction]) -> tuple[Fraction, ...]:
    """Scales as fractions: as many and as large as make sense, and each once. Raises UserError for others."""
    found: list[Fraction] = []
    for scale in scales:
        if not 1 / MOST_DIVISOR <= scale < float("inf"):  # false for NaN too
            raise UserError(f"--scales: {scale} is not between 1/{MOST_DIVISOR} and 1.")
        if scale > 1:
            raise UserError(
                f"--scales: {scale} has no truth to compare with: the data set's own pictures are of scale 1."
                f" `nerf-mini render --scale {float(scale):g}` shows what it looks like."
            )
        exact = Fraction(scale).limit_denominator(MOST_DIVISOR)
        if exact in found:
            raise UserError(f"--scales: {exact} is named twice.")
        found.append(exact)
    if not 1 <= len(found) <= MOST_SCALES:
        raise UserError(f"--scales: name from 1 to {MOST_SCALES} of them.")
    return tuple(found)


def scales_of(cameras: Cameras, scales: Iterable[float | Fraction]) -> tuple[Fraction, ...]:
    """`checked_scales` at which pictures of these cameras have a pixel. Raises UserError for others."""
    chosen = checked_scales(scales)
    for scale in chosen:
        try:
            cameras.scaled(float(scale))
        except ValueError as error:
            raise UserError(f"--scales: {error}.") from error
    return chosen


def evaluate_scales(
    trainer: Trainer,
    views: Views,
    indices: Sequence[int],
    scales: Iterable[float | Fraction] = MIP_NERF,
    report: ScaleReport = lambda scale, view: None,
) -> MultiScaleEvaluation:
    """Scores of some of the views, at least one, at each of several scales, at most 1.

    The truth is the picture averaged over the area of each pixel, as `--downscale` shrinks it; the rendering is that of
    the camera with so many pixels fewer. Raises UserError for scales that make no sense or leave no pixel, and where
    masks leave nothing of any view.
    """
    scores = {}
    for scale in scales_of(views.cameras, scales):
        scores[scale] = evaluate_views(trainer, views, indices, partial(report, scale), scale=float(scale))
    return MultiScaleEvaluation(scores)


def scales_file(run: Run, split: str) -> Path:
    """RUN/eval/<split>-scales.json."""
    return run.evaluations / f"{split}-scales.json"


def evaluate_run_at_scales(
    run: Run,
    scales: Iterable[float | Fraction] = MIP_NERF,
    split: str = "test",
    max_views: int | None = None,
    data: Path | None = None,
    report: ScaleReport = lambda scale, view: None,
    warn: Warn = log_warning,
) -> MultiScaleEvaluation:
    """Evaluate the newest sound checkpoint on a split at several scales, and write the file that `scales_file` names.

    Raises UserError as `evaluate_scales`, `restored_trainer` and `Run.read_split`.
    """
    scene, views = run.read_split(split, data)
    indices = spread_indices(len(views), max_views)
    evaluation = evaluate_scales(restored_trainer(run, scene, warn), views, indices, scales, report)
    changed = changed_pictures(run.path, scene).views
    evaluation = MultiScaleEvaluation({scale: found.of_changed(changed) for scale, found in evaluation.scales.items()})
    write_sealed(scales_file(run, split), {"split": split, **evaluation.to_json()})
    return evaluation
