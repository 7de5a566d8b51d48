"""What is learnt of pictures and cameras beside the field: exposures, codes, poses, focal lengths, lenses."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from nerf_mini.config import Config
from nerf_mini.geometry.alignment import world_motions
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.corrections import CORRECTIONS, corrected
from nerf_mini.geometry.poses import looked_at
from nerf_mini.scenes import SceneCameras
from nerf_mini.training.optimiser import ParameterGroup, Schedule

BACKGROUND_RATE = 0.1  # learning rate at the first step: it must be found before the field paints a wall of its own


class Calibration:
    """How the training pictures differ from what is known of them, as parameters with rates and limits of their own.

    The parameters are "cameras", see `corrections`, "exposure", logarithms of gains (V, 3), "appearance", codes (V, k),
    and "background", a colour (3,) before the logistic function, where they are learnt. No correction moves all cameras
    alike, no exposure makes all pictures brighter, no codes change them all: the field can do that as well, and the
    world would drift.
    """

    def __init__(self, config: Config, cameras: SceneCameras):
        """`cameras` are those of the data set as they were given."""
        self.exposure, self.refinement, self.given = config.exposure, config.refinement, cameras.train
        self.appearance, self.background = config.appearance, config.scene.background
        self.distance = _distance(cameras)  # of what is seen from the cameras, in scene units
        self.rates = config.optimiser

    @property
    def shapes(self) -> dict[str, Any]:
        """The shapes of the parameters, in their form."""
        views, shapes = len(self.given), dict[str, Any]()
        if self.refinement.corrections:
            shapes["cameras"] = {name: (views, CORRECTIONS[name]) for name in self.refinement.corrections}
        if self.appearance.appearance_codes:
            shapes["appearance"] = (views, self.appearance.appearance_codes)
        if self.background == "learnt":
            shapes["background"] = (3,)
        return {**shapes, "exposure": (views, 3)} if self.exposure.exposure != "off" else shapes

    def init(self) -> dict[str, Any]:
        """Fresh parameters: nothing is corrected."""

        def zeros(shapes: Any) -> Any:
            if isinstance(shapes, dict):
                return {name: zeros(shape) for name, shape in shapes.items()}
            return np.zeros(shapes, np.float32)

        return zeros(self.shapes)

    @property
    def groups(self) -> list[ParameterGroup]:
        """Their parameter groups for the optimiser."""
        refinement, exposure = self.refinement, self.exposure
        fall = refinement.final_pose_rate / refinement.pose_rate
        groups = [ParameterGroup(("cameras", "poses"), Schedule(refinement.pose_rate, refinement.final_pose_rate))]
        lens = Schedule(refinement.lens_rate, fall * refinement.lens_rate)
        groups += [ParameterGroup(("cameras", name), lens) for name in ("focal", "lens")]
        fall = self.rates.final_rate / self.rates.learning_rate
        gain = Schedule(exposure.exposure_rate, fall * exposure.exposure_rate, self.rates.decay)
        behind = Schedule(BACKGROUND_RATE, fall * BACKGROUND_RATE, self.rates.decay)
        return [*groups, ParameterGroup(("exposure",), gain), ParameterGroup(("background",), behind)]

    def refines(self, step: int) -> bool:
        """Whether cameras are learnt in a step, counted from 0."""
        return bool(self.refinement.corrections) and step >= self.refinement.refine_from

    def detail(self, step: int) -> float:
        """The share of the field's detail, beyond the coarsest, that is shown after so many steps."""
        if not self.refinement.corrections or step >= self.refinement.coarse_steps:
            return 1.0
        return step / self.refinement.coarse_steps

    def corrections(self, learnt: dict[str, Any]) -> dict[str, Any]:
        """What the parameters "cameras" are as corrections of `geometry.corrections`; differentiable.

        Poses (w, s) turn a camera by w around the point at `distance` before it, and move it by `distance` s. A turn
        around itself and a move across look nearly alike, and are hard to learn apart; these do not.
        """
        if "poses" not in learnt:
            return learnt
        return {**learnt, "poses": learnt["poses"].astype(self._to_twists.dtype) @ self._to_twists}

    @cached_property
    def _to_twists(self) -> np.ndarray:
        """(6, 6), from rows (w, s) to rows of twists (w, v): v = distance (s + (w_y, -w_x, 0))."""
        matrix = np.eye(6)
        matrix[1, 3], matrix[0, 4] = 1.0, -1.0
        matrix[:, 3:] *= self.distance
        return matrix

    def cameras(self, parameters: dict[str, Any]) -> Cameras:
        """The training cameras with their corrections."""
        learnt = parameters.get("cameras")
        return corrected(self.given, self.corrections(learnt)) if learnt else self.given

    def penalty(self, parameters: dict[str, Any]) -> Any:
        """What keeps exposures, codes and poses near what was given: weighted means of squares; differentiable."""
        total: Any = 0.0
        poses = parameters.get("cameras", {}).get("poses")
        if poses is not None:
            weights = np.repeat([self.refinement.rotation_penalty, self.refinement.position_penalty], 3)
            total = total + np.sum(poses**2 * weights.astype(poses.dtype)) * (1.0 / len(self.given))
        if "exposure" in parameters:
            total = total + self.exposure.exposure_penalty * np.mean(parameters["exposure"] ** 2)
        if "appearance" in parameters:
            total = total + self.appearance.appearance_penalty * np.mean(parameters["appearance"] ** 2)
        return total

    def confine(self, gradient: dict[str, Any]) -> None:
        """Make a gradient, in place, one that `constrain` has nothing to take out of; and cameras with one focal length
        and lens learn as one: each gets the gradient of all."""
        learnt = gradient.get("cameras", {})
        for name in ("focal", "lens"):
            if name in learnt:
                total = np.zeros_like(learnt[name])
                np.add.at(total, self._shared, learnt[name])
                learnt[name][...] = total[self._shared]
        if "poses" in learnt:
            self._hold(learnt["poses"])

    def constrain(self, parameters: dict[str, Any]) -> None:
        """Take out of the parameters, in place, what moves all cameras or changes all pictures alike."""
        if "poses" in parameters.get("cameras", {}):
            self._hold(parameters["cameras"]["poses"])
        for name in {"exposure", "appearance"} & set(parameters):
            parameters[name] -= parameters[name].mean(axis=0)

    def _hold(self, poses: np.ndarray) -> None:
        """Project poses (V, 6), or their gradient, in place, onto what is orthogonal to motions of the whole world.

        Orthogonal in the coordinates in which they are learnt: in others, what is left would be no descent.
        """
        flat = poses.reshape(-1).astype(np.float64)
        flat -= self._motions @ (self._motions.T @ flat)
        poses[...] = flat.reshape(poses.shape)

    @cached_property
    def _motions(self) -> np.ndarray:
        """An orthonormal basis of the parameters of motions of the whole world, (6 V, n)."""
        twists = world_motions(self.given.poses)
        learnt = twists.T.reshape(-1, len(self.given), 6) @ np.linalg.inv(self._to_twists)
        return np.linalg.qr(learnt.reshape(len(learnt), -1).T)[0]

    @cached_property
    def _shared(self) -> np.ndarray:
        """For each camera the number of the focal length and lens that it shares with others, (V,)."""
        given = self.given
        lens = np.unique(given.lens, return_inverse=True)[1]
        inside = np.column_stack([given.focal, given.center, given.size, lens, given.lens_parameters])
        return np.unique(inside, axis=0, return_inverse=True)[1].reshape(-1)


def _distance(cameras: SceneCameras) -> float:
    """How far away is what the training cameras see: 1 in a settled capture, whose unit that is; else the median
    distance of what they look at, but not beyond the middle of their bounds."""
    if cameras.space is not None:
        return 1.0
    train = cameras.train
    away = np.linalg.norm(train.poses[:, :3, 3] - looked_at(train.poses), axis=1)
    return float(np.median(np.minimum(away, 0.5 * (train.near + train.far))))
