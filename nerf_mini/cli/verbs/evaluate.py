"""nerf-mini eval."""

from __future__ import annotations

import numpy as np

from nerf_mini.cli.arguments import EvalArguments
from nerf_mini.cli.progress import say
from nerf_mini.runs.evaluation import evaluate_run
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.records import ViewScore


def run(arguments: EvalArguments) -> None:
    """Evaluate a run and print a line per view."""
    opened = open_run(arguments.run)

    def report(score: ViewScore, image: np.ndarray, target: np.ndarray) -> None:
        say(f"{score.name}: PSNR {score.psnr:.2f} dB, SSIM {score.ssim:.4f}")

    result = evaluate_run(opened, arguments.split, arguments.max_views, arguments.data, report, say)
    say(
        f"{arguments.split}: PSNR {result.psnr:.2f} dB, SSIM {result.ssim:.4f},"
        f" mean of {len(result.views)} views at step {result.step}; {result.seconds_per_view:.2f} s per view"
    )
    say(f"written: {opened.evaluations / (arguments.split + '.json')}")
