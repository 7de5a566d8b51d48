"""Sound data to start from: data sets and runs as small as can be, made once, and copied by each case."""

from __future__ import annotations

import atexit
import contextlib
import io
import shutil
import tempfile
from functools import cache
from pathlib import Path

SIZE = 16  # pixels
OPTIONS = {
    "instant": (
        "--method instant --levels 4 --log2-entries 8 --base-resolution 4 --finest-resolution 16 --hidden-width 16"
        " --color-layers 1 --samples-per-step 1024 --march-steps 64 --occupancy-resolution 16 --supersampling 1"
        " --max-steps 6 --log-every 2 --checkpoint-every 2 --validate-every 3"
    ).split(),
    "nerf": (
        "--method nerf --depth 2 --width 16 --position-frequencies 3 --direction-frequencies 1 --coarse-samples 8"
        " --fine-samples 8 --rays 64 --crop-steps 0 --max-steps 6 --log-every 2 --checkpoint-every 2"
        " --validate-every 3"
    ).split(),
}
"""Of `nerf-mini train`, by method: a training of a second."""


@cache
def _place() -> Path:
    place = Path(tempfile.mkdtemp(prefix="hostile-sound-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def scene(kind: str = "blender") -> Path:
    """A data set, not to be written to: "blender" (7 + 1 + 1 pictures), "tiny_nerf" (an .npz), or a writer's kind."""
    return _scene(kind)


def run(method: str = "instant") -> Path:
    """A finished run of 6 steps on `scene()` with checkpoints of the last steps, not to be written to."""
    return _run(method)


@cache
def _scene(kind: str) -> Path:
    from nerf_mini.scenes.synthetic import CaptureSettings, make_capture, make_scene

    path = _place() / kind
    if kind == "blender":
        return make_scene("blobs", path, size=SIZE, views=7)
    if kind == "tiny_nerf":
        return _tiny_nerf(path.with_suffix(".npz"))
    return make_capture("garden", path, CaptureSettings(size=24, views=6, format=kind, passer_by=True))


@cache
def _run(method: str) -> Path:
    path = _place() / f"run-{method}"
    words = ["train", str(scene()), "--output", str(path), *OPTIONS[method]]
    _quietly(words)
    return path


@cache
def warm_up() -> None:
    """Have the kernels compiled that cases need: the compiler takes longer than a case may."""
    for method in OPTIONS:
        run(method)
    for kind in ("nerfstudio", "llff"):
        path = _place() / f"warm-{kind}"
        _quietly(["train", str(scene(kind)), "--output", str(path), *OPTIONS["instant"], "--no-report"])


def copied(source: Path, target: Path) -> Path:
    """A copy that a case may damage."""
    if source.is_dir():
        return Path(shutil.copytree(source, target, symlinks=True))
    return Path(shutil.copy2(source, target))


def kinds() -> tuple[str, ...]:
    """Of data sets, for `scene`."""
    from nerf_mini.scenes.writers import WRITERS

    return ("blender", "tiny_nerf", *WRITERS)


def _tiny_nerf(file: Path) -> Path:
    import numpy as np

    from nerf_mini.scenes import load_scene

    views = load_scene(scene()).splits["train"]
    cameras = views.cameras
    images = views.pixels.reshape(len(views), SIZE, SIZE, -1)[..., :3]
    np.savez_compressed(file, images=images, poses=cameras.poses, focal=np.float64(np.asarray(cameras.focal).flat[0]))
    return file


def _quietly(words: list[str]) -> None:
    """Run a sound command line without a word."""
    from nerf_mini.cli.program import main

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(words) == 0, words
