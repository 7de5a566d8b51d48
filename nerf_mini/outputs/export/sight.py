"""What the training cameras see of a surface: which vertices, and in which colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.outputs.export.base import StageProgress
from nerf_mini.outputs.export.training_rays import reached
from nerf_mini.rendering.images import render_rays
from nerf_mini.rendering.shading import OPAQUE
from nerf_mini.runs.evaluation import spread_indices
from nerf_mini.training import Trainer

MOST_VIEWS = 100
LEAST_PIXELS, MOST_PIXELS = 200, 400  # along the longer side of a view: as many as the mesh has cells, within these
HIDDEN = 0.8  # transmittance; what lies behind the place where it is reached cannot be seen; see docs/export.md
CLOSE_CELLS, CLOSE_SHARE = 2.5, 0.01  # behind what is seen: cells, or a share of the box's side, that still count
SHARPNESS = 2  # exponent of the cosine by which colours are weighted: who looks straight at it sees it best


@dataclass
class Sight:
    """seen (v,) bool; total (v, 4) float32: weighted sums of colour times opacity, and of opacity."""

    seen: np.ndarray
    total: np.ndarray

    def colors(self) -> tuple[np.ndarray, np.ndarray]:
        """Colours (v, 3) float32, and where there are any: (v,) bool."""
        known = self.total[:, 3] > 1e-4
        return np.clip(self.total[:, :3] / np.maximum(self.total[:, 3:], 1e-4), 0, 1), known


def some_cameras(cameras: Cameras, resolution: int) -> Cameras:
    """At most `MOST_VIEWS` of the cameras, evenly spread, with pictures as fine as a mesh of that many cells asks
    for."""
    few = cameras[spread_indices(len(cameras), MOST_VIEWS)]
    pixels = min(max(resolution, LEAST_PIXELS), MOST_PIXELS)
    return few.scaled(min(1.0, pixels / int(few.size.max())))


def sight_of(
    trainer: Trainer, cameras: Cameras, vertices: np.ndarray, normals: np.ndarray, close: float, progress: StageProgress
) -> Sight:
    """What cameras see of vertices (v, 3) with normals (v, 3), which lie at most `close`, in scene units, behind what
    the pictures show."""
    sight = Sight(np.zeros(len(vertices), bool), np.zeros((len(vertices), 4), np.float32))
    for view in range(len(cameras)):
        rays = cameras.image_rays(view)
        seen = render_rays(trainer.model, trainer.field, rays, np.zeros(3))
        hidden = reached(trainer, rays, HIDDEN)
        _look(sight, seen, hidden + close, cameras, view, vertices, normals)
        progress("looking", view + 1, len(cameras))
    return sight


def _look(
    sight: Sight,
    seen: np.ndarray,
    farthest: np.ndarray,
    cameras: Cameras,
    view: int,
    vertices: np.ndarray,
    normals: np.ndarray,
) -> None:
    """Add what one camera sees: seen (pixels, 5) as `render_rays` gives it, farthest (pixels,): how far one can see."""
    width, height = cameras.size[view].tolist()
    place = cameras.project(vertices, np.full(len(vertices), view))
    (inside,) = np.nonzero((place >= 0).all(axis=1) & (place[:, 0] < width) & (place[:, 1] < height))
    place, towards = place[inside], cameras.poses[view, :3, 3] - vertices[inside]
    distance = np.linalg.norm(towards, axis=1)
    row, column = place[:, 1].astype(np.int64), place[:, 0].astype(np.int64)
    shown = distance < farthest[row * width + column]
    sight.seen[inside[shown]] = True
    cosine = np.einsum("vi,vi->v", normals[inside], towards) / np.maximum(distance, 1e-12)
    (chosen,) = np.nonzero(shown & (cosine > 0))
    pixels = np.clip(seen[:, [0, 1, 2, 4]], 0, 1).reshape(height, width, 4)
    weight = (cosine[chosen] ** SHARPNESS).astype(np.float32)
    sight.total[inside[chosen]] += weight[:, None] * between_pixels(pixels, place[chosen])


def between_pixels(pixels: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values (h, w, c) between the centres of pixels, bilinear: places (n, 2) in pixels from the corner -> (n, c)."""
    height, width = pixels.shape[:2]
    x, y = np.clip(place[:, 0] - 0.5, 0, width - 1), np.clip(place[:, 1] - 0.5, 0, height - 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    upper = pixels[top, left] * (1 - across) + pixels[top, right] * across
    lower = pixels[below, left] * (1 - across) + pixels[below, right] * across
    return upper * (1 - down) + lower * down


def colors_from_outside(trainer: Trainer, vertices: np.ndarray, normals: np.ndarray, outside: float) -> np.ndarray:
    """Colours (v, 3) of vertices that no camera looks at, seen along their normals from a little outside; what lies
    ahead of forward-facing cameras can be looked at from there alone, and has the colour of the field."""
    facing = np.where(normals.any(axis=1, keepdims=True), normals, np.array([0, 0, 1], np.float32))
    if not trainer.model.region.croppable:
        return np.clip(trainer.query(vertices)[1], 0, 1)
    count = len(vertices)
    origins = (vertices + outside * facing).astype(np.float32)
    rays = Rays(origins, -facing, np.zeros(count), np.full(count, 3.0 * outside), np.zeros(count, np.int64))
    seen = render_rays(trainer.model, trainer.field, rays, np.zeros(3))
    through = seen[:, 4] < OPAQUE
    colors = seen[:, :3] / np.maximum(seen[:, 4:], OPAQUE)
    if through.any():
        colors[through] = trainer.query(vertices[through], -facing[through])[1]
    return np.clip(colors, 0, 1)


def closeness(spacing: float, side: float) -> float:
    """How far behind what a picture shows a vertex may lie and still count as seen, in scene units."""
    return max(CLOSE_CELLS * spacing, CLOSE_SHARE * side)
