"""What a writer of captures is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.lenses import LENSES
from nerf_mini.scenes.scene import Observations, SparsePoints

IMAGES, MASKS = "images", "masks"  # folders


@dataclass(frozen=True)
class Capture:
    """All of a capture but its pictures, which lie in the folder `images`.

    Attributes:
        cameras: one per picture, of the pictures' full size, in any world, which is written as it is.
        names: of the pictures, with suffix, relative to `images`; folders within it are separated by "/".
        points: in the same world; the names of their observations are among `names`.
        masked: whether every picture has a mask, see `Writer.mask_file`.
        held_out: names of pictures that are for testing; a format without such a list leaves them to its own rule.
    """

    cameras: Cameras
    names: tuple[str, ...]
    points: SparsePoints | None = None
    masked: bool = False
    held_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.cameras) != len(self.names) or not self.names:
            raise ValueError(f"{len(self.cameras)} cameras cannot have {len(self.names)} names")
        observed = () if self.observations is None else self.observations.names
        unknown = [name for name in (*observed, *self.held_out) if name not in set(self.names)]
        if unknown or len(set(self.names)) != len(self.names):
            raise ValueError(f"names of pictures that are unknown, or there twice: {unknown[:3] or self.names[:3]}")

    @property
    def observations(self) -> Observations | None:
        """Where points were seen."""
        return None if self.points is None else self.points.observations


@dataclass(frozen=True)
class Writer:
    """One format.

    Attributes:
        kind: its name.
        describes: the format in words.
        write: (folder, capture) -> files: writes all files but pictures and masks into a folder, each whole or not at
            all, and says which. Raises UserError where the format cannot hold the cameras, before it writes any.
        mask_file: from a picture's name to the path of its mask within the folder; None: the format has no masks.
        ignored: the value, 0 or 255, of pixels of a mask that are to be ignored.
        lenses: names of the lenses that the format can hold.
    """

    kind: str
    describes: str
    write: Callable[[Path, Capture], tuple[Path, ...]]
    mask_file: Callable[[str], str] | None
    ignored: int
    lenses: tuple[str, ...]


def mask_beside(name: str) -> str:
    """masks/NAME.png: the picture's name with its suffix, and another."""
    return f"{MASKS}/{name}.png"


def dynamic_mask(name: str) -> str:
    """images/dynamic_mask_STEM.png, which instant-ngp looks for beside the picture."""
    path = PurePosixPath(IMAGES) / name
    return str(path.with_name(f"dynamic_mask_{path.stem}.png"))


def only_lens(cameras: Cameras, where: object, lenses: tuple[str, ...]) -> str:
    """The lens that all cameras have. Raises UserError where they differ, or where a format does not have it."""
    names = list(dict.fromkeys(cameras.lens.tolist()))
    if len(names) > 1:
        raise UserError(f"{where}: can hold one kind of lens, but the cameras have {', '.join(names)}.")
    if names[0] not in lenses:
        raise UserError(f"{where}: cannot hold the lens {names[0]!r}, only {', '.join(lenses)}. Choose another format.")
    return names[0]


def coefficients(cameras: Cameras, view: int) -> dict[str, float]:
    """The parameters of a camera's lens by name."""
    names = LENSES[str(cameras.lens[view])].parameters
    return dict(zip(names, np.asarray(cameras.lens_parameters)[view].tolist(), strict=False))


def in_common(values: list[dict[str, Any]]) -> dict[str, Any]:
    """The entries that are the same in all of several dictionaries."""
    return {key: value for key, value in values[0].items() if all(other.get(key) == value for other in values)}
