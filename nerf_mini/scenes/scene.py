"""A data set in memory: images with the cameras that took them, in splits."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerf_mini.geometry.cameras import Cameras, Intrinsics

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SceneCameras:
    """What a renderer needs of a data set: its cameras, and what to show behind the scene.

    Attributes:
        splits: the cameras of each split that the data set has; "train" is always among them.
        background: the colour behind what is not opaque, (3,) in [0, 1].
    """

    splits: Mapping[str, Cameras]
    background: tuple[float, float, float]

    @property
    def train(self) -> Cameras:
        """The cameras of the training views."""
        return self.splits["train"]


@dataclass(frozen=True)
class Views:
    """One split: V images of one size and the cameras that took them.

    Attributes:
        images: (V, H, W, 3), or (V, H, W, 4) with straight alpha, uint8: a quarter of the memory of float32.
        poses: (V, 4, 4) float64, camera-to-world, OpenGL axes.
        intrinsics: common to all the views.
        names: one per view, for logs and for the names of renders.
    """

    images: np.ndarray
    poses: np.ndarray
    intrinsics: Intrinsics
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        count, size = len(self.names), (self.intrinsics.height, self.intrinsics.width)
        if self.images.shape[:3] != (count, *size) or self.images.dtype != np.uint8:
            raise ValueError(f"{count} views of {size} cannot hold images {self.images.shape} {self.images.dtype}")
        if self.poses.shape != (count, 4, 4):
            raise ValueError(f"{count} views cannot hold poses {self.poses.shape}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def has_alpha(self) -> bool:
        return self.images.shape[3] == 4

    def pixels(self, view: int | np.ndarray, rows: int | np.ndarray, columns: int | np.ndarray) -> np.ndarray:
        """The stored values of single pixels, indices broadcast together: uint8 (..., 3|4)."""
        return self.images[view, rows, columns]


@dataclass(frozen=True)
class Scene:
    """A data set: its splits and how far from the cameras the scene begins and ends.

    Attributes:
        name: for people.
        path: the folder or file it was read from.
        kind: the reader's name, such as "blender" or "tiny_nerf".
        splits: those among `SPLITS` that were asked for and exist.
        near, far: distances along rays, in scene units.
        background: what the data set is usually composited on, "white" or "black".
    """

    name: str
    path: Path
    kind: str
    splits: Mapping[str, Views]
    near: float
    far: float
    background: str
