"""Writing a toy scene as a Blender-style data set: cameras on a hemisphere, images, transforms files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nerf_mini.config.limits import LARGEST_SEED, LARGEST_SIZE, MOST_VIEWS
from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.io.files import folder_made_atomically, write_json
from nerf_mini.io.images import write_image
from nerf_mini.scenes.scene import SPLITS
from nerf_mini.scenes.synthetic.blobs import default_blobs, render_blobs
from nerf_mini.scenes.synthetic.surfaces import lattice, shapes
from nerf_mini.scenes.synthetic.tracer import render_surfaces

RADIUS, NEAR, FAR = 4.0, 2.0, 6.0
CAMERA_ANGLE_X = 0.69
_SMALLEST_SIZE = 8
_HEIGHTS = (0.06, 0.96)  # sines of the lowest and the highest elevation
_GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))

Renderer = Callable[[Cameras], np.ndarray]  # one camera -> uint8 (H, W, 4)


@dataclass(frozen=True)
class ToyScene:
    """A scene that can be made: what it is, and how to get a renderer of it."""

    description: str
    renderer: Callable[[], Renderer]


SCENES: dict[str, ToyScene] = {
    "shapes": ToyScene(
        "balls, a block, a column and a cone in daylight on a round checkered table, with soft shadows",
        lambda: partial(render_surfaces, shapes()),
    ),
    "blobs": ToyScene(
        "a volume of soft glowing blobs whose exact pixel colours are known",
        lambda: partial(render_blobs, default_blobs()),
    ),
    "lattice": ToyScene(
        "thin polished rods and rings, with highlights that move with the camera",
        lambda: partial(render_surfaces, lattice()),
    ),
}


def make_scene(
    name: str,
    output: Path | str,
    size: int = 100,
    views: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render a toy scene into a new Blender-style folder, readable by `load_scene`.

    The same arguments give the same bytes on the same machine. The folder appears whole or not at all.

    Args:
        name: one of `SCENES`.
        output: the folder to make; it must not exist, or be empty.
        size: width and height of the images in pixels.
        views: number of training views; a tenth as many validate and a fifth as many test, at least one each.
        seed: of the cameras' places.
        progress: called with the numbers of images done and to do after each.

    Returns:
        The path of the folder.

    Raises:
        UserError: an argument makes no sense, or the place is taken or cannot be written to.
    """
    if name not in SCENES:
        raise UserError(f"there is no toy scene {quoted(name)}; the scenes are {', '.join(SCENES)}.")
    if not _SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise UserError(f"the size must be at least {_SMALLEST_SIZE} pixels and at most {LARGEST_SIZE}, not {size}.")
    if not 1 <= views <= MOST_VIEWS:
        raise UserError(f"the number of training views must be at least 1 and at most {MOST_VIEWS}, not {views}.")
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"the seed must be at least 0 and at most {LARGEST_SEED}, but is {seed}.")
    output = Path(output).absolute()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output}: exists already and is not an empty folder. Choose another, or remove it first.")
    with folder_made_atomically(output) as folder:
        _write_folder(SCENES[name].renderer(), folder, size, views, seed, progress)
    return output


def _write_folder(
    renderer: Renderer,
    folder: Path,
    size: int,
    views: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """All images and transforms files."""
    counts = dict(zip(SPLITS, (views, max(1, views // 10), max(1, views // 5)), strict=True))
    jobs: list[tuple[Path, Cameras]] = []
    for number, split in enumerate(SPLITS):
        poses = hemisphere_poses(counts[split], np.random.default_rng([seed, number]))
        frames = [(f"{split}/r_{index:03d}", pose) for index, pose in enumerate(poses)]
        _write_transforms(folder / f"transforms_{split}.json", frames)
        cameras = Cameras.from_field_of_view(poses, size, size, CAMERA_ANGLE_X, NEAR, FAR)
        jobs += [(folder / f"{file}.png", cameras[i]) for i, (file, _) in enumerate(frames)]

    for done, (file, camera) in enumerate(jobs, start=1):
        write_image(file, renderer(camera))
        if progress is not None:
            progress(done, len(jobs))


def _write_transforms(file: Path, frames: list[tuple[str, np.ndarray]]) -> None:
    content = {
        "camera_angle_x": CAMERA_ANGLE_X,
        "near": NEAR,
        "far": FAR,
        "frames": [{"file_path": f"./{path}", "transform_matrix": pose.tolist()} for path, pose in frames],
    }
    write_json(file, content)


def hemisphere_poses(count: int, rng: np.random.Generator) -> np.ndarray:
    """Cameras spread over the upper hemisphere of radius 4, looking at the origin: (count, 4, 4) float64.

    A Fibonacci spiral (levels of equal area, steps of the golden angle) from a random azimuth, every camera moved at
    random by up to half a level, in random order: any first few are spread out too.
    """
    low, high = _HEIGHTS
    spacing = np.sqrt(2.0 * np.pi * (high - low) / count)  # of neighbours on the unit sphere
    height = low + (high - low) * (np.arange(count) + rng.random(count)) / count
    flat = np.sqrt(1.0 - height * height)
    azimuth = 2.0 * np.pi * rng.random() + _GOLDEN_ANGLE * np.arange(count)
    azimuth += spacing * (rng.random(count) - 0.5) / flat
    places = RADIUS * np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), height], axis=1)
    return np.stack([look_at(place, (0.0, 0.0, 0.0)) for place in rng.permutation(places)])
