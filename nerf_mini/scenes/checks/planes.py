"""How well pictures agree about a scene that their cameras see: a plane sweep, scored by correlation.

A view is laid over its neighbour at 24 depths; the normalised cross-correlation of small windows, the best of all
depths at each place, averaged over places with texture, is near 1 where the poses are right. Pictures are small, and
freed of their lens once, so that a plane is a homography.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.scenes.checks.base import Survey

LONGEST, PLANES, WINDOW = 128, 24, 7
TEXTURE = 4e-4  # variance of grey in a window from which it is looked for
LEAST_COVER = 0.2  # of the textured places of a view that its neighbour must show
COSINE = np.cos(np.radians(40.0))  # between the axes of neighbours
NEIGHBOURS = 3
SURE = 0.8  # correlation of windows whose brightness is compared
DARKEST, BRIGHTEST, GAMMA = 0.04, 0.96, 2.2  # of grey values that cameras have not cut off, and their encoding
_OPENCV_AXES = np.array([1.0, -1.0, -1.0])
_FEWEST = 30  # textured places
_WIDEST = 4.0  # half the widest flattened picture, in focal lengths


@dataclass(frozen=True)
class Flat:
    """A picture as a pinhole camera would have taken it: grey (h, w) float32, valid (h, w) bool."""

    grey: np.ndarray
    valid: np.ndarray
    focal: np.ndarray
    center: np.ndarray


@dataclass
class Flattened:
    """The small pictures of a survey, each freed of its lens when it is first asked for."""

    survey: Survey
    longest: int = LONGEST
    _kept: dict[tuple[int, int], Flat] = field(default_factory=dict)

    def get(self, view: int, picture: int) -> Flat:
        """The picture of one view, taken for one of the camera of another."""
        if (view, picture) not in self._kept:
            self._kept[view, picture] = _flattened(self.survey, view, picture, self.longest)
        return self._kept[view, picture]


def _flattened(survey: Survey, view: int, picture: int, longest: int) -> Flat:
    grey = survey.small(picture, longest)
    height, width = grey.shape
    camera = survey.cameras[view]
    ratio = np.array([width, height]) / camera.size[0]
    focal, center = camera.focal[0] * ratio, camera.center[0] * ratio
    valid = np.ones(grey.shape, bool)
    mask = survey.mask(picture)
    if mask is not None:
        rows = (np.arange(height) * mask.shape[0]) // height
        valid = mask[rows][:, (np.arange(width) * mask.shape[1]) // width]
    if camera.lens[0] == "pinhole":
        return Flat(grey, valid, focal, center)
    row, column = np.indices(grey.shape).reshape(2, -1) + 0.5
    if not np.abs((np.array([[width, height]]) - center) / focal).max() < _WIDEST:  # of the whole world, the middle
        focal = np.full(2, width / 2.0)
    ahead = np.stack([(column - center[0]) / focal[0], (row - center[1]) / focal[1], np.ones(column.shape)], axis=1)
    pose = camera.poses[0]
    points = pose[:3, 3] + (ahead * _OPENCV_AXES) @ pose[:3, :3].T
    place = camera.project(points, np.zeros(len(points), np.int64)) * ratio
    bent, seen = _sampled(grey, place[:, 0], place[:, 1])
    behind, _ = _sampled(valid.astype(np.float32), place[:, 0], place[:, 1])
    return Flat(bent.reshape(grey.shape), (seen & (behind > 0.99)).reshape(grey.shape), focal, center)


def _sampled(grey: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear values at places in pixels, those of the edge beyond it, and which places are within the picture."""
    height, width = grey.shape
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    x = np.clip(np.where(inside, x, 0.0) - 0.5, 0, width - 1)
    y = np.clip(np.where(inside, y, 0.0) - 0.5, 0, height - 1)
    left, top = np.minimum(x.astype(np.int32), max(width - 2, 0)), np.minimum(y.astype(np.int32), max(height - 2, 0))
    u, v = (x - left).astype(np.float32), (y - top).astype(np.float32)
    flat, first = grey.ravel(), top * width + left
    across, down = (1 if width > 1 else 0), (width if height > 1 else 0)
    upper = flat[first] * (1 - u) + flat[first + across] * u
    lower = flat[first + down] * (1 - u) + flat[first + down + across] * u
    return upper * (1 - v) + lower * v, inside


@dataclass(frozen=True)
class Match:
    """How well a view agrees with another.

    score: the mean best correlation. stops: by how much its windows are brighter than those they match, log2 of linear
    luma, the median of those that match well; NaN where few do.
    """

    score: float
    stops: float


def match(one: Flat, other: Flat, relative: np.ndarray, focal: float = 1.0) -> Match | None:
    """How well a view agrees with another; None where they share too little.

    relative (4, 4): from points of the first camera's axes to those of the other's, both OpenCV's. focal: a factor on
    the focal lengths of both.
    """
    mean = _windows(one.grey)
    variance = np.maximum(_windows(one.grey**2) - mean**2, 0.0)
    places = (variance > TEXTURE) & one.valid
    if places.sum() < _FEWEST or not np.linalg.norm(relative[:3, 3]) > 0:
        return None
    warped, inside = _sweep(one, other, relative, focal)
    its_mean = _windows(warped)
    covariance = _windows(one.grey * warped) - mean * its_mean
    spread = np.maximum(_windows(warped * warped) - its_mean**2, 1e-6) * np.maximum(variance, 1e-6)
    score = np.where(inside, covariance / np.sqrt(spread), -np.inf)  # (planes, h, w)
    chosen = score.argmax(axis=0)[None]
    best, matched = (np.take_along_axis(values, chosen, axis=0)[0] for values in (score, its_mean))
    found = places & np.isfinite(best)
    if np.count_nonzero(found) < max(_FEWEST, LEAST_COVER * places.sum()):
        return None
    sure = found & (best > SURE) & (np.minimum(mean, matched) > DARKEST) & (np.maximum(mean, matched) < BRIGHTEST)
    stops = GAMMA * float(np.median(np.log2(mean[sure] / matched[sure]))) if sure.sum() >= _FEWEST else float("nan")
    return Match(float(best[found].mean()), stops)


def _sweep(one: Flat, other: Flat, relative: np.ndarray, focal: float) -> tuple[np.ndarray, np.ndarray]:
    """The other picture laid over the first by planes at each depth: grey (planes, h, w), and where it is, bool."""
    height, width = one.grey.shape
    row, column = np.indices(one.grey.shape).reshape(2, -1) + 0.5
    f = focal * one.focal
    rays = np.stack([(column - one.center[0]) / f[0], (row - one.center[1]) / f[1], np.ones(column.shape)])
    disparities = np.concatenate([[0.0], np.geomspace(1.0, max(width, height) / 2, PLANES - 1)])
    inverse_depth = disparities / (f[0] * np.linalg.norm(relative[:3, 3]))
    turned, move = (relative[:3, :3] @ rays).astype(np.float32), relative[:3, 3].astype(np.float32)
    x, y, z = (turned[axis] + (inverse_depth.astype(np.float32) * move[axis])[:, None] for axis in range(3))
    ahead = z > 1e-6
    z = np.where(ahead, z, 1.0)
    x = np.float32(focal * other.focal[0]) * x / z + np.float32(other.center[0])
    y = np.float32(focal * other.focal[1]) * y / z + np.float32(other.center[1])
    warped, inside = _sampled(other.grey, np.where(ahead, x, -1.0), y)
    return warped.reshape(-1, height, width), inside.reshape(-1, height, width)


def _windows(grey: np.ndarray) -> np.ndarray:
    """The mean over a window of 7 x 7 pixels around each, repeating the edge: (..., h, w) -> (..., h, w)."""
    half = WINDOW // 2
    for axis in (-1, -2):
        padding = [(0, 0)] * grey.ndim
        padding[axis] = (half, half)
        padded, count = np.pad(grey, padding, mode="edge"), grey.shape[axis]
        rows, total = np.moveaxis(padded, axis, 0), np.zeros_like(np.moveaxis(grey, axis, 0))
        for start in range(WINDOW):
            total += rows[start : start + count]
        grey = np.moveaxis(np.float32(1 / WINDOW) * total, 0, axis)
    return grey


def neighbours(poses: np.ndarray, view: int) -> list[int]:
    """The nearest cameras that look about the same way, and do not stand on the same place."""
    apart = np.linalg.norm(poses[:, :3, 3] - poses[view, :3, 3], axis=1)
    alike = poses[:, :3, 2] @ poses[view, :3, 2] > COSINE
    scale = float(np.median(apart))
    fit = alike & (apart > 1e-6 * scale)
    order = np.argsort(np.where(fit, apart, np.inf), kind="stable")
    return [int(other) for other in order[:NEIGHBOURS] if fit[other]]


def relative_pose(poses: np.ndarray, one: int, other: int) -> np.ndarray:
    """From the axes of one camera to those of another, (4, 4), both OpenCV's."""
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    return flip @ np.linalg.inv(poses[other]) @ poses[one] @ flip


def matches(
    pictures: Flattened, poses: np.ndarray, view: int, focal: float = 1.0, order: np.ndarray | None = None
) -> dict[int, Match]:
    """How well a view agrees with each of its neighbours that it overlaps, by their numbers.

    Args:
        poses: (V, 4, 4), camera-to-world, OpenGL axes.
        focal: a factor on focal lengths.
        order: which picture each pose belongs to, (V,); by default its own.
    """
    picture = range(len(poses)) if order is None else order.tolist()
    own = pictures.get(view, picture[view])
    found = {}
    for other in neighbours(poses, view):
        its = match(own, pictures.get(other, picture[other]), relative_pose(poses, view, other), focal)
        if its is not None:
            found[other] = its
    return found


def same_sizes(cameras: Cameras) -> bool:
    """Whether any picture may stand for any other."""
    return bool((cameras.size == cameras.size[0]).all())
