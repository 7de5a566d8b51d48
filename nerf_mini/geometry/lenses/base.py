"""What a lens is: a map between directions and places on a camera's normalised image plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Lens:
    """A lens model, in OpenCV's axes: x right, y down, z forward.

    The normalised image plane has the coordinates ((u - cx) / fx, (v - cy) / fy) of a place (u, v) in pixels. Both maps
    are plain NumPy and differentiable in both arguments; parameters (..., len(parameters)) are those of each point's
    camera, or one set for all. NaN stands for a place that no light reaches and for a direction that has no image. The
    places that light reaches surround the middle: with a place, all between it and the middle are among them.

    Attributes:
        name: as in configuration and data files.
        parameters: names of its parameters, in order.
        unproject: (plane (..., 2), parameters) -> unit directions (..., 3).
        project: (directions (..., 3) of any length, parameters) -> plane (..., 2).
        fills_plane: light reaches every place, whatever the parameters.
    """

    name: str
    parameters: tuple[str, ...]
    unproject: Callable[[Any, Any], Any]
    project: Callable[[Any, Any], Any]
    fills_plane: bool = False
