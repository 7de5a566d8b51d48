"""What an exporter is, what it is asked for and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, Warn, log_warning, quoted
from nerf_mini.geometry.alignment import scale_of
from nerf_mini.geometry.crop import Crop
from nerf_mini.training import Trainer

FINEST, COARSEST = 2048, 8  # cells along the longest side of a box
MOST_POINTS = 100_000_000
FARTHEST, THINNEST = 1e9, 1e-9  # of a box: corners from the origin, and sides, in the unit of the capture

StageProgress = Callable[[str, int, int], None]
"""Told the stage of the work, how much of it is done, and how much there is."""


def unheard(stage: str, done: int, total: int) -> None:
    """The `StageProgress` of whoever names none."""


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and how; lengths are in the coordinates of the capture. None: the exporter's own choice.

    Attributes:
        output: file or folder to write.
        resolution: cells along the longest side of the box of a mesh.
        level: the density, per unit of length, on which the surface of a mesh lies.
        box: x0 y0 z0 x1 y1 z1, two corners of what is exported.
        largest: of a mesh, only the largest connected part.
        keep_unseen: of a mesh, also what no training camera sees.
        points: how many points.
        split: the views of which maps are made.
        scale: factor on width and height of maps.

    Raises UserError for values that make no sense.
    """

    output: Path | None = None
    resolution: int | None = None
    level: float | None = None
    box: tuple[float, float, float, float, float, float] | None = None
    largest: bool = False
    keep_unseen: bool = False
    points: int | None = None
    split: str | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        if self.resolution is not None and not COARSEST <= self.resolution <= FINEST:
            raise UserError(f"--resolution {self.resolution}: must be at least {COARSEST} and at most {FINEST} cells.")
        if self.level is not None and not 0 < self.level < np.inf:
            raise UserError(f"--level {self.level:g}: must be positive and finite.")
        if self.points is not None and not 1 <= self.points <= MOST_POINTS:
            raise UserError(f"--points {self.points}: must be at least 1 and at most {MOST_POINTS}.")
        if self.scale is not None and not 0 < self.scale <= 16:
            raise UserError(f"--scale {self.scale:g}: must be positive and at most 16.")
        if self.box is not None:
            corners = np.array(self.box, np.float64)
            within = corners.shape == (6,) and (np.abs(corners) <= FARTHEST).all()
            if not within or not (corners[3:] - corners[:3] >= THINNEST).all():
                raise UserError(
                    f"--box {quoted(self.box)}: must be x0 y0 z0 x1 y1 z1 with x0 < x1, y0 < y1 and z0 < z1, from"
                    f" {-FARTHEST:g} to {FARTHEST:g} and at least {THINNEST:g} wide."
                )

    @property
    def given(self) -> tuple[str, ...]:
        """The options that were given, but for the output."""
        names = (entry.name for entry in fields(self) if entry.name != "output")
        return tuple(name for name in names if getattr(self, name) not in (None, False))


@dataclass(frozen=True)
class Exported:
    """What was written: files, the result in a few words, and what the JSON beside the files says of it."""

    files: tuple[Path, ...]
    summary: str
    record: dict[str, Any]


@dataclass(frozen=True)
class ExportTask:
    """A trained scene to export: its trainer, what is asked for, where to, and who is told about it.

    Attributes:
        trainer: it renders; its data set need not be there.
        output: a file, or a folder for exporters of several.
    """

    trainer: Trainer
    request: ExportRequest
    output: Path
    progress: StageProgress = unheard
    warn: Warn = log_warning
    world: CaptureWorld = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "world", CaptureWorld(self.trainer.cameras.to_capture))


@dataclass(frozen=True)
class Exporter:
    """One kind of export.

    Attributes:
        kind: its name on the command line.
        describes: what it makes, in words.
        suffixes: of the files that it can write; none: it writes a folder.
        options: names of the options, of `ExportRequest`, that it takes.
        write: does the work. Raises UserError, and writes nothing, where that is not possible.
        prepare: what can be refused before the work begins, such as a library that is missing.
        wants_data: whether it says more where the data set is there.
    """

    kind: str
    describes: str
    suffixes: tuple[str, ...]
    options: tuple[str, ...]
    write: Callable[[ExportTask], Exported]
    prepare: Callable[[Path], None] = lambda output: None
    wants_data: bool = False

    @property
    def default_name(self) -> str:
        """Of the file or folder, where none is named."""
        return self.kind + (self.suffixes[0] if self.suffixes else "")


class CaptureWorld:
    """Between the coordinates of a scene, in which fields and cameras are, and those of its capture."""

    def __init__(self, to_capture: np.ndarray):
        """to_capture (4, 4): the similarity from the scene to the capture."""
        self.to_capture = np.asarray(to_capture, np.float64)
        self.scale = scale_of(self.to_capture)  # of lengths

    @property
    def turn(self) -> np.ndarray:
        """The rotation (3, 3) of directions."""
        return self.to_capture[:3, :3] / self.scale

    def points(self, places: np.ndarray) -> np.ndarray:
        """Places (n, 3) of the scene in the capture, float64."""
        return places @ self.to_capture[:3, :3].T + self.to_capture[:3, 3]

    def directions(self, directions: np.ndarray) -> np.ndarray:
        """Unit vectors (..., 3) of the scene in the capture."""
        return directions @ self.turn.T

    def box_in_scene(self, corners: np.ndarray) -> Crop:
        """A box along the axes of the capture, by two corners (6,), as a box of the scene."""
        return Crop.between(corners[:3], corners[3:]).in_world(np.linalg.inv(self.to_capture))

    def box_record(self, box: Crop) -> dict[str, Any]:
        """A box of the scene as plain values, in the capture: its middle, its sides, and its axes as columns."""
        placed = box.in_world(self.to_capture)
        return {"center": placed.center.tolist(), "sides": placed.sides.tolist(), "axes": placed.turn.tolist()}
