"""A data set in memory: pixels with the cameras that saw them, in splits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.space import Space
from nerf_mini.io.notebook_html import facts, small, strip

SPLITS = ("train", "val", "test")
WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
_SAME_WORLD = np.eye(4)
SHOWN = 8  # images of a split in a notebook


@dataclass(frozen=True)
class SceneCameras:
    """What a renderer needs of a data set: its cameras, what they stand in, and what to show behind the scene.

    Attributes:
        splits: the cameras of each split that the data set has; "train" is always among them.
        background: the colour behind what is not opaque, (3,) in [0, 1].
        space: what the scene fills; None: a cube around what the cameras look at.
        to_capture: (4, 4), the similarity from scene coordinates to those of the data set's files.
    """

    splits: Mapping[str, Cameras]
    background: tuple[float, float, float]
    space: Space | None = None
    to_capture: np.ndarray = field(default_factory=_SAME_WORLD.copy)

    @property
    def train(self) -> Cameras:
        """The cameras of the training views."""
        return self.splits["train"]


@dataclass(frozen=True)
class Views:
    """One split: V images, which may differ in size, and the cameras that took them.

    Attributes:
        cameras: one per view; their sizes are those of the images.
        pixels: (P, 3), or (P, 4) with straight alpha, uint8: the images one after the other, each row by row.
        names: one per view, for logs and for the names of renders.
        valid: (P,) bool, the pixels to train on and to score, others being masked out or beyond the lens; None: all.
    """

    cameras: Cameras
    pixels: np.ndarray
    names: tuple[str, ...]
    valid: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.shape[1] not in (3, 4) or self.pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be (P, 3) or (P, 4) uint8, not {self.pixels.shape} {self.pixels.dtype}")
        if not len(self.cameras) == len(self.names) == len(self.starts):
            raise ValueError(f"{len(self.cameras)} cameras cannot have {len(self.names)} names")
        wanted = int(np.prod(self.cameras.size, axis=1).sum())
        if len(self.pixels) != wanted:
            raise ValueError(f"cameras with {wanted} pixels in all cannot hold {len(self.pixels)}")
        if self.valid is not None and (self.valid.shape != self.pixels.shape[:1] or self.valid.dtype != bool):
            raise ValueError(f"valid must be ({wanted},) bool, not {self.valid.shape} {self.valid.dtype}")

    @classmethod
    def from_images(
        cls,
        cameras: Cameras,
        images: Iterable[np.ndarray],
        names: Iterable[str],
        valid: Iterable[np.ndarray | None] | None = None,
    ) -> Views:
        """Pack images (height, width, 3 or 4) uint8, one per camera, and masks (height, width) bool or None.

        Where only some have an alpha channel, the others become opaque. A deque is emptied on the way, so that the
        images are never in memory twice.
        """
        images = images if isinstance(images, deque) else deque(images)
        for index, (image, (width, height)) in enumerate(zip(images, cameras.size.tolist(), strict=True)):
            if image.shape[:2] != (height, width):
                raise ValueError(f"camera {index} is of {width}x{height} pixels, its image {image.shape}")
        channels = max((image.shape[2] for image in images), default=3)
        pixels = np.empty((sum(image.shape[0] * image.shape[1] for image in images), channels), np.uint8)
        start = 0
        while images:
            image = images.popleft()
            part = pixels[start : start + image.shape[0] * image.shape[1]]
            part[:, 3:] = 255
            part[:, : image.shape[2]] = image.reshape(len(part), -1)
            start += len(part)
        return cls(cameras, pixels, tuple(names), None if valid is None else _packed(valid, cameras.size))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def starts(self) -> np.ndarray:
        """The first pixel of each view, (V,) int64."""
        counts = np.prod(self.cameras.size, axis=1)
        return np.cumsum(counts) - counts

    @cached_property
    def valid_places(self) -> np.ndarray:
        """Indices of the valid pixels among all, (n,) int64."""
        return np.arange(len(self.pixels)) if self.valid is None else np.flatnonzero(self.valid)

    @property
    def has_alpha(self) -> bool:
        return self.pixels.shape[1] == 4

    def image(self, index: int) -> np.ndarray:
        """One image, (height, width, 3 or 4) uint8; a view of the pixels, not a copy."""
        width, height = self.cameras.size[index].tolist()
        start = self.starts[index]
        return self.pixels[start : start + width * height].reshape(height, width, -1)

    def _repr_html_(self) -> str:
        """The first few images, for notebooks."""
        count, shown = len(self), min(len(self), SHOWN)
        more = f"<p>and {count - shown} more</p>" if count > shown else ""
        return strip((self.names[i], small(self.image(i))) for i in range(shown)) + more

    def mask(self, index: int) -> np.ndarray | None:
        """Which pixels of an image are valid, (height, width) bool; None: all."""
        if self.valid is None:
            return None
        width, height = self.cameras.size[index].tolist()
        start = self.starts[index]
        return self.valid[start : start + width * height].reshape(height, width)

    def colors(self, view: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The stored values of single pixels: indices (n,) -> (n, 3 or 4) uint8."""
        return self.pixels[self.starts[view] + row * self.cameras.size[view, 0] + column]

    def __getitem__(self, index: slice) -> Views:
        """Some of the views."""
        kept = range(len(self))[index]
        valid = None if self.valid is None else [self.mask(i) for i in kept]
        images, names = [self.image(i) for i in kept], [self.names[i] for i in kept]
        return Views.from_images(self.cameras[index], images, names, valid)


def _packed(masks: Iterable[np.ndarray | None], size: np.ndarray) -> np.ndarray | None:
    """Masks of images of the given sizes (V, 2), flat; None where all of all images is valid."""
    masks, parts = list(masks), []
    if all(mask is None for mask in masks):
        return None
    for index, (mask, (width, height)) in enumerate(zip(masks, size.tolist(), strict=True)):
        if mask is not None and mask.shape != (height, width):
            raise ValueError(f"camera {index} is of {width}x{height} pixels, its mask {mask.shape}")
        parts.append(np.ones(width * height, bool) if mask is None else mask.reshape(-1))
    valid = np.concatenate(parts) if parts else np.zeros(0, bool)
    return None if valid.all() else valid


@dataclass(frozen=True)
class Observations:
    """Where sparse points were seen in the pictures.

    point, image (k,) int64: indices into the points and into `names`; place (k, 2): in pixels of the full-size picture,
    from its top left corner; names: of the pictures, as in `Views.names`; size (pictures, 2): width and height at full
    size, where known.
    """

    point: np.ndarray
    image: np.ndarray
    place: np.ndarray
    names: tuple[str, ...]
    size: np.ndarray | None = None


@dataclass(frozen=True)
class SparsePoints:
    """Points that were found while the cameras were.

    positions (n, 3) float64, in scene coordinates; tracks (n,) int64: how many pictures saw each, 0 if unknown.
    """

    positions: np.ndarray
    tracks: np.ndarray
    observations: Observations | None = None


@dataclass(frozen=True)
class Scene:
    """A data set.

    Attributes:
        name: for people.
        path: the folder or file it was read from; None where it was made from arrays.
        kind: the reader's name, such as "blender" or "tiny_nerf".
        splits: those among `SPLITS` that were asked for and exist.
        background: the colour that the data set is usually composited on, (3,) in [0, 1].
        held_out: the rule by which views were held out, for people, such as "every 8th by name".
        points: sparse points, where the data set has any.
        space: what the scene fills; None: a cube around what the cameras look at.
        to_capture: (4, 4), the similarity from scene coordinates to those of the data set's files.
    """

    name: str
    path: Path | None
    kind: str
    splits: Mapping[str, Views]
    background: tuple[float, float, float]
    held_out: str = "its own splits"
    points: SparsePoints | None = None
    space: Space | None = None
    to_capture: np.ndarray = field(default_factory=_SAME_WORLD.copy)

    def _repr_html_(self) -> str:
        """What it is, and the first images of each split, for notebooks."""
        size = np.concatenate([views.cameras.size for views in self.splits.values()])
        smallest, largest = (" x ".join(map(str, edge)) for edge in (size.min(axis=0), size.max(axis=0)))
        about = {
            "scene": self.name, "kind": self.kind, "space": "box" if self.space is None else self.space.kind,
            "size": smallest if smallest == largest else f"{smallest} to {largest}", "held out": self.held_out,
        }  # fmt: skip
        parts = [f"<p>{len(views)} {split}</p>{views._repr_html_()}" for split, views in self.splits.items()]
        return facts(about) + "".join(parts)

    @property
    def cameras(self) -> SceneCameras:
        """All but the pixels."""
        cameras = {split: views.cameras for split, views in self.splits.items()}
        return SceneCameras(cameras, self.background, self.space, self.to_capture)
