"""A small ray tracer: surfaces under a sun with a soft edge, skylight with contact shadows, highlights.

Light is computed in linear units and encoded for display per ray, before rays are averaged into pixels: the averaged
values then composite as stored values do (nerf_mini.io.images.composite).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.images import to_uint8
from nerf_mini.scenes.synthetic.primitives import Shape, Vector

Texture = Callable[[np.ndarray], np.ndarray]  # points (N, 3) -> linear reflectance (N, 3) or (3,)

_OFFSET = 1e-6  # by how much shadow rays start off the surface
_TILE = 16  # pixels on a side: so small that a tile's arrays stay in cache and few shapes concern it
DISPLAY_GAMMA = 2.2


@dataclass(frozen=True)
class Surface:
    """A shape and how it reflects: a matt texture below a Blinn-Phong highlight.

    Attributes:
        occluder: radius of the ball, in the middle of the shape's bounds, that stands for the shape where it hides
            the sky from its neighbours; 0 hides nothing.
        casts_shadow: whether it keeps the sun from others.
    """

    shape: Shape
    texture: Texture
    specular: float = 0.0
    shininess: float = 32.0
    occluder: float = 0.0
    casts_shadow: bool = True


@dataclass(frozen=True)
class Lighting:
    """A distant sun and a sky, as linear RGB.

    Attributes:
        sun_direction: towards the sun.
        sun_spread: tangent of the sun's angular radius; 0 makes shadows hard.
        sky, ground: light from above and reflected from below.
    """

    sun_direction: Vector
    sun: Vector
    sky: Vector
    ground: Vector
    sun_spread: float = 0.0


@dataclass(frozen=True)
class SurfaceScene:
    """What there is to see: surfaces, and, if there is a sky, the light from each direction where none of them is."""

    surfaces: Sequence[Surface]
    lighting: Lighting
    sky: Texture | None = None  # of unit directions

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounding spheres of the K surfaces: centres (K, 3) and radii (K,)."""
        centers, radii = zip(*(surface.shape.bounds for surface in self.surfaces), strict=True)
        return np.stack(centers), np.array(radii)


def render_surfaces(scene: SurfaceScene, camera: Cameras, supersampling: int = 4) -> np.ndarray:
    """The view of one camera, with supersampling^2 rays per pixel.

    uint8 (H, W, 4), straight alpha, clear where nothing is.
    """
    return render_with_cover(scene, camera, supersampling)[0]


def render_with_cover(
    scene: SurfaceScene, camera: Cameras, supersampling: int, marked: Collection[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """The view of one camera, as of `render_surfaces`, and how much of each pixel some surfaces cover.

    uint8 (H, W, 4), and (H, W) in [0, 1]: the share of rays that hit one of the surfaces numbered `marked` first.
    """
    offsets = (np.arange(supersampling) + 0.5) / supersampling - 0.5
    sub_rows, sub_columns = (grid.ravel() for grid in np.meshgrid(offsets, offsets, indexing="ij"))  # (S,)
    suns = _sun_directions(scene.lighting, len(sub_rows))  # (S, 3): each sub-ray sees its own point of the sun
    width, height = camera.size[0].tolist()
    image, cover = np.empty((height, width, 4)), np.zeros((height, width))
    for top, left in product(range(0, height, _TILE), range(0, width, _TILE)):
        tile = image[top : top + _TILE, left : left + _TILE]
        rows, columns = np.indices(tile.shape[:2])[..., None] + np.array([top, left]).reshape(2, 1, 1, 1)
        columns, rows = columns + sub_columns, rows + sub_rows  # (h, w, S)
        rays = camera.rays(0, columns.reshape(-1), rows.reshape(-1), np.float64)
        towards_sun = np.broadcast_to(suns, (*columns.shape, 3)).reshape(-1, 3)
        color, hit, index = _trace(scene, rays.origins, rays.directions, towards_sun)
        count = hit.reshape(columns.shape).sum(axis=2, keepdims=True)  # (h, w, 1)
        tile[..., :3] = color.reshape(*columns.shape, 3).sum(axis=2) / np.maximum(count, 1)
        tile[..., 3:] = count / len(suns)
        if marked:
            covered = np.isin(index, list(marked)).reshape(columns.shape)
            cover[top : top + _TILE, left : left + _TILE] = covered.mean(axis=2)
    return to_uint8(image), cover


def distance_to_surface(scene: SurfaceScene, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """How far rays (N, 3), (N, 3) go until they hit something: (N,), infinite where nothing is."""
    return _nearest_hit(scene, origins, directions)[0]


def _sun_directions(lighting: Lighting, count: int) -> np.ndarray:
    """Unit directions spread evenly over the disc of the sun: (count, 3)."""
    center = _unit(np.array(lighting.sun_direction))
    side = _unit(np.cross(center, np.eye(3)[np.argmin(np.abs(center))]))
    # Vogel's sunflower: equal areas, at steps of the golden angle.
    radius = lighting.sun_spread * np.sqrt((np.arange(count) + 0.5) / count)
    angle = np.arange(count) * np.pi * (3.0 - np.sqrt(5.0))
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    return _unit(center + x[:, None] * side + y[:, None] * np.cross(center, side))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _trace(
    scene: SurfaceScene, origins: np.ndarray, directions: np.ndarray, towards_sun: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Display-encoded colours (N, 3), zero where nothing is; whether something is, the sky included: (N,) bool; and
    the index of the surface that is hit, -1 for none: (N,)."""
    distance, index = _nearest_hit(scene, origins, directions)
    hit = np.isfinite(distance)
    linear = np.zeros_like(origins) if scene.sky is None else np.array(scene.sky(directions))
    if hit.any():
        points = origins[hit] + distance[hit, None] * directions[hit]
        linear[hit] = _shade(scene, index[hit], points, directions[hit], towards_sun[hit])
    color = np.clip(linear, 0.0, 1.0) ** (1.0 / DISPLAY_GAMMA)
    return color, hit | (scene.sky is not None), np.where(hit, index, -1)


def _shade(
    scene: SurfaceScene, index: np.ndarray, points: np.ndarray, directions: np.ndarray, towards_sun: np.ndarray
) -> np.ndarray:
    """Linear colours (N, 3) of points on the surfaces numbered `index` (N,), seen along `directions` (N, 3)."""
    normals, albedo, specular, shininess = _surface_properties(scene.surfaces, index, points)
    lit = np.maximum(np.sum(normals * towards_sun, axis=1), 0.0)  # (N,)
    facing = lit > 0.0
    lit[facing] *= ~_shadowed(scene, points[facing] + _OFFSET * normals[facing], towards_sun[facing])
    halfway = _unit(towards_sun - directions)
    highlight = specular * np.maximum(np.sum(normals * halfway, axis=1), 0.0) ** shininess * (lit > 0.0)
    upward = 0.5 + 0.5 * normals[:, 2:]
    light = scene.lighting
    ambient = (upward * light.sky + (1.0 - upward) * light.ground) * _openness(scene.surfaces, index, points, normals)
    return albedo * (ambient + lit[:, None] * light.sun) + highlight[:, None] * light.sun


def _nearest_hit(scene: SurfaceScene, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the first surface along each ray, infinite where none, and its index: (N,), (N,)."""
    nearest, index = np.full(len(origins), np.inf), np.zeros(len(origins), np.intp)
    for candidate in _candidates(scene, origins, directions):
        distance = scene.surfaces[candidate].shape.intersect(origins, directions)
        closer = distance < nearest
        nearest[closer] = distance[closer]
        index[closer] = candidate
    return nearest, index


def _shadowed(scene: SurfaceScene, points: np.ndarray, towards_sun: np.ndarray) -> np.ndarray:
    """Whether anything stands between points and the sun: (N,) bool."""
    blocked = np.zeros(len(points), bool)
    if len(points) == 0:
        return blocked
    for candidate in _candidates(scene, points, towards_sun):
        if not scene.surfaces[candidate].casts_shadow:
            continue
        blocked |= np.isfinite(scene.surfaces[candidate].shape.intersect(points, towards_sun))
    return blocked


def _candidates(scene: SurfaceScene, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Indices of the surfaces that a bundle of rays may meet: those whose bounding sphere reaches into its cone."""
    centers, radii = scene.bounds
    middle = 0.5 * (origins.min(axis=0) + origins.max(axis=0))
    reach = radii + np.linalg.norm(origins - middle, axis=1).max()  # (K,)
    axis = _unit(directions.mean(axis=0))
    opening = np.arccos(np.clip((directions @ axis).min(), -1.0, 1.0))
    offset = centers - middle
    distance = np.maximum(np.linalg.norm(offset, axis=1), 1e-12)
    angle = np.arccos(np.clip(offset @ axis / distance, -1.0, 1.0))
    widening = np.arcsin(np.minimum(reach / distance, 1.0))
    return np.flatnonzero((distance <= reach) | (angle <= opening + widening + 1e-9))


def _surface_properties(
    surfaces: Sequence[Surface], index: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Normals (N, 3), reflectance (N, 3), strength and exponent of the highlight (N,), (N,) at points on surfaces."""
    normals, albedo = np.empty_like(points), np.empty_like(points)
    for i in np.unique(index):
        here = index == i
        normals[here] = surfaces[i].shape.normals(points[here])
        albedo[here] = surfaces[i].texture(points[here])
    specular = np.array([surface.specular for surface in surfaces])
    shininess = np.array([surface.shininess for surface in surfaces])
    return normals, albedo, specular[index], shininess[index]


def _openness(surfaces: Sequence[Surface], index: np.ndarray, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """How much of the sky a point sees past the occluders of the other surfaces: (N, 1) in [0, 1].

    A ball of radius r at distance d takes max(0, n . (c - p) / d) r^2 / d^2 of the cosine-weighted hemisphere.
    """
    openness = np.ones(len(points))
    for i, surface in enumerate(surfaces):
        if surface.occluder == 0.0:
            continue
        offset = surface.shape.bounds[0] - points
        distance = np.linalg.norm(offset, axis=1)
        facing = np.maximum(np.sum(normals * offset, axis=1) / distance, 0.0)
        covered = facing * np.minimum(surface.occluder / distance, 1.0) ** 2
        openness *= np.where(index == i, 1.0, 1.0 - covered)
    return openness[:, None]
