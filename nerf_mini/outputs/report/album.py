"""Which views a report shows: some that are evenly spread, and the one that came out worst."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.regions import Box
from nerf_mini.outputs.report.pictures import ViewPictures, view_pictures
from nerf_mini.rendering.images import RenderedImage
from nerf_mini.rendering.shading import OPAQUE, DepthScale
from nerf_mini.runs.evaluation import ScoredView, spread_indices
from nerf_mini.runs.records import ViewScore
from nerf_mini.scenes import Views
from nerf_mini.training import Trainer

SPREAD = 6  # views that are shown whatever they look like
_BORDER = 0.02  # of the side of the box: what is seen so close to a face may go on beyond it


@dataclass(frozen=True)
class ShownView:
    """A view with its pictures. score is None where the truth is not known."""

    index: int
    name: str
    pictures: ViewPictures
    score: ViewScore | None = None


@dataclass
class Album:
    """Takes views as they are scored, and keeps the pictures of those that are worth it, small and compressed.

    Attributes:
        trainer: what renders them.
        views: the split that they are of; None where there is no data.
        chosen: those to keep; `spread` suggests some.
        scales: the scale of depths by view; filled for views that it lacks, so that another album can share them.
        at_border: pixels that are opaque, and those of them that see something at a face of the box.
    """

    trainer: Trainer
    views: Views | None
    chosen: Collection[int]
    scales: dict[int, DepthScale] = field(default_factory=dict)
    at_border: np.ndarray = field(default_factory=lambda: np.zeros(2, np.int64))
    _kept: dict[int, ShownView] = field(default_factory=dict)
    _worst: ShownView | None = None

    def add(self, view: ScoredView) -> None:
        """Take a view that was scored."""
        if self.views is not None:
            cameras = self.trainer.cameras_of(self.views)
            self.at_border += border_pixels(self.trainer, cameras, view.index, view.image)
        worst = self._worst is None or _badness(view.score) > _badness(self._worst.score)
        if view.index not in self.chosen and not worst:
            return
        pictures = view_pictures(view.image, self._scale(view.index, view.image), view.target, view.scored)
        shown = ShownView(view.index, view.score.name, pictures, view.score)
        if view.index in self.chosen:
            self._kept[view.index] = shown
        if worst:
            self._worst = shown

    def add_rendering(self, index: int, name: str, image: RenderedImage) -> None:
        """Take a view whose truth is not known."""
        if index in self.chosen:
            self._kept[index] = ShownView(index, name, view_pictures(image, self._scale(index, image)))

    def _scale(self, index: int, image: RenderedImage) -> DepthScale:
        return self.scales.setdefault(index, DepthScale.of(image, not self.trainer.model.region.bounded))

    @property
    def shown(self) -> tuple[ShownView, ...]:
        """The views to show, in the order of their split."""
        kept = {**({} if self._worst is None else {self._worst.index: self._worst}), **self._kept}
        return tuple(kept[index] for index in sorted(kept))

    @property
    def border_share(self) -> float:
        """The share of opaque pixels that see something at a face of the box; 0 where there is no box."""
        opaque, close = self.at_border.tolist()
        return close / opaque if opaque else 0.0


def spread(indices: Sequence[int], most: int = SPREAD) -> set[int]:
    """At most `most` of some indices, evenly spread."""
    return {indices[i] for i in spread_indices(len(indices), most)}


def _badness(score: ViewScore | None) -> float:
    return -math.inf if score is None else -score.psnr


def border_pixels(trainer: Trainer, cameras: Cameras, view: int, image: RenderedImage) -> np.ndarray:
    """How many pixels of a picture are opaque, and how many of these see something at a face of the box: (2,)."""
    region = trainer.model.region
    if not isinstance(region, Box):
        return np.zeros(2, np.int64)
    opaque = (image.opacity > OPAQUE).reshape(-1)
    rays = cameras.image_rays(view)[opaque]
    points = rays.origins + rays.directions * image.depth.reshape(-1, 1)[opaque]
    place = np.abs(region.to_unit(points) - 0.5).max(axis=1)  # 0.5 on a face
    return np.array([opaque.sum(), (place > 0.5 - _BORDER).sum()], np.int64)
