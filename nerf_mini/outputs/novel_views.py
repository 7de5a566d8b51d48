"""Novel views of a trained run as pictures and videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit_like, spiral_like
from nerf_mini.io.files import write_atomically
from nerf_mini.io.images import to_uint8, write_image
from nerf_mini.rendering.images import RenderedImage, depth_picture, disparity_picture, render_progressively
from nerf_mini.runs.folder import Run
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.training import Trainer

PATHS = ("orbit", "spiral", "test", "train")
VIDEO_SUFFIXES = (".gif", ".mp4")
FRAMES_PER_SECOND = 15


@dataclass(frozen=True)
class NovelViews:
    """Where the pictures went, and the step of the checkpoint they show."""

    files: tuple[Path, ...]
    step: int


@dataclass(frozen=True)
class RenderRequest:
    """What to render of a run.

    Attributes:
        path: one of `PATHS`: orbit and spiral circle what the training cameras look at; test and train repeat the
            cameras of these views, as refined where they were.
        views: how many; None: 40, or all test or training cameras.
        scale: factor on width and height.
        output: a folder for PNG files, or a .gif or .mp4 file; None: RUN/renders/<path>.
        maps: write depth and opacity too.
        progressive: write each PNG file coarse first, and again as it gets sharper.
    """

    path: str = "orbit"
    views: int | None = None
    scale: float = 1.0
    output: Path | None = None
    maps: bool = False
    progressive: bool = False


def path_cameras(run: Run, path: str, views: int | None = None, scale: float = 1.0) -> Cameras:
    """Cameras along a named path; on orbits and spirals they are like the first training camera.

    Raises UserError for less than one view, a scale that leaves no pixel, and a data set without test views.
    """
    if views is not None and views < 1:
        raise UserError(f"--views {views}: must be at least 1.")
    if not 0 < scale <= 16:
        raise UserError(f"--scale {scale}: must be positive and at most 16.")
    train = run.cameras.train
    if path in run.cameras.splits:
        cameras = run.cameras.splits[path][:views]
    elif path == "test":
        raise UserError(f"{run.path}: its data set has no test views; use --path orbit or spiral.")
    else:
        along = {"orbit": orbit_like, "spiral": spiral_like}[path]
        cameras = train.at(along(train.poses, 40 if views is None else views))
    try:
        return cameras.scaled(scale)
    except ValueError as error:
        raise UserError(f"--scale {scale}: {error}.") from error


def render_views(
    run: Run,
    request: RenderRequest,
    report: Callable[[int, int], None] = lambda done, total: None,
    warn: Warn = log_warning,
) -> NovelViews:
    """Render a run's newest sound checkpoint along a path, into files.

    `report` is called with the numbers of views done and to do, `warn` as by `restored_trainer`. Raises UserError for
    what cannot be done, before any work where that can be known.
    """
    output = run.renders / request.path if request.output is None else request.output
    video = _is_video(output, request.progressive)
    cameras = path_cameras(run, request.path, request.views, request.scale)
    trainer = restored_trainer(run, warn=warn)
    if request.path == "train":
        cameras = trainer.training_cameras[: request.views].scaled(request.scale)
    images = []
    for view in range(len(cameras)):
        if request.progressive:
            images.append(_render_sharpening(trainer, cameras, view, output))
        else:
            images.append(trainer.render(cameras, view))
        report(view + 1, len(cameras))
    pictures = {"color": [to_uint8(image.color) for image in images]}
    if request.maps:
        pictures["depth"] = [to_uint8(depth) for depth in _depth_maps(trainer, images, cameras)]
        pictures["opacity"] = [to_uint8(np.clip(image.opacity, 0, 1)) for image in images]
    write = write_videos if video else write_pictures
    return NovelViews(tuple(write(output, pictures)), trainer.step_count)


def _depth_maps(trainer: Trainer, images: list[RenderedImage], cameras: Cameras) -> list[np.ndarray]:
    """Grey pictures of the depth: of what lies in a box between near and far, of other scenes by disparity."""
    if trainer.model.region.bounded:
        bounds = zip(images, cameras.near.tolist(), cameras.far.tolist(), strict=True)
        return [depth_picture(image, near, far) for image, near, far in bounds]
    seen = np.concatenate([image.depth[image.opacity > 0.5] for image in images])
    nearest = float(np.quantile(seen, 0.02)) if len(seen) else 1.0
    return [disparity_picture(image, nearest) for image in images]


def _is_video(output: Path, progressive: bool) -> bool:
    """Whether the output is a video file, not a folder. Raises UserError if it can be neither."""
    video = output.suffix.lower() in VIDEO_SUFFIXES
    if output.suffix[1:2].isalpha() and not video and not output.is_dir():  # a folder scale-0.5 is fine
        raise UserError(f"{output}: name a folder for PNG files, or a file that ends in {' or '.join(VIDEO_SUFFIXES)}.")
    if output.suffix.lower() == ".mp4":
        require_video()
    if progressive and video:
        raise UserError("--progressive is for PNG files: name a folder with --output.")
    if output.is_file() and not video:
        raise UserError(f"{output}: is a file; name a folder.")
    return video


def _render_sharpening(trainer: Trainer, cameras: Cameras, view: int, folder: Path) -> RenderedImage:
    """A picture whose file is written again and again as it gets sharper."""
    parameters, background = trainer.field, trainer.cameras.background
    for image in render_progressively(trainer.model, parameters, cameras, background, view):
        write_pictures(folder, {"color": [to_uint8(image.color)]}, view)
    return image


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
