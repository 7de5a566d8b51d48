"""PSNR and SSIM on held-out views."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.io.files import write_json
from nerf_mini.io.images import composite
from nerf_mini.rendering.metrics import psnr, ssim
from nerf_mini.runs.folder import Run
from nerf_mini.runs.records import Evaluation, ViewScore
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


def evaluate_views(trainer: Trainer, views: Views, indices: Iterable[int], report: Report | None = None) -> Evaluation:
    """PSNR (dB) and SSIM of the trainer's pictures of some of the views, at least one."""
    scores = []
    started = time.perf_counter()
    for index in indices:
        image = trainer.render(views.cameras, index).color
        target = target_image(views, index, trainer.cameras.background)
        scores.append(ViewScore(views.names[index], psnr(image, target), ssim(image, target)))
        if report is not None:
            report(scores[-1], image, target)
    return Evaluation(trainer.step_count, tuple(scores), (time.perf_counter() - started) / len(scores))


def evaluate_run(
    run: Run,
    split: str = "test",
    max_views: int | None = None,
    data: Path | None = None,
    report: Report | None = None,
    warn: Warn = log_warning,
) -> Evaluation:
    """Evaluate the newest sound checkpoint on a split, and write RUN/eval/<split>.json.

    Raises UserError for a split that the data set lacks, for no views, and as `restored_trainer` and `Run.read_scene`.
    """
    scene = run.read_scene((split,) if split == "train" else ("train", split), data)
    if split not in scene.splits:
        raise UserError(f"{scene.path}: has no split {split!r}; it has {', '.join(scene.splits)}.")
    views = scene.splits[split]
    indices = spread_indices(len(views), max_views)
    evaluation = evaluate_views(restored_trainer(run, scene, warn), views, indices, report)
    write_json(run.evaluations / f"{split}.json", {"split": split, **evaluation.to_json()})
    return evaluation
