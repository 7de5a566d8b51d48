"""Novel views of a trained run as pictures and videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.paths import orbit_like, spiral_like
from nerf_mini.io.files import write_atomically
from nerf_mini.io.images import to_uint8, write_image
from nerf_mini.rendering.images import RenderedImage, depth_picture, render_image, render_progressively
from nerf_mini.runs.folder import Run

PATHS = ("orbit", "spiral", "test")
VIDEO_SUFFIXES = (".gif", ".mp4")
FRAMES_PER_SECOND = 15


@dataclass(frozen=True)
class NovelViews:
    """Where the pictures went, and the step of the checkpoint they show."""

    files: list[Path]
    step: int
    warnings: list[str]


def path_poses(run: Run, path: str, views: int | None) -> np.ndarray:
    """Camera poses (views, 4, 4) along a named path; `test` are the test cameras of the data set."""
    if views is not None and views < 1:
        raise UserError(f"--views {views}: must be at least 1.")
    if path == "test":
        poses = run.cameras.poses.get("test")
        if poses is None:
            raise UserError(f"{run.path}: its data set has no test views; use --path orbit or spiral.")
        return poses if views is None else poses[:views]
    make = {"orbit": orbit_like, "spiral": spiral_like}[path]
    return make(run.cameras.poses["train"], views or 40)


def render_views(
    run: Run, path: str = "orbit", views: int | None = None, scale: float = 1.0, output: Path | None = None,
    maps: bool = False, progressive: bool = False, report: Callable[[int, int], None] = lambda done, total: None,
) -> NovelViews:  # fmt: skip
    """Render a run's newest checkpoint along a path.

    `output` is a folder for PNG files, or a .gif or .mp4 file; by default RUN/renders/<path>. `scale` multiplies
    width and height. With `maps`, depth and opacity are written too. With `progressive`, each PNG file is written
    coarse first, and again as it gets sharper. Raises UserError for what cannot be done.
    """
    if not 0 < scale <= 16:
        raise UserError(f"--scale {scale}: must be positive and at most 16.")
    output = output or run.renders / path
    video = output.suffix.lower() in VIDEO_SUFFIXES
    if output.suffix[1:2].isalpha() and not video and not output.is_dir():  # a folder scale-0.5 is fine
        raise UserError(f"{output}: name a folder for PNG files, or a file that ends in {' or '.join(VIDEO_SUFFIXES)}.")
    if output.suffix.lower() == ".mp4":
        require_video()
    if progressive and video:
        raise UserError("--progressive is for PNG files: name a folder with --output.")
    if output.is_file() and not video:
        raise UserError(f"{output}: is a file; name a folder.")
    try:
        intrinsics = run.cameras.intrinsics.scaled(scale)
    except ValueError as error:
        raise UserError(f"--scale {scale}: {error}.") from error
    poses = path_poses(run, path, views)
    checkpoint, warnings = run.latest()
    method = run.method(checkpoint)
    images = []
    for number, pose in enumerate(poses):
        view = method, checkpoint.parameters, intrinsics, pose, run.cameras.background
        if progressive:
            for image in render_progressively(*view):
                write_pictures(output, {"color": [to_uint8(image.color)]}, number)
            images.append(image)
        else:
            images.append(render_image(*view))
        report(number + 1, len(poses))
    pictures = {"color": [to_uint8(image.color) for image in images]}
    if maps:
        pictures["depth"] = [to_uint8(depth_picture(i, run.cameras.near, run.cameras.far)) for i in images]
        pictures["opacity"] = [to_uint8(np.clip(image.opacity, 0, 1)) for image in images]
    write = write_videos if video else write_pictures
    return NovelViews(write(output, pictures), checkpoint.optimiser.step, warnings)


def write_pictures(folder: Path, pictures: dict[str, list[np.ndarray]], first: int = 0) -> list[Path]:
    """folder/color_000.png and so on, numbered from `first`."""
    files = []
    for kind, frames in pictures.items():
        for number, frame in enumerate(frames, first):
            files.append(folder / f"{kind}_{number:03d}.png")
            write_image(files[-1], frame)
    return files


def write_videos(output: Path, pictures: dict[str, list[np.ndarray]]) -> list[Path]:
    """One video per kind: name.gif, name_depth.gif, name_opacity.gif."""
    files = []
    for kind, frames in pictures.items():
        file = output if kind == "color" else output.with_stem(f"{output.stem}_{kind}")
        write_atomically(file, partial(_encode, frames=frames, suffix=output.suffix.lower()))
        files.append(file)
    return files


def require_video() -> None:
    """MP4 needs an encoder, which is an extra."""
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        raise UserError('MP4 needs the extra "video": pip install "nerf-mini[video]". GIF works without it.') from error


def _encode(stream: BinaryIO, frames: list[np.ndarray], suffix: str) -> None:
    import imageio.v3 as iio

    frames = [frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2) for frame in frames]
    if suffix == ".gif":
        data = iio.imwrite("<bytes>", np.stack(frames), extension=".gif", duration=1000 // FRAMES_PER_SECOND, loop=0)
    else:
        # the codec wants even sizes: repeat the last row or column where needed
        height, width = frames[0].shape[:2]
        even = [np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") for frame in frames]
        data = iio.imwrite("<bytes>", np.stack(even), extension=".mp4", fps=FRAMES_PER_SECOND, macro_block_size=1)
    stream.write(data)


__all__ = [
    "NovelViews",
    "RenderedImage",
    "path_poses",
    "render_views",
    "require_video",
    "write_pictures",
    "write_videos",
]
