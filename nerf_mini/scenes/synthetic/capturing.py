"""Synthetic captures: photographs as people take them, of scenes whose truth is known.

A camera in the hand goes around a garden, or along a facade, with a lens that distorts; pictures may differ in size and
exposure, and somebody may walk through them. The world is an arbitrary one: turned, moved and scaled, as programs that
find cameras leave it. What is not in the data set's own files is in truth/capture.json.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerf_mini.config.limits import LARGEST_SEED, LARGEST_SIZE, MOST_VIEWS
from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.alignment import in_world
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.lenses import LENSES
from nerf_mini.geometry.poses import look_at, rigid_motion
from nerf_mini.io.files import folder_made_atomically, write_json
from nerf_mini.io.images import write_image
from nerf_mini.scenes.scene import Observations, SparsePoints
from nerf_mini.scenes.synthetic.outdoors import brightened, facade, garden, passer_by
from nerf_mini.scenes.synthetic.tracer import SurfaceScene, distance_to_surface, render_with_cover
from nerf_mini.scenes.writers import WRITERS, Capture, Writer
from nerf_mini.scenes.writers.base import IMAGES

TRUTH = "truth/capture.json"
SMALLEST_SIZE = 16
LARGEST_EXPOSURE = 4.0  # in either direction, in stops
_SUPERSAMPLING = 3
_POINTS_PER_VIEW, _FARTHEST_POINT = 60, 300.0
_NOISE = 0.3  # of observed places, in pixels
_ASIDE = np.radians(25.0)  # how far from the optical axis somebody may stand
_JUMP = 0.3  # the chance that exposure changes from a picture to the next
_PARAMETERS = {
    "pinhole": (), "radial-tangential": (0.06, -0.08, -0.001, 0.0005), "fisheye": (0.02, -0.004, 0.0, 0.0),
}  # fmt: skip
_FOCAL_PER_WIDTH = {"fisheye": 0.45}  # 80 degrees to the corner; others see 58 degrees across
_FOCAL = 0.9

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CaptureSettings:
    """How a capture is made.

    Attributes:
        size: the longer side of the pictures in pixels; the other is three quarters of it.
        views: number of pictures.
        seed: of places, exposures and the world.
        format: one of `WRITERS`.
        lens: one of pinhole, radial-tangential and fisheye; None: the second, or the first in a format that holds no
            other.
        exposure: how far it may jump from picture to picture, in stops up or down; the first picture has none.
        passer_by: whether somebody walks through the pictures; masks then hide him, in formats that have masks.
        mixed_sizes: every second picture is upright, and every third smaller.
    """

    size: int = 160
    views: int = 40
    seed: int = 0
    format: str = "nerfstudio"
    lens: str | None = None
    exposure: float = 0.0
    passer_by: bool = False
    mixed_sizes: bool = False


@dataclass(frozen=True)
class CaptureScene:
    """A scene that can be captured: what it is, how to get it, and where a camera in the hand goes.

    poses: (count, rng) -> (count, 4, 4), in scene coordinates. ahead: how far before a camera somebody may stand.
    """

    description: str
    scene: Callable[[], SurfaceScene]
    poses: Callable[[int, np.random.Generator], np.ndarray]
    ahead: float


def _around(count: int, rng: np.random.Generator) -> np.ndarray:
    """Twice around the garden, at two heights, looking at its middle, never quite steadily."""
    share = (np.arange(count) + 0.3 * rng.uniform(-1, 1, count)) / count
    azimuth = 2.0 * np.pi * (2.0 if count >= 20 else 1.0) * share
    distance = 3.2 + 0.3 * np.sin(3.0 * azimuth) + 0.1 * rng.normal(size=count)
    height = 0.5 + 1.2 * np.round(share) + 0.2 * np.sin(2.0 * azimuth) + 0.05 * rng.normal(size=count)
    places = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), height], axis=1)
    targets = np.array([0.0, 0.0, -0.25]) + 0.1 * rng.normal(size=(count, 3))
    return _held(places, targets, rng)


def _along(count: int, rng: np.random.Generator) -> np.ndarray:
    """Before the facade, in rows one above the other, looking straight at it, never quite steadily."""
    columns = int(np.ceil(np.sqrt(2.0 * count)))
    row, column = np.divmod(np.arange(count), columns)
    rows = int(row[-1]) + 1
    x = 1.2 * (2.0 * column / max(columns - 1, 1) - 1.0) * (1 - 2 * (row % 2))
    z = 0.2 + 0.4 * (2.0 * row / max(rows - 1, 1) - 1.0)
    places = np.stack([x, np.full(count, -4.0), z], axis=1) + 0.05 * rng.normal(size=(count, 3))
    return _held(places, places + [0.0, 5.0, 0.0] + 0.1 * rng.normal(size=(count, 3)), rng)


def _held(places: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cameras at places (n, 3) that look at targets (n, 3), tilted a little: (n, 4, 4)."""
    ups = np.array([0.0, 0.0, 1.0]) + 0.04 * rng.normal(size=places.shape)
    return np.stack([look_at(place, target, up) for place, target, up in zip(places, targets, ups, strict=True)])


CAPTURES: dict[str, CaptureScene] = {
    "garden": CaptureScene("a still life in a garden, with trees, houses and hills all around", garden, _around, 1.6),
    "facade": CaptureScene("a wall with columns, seen from before it, and what is beyond", facade, _along, 2.5),
}


@dataclass(frozen=True)
class Plan:
    """A capture before it is rendered, in scene coordinates.

    names: of the pictures. gains: (V,), factors of the light. walkers: (V, 2), where somebody stands, or None.
    to_world: (4, 4), the similarity to the world that is written.
    """

    scene: SurfaceScene
    cameras: Cameras
    names: tuple[str, ...]
    gains: np.ndarray
    walkers: np.ndarray | None
    to_world: np.ndarray

    def at(self, view: int) -> tuple[SurfaceScene, range]:
        """The scene as a picture sees it but for its exposure, and the indices of who walks through it."""
        if self.walkers is None:
            return self.scene, range(0)
        somebody = passer_by(tuple(self.walkers[view].tolist()))
        count = len(self.scene.surfaces)
        return replace(self.scene, surfaces=(*self.scene.surfaces, *somebody)), range(count, count + len(somebody))


def make_capture(
    name: str, output: Path | str, settings: CaptureSettings | None = None, progress: Progress | None = None
) -> Path:
    """Render a capture into a new folder, in a format of `WRITERS`.

    The same arguments give the same bytes on the same machine. The folder appears whole or not at all.

    Args:
        name: one of `CAPTURES`.
        output: the folder to make; it must not exist, or be empty.
        settings: see `CaptureSettings`.
        progress: called with the numbers of pictures done and to do after each.

    Returns:
        The path of the folder.

    Raises:
        UserError: an argument makes no sense, or the place is taken or cannot be written to.
    """
    settings = settings or CaptureSettings()
    writer, lens = _checked(name, settings)
    output = Path(output).absolute()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output}: exists already and is not an empty folder. Choose another, or remove it first.")
    plan = planned(name, settings, lens)
    with folder_made_atomically(output) as folder:
        _write_pictures(plan, writer, folder, progress)
        points = sparse_points(plan, np.random.default_rng([settings.seed, 1]))
        masked = plan.walkers is not None and writer.mask_file is not None
        writer.write(folder, Capture(in_world(plan.cameras, plan.to_world), plan.names, points, masked))
        write_json(folder / TRUTH, _truth(name, plan))
    return output


def _checked(name: str, settings: CaptureSettings) -> tuple[Writer, str]:
    """The writer and the lens that are meant. Raises UserError for settings that make no sense."""
    if name not in CAPTURES:
        raise UserError(f"there is no capture {quoted(name)}; the captures are {', '.join(CAPTURES)}.")
    if settings.format not in WRITERS:
        raise UserError(f"there is no format {quoted(settings.format)}; the formats are {', '.join(WRITERS)}.")
    if not SMALLEST_SIZE <= settings.size <= LARGEST_SIZE:
        raise UserError(
            f"the size must be at least {SMALLEST_SIZE} pixels and at most {LARGEST_SIZE}, not {settings.size}."
        )
    if not 2 <= settings.views <= MOST_VIEWS:
        raise UserError(f"a capture has at least 2 pictures and at most {MOST_VIEWS}, not {settings.views}.")
    if not 0 <= settings.seed <= LARGEST_SEED:
        raise UserError(f"the seed must be at least 0 and at most {LARGEST_SEED}, but is {settings.seed}.")
    if not 0.0 <= settings.exposure <= LARGEST_EXPOSURE:
        raise UserError(f"the exposure must be from 0 to {LARGEST_EXPOSURE:g} stops, not {settings.exposure:g}.")
    writer = WRITERS[settings.format]
    possible = [lens for lens in _PARAMETERS if lens in writer.lenses]
    lens = settings.lens or ("radial-tangential" if "radial-tangential" in possible else "pinhole")
    if lens not in possible:
        raise UserError(f"format {settings.format}, lens {lens!r}: the lens must be one of {', '.join(possible)}.")
    return writer, lens


def planned(name: str, settings: CaptureSettings, lens: str) -> Plan:
    """All of a capture that does not need rendering."""
    rng, views, chosen = np.random.default_rng([settings.seed, 0]), settings.views, CAPTURES[name]
    poses = chosen.poses(views, rng)
    size = np.tile([settings.size, 3 * settings.size // 4], (views, 1))
    if settings.mixed_sizes:
        size[2::3] = size[2::3] * 3 // 4
        size[1::2] = size[1::2, ::-1]
    focal = _FOCAL_PER_WIDTH.get(lens, _FOCAL) * size.max(axis=1, keepdims=True)
    center = size * (0.5 if lens == "pinhole" else [0.51, 0.485])
    cameras = Cameras.make(poses, size, focal, center, lens=lens, lens_parameters=_PARAMETERS[lens])
    gains = 2.0 ** _stops(views, settings.exposure, rng)
    angle = np.arctan2(-poses[:, 1, 2], -poses[:, 0, 2]) + rng.uniform(-_ASIDE, _ASIDE, views)
    walkers = poses[:, :2, 3] + chosen.ahead * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    world = rigid_motion(np.concatenate([rng.normal(size=3), np.zeros(3)]))
    world[:3, :3] *= 10.0 ** rng.uniform(-0.5, 0.7)
    world[:3, 3] = 5.0 * rng.normal(size=3)
    names = tuple(f"IMG_{index + 1:04d}.png" for index in range(views))
    return Plan(chosen.scene(), cameras, names, gains, walkers if settings.passer_by else None, world)


def _stops(views: int, most: float, rng: np.random.Generator) -> np.ndarray:
    """Exposures in stops, (V,): the first is 0, the second another, and now and then they jump again."""
    jumps, jumping = rng.uniform(-most, most, views), rng.random(views) < _JUMP
    jumping[1] = True
    last = np.maximum.accumulate(np.where(jumping, np.arange(views), 0))
    return np.where(last > 0, jumps[last], 0.0)


def _write_pictures(plan: Plan, writer: Writer, folder: Path, progress: Progress | None) -> None:
    """All pictures, and a mask for each where somebody walks through them."""
    for view, name in enumerate(plan.names):
        scene, somebody = plan.at(view)
        lit = brightened(scene, float(plan.gains[view]))
        image, cover = render_with_cover(lit, plan.cameras[view], _SUPERSAMPLING, somebody)
        write_image(folder / IMAGES / name, image[..., :3])
        if somebody and writer.mask_file is not None:
            mask = np.where(cover > 0.0, writer.ignored, 255 - writer.ignored).astype(np.uint8)
            write_image(folder / writer.mask_file(name), mask)
        if progress is not None:
            progress(view + 1, len(plan.names))


def sparse_points(plan: Plan, rng: np.random.Generator) -> SparsePoints:
    """Points on surfaces, in the world that is written, which at least two pictures see, and where these see them.

    Places have an error of 0.3 pixels, and points the one that follows from it across a view.
    """
    cameras, found = plan.cameras, []
    for view in range(len(cameras)):
        width, height = cameras.size[view]
        column, row = rng.uniform(0, width, _POINTS_PER_VIEW), rng.uniform(0, height, _POINTS_PER_VIEW)
        rays = cameras.rays(view, column - 0.5, row - 0.5, np.float64)
        distance = distance_to_surface(plan.scene, rays.origins, rays.directions)
        near = distance < _FARTHEST_POINT
        found.append(rays.origins[near] + distance[near, None] * rays.directions[near])
    points = np.concatenate(found)
    seen = [_sees(plan, view, points) for view in range(len(cameras))]
    tracks = np.sum(seen, axis=0)
    kept = tracks >= 2
    image, point = np.nonzero(np.array(seen)[:, kept])
    points, tracks = points[kept], tracks[kept]
    place = cameras.project(points[point], image) + _NOISE * rng.normal(size=(len(point), 2))
    depth = np.linalg.norm(points - cameras.poses[:, :3, 3].mean(axis=0), axis=1)
    error = _NOISE * depth / cameras.focal.mean() / np.sqrt(tracks)
    points = points + error[:, None] * rng.normal(size=points.shape)
    positions = points @ plan.to_world[:3, :3].T + plan.to_world[:3, 3]
    return SparsePoints(positions, tracks, Observations(point, image, place, plan.names, cameras.size))


def _sees(plan: Plan, view: int, points: np.ndarray) -> np.ndarray:
    """Whether a camera sees points (n, 3) on surfaces, with nobody before them: (n,) bool."""
    place = plan.cameras.project(points, np.full(len(points), view))
    seen = np.all((place >= 0) & (place < plan.cameras.size[view]), axis=1)  # NaN is not
    offset = points[seen] - plan.cameras.poses[view, :3, 3]
    distance = np.linalg.norm(offset, axis=1)
    first = distance_to_surface(plan.at(view)[0], points[seen] - offset, offset / distance[:, None])
    seen[seen] = np.abs(first - distance) < 1e-6 * distance + 1e-9
    return seen


def _truth(name: str, plan: Plan) -> dict[str, object]:
    """What the data set's own files do not say."""
    cameras = plan.cameras
    lens = LENSES[str(cameras.lens[0])]
    return {
        "scene": name,
        "to_world": plan.to_world.tolist(),
        "lens": {"name": lens.name, **dict(zip(lens.parameters, cameras.lens_parameters[0].tolist(), strict=False))},
        "focal": cameras.focal.tolist(),
        "center": cameras.center.tolist(),
        "poses": in_world(cameras, plan.to_world).poses.tolist(),
        "gains": dict(zip(plan.names, plan.gains.tolist(), strict=True)),
    }
