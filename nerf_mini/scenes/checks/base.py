"""What a check of a data set is, and what all of them look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

import numpy as np
from PIL import Image

from nerf_mini.errors import listed
from nerf_mini.geometry.aim import Aim
from nerf_mini.geometry.alignment import in_world
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.scenes.scene import Scene, Views

Severity = Literal["note", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "error")

SAMPLED = 4096  # pixels of a picture that a quick look takes
_LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Finding:
    """One thing to know about a data set.

    Attributes:
        code: a word for programs, such as "axes" or "duplicate-poses".
        severity: a note is good to know; a warning may spoil a run; with an error it cannot succeed.
        text: what was found, in a sentence.
        advice: what to do about it, in a sentence.
    """

    code: str
    severity: Severity
    text: str
    advice: str


class Survey(Aim):
    """A scene with what checks share, computed when it is first asked for.

    Views of all splits are numbered one after the other.
    """

    def __init__(self, scene: Scene):
        self.scene = scene
        self.places = [(split, index) for split, views in scene.splits.items() for index in range(len(views))]
        self.names = [scene.splits[split].names[index] for split, index in self.places]
        super().__init__(self.cameras.poses)

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def cameras(self) -> Cameras:
        """Those of all splits."""
        parts = [views.cameras for views in self.scene.splits.values()]
        joined = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Cameras)
        }
        return Cameras(**joined)

    @cached_property
    def order(self) -> np.ndarray:
        """Views in the order in which they were taken, as far as their names tell, (V,) int64."""
        alike = len(set(self.names)) < len(self.names)  # in several splits: each is a series of its own
        keys = [
            (split if alike else "", natural(name)) for (split, _), name in zip(self.places, self.names, strict=True)
        ]
        return np.array(sorted(range(len(self)), key=keys.__getitem__), np.int64)

    @cached_property
    def depth(self) -> float:
        """How far away things are: the median distance of sparse points from the cameras; D where there are none."""
        points = self.scene.points
        if points is None or not len(points.positions):
            return self.distance
        return float(np.median(np.linalg.norm(points.positions - np.median(self.positions, axis=0), axis=1))) or 1.0

    @cached_property
    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each camera the distance to the nearest other one, (V,), and which it is, (V,) int64."""
        away, which = np.full(len(self), np.inf), np.zeros(len(self), np.int64)
        for view in range(len(self)):
            apart = np.linalg.norm(self.positions - self.positions[view], axis=1)
            apart[view] = np.inf
            which[view] = apart.argmin()
            away[view] = apart[which[view]]
        return away, which

    def views(self, split: str) -> Views:
        """Those of a split."""
        return self.scene.splits[split]

    def image(self, view: int) -> np.ndarray:
        """The picture of a view, (height, width, 3 or 4) uint8."""
        split, index = self.places[view]
        return self.scene.splits[split].image(index)

    def mask(self, view: int) -> np.ndarray | None:
        """Which of its pixels are valid, (height, width) bool; None: all."""
        split, index = self.places[view]
        return self.scene.splits[split].mask(index)

    def small(self, view: int, longest: int) -> np.ndarray:
        """The grey picture of a view, area-averaged to at most `longest` pixels a side: (h, w) float32 in [0, 1]."""
        image = self._opaque(self.image(view))
        height, width = image.shape[:2]
        factor = min(1.0, longest / max(height, width))
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        grey = Image.fromarray(image).convert("L").resize(size, Image.Resampling.BOX)
        return np.asarray(grey, np.float32) / 255.0

    def _opaque(self, image: np.ndarray) -> np.ndarray:
        if image.shape[2] == 3:
            return np.ascontiguousarray(image)
        alpha = image[..., 3:].astype(np.float32) / 255.0
        behind = 255.0 * np.asarray(self.scene.background, np.float32) * (1.0 - alpha)
        return (image[..., :3] * alpha + behind + 0.5).astype(np.uint8)

    @cached_property
    def sampled(self) -> list[np.ndarray]:
        """Of each picture some pixels on a regular grid, (at most about SAMPLED, 3 or 4) uint8."""
        taken = []
        for view in range(len(self)):
            image = self.image(view)
            step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / SAMPLED)))
            taken.append(image[step // 2 :: step, step // 2 :: step].reshape(-1, image.shape[2]))
        return taken

    @cached_property
    def capture_poses(self) -> np.ndarray:
        """Poses (V, 4, 4) in the coordinates of the data set's files, with OpenGL axes."""
        return in_world(self.cameras, self.scene.to_capture).poses

    def rays_of_places(self, shares: np.ndarray) -> Rays:
        """Rays through places of each picture, which are shares of its width and height: (V * shares^2 rays)."""
        across, down = (side.ravel() for side in np.meshgrid(shares, shares))
        view = np.repeat(np.arange(len(self)), len(across))
        width, height = self.cameras.size[view].T
        column, row = np.tile(across, len(self)) * width - 0.5, np.tile(down, len(self)) * height - 0.5
        return self.cameras.rays(view, column, row, np.float64)

    def listed(self, views: Iterable[int]) -> str:
        """Names of views for a sentence, the first few of them."""
        return listed([self.names[view] for view in views])


Check = Callable[[Survey], Iterable[Finding]]


def exposure(pixels: np.ndarray) -> float:
    """log2 of the mean linear luma of pixels (n, 3) uint8."""
    luma = (pixels / 255.0) ** 2.2 @ _LUMA
    return float(np.log2(max(float(luma.mean()), 1e-4)))


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """A key for sorting by which 2 comes before 10."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"([0-9]+)", name) if part)
