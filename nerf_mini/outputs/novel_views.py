"""Novel views of a trained run as pictures and videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, Warn, log_warning, quoted
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.paths import orbit_like, spiral_like
from nerf_mini.io.images import read_image, to_uint8, write_image
from nerf_mini.outputs.camera_paths import CameraPath, read_camera_path, read_transform
from nerf_mini.outputs.frames import picture_file, shown
from nerf_mini.outputs.free_views import free_cameras
from nerf_mini.outputs.memory import require_memory_for_pictures
from nerf_mini.outputs.pooled_frames import RECORD, Frame, write_frames
from nerf_mini.outputs.video import FRAMES_PER_SECOND, VIDEOS, check_rate, video_file
from nerf_mini.pool import Pool
from nerf_mini.rendering.images import RenderedImage, render_progressively
from nerf_mini.rendering.shading import OPAQUE
from nerf_mini.runs.evaluation import spread_indices
from nerf_mini.runs.folder import Run
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.runs.workers import at_step
from nerf_mini.training import Trainer

PATHS = ("orbit", "spiral", "test", "train")
FARTHEST = 1e6  # scene units from the origin that a camera may be
DEPTH_VIEWS, DEPTH_WIDTH = 8, 64  # to find which depths a film without bounds has


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
            cameras of these views, as refined where they were. Or a file, see `outputs.camera_paths`.
        views: how many; None: 40, all test or training cameras, or all frames of a file. Of a file, evenly spread.
        scale: factor on width and height.
        output: a folder for PNG files, or a video file with an ending of `VIDEOS`; None: RUN/renders/<path>.
        maps: write depth and opacity too.
        progressive: write each PNG file coarse first, and again as it gets sharper.
        frames_per_second: of videos; None: those of a file, else 15.
        transform: dataparser_transforms.json of the nerfstudio scene in whose world a file's path is; None: the world
            of the data set.
        antialias: show the mean of several rays in pixels that are wider than those trained on.
    """

    path: str = "orbit"
    views: int | None = None
    scale: float = 1.0
    output: Path | None = None
    maps: bool = False
    progressive: bool = False
    frames_per_second: float | None = None
    transform: Path | None = None
    antialias: bool = True


@dataclass(frozen=True)
class _Film:
    """Cameras, and with what they are shown."""

    cameras: Cameras
    frames_per_second: float = FRAMES_PER_SECOND
    crop: Crop | None = None
    background: tuple[float, float, float] | None = None


def path_cameras(run: Run, path: str, views: int | None = None, scale: float = 1.0) -> Cameras:
    """Cameras along a named path; on orbits and spirals they are like the first training camera.

    Raises UserError for less than one view, a scale that leaves no pixel, and a data set without test views.
    """
    train = run.cameras.train
    if path in run.cameras.splits:
        cameras = run.cameras.splits[path][:views]
    elif path == "test":
        raise UserError(f"{run.path}: its data set has no test views; use --path orbit or spiral.")
    else:
        along = {"orbit": orbit_like, "spiral": spiral_like}[path]
        cameras = train.at(along(train.poses, 40 if views is None else views))
    return _scaled(cameras, scale)


def _scaled(cameras: Cameras, scale: float) -> Cameras:
    try:
        return cameras.scaled(scale)
    except ValueError as error:
        raise UserError(f"--scale {scale}: {error}.") from error


def render_views(
    run: Run,
    request: RenderRequest,
    report: Callable[[int, int], None] = lambda done, total: None,
    warn: Warn = log_warning,
    pool: Pool | None = None,
) -> NovelViews:
    """Render a run's newest sound checkpoint along a path, into files.

    `report` is called with the numbers of views done and to do, `warn` as by `restored_trainer`. With a pool, its
    workers render, and frames are left out that an earlier call with a pool has written at this checkpoint; the files
    are the same. Raises UserError for what cannot be done, before any work where that can be known.
    """
    if pool is not None and request.progressive:
        raise UserError("--progressive shows one picture as it gets sharper: leave out --cluster.")
    along = _read_path(run, request) or path_cameras(run, request.path, request.views, request.scale)
    output = request.output or run.renders / (request.path if request.path in PATHS else Path(request.path).stem)
    video = _is_video(output, request.progressive)
    trainer = restored_trainer(run, warn=warn)
    film = _film(trainer, along, request)
    kinds = ("color", "depth", "opacity") if request.maps else ("color",)
    cameras = film.cameras
    kept = VIDEOS[output.suffix.lower()].kept_bytes * len(kinds) if video else 0
    require_memory_for_pictures(cameras, kept, at_once=1 if pool is None else max(1, pool.here))
    if video:
        rate = film.frames_per_second
        text = f"{quoted(request.path)}: {len(cameras)} frames in {len(cameras) / rate:g} s are {rate:.3g}"
        check_rate(rate, f"{text}; give --frames-per-second, which")
    nearest = _nearest(trainer, cameras) if request.maps and not trainer.model.region.bounded else None
    writing = _films(output, kinds, film.frames_per_second) if video else _pictures(output, kinds)
    if pool is not None:
        frames = _frames(run, trainer, film, kinds, nearest, request.antialias)
        files = _made_by_workers(pool, frames, output, writing if video else None, report, warn)
        return NovelViews(tuple(files), trainer.step_count)
    with writing as (write, files):
        for view in range(len(cameras)):
            if request.progressive:
                image = _render_sharpening(trainer, film, view, output, request.antialias)
            else:
                image = trainer.render(cameras, view, film.background, film.crop, request.antialias)
            write(shown(image, kinds, cameras, view, nearest))
            report(view + 1, len(cameras))
    return NovelViews(tuple(files), trainer.step_count)


def _frames(
    run: Run, trainer: Trainer, film: _Film, kinds: tuple[str, ...], nearest: float | None, antialias: bool
) -> list[Frame]:
    """The frames of a film, each for itself."""
    at, cameras = at_step(run, trainer.step_count), film.cameras
    return [Frame(at, cameras[i], film.background, film.crop, kinds, nearest, antialias) for i in range(len(cameras))]


def _read_path(run: Run, request: RenderRequest) -> CameraPath | None:
    """The film of a request, in the coordinates of the scene; None for one of `PATHS`. Raises UserError."""
    if request.views is not None and request.views < 1:
        raise UserError(f"--views {request.views}: must be at least 1.")
    if not 0 < request.scale <= 16:
        raise UserError(f"--scale {request.scale}: must be positive and at most 16.")
    if request.frames_per_second is not None:
        check_rate(request.frames_per_second, f"--frames-per-second {request.frames_per_second:g}")
    if request.path in PATHS:
        if request.transform is not None:
            raise UserError("--transform belongs to a path from a file: give one with --path FILE.json.")
        return None
    file = Path(request.path)
    if not file.is_file():
        raise UserError(f"--path {quoted(request.path)}: is neither a file nor one of {', '.join(PATHS)}.")
    path = read_camera_path(file)
    if request.transform is not None:
        path = path.in_world(np.linalg.inv(read_transform(request.transform)))
    path = path.in_world(np.linalg.inv(run.cameras.to_capture))
    if not np.abs(path.poses[:, :3, 3]).max() <= FARTHEST:
        raise UserError(
            f"--path {quoted(request.path)}: has cameras further than {FARTHEST:g} from the middle of the scene. If it"
            " is of another world than the data set's, name its --transform."
        )
    return path


def _film(trainer: Trainer, along: Cameras | CameraPath, request: RenderRequest) -> _Film:
    """The cameras of a path, those of training views as refined, and with what they are shown."""
    if isinstance(along, CameraPath):
        film = _of_file(trainer, along, request)
    elif request.path == "train":
        film = _Film(_scaled(trainer.training_cameras[: request.views], request.scale))
    else:
        film = _Film(along)
    rate = request.frames_per_second
    return film if rate is None else replace(film, frames_per_second=rate)


def _of_file(trainer: Trainer, path: CameraPath, request: RenderRequest) -> _Film:
    """All frames of a file, or as many as are asked for, evenly spread over its time."""
    frames, rate = len(path.poses), path.frames_per_second
    chosen = np.arange(frames)
    if request.views is not None and request.views < frames:
        chosen, rate = np.arange(request.views) * frames // request.views, request.views / path.seconds
    cameras = free_cameras(trainer, path.poses[chosen], path.fields_of_view[chosen], path.size)
    return _Film(_scaled(cameras, request.scale), rate, path.crop, path.background)


def _nearest(trainer: Trainer, cameras: Cameras) -> float:
    """What counts as near in the depth maps of scenes without bounds: of small pictures along the way."""
    some = cameras[spread_indices(len(cameras), DEPTH_VIEWS)]
    small = some.scaled(min(1.0, DEPTH_WIDTH / float(some.size.min())))
    images = [trainer.render(small, view, antialias=False) for view in range(len(small))]
    seen = np.concatenate([image.depth[image.opacity > OPAQUE] for image in images])
    return float(np.quantile(seen, 0.02)) if len(seen) else 1.0


def _is_video(output: Path, progressive: bool) -> bool:
    """Whether the output is a video file, not a folder. Raises UserError if it can be neither."""
    suffix = output.suffix.lower()
    video = suffix in VIDEOS
    if output.suffix[1:2].isalpha() and not video and not output.is_dir():  # a folder scale-0.5 is fine
        raise UserError(f"{output}: name a folder for PNG files, or a file that ends in {', '.join(VIDEOS)}.")
    if video:
        VIDEOS[suffix].require()
    if progressive and video:
        raise UserError("--progressive is for PNG files: name a folder with --output.")
    if output.is_file() and not video:
        raise UserError(f"{output}: is a file; name a folder.")
    return video


def _render_sharpening(trainer: Trainer, film: _Film, view: int, folder: Path, antialias: bool) -> RenderedImage:
    """A picture whose file is written again and again as it gets sharper."""
    behind = trainer.cameras.background if film.background is None else film.background
    rays = trainer.supersampling(film.cameras, view) if antialias else 1
    pictures = render_progressively(
        trainer.model, trainer.field, film.cameras, behind, view, crop=film.crop, supersampling=rays
    )
    for image in pictures:
        write_image(picture_file(folder, "color", view), to_uint8(image.color))
    return image


_Writing = tuple[Callable[[list[np.ndarray]], Any], list[Path]]


def _made_by_workers(
    pool: Pool,
    frames: list[Frame],
    output: Path,
    film: AbstractContextManager[_Writing] | None,
    report: Callable[[int, int], None],
    warn: Warn,
) -> list[Path]:
    """The files that workers made the frames of; those of a film lie in a folder beside it until it is whole."""
    folder = output if film is None else output.with_name(f"{output.name}.frames")
    made = write_frames(pool, frames, folder, report, warn)
    if film is None:
        return [file for files in made for file in files]
    with film as (write, written):
        for files in made:
            write([read_image(file) for file in files])
    for file in (*(file for files in made for file in files), folder / RECORD):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # somebody has put something into it
        folder.rmdir()
    return written


@contextmanager
def _pictures(folder: Path, kinds: tuple[str, ...]) -> Iterator[_Writing]:
    """Writes the pictures of a view: folder/color_000.png and so on."""
    files: list[Path] = []

    def write(pictures: list[np.ndarray]) -> None:
        number = len(files) // len(kinds)
        for kind, picture in zip(kinds, pictures, strict=True):
            files.append(picture_file(folder, kind, number))
            write_image(files[-1], picture)

    yield write, files


@contextmanager
def _films(output: Path, kinds: tuple[str, ...], frames_per_second: float) -> Iterator[_Writing]:
    """Writes the frames of a view, a video per kind: name.gif, name_depth.gif, name_opacity.gif."""
    files = [output if kind == "color" else output.with_stem(f"{output.stem}_{kind}") for kind in kinds]
    with ExitStack() as stack:
        encoders = [stack.enter_context(video_file(file, frames_per_second)) for file in files]

        def write(pictures: list[np.ndarray]) -> None:
            for encoder, picture in zip(encoders, pictures, strict=True):
                encoder.add(picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2))

        yield write, files
