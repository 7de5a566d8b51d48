"""What structure from motion gives, and what it must be before it is believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nerf_mini.errors import UserError, listed
from nerf_mini.geometry.aim import Aim
from nerf_mini.geometry.cameras import Cameras

LEAST_SHARE, GOOD_SHARE = 0.5, 0.9  # of the pictures
SHARED_POINTS = 15  # by which two pictures hold together
LEAST_POINTS, LEAST_SEEN = 10, 30  # points, and observations of points, per picture
FARTHEST = 20.0  # of a camera from the middle of all, over the median
MOST_PIXELS = 2.0
NARROWEST, WIDEST = 8.0, 150.0  # degrees
LOOSE, SCATTERED = 0.5, 0.8
TELL = (
    "Take sharp pictures of things with texture, 50 to 150 of them; let neighbours share 70 % of what they show; walk "
    "around, do not only turn; keep focus, exposure and zoom as they are."
)


@dataclass(frozen=True)
class Model:
    """Cameras and points that belong together, in any world.

    names, cameras: of the pictures with a pose, sizes being those of the files. positions (n, 3). point, image, place
    (k,), (k,), (k, 2): of each observation the point, the picture and where in it, in pixels. error: the mean
    reprojection error in pixels.
    """

    names: tuple[str, ...]
    cameras: Cameras
    positions: np.ndarray
    point: np.ndarray
    image: np.ndarray
    place: np.ndarray
    error: float

    def __len__(self) -> int:
        return len(self.names)

    def kept(self, views: np.ndarray) -> Model:
        """With some of the pictures, and the points that at least two of these saw."""
        number = np.full(len(self), -1)
        number[views] = np.arange(len(views))
        seen = number[self.image] >= 0
        counts = np.bincount(self.point[seen], minlength=len(self.positions))
        good = counts >= 2
        seen &= good[self.point]
        renumbered = np.cumsum(good) - 1
        return replace(
            self, names=tuple(self.names[view] for view in views.tolist()), cameras=self.cameras[views],
            positions=self.positions[good], point=renumbered[self.point[seen]], image=number[self.image[seen]],
            place=self.place[seen],
        )  # fmt: skip


def largest(models: list[Model]) -> Model | None:
    """The one with most pictures, and of these the one with most observations."""
    return max(models, key=lambda model: (len(model), len(model.point)), default=None)


def components(model: Model) -> list[np.ndarray]:
    """Groups of pictures that hold together by shared points, the largest first: indices of pictures."""
    seen = np.zeros((len(model), len(model.positions)), np.float32)
    seen[model.image, model.point] = 1.0
    joined = seen @ seen.T >= SHARED_POINTS
    group = np.full(len(model), -1)
    for first in range(len(model)):
        if group[first] >= 0:
            continue
        reached = np.zeros(len(model), bool)
        reached[first] = True
        while True:
            more = reached | joined[reached].any(axis=0)
            if (more == reached).all():
                break
            reached = more
        group[reached] = first
    found = [np.flatnonzero(group == first) for first in np.unique(group)]
    return sorted(found, key=len, reverse=True)


def accepted(model: Model | None, names: list[str]) -> tuple[Model, list[str]]:
    """The part of a model that can be believed, and what to warn of.

    Raises UserError, with what to do, where it is too little: of the pictures (`names`), or of points.
    """
    if model is None or not len(model):
        raise UserError(f"no picture got a pose: too few of them show the same things from different places. {TELL}")
    warnings = []
    groups = components(model)
    if len(groups) > 1:
        apart = [model.names[view] for group in groups[1:] for view in group.tolist()]
        warnings.append(
            f"{len(apart)} pictures do not hold together with the others, and are left out: {listed(apart, 12)}."
        )
        model = model.kept(groups[0])
    strays = _strays(model.cameras.poses)
    if strays.any():
        warnings.append(
            f"far away from all others, and left out: {listed([model.names[i] for i in np.flatnonzero(strays)], 12)}."
        )
        model = model.kept(np.flatnonzero(~strays))
    share = len(model) / len(names)
    missing = [name for name in names if name not in set(model.names)]
    if share < LEAST_SHARE:
        raise UserError(
            f"only {len(model)} of {len(names)} pictures got a pose that can be believed; without one: "
            f"{listed(missing, 12)}. {TELL}"
        )
    _require_points(model)
    if share < GOOD_SHARE:
        warnings.append(f"only {len(model)} of {len(names)} pictures got a pose. {TELL}")
    return model, warnings + _doubts(model)


def _strays(poses: np.ndarray) -> np.ndarray:
    """Which cameras stand more than 20 times as far from the middle as is usual, (V,) bool."""
    positions = poses[:, :3, 3]
    away = np.linalg.norm(positions - np.median(positions, axis=0), axis=1)
    return away > FARTHEST * max(float(np.median(away)), 1e-12)


def _require_points(model: Model) -> None:
    """Pictures without parallax give poses without points, or with ones that fit exactly."""
    seen = len(model.point) / len(model)
    if len(model.positions) < LEAST_POINTS * len(model) or seen < LEAST_SEEN or not model.error > 0:
        raise UserError(
            f"{len(model)} pictures hold together by only {len(model.positions)} points, {seen:.0f} in each: too few "
            f"to trust their poses. Did the camera turn without moving? {TELL}"
        )
    wide = 2 * np.degrees(np.arctan(0.5 * model.cameras.size.max(axis=1) / model.cameras.focal.max(axis=1)))
    if wide.min() < NARROWEST or wide.max() > WIDEST:
        raise UserError(
            f"the field of view that was found, {wide.min():.1f} to {wide.max():.1f} degrees, is that of no camera: "
            f"the poses are wrong. Did the camera turn without moving? {TELL}"
        )


def _doubts(model: Model) -> list[str]:
    aim, doubts = Aim(model.cameras.poses), []
    if model.error > MOST_PIXELS:
        doubts.append(f"points land {model.error:.1f} pixels from where they were seen, on average: poses are coarse.")
    if aim.front < LOOSE and aim.miss > SCATTERED:
        doubts.append("the cameras look at no common point: right for a walk inside a room, wrong around an object.")
    return doubts
