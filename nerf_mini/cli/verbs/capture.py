"""nerf-mini capture."""

from __future__ import annotations

import shlex
import time

import numpy as np

from nerf_mini.cli.arguments import CaptureArguments
from nerf_mini.cli.progress import StageBars, say
from nerf_mini.errors import listed
from nerf_mini.scenes.capture import Captured, CaptureOptions, capture_photos, work_folder


def run(arguments: CaptureArguments) -> None:
    """Make a data set of photos or a video."""
    started = time.perf_counter()
    options = CaptureOptions(
        arguments.matching, arguments.frames, arguments.max_size, arguments.seed, arguments.threads, arguments.restart
    )
    try:
        with StageBars(say) as bars:
            made = capture_photos(arguments.photos, arguments.output, options, bars.report)
    except KeyboardInterrupt:
        if work_folder(arguments.output.absolute()).exists():
            say("what was found so far is kept; the same command goes on from there.")
        raise
    _report(made, time.perf_counter() - started)
    data = str(arguments.output)
    say(f"next: {shlex.join(['nerf-mini', 'check', data])}, then {shlex.join(['nerf-mini', 'train', data])}")


def _report(made: Captured, seconds: float) -> None:
    model = made.model
    total = len(model) + len(made.missing)
    say(f"{len(model)} of {total} pictures got a pose, in {seconds:.0f} s")
    if made.missing:
        say(f"without a pose: {listed(made.missing, 12)}")
    if made.unreadable:
        say(f"cannot be read (export them as JPEG or PNG): {listed(made.unreadable, 12)}")
    seen, focal = len(model.point) / len(model), _focal_lengths(model.cameras.focal)
    say(f"{len(model.positions)} points, {seen:.0f} in a picture, reprojected to {model.error:.2f} pixels")
    say(f"focal length {focal} pixels, {model.cameras.lens[0]}")
    if made.shrunk:
        width, height = model.cameras.size.max(axis=0).tolist()
        say(f"{made.shrunk} pictures were shrunk to at most {max(width, height)} pixels (--max-size)")
    for warning in made.warnings:
        say(f"warning: {warning}")
    say(f"made: {made.folder}")


def _focal_lengths(focal: np.ndarray) -> str:
    low, high = f"{focal.min():.1f}", f"{focal.max():.1f}"
    return low if low == high else f"{low} to {high}"
