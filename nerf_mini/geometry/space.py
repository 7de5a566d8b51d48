"""What of the world a scene fills: a cube, a middle with all around it, or what lies before the cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

SpaceKind = Literal["box", "unbounded", "forward"]
SPACES: tuple[SpaceKind, ...] = ("box", "unbounded", "forward")


@dataclass(frozen=True)
class Space:
    """What of the world a scene fills, from which its region is made.

    Attributes:
        kind: "box": all lies in a cube. "unbounded": a middle, and whatever is around it, however far. "forward": what
            lies before cameras that all look the same way.
        center, radius: of the cube (its half side) or of the middle, in scene units; of "forward", where the cameras
            are, and the distance of the nearest thing.
    """

    kind: SpaceKind
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radius: float = 1.0


@dataclass(frozen=True)
class World:
    """What a capture was turned into: its space, and the similarity (4, 4) back to the coordinates of its files."""

    space: Space
    to_capture: np.ndarray
