"""PSNR and SSIM of a trained run on held-out views."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.io.files import write_json
from nerf_mini.io.images import composite
from nerf_mini.rendering.images import render_image
from nerf_mini.rendering.metrics import psnr, ssim
from nerf_mini.runs.folder import Run
from nerf_mini.scenes import Views


def spread_indices(count: int, most: int | None) -> list[int]:
    """At most `most` of `count` views, evenly spread and always the same; all of them for None."""
    if most is None or most >= count:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, most)})


def target_image(views: Views, index: int, background: str) -> np.ndarray:
    """The true picture on the background, (height, width, 3) float32."""
    return composite(views.images[index], np.zeros(3) if background == "black" else np.ones(3))


def evaluate_views(
    method: Any, parameters: Any, views: Views, background: str, indices: Iterable[int], report: Callable | None = None
) -> dict[str, Any]:
    """Mean and per-view PSNR (dB) and SSIM of the fine rendering; PSNR is the mean over views of each view's PSNR."""
    rows = []
    started = time.perf_counter()
    for index in indices:
        image = render_image(method, parameters, views.intrinsics, views.poses[index], background).color
        target = target_image(views, index, background)
        rows.append({"name": views.names[index], "psnr": psnr(image, target), "ssim": ssim(image, target)})
        if report is not None:
            report(rows[-1], image, target)
    seconds = (time.perf_counter() - started) / len(rows)
    return {
        "psnr": float(np.mean([row["psnr"] for row in rows])),
        "ssim": float(np.mean([row["ssim"] for row in rows])),
        "views": rows,
        "seconds_per_view": seconds,
    }


def evaluate_run(
    run: Run,
    split: str = "test",
    max_views: int | None = None,
    data: Path | None = None,
    report: Callable | None = None,
) -> dict[str, Any]:
    """Evaluate the newest checkpoint on a split and write RUN/eval/<split>.json; returns its content."""
    if max_views is not None and max_views < 1:
        raise UserError(f"--max-views {max_views}: must be at least 1.")
    scene = run.scene((split,) if split == "train" else ("train", split), data)
    if split not in scene.splits:
        raise UserError(f"{scene.path}: has no split {split!r}; it has {', '.join(scene.splits)}.")
    views = scene.splits[split]
    checkpoint, warnings = run.latest()
    indices = spread_indices(len(views), max_views)
    result = evaluate_views(
        run.method(checkpoint), checkpoint.parameters, views, run.cameras.background, indices, report
    )
    result = {"split": split, "step": checkpoint.optimiser.step, **result}
    write_json(run.path / "eval" / f"{split}.json", result)
    return {**result, "warnings": warnings}
