"""What a picture shows of a rendering: colour, depth, opacity or normals, as colours for the eye."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.rendering.images import RenderedImage

OPAQUE = 0.5  # the opacity above which a pixel has a depth worth showing
_EXTREMES = 0.02  # share of the depths at either end that may lie beyond the scale


@dataclass(frozen=True)
class DepthScale:
    """The depths, in scene units, that are shown from bright (near) to dark (far), evenly in depth or in disparity."""

    near: float
    far: float
    in_disparity: bool = False

    @classmethod
    def of(cls, image: RenderedImage, in_disparity: bool = False) -> DepthScale:
        """The range of depths of a picture, without the most extreme; from 0 to 1 where nothing is opaque."""
        seen = image.depth[image.opacity > OPAQUE]
        if not len(seen):
            return cls(0.0, 1.0, in_disparity)
        near, far = np.quantile(seen, (_EXTREMES, 1.0 - _EXTREMES)).tolist()
        return cls(near, max(far, near * (1.0 + 1e-6), near + 1e-9), in_disparity)

    def toward(self, other: DepthScale, share: float) -> DepthScale:
        """A scale part of the way to another, so that the colours of a film do not flicker."""
        near = (1.0 - share) * self.near + share * other.near
        return DepthScale(near, (1.0 - share) * self.far + share * other.far, other.in_disparity)

    def closeness(self, depth: np.ndarray) -> np.ndarray:
        """Depths (...) as values in [0, 1], 1 being near."""
        if self.in_disparity:
            ends = 1.0 / max(self.near, 1e-9), 1.0 / max(self.far, 1e-9)
            return np.clip((1.0 / np.maximum(depth, 1e-9) - ends[1]) / max(ends[0] - ends[1], 1e-12), 0.0, 1.0)
        return np.clip((self.far - depth) / max(self.far - self.near, 1e-12), 0.0, 1.0)


@cache
def color_table() -> np.ndarray:
    """256 colours (256, 3) float32 in [0, 1], from dark blue over green to light yellow, to show values by.

    Lightness rises evenly in OKLab (Ottosson 2020), and so survives a grey print; the hue turns with it.
    """
    place = np.linspace(0.0, 1.0, 256)
    lightness, hue = 0.20 + 0.75 * place, np.radians(285.0 - 180.0 * place)
    low, high = np.zeros(256), np.full(256, 0.14)
    for _ in range(30):  # the most colourful one that the screen has, by bisection
        chroma = 0.5 * (low + high)
        color = _from_oklab(lightness, chroma * np.cos(hue), chroma * np.sin(hue))
        shown = ((color >= 0.0) & (color <= 1.0)).all(axis=1)
        low, high = np.where(shown, chroma, low), np.where(shown, high, chroma)
    chroma = 0.85 * low
    color = _from_oklab(lightness, chroma * np.cos(hue), chroma * np.sin(hue))
    linear = np.clip(color, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def _from_oklab(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """OKLab as linear sRGB (n, 3)."""
    cones = np.stack([
        lightness + 0.3963377774 * a + 0.2158037573 * b,
        lightness - 0.1055613458 * a - 0.0638541728 * b,
        lightness - 0.0894841775 * a - 1.2914855480 * b,
    ], axis=1) ** 3  # fmt: skip
    return cones @ np.array([
        [4.0767416621, -1.2684380046, -0.0041960863],
        [-3.3077115913, 2.6097574011, -0.7034186147],
        [0.2309699292, -0.3413193965, 1.7076147010],
    ])  # fmt: skip


def colored(values: np.ndarray) -> np.ndarray:
    """Values (...) in [0, 1] as colours (..., 3) float32 of `color_table`."""
    return color_table()[(np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.int64)]


def depth_colors(image: RenderedImage, scale: DepthScale | None = None) -> np.ndarray:
    """The depth as colours (height, width, 3), black where nothing is opaque."""
    scale = scale or DepthScale.of(image)
    return np.where((image.opacity > OPAQUE)[..., None], colored(scale.closeness(image.depth)), np.float32(0.0))


def surface_normals(image: RenderedImage, cameras: Cameras, view: int = 0) -> np.ndarray:
    """Unit normals (height, width, 3) float32 of the surface that the depth shows, in the scene, towards the camera.

    The cross product of central differences between the points that neighbouring pixels see; 0 where a pixel or a
    neighbour is not opaque, and at the border.
    """
    height, width = image.depth.shape
    rays = cameras.image_rays(view)
    points = np.asarray(rays.origins + rays.directions * image.depth.reshape(-1, 1), np.float64)
    points = np.where((image.opacity > OPAQUE).reshape(-1, 1), points, np.nan).reshape(height, width, 3)
    normals = np.zeros((height, width, 3))
    if height > 2 and width > 2:
        across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
        normals[1:-1, 1:-1] = np.cross(down, across)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    known = np.isfinite(length) & (length > 0) & np.isfinite(points)
    return np.divide(normals, length, out=np.zeros_like(normals), where=known).astype(np.float32)


def normal_colors(image: RenderedImage, cameras: Cameras, view: int = 0) -> np.ndarray:
    """Normals n as colours (n + 1) / 2, (height, width, 3); black where there are none."""
    normals = surface_normals(image, cameras, view)
    return np.where(normals.any(axis=-1, keepdims=True), 0.5 * (normals + 1.0), np.float32(0.0))


def opacity_colors(image: RenderedImage) -> np.ndarray:
    """The opacity as grey (height, width, 3)."""
    return np.repeat(np.clip(image.opacity, 0.0, 1.0)[..., None], 3, axis=2)


Shading = Callable[[RenderedImage, Cameras, int, DepthScale], np.ndarray]

SHADINGS: dict[str, Shading] = {
    "color": lambda image, cameras, view, scale: image.color,
    "depth": lambda image, cameras, view, scale: depth_colors(image, scale),
    "opacity": lambda image, cameras, view, scale: opacity_colors(image),
    "normals": lambda image, cameras, view, scale: normal_colors(image, cameras, view),
}
"""What a picture can show, by name: functions of an image, its cameras and view, and a scale of depths, that give
colours (height, width, 3) in [0, 1]. A new one is an entry here."""
