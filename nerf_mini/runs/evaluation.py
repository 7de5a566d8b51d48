"""PSNR and SSIM on held-out views."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from math import isnan
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.files import write_json
from nerf_mini.io.images import composite
from nerf_mini.rendering.metrics import color_corrected_psnr, psnr, ssim
from nerf_mini.rendering.registration import registered
from nerf_mini.runs.folder import Run
from nerf_mini.runs.records import Evaluation, Fit, Protocol, ViewScore
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.scenes import Views
from nerf_mini.training import Trainer

Report = Callable[[ViewScore, np.ndarray, np.ndarray], None]
"""Called with the score of a view, its rendering and the truth, (height, width, 3) float32 both."""


def spread_indices(count: int, most: int | None) -> list[int]:
    """At most `most` of the indices below `count`, evenly spread and always the same; all of them for None.

    Raises UserError for less than one.
    """
    if most is not None and most < 1:
        raise UserError(f"--max-views {most}: must be at least 1.")
    if most is None or most >= count:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, most)})


def target_image(views: Views, index: int, background: ArrayLike) -> np.ndarray:
    """The true picture on a background colour (3,): (height, width, 3) float32."""
    return composite(views.image(index), background)


def evaluate_views(
    trainer: Trainer, views: Views, indices: Iterable[int], report: Report | None = None, fit: Fit = "none"
) -> Evaluation:
    """Scores of the trainer's pictures of some of the views, at least one, in pixels that are valid.

    `fit` says what may be fitted to each view first, see `Protocol`. Raises UserError where no view has a valid pixel.
    """
    scores, skipped, cameras = [], [], trainer.cameras_of(views)
    started = time.perf_counter()
    for index in indices:
        mask = views.mask(index)
        fitted, scored = (mask, mask) if fit == "none" else _halves(mask, views.cameras.size[index])
        if any(part is not None and not part.any() for part in (fitted, scored)):
            skipped.append(views.names[index])
            continue
        target = target_image(views, index, trainer.cameras.background)
        image = _rendered(trainer, cameras[index], target, fitted, fit)
        scores.append(_score(views.names[index], image, target, scored))
        if report is not None:
            report(scores[-1], image, target)
    if not scores:
        raise UserError("no view can be scored: masks leave nothing of them.")
    seconds = (time.perf_counter() - started) / len(scores)
    return Evaluation(trainer.step_count, tuple(scores), seconds, _protocol(trainer, views, fit, tuple(skipped)))


def _score(name: str, image: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> ViewScore:
    found = ssim(image, target, mask)
    similarity = None if isnan(found) else found
    return ViewScore(name, psnr(image, target, mask), similarity, color_corrected_psnr(image, target, mask))


def _halves(mask: np.ndarray | None, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The valid pixels of the left and of the right half of a picture, (height, width) bool each."""
    width, height = size.tolist()
    valid = np.ones((height, width), bool) if mask is None else mask
    left = np.arange(width) < width // 2
    return valid & left, valid & ~left


def _rendered(trainer: Trainer, camera: Cameras, target: np.ndarray, fitted: np.ndarray | None, fit: Fit) -> np.ndarray:
    """The picture of a single camera, with what may be fitted to the pixels in `fitted`."""
    background = np.asarray(trainer.cameras.background, np.float32)
    if fit == "poses" and fitted is not None:
        camera = registered(trainer.model, trainer.field, camera, target, background, fitted)
    image = trainer.render(camera)
    if fit != "exposure" or fitted is None:
        return image.color
    behind = (1 - image.opacity)[..., None] * background
    light, wanted = (image.color - behind), target - behind
    squares = np.sum(light[fitted] ** 2, axis=0)
    gain = np.where(squares > 0, np.sum((light * wanted)[fitted], axis=0) / np.where(squares > 0, squares, 1), 1)
    return np.clip(gain * light + behind, 0, 1).astype(np.float32)


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
    `restored_trainer` and `Run.read_scene`.
    """
    scene = run.read_scene((split,) if split == "train" else ("train", split), data)
    if split not in scene.splits:
        raise UserError(f"{scene.path}: has no split {split!r}; it has {', '.join(scene.splits)}.")
    views = scene.splits[split]
    indices = spread_indices(len(views), max_views)
    evaluation = evaluate_views(restored_trainer(run, scene, warn), views, indices, report, fit)
    write_json(evaluation_file(run, split, fit), {"split": split, **evaluation.to_json()})
    return evaluation
