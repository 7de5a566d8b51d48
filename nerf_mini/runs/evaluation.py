"""PSNR and SSIM on held-out views."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.errors import UserError, Warn, log_warning, quoted
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.files import is_number
from nerf_mini.io.images import area_average, composite, shrunk_mask
from nerf_mini.rendering.images import RenderedImage
from nerf_mini.rendering.metrics import color_corrected_psnr, psnr, ssim
from nerf_mini.rendering.registration import registered
from nerf_mini.runs.folder import Run
from nerf_mini.runs.pictures import changed_pictures
from nerf_mini.runs.records import Evaluation, Fit, Protocol, ViewScore
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.runs.sealing import read_sealed, write_sealed
from nerf_mini.scenes import Views
from nerf_mini.training import Trainer

_MOST_SCORE, _MOST_SECONDS = 1e6, 1e9  # in a file: what lies beyond was never measured


@dataclass(frozen=True)
class ScoredView:
    """A view that was scored, which of its split it is, and what was compared.

    image: its rendering; target: the truth, (height, width, 3) float32; scored: which pixels counted, (height, width)
    bool, or None for all.
    """

    index: int
    score: ViewScore
    image: RenderedImage
    target: np.ndarray
    scored: np.ndarray | None


Report = Callable[[ScoredView], None]
"""Called with each view that was scored."""


def spread_indices(count: int, most: int | None) -> list[int]:
    """At most `most` of the indices below `count`, evenly spread and always the same; all of them for None.

    Raises UserError for less than one.
    """
    if most is not None and most < 1:
        raise UserError(f"--max-views {most}: must be at least 1.")
    if most is None or most >= count:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, most)})


def target_image(views: Views, index: int, background: ArrayLike, size: tuple[int, int] | None = None) -> np.ndarray:
    """The true picture on a background colour (3,): (height, width, 3) float32; shrunk to `size`, width and height, by
    the mean over the area of each pixel, where one is given."""
    image = views.image(index)
    return composite(image if size is None else area_average(image, size), background)


def evaluate_views(
    trainer: Trainer,
    views: Views,
    indices: Iterable[int],
    report: Report | None = None,
    fit: Fit = "none",
    scale: float = 1.0,
) -> Evaluation:
    """Scores of the trainer's pictures of some of the views, at least one, in pixels that are valid.

    `fit` says what may be fitted to each view first, see `Protocol`; `scale`, at most 1, is that of pictures and truth.
    Raises UserError where no view has a valid pixel.
    """
    scores, skipped, seconds, cameras = [], [], [], trainer.cameras_of(views).scaled(scale)
    for index in indices:
        width, height = cameras.size[index].tolist()
        mask = views.mask(index)
        mask = None if mask is None else shrunk_mask(mask, (width, height))
        fitted, scored = (mask, mask) if fit == "none" else _halves(mask, cameras.size[index])
        if any(part is not None and not part.any() for part in (fitted, scored)):
            skipped.append(views.names[index])
            continue
        target = target_image(views, index, trainer.cameras.background, (width, height))
        started = time.perf_counter()
        image = _rendered(trainer, cameras[index], target, fitted, fit)
        seconds.append(time.perf_counter() - started)
        scores.append(_score(views.names[index], image.color, target, scored))
        if report is not None:
            report(ScoredView(index, scores[-1], image, target, scored))
    if not scores:
        raise nothing_to_score(scale)
    protocol = _protocol(trainer, views, fit, tuple(skipped))
    return Evaluation(trainer.step_count, tuple(scores), float(np.median(seconds)), protocol)


def nothing_to_score(scale: float = 1.0) -> UserError:
    """The error where masks leave nothing of any view."""
    where = "" if scale == 1 else f" at {scale:g} of its size"
    return UserError(f"no view can be scored{where}: masks leave nothing of them.")


def _score(name: str, image: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> ViewScore:
    found = ssim(image, target, mask)
    similarity = None if math.isnan(found) else found
    away = np.abs(image - target)
    mean_error = float(np.mean(away if mask is None else away[mask]))
    return ViewScore(name, psnr(image, target, mask), similarity, color_corrected_psnr(image, target, mask), mean_error)


def _halves(mask: np.ndarray | None, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The valid pixels of the left and of the right half of a picture, (height, width) bool each."""
    width, height = size.tolist()
    valid = np.ones((height, width), bool) if mask is None else mask
    left = np.arange(width) < width // 2
    return valid & left, valid & ~left


def _rendered(
    trainer: Trainer, camera: Cameras, target: np.ndarray, fitted: np.ndarray | None, fit: Fit
) -> RenderedImage:
    """The picture of a single camera, with what may be fitted to the pixels in `fitted`."""
    background = np.asarray(trainer.cameras.background, np.float32)
    if fit == "poses" and fitted is not None:
        camera = registered(trainer.model, trainer.field, camera, target, background, fitted)
    image = trainer.render(camera)
    if fit != "exposure" or fitted is None:
        return image
    behind = (1 - image.opacity)[..., None] * background
    light, wanted = (image.color - behind), target - behind
    squares = np.sum(light[fitted] ** 2, axis=0)
    gain = np.where(squares > 0, np.sum((light * wanted)[fitted], axis=0) / np.where(squares > 0, squares, 1), 1)
    return replace(image, color=np.clip(gain * light + behind, 0, 1).astype(np.float32))


def _protocol(trainer: Trainer, views: Views, fit: Fit, skipped: tuple[str, ...]) -> Protocol:
    config = trainer.config
    refined = trainer.cameras_of(views) is not views.cameras and bool(config.refinement.corrections)
    cameras: Literal["as given", "refined"] = "refined" if refined else "as given"
    return Protocol(fit, config.refinement.refine, config.exposure.exposure, cameras, skipped)


def evaluation_file(run: Run, split: str, fit: Fit = "none") -> Path:
    """RUN/eval/<split>.json; scores after a fit to the pictures have a file of their own, <split>-fit-<fit>.json."""
    return run.evaluations / (f"{split}.json" if fit == "none" else f"{split}-fit-{fit}.json")


def evaluate_run(
    run: Run,
    split: str = "test",
    max_views: int | None = None,
    data: Path | None = None,
    report: Report | None = None,
    warn: Warn = log_warning,
    fit: Fit = "none",
) -> Evaluation:
    """Evaluate the newest sound checkpoint on a split, and write the file that `evaluation_file` names.

    `fit` is that of `evaluate_views`. Raises UserError for a split that the data set lacks, for no views, and as
    `restored_trainer` and `Run.read_split`.
    """
    scene, views = run.read_split(split, data)
    indices = spread_indices(len(views), max_views)
    evaluation = evaluate_views(restored_trainer(run, scene, warn), views, indices, report, fit)
    evaluation = evaluation.of_changed(changed_pictures(run.path, scene).views)
    write_sealed(evaluation_file(run, split, fit), {"split": split, **evaluation.to_json()})
    return evaluation


def read_evaluation(path: Path) -> Evaluation:
    """What `evaluate_run` wrote to a file. Raises UserError for one that says something else."""
    found = read_sealed(path)
    try:
        step, seconds = found["step"], found["seconds_per_view"]
        views = tuple(_score_from(row) for row in found["views"])
        fit, refine, exposure, cameras = (found[key] for key in ("fit", "refine", "exposure", "cameras"))
        skipped, changed = (tuple(str(name) for name in found.get(key, ())) for key in ("skipped", "changed"))
        if type(step) is not int or not 0 <= step < 1 << 53 or not views:
            raise ValueError("no scores")
        if fit not in get_args(Fit) or not all(isinstance(word, str) for word in (refine, exposure, cameras)):
            raise ValueError("no protocol")
        if not is_number(seconds) or not 0 <= seconds < _MOST_SECONDS:
            raise ValueError("no time")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: holds no evaluation ({quoted(error)}). `nerf-mini eval` writes it anew.") from error
    return Evaluation(step, views, float(seconds), Protocol(fit, refine, exposure, cameras, skipped, changed))


def _score_from(row: dict[str, Any]) -> ViewScore:
    """A row of an evaluation. A PSNR of null is infinite: the pictures were equal."""
    values = [row["psnr"], row["ssim"], row["cc_psnr"], row.get("mean_error")]
    for value in values:
        if value is not None and not (is_number(value) and abs(value) <= _MOST_SCORE):
            raise ValueError("no score")
    found, similarity, corrected, mean_error = values
    found, corrected = (math.inf if value is None else float(value) for value in (found, corrected))
    return ViewScore(str(row["name"]), found, similarity, corrected, mean_error)
