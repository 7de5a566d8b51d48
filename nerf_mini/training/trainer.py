"""A trainer: a scene, a model and the state of its training, in memory alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from autodiff import tree
from nerf_mini.config import Config, NerfConfig
from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.crop import Crop
from nerf_mini.models import Model, make_model, resolve_precision
from nerf_mini.models.refinement import coarsened, differentiating_rays
from nerf_mini.ops import OperatorUse, logistic
from nerf_mini.ranks import ALONE, Communicator, require_shards
from nerf_mini.rendering.antialiasing import jittered_places, rays_along_pixel
from nerf_mini.rendering.images import RenderedImage, render_image
from nerf_mini.rendering.metrics import mse_to_psnr
from nerf_mini.runtime import prepare, warm_up
from nerf_mini.scenes import BLACK, WHITE, Scene, SceneCameras, Shuffled, Views, draw_pixels
from nerf_mini.training.calibration import Calibration
from nerf_mini.training.clock import Clock
from nerf_mini.training.health import require_finite, require_spread
from nerf_mini.training.losses import LossTerms
from nerf_mini.training.memory import require_memory_to_train
from nerf_mini.training.optimiser import ParameterGroup, Schedule, adam_init
from nerf_mini.training.sharded_steps import ShardedSteps
from nerf_mini.training.state import TrainingState
from nerf_mini.training.step import Acting, Batch, StepResult, loss_and_gradient
from nerf_mini.training.whole_steps import Steps, WholeSteps

TIMES_SEEN, LEAST_PLAIN_STEPS = 3, 2000  # each pixel, before several rays go through it; see docs/tuning.md

EndReason = Literal["steps", "time", "stopped"]


@dataclass(frozen=True)
class StepReport:
    """What a step did. `step` counts from 1; psnr, in dB, is that of the recent steps; rays are those drawn."""

    step: int
    loss: float
    terms: LossTerms
    psnr: float
    learning_rate: float
    rays: int


class Trainer:
    """A model of a scene, and the state of its training; takes one step at a time.

    Attributes:
        config: precision resolved for this CPU.
        scene: the data; None where a run was opened to be looked at alone.
        model: what is trained.
        calibration: what is learnt of pictures and cameras beside the field.
        state: parameters, optimiser, random generator, time.
        communicator: to the processes that train together, the only one being one of them too.
        clock: of `train`; what is done while it is stopped is no part of the training.
    """

    def __init__(
        self,
        config: Config,
        cameras: SceneCameras,
        scene: Scene | None = None,
        state: TrainingState | None = None,
        communicator: Communicator = ALONE,
    ):
        """A fresh start, or with `state` one that goes on; with `communicator`, together with other processes.

        Raises UserError for a precision that this CPU lacks, and where the processes do not fit together.
        """
        if state is None:
            config = replace(config, precision=resolve_precision(config.precision))
        shown = {"white": WHITE, "black": BLACK, "random": WHITE}.get(config.scene.background, cameras.background)
        self.config, self._cameras, self.scene = config, replace(cameras, background=shown), scene
        if config.scene.background == "learnt" and scene is not None and scene.splits["train"].has_alpha:
            raise UserError("--background learnt: these pictures have an alpha channel, which tells what is behind.")
        self.model: Model = make_model(config, cameras)
        self.calibration = Calibration(config, cameras)
        if scene is not None:
            require_memory_to_train(self.model, self.calibration, scene, config.training.shards)
        if state is None:
            state = self._fresh_state()
        else:
            self.model.sampler.restore(state.sampler)
        state.sampler = self.model.sampler.state
        self.state, self.communicator = state, communicator
        self._steps = self._steps_of(state)
        self._warm = False
        prepare()

    def _steps_of(self, state: TrainingState) -> Steps:
        """How steps are taken."""
        config, calibration, team = self.config, self.calibration, self.communicator
        if config.training.shards == 1:
            require_shards(1, team.size)
            return WholeSteps(state, calibration, config.optimiser)
        steps = ShardedSteps(config, state, self.model.sampler, calibration, self.groups, team)
        steps.require_same_start(self.scene)
        return steps

    @property
    def clock(self) -> Clock:
        """See the class."""
        return self._steps.clock

    def whole_state(self) -> TrainingState:
        """The state, with all of what other processes keep; all are to ask for it in the same step."""
        self._steps.gather()
        return self.state

    def _fresh_state(self) -> TrainingState:
        rng = np.random.default_rng(self.config.seed)
        parameters = {"field": self.model.init(rng), **self.calibration.init()}
        return TrainingState(parameters, adam_init(parameters), rng)

    @property
    def cameras(self) -> SceneCameras:
        """Those of the scene, and what is behind it as it is known now."""
        learnt = self.state.parameters.get("background")
        if learnt is None:
            return self._cameras
        red, green, blue = logistic(learnt.astype(np.float64)).tolist()
        return replace(self._cameras, background=(red, green, blue))

    @property
    def views(self) -> Views:
        """The training views."""
        return self.views_of("train")

    def views_of(self, split: str) -> Views:
        """The views of a split. Raises UserError where there is no data, or no such split."""
        if self.scene is None:
            raise UserError("this run was opened without its data; say where that is to train or evaluate.")
        if split not in self.scene.splits:
            raise UserError(f"{self.scene.name} has no split {split!r}; it has {', '.join(self.scene.splits)}.")
        return self.scene.splits[split]

    @property
    def step_count(self) -> int:
        """Steps taken."""
        return self.state.step

    def step(self, progress: float | None = None) -> StepReport:
        """One batch, one gradient, one update.

        `progress`, from 0 to 1, is for the learning rate of a run bound by time; by default it is the share of the
        steps that the configuration plans. Raises UserError if the loss is not finite or the network has collapsed.
        """
        self.warm_up()
        config, state, step = self.config, self.state, self.step_count
        progress = self._planned_share() if progress is None else progress
        crop = config.training.crop_fraction if step < config.training.crop_steps else 1.0
        density = self._steps.density(self.model.density(self.field))
        self.model.sampler.before_step(density, step, state.rng)
        supersampling = self.supersampling_of_step(step)

        def draw(rng: np.random.Generator, part: int) -> tuple[Batch, StepResult]:
            batch = self._draw(crop, supersampling, rng, part)
            return batch, self._loss_and_gradient(batch, rng)

        found = self._steps.find(draw, step)
        state.drawn += found.drawn
        require_finite(found.terms.total, found.square, step, config.seed, config.optimiser.learning_rate)
        require_spread(found.spread, found.target_spread, step, config.seed, self._advice())
        groups = self.groups
        self._steps.apply(groups, progress)
        state.recent.append(float(found.squared_error))
        psnr = mse_to_psnr(float(np.mean(state.recent)))
        return StepReport(step + 1, found.terms.total, found.terms, psnr, groups[-1].schedule.at(progress), found.rays)

    def _draw(self, crop: float, supersampling: int, rng: np.random.Generator, part: int) -> Batch:
        """As many pixels as the sampler wants rays, of those that come next the ones of a part of the batch."""
        count = max(1, self.model.sampler.rays_of_step() // supersampling**2)
        pixels = draw_pixels(self.views, count, crop, Shuffled(self.config.seed, self.state.drawn + part * count))
        places = jittered_places(count, supersampling, rng) if supersampling > 1 else None
        return Batch(pixels, self._background(count, rng), places)

    def _loss_and_gradient(self, batch: Batch, rng: np.random.Generator) -> StepResult:
        """Of a step; cameras that are not learnt yet are not differentiated."""
        calibration, parameters, step = self.calibration, self.state.parameters, self.step_count
        penalty = calibration.penalty if calibration.shapes else None
        acting = Acting(calibration.detail(step), penalty, calibration.corrections)
        still = "cameras" in parameters and not calibration.refines(step)
        learnt = {name: part for name, part in parameters.items() if not (still and name == "cameras")}
        found = loss_and_gradient(self.model, learnt, calibration.given, batch, self.config.losses, rng, acting)
        if still:  # in the order of the parameters
            nothing = tree.map_leaves(np.zeros_like, parameters["cameras"])
            found.gradient = {name: found.gradient.get(name, nothing) for name in parameters}
        return found

    @property
    def field(self) -> Any:
        """The field's parameters as they act now: while cameras are learnt, some of the detail may be held back."""
        return coarsened(self.model, self.state.parameters["field"], self.calibration.detail(self.step_count))

    @property
    def training_cameras(self) -> Cameras:
        """The training cameras with what was learnt of them."""
        return self.calibration.cameras(self.state.parameters)

    @property
    def refined_cameras(self) -> SceneCameras:
        """Those of the scene, the training cameras with what was learnt of them."""
        cameras = self.cameras
        return replace(cameras, splits={**cameras.splits, "train": self.training_cameras})

    def cameras_of(self, views: Views) -> Cameras:
        """The cameras to render views with: those of the training views as refined, others as given.

        They stand in one world, because corrections never move all cameras alike. To align the training cameras with
        the given ones afterwards would add what is wrong with the given ones.
        """
        own = None if self.scene is None else self.scene.splits.get("train")
        return self.training_cameras if views is own else views.cameras

    def warm_up(self) -> None:
        """Have the kernels of a step compiled, on several cores, or loaded. The first step does it where this has
        not."""
        if not self._warm:
            refines = self.calibration.refinement.corrections
            warm_up(differentiating_rays(self.operators) if refines else self.operators)
            self._warm = True

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """Those of a step."""
        chosen = self.config.losses.distortion
        spread = chosen if chosen is not None else self.model.distortion
        of_loss = [OperatorUse("distortion", constants=(1, 2))] if spread else []
        kinds = {group.sparse for group in self.groups}
        of_adam = [OperatorUse("one_adam_step", {"sparse": sparse}) for sparse in sorted(kinds)]
        return *self.model.operators, *of_loss, *of_adam

    @property
    def groups(self) -> list[ParameterGroup]:
        """The parameter groups of the optimiser, the general one last."""
        rates = self.config.optimiser
        schedule = Schedule(rates.learning_rate, rates.final_rate, rates.decay)
        sparse = [ParameterGroup(("field", name), schedule, sparse=True) for name in self.model.sparse]
        groups = [*sparse, *self.calibration.groups, ParameterGroup((), schedule)]
        larger = math.sqrt(self.config.training.batch)  # a larger batch: a better direction, worth a longer step
        return [replace(group, schedule=group.schedule.times(larger)) for group in groups]

    def _planned_share(self) -> float:
        steps = self.config.optimiser.decay_steps or self.config.training.max_steps
        return 0.0 if steps is None else self.step_count / steps

    def _background(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, 3) float32, what to put behind the pixels of a batch."""
        chosen = self.config.scene.background
        learns_alpha = self.model.random_background and self.views.has_alpha
        must_be_opaque = chosen == "auto" and not self.model.region.bounded
        if chosen == "random" or learns_alpha or must_be_opaque:
            return rng.random((count, 3), np.float32)
        return np.full((count, 3), self.cameras.background, np.float32)

    def _advice(self) -> str:
        settings = self.config.model
        relu = isinstance(settings, NerfConfig) and settings.network.density_activation == "relu"
        return " with --density-activation softplus," if relu else ""

    @cached_property
    def _widest_pixel(self) -> float:
        """Of the training cameras, in the middle of the region; -inf where none has a pose."""
        widths = self.model.region.pixel_widths(self._cameras.train)
        return float(np.max(widths[np.isfinite(widths)], initial=-np.inf))

    def supersampling_of_step(self, step: int) -> int:
        """n of the n x n rays through each pixel in a training step: 1 at first."""
        settings = self.config.training
        return (settings.supersampling or self.model.supersampling) if step >= self._supersampling_from else 1

    @cached_property
    def _supersampling_from(self) -> int:
        chosen = self.config.training.supersampling_from
        if chosen is not None:
            return chosen
        pixels = int(self._cameras.train.size.prod(axis=1).sum())
        return max(LEAST_PLAIN_STEPS, TIMES_SEEN * pixels // (self._steps.parts * self.model.sampler.usual_rays))

    def supersampling(self, cameras: Cameras, view: int = 0) -> int:
        """How many rays along a side of a pixel the picture of one of the cameras needs to be free of aliasing: as many
        as in the last training steps where its pixels are no wider than the widest of the training pictures; at most
        8."""
        trained = self._widest_pixel / self.supersampling_of_step(self.step_count - 1)
        return rays_along_pixel(float(self.model.region.pixel_widths(cameras[view])[0]), trained)

    def render(
        self,
        cameras: Cameras,
        view: int = 0,
        background: ArrayLike | None = None,
        crop: Crop | None = None,
        antialias: bool = True,
    ) -> RenderedImage:
        """The picture of one of the cameras, on the background of the scene or on another colour (3,) in [0, 1].

        With `crop`, of what lies in that box. Pixels have as many rays as `supersampling` says, or one if `antialias`
        is false: that is faster. Raises UserError for a crop in a space that has no room for one.
        """
        behind = self.cameras.background if background is None else background
        if crop is not None and not self.model.region.croppable:
            raise UserError("a scene that lies ahead of its cameras (--space forward) cannot be cropped.")
        supersampling = self.supersampling(cameras, view) if antialias else 1
        return render_image(self.model, self.field, cameras, behind, view, crop, supersampling)

    def query(self, points: ArrayLike, directions: ArrayLike = (0.0, 0.0, -1.0)) -> tuple[np.ndarray, np.ndarray]:
        """Density per scene unit (n,) and colour (n, 3) in [0, 1] at points (n, 3) of the scene.

        directions (3,) or (n, 3), of unit length: along which the points are seen.
        """
        points = np.atleast_2d(np.asarray(points, np.float32))
        seen_along = np.broadcast_to(np.asarray(directions, np.float32), points.shape)
        return self.model.query(self.field, points, seen_along)

    def train(
        self,
        max_steps: int | None = None,
        max_seconds: float | None = None,
        on_step: Callable[[StepReport], Any] | None = None,
    ) -> EndReason:
        """Take steps until there are `max_steps` in all, by default those of the configuration, or time is up.

        `max_seconds` bounds the time of this call, compilation included, but for one step; without any limit of steps
        the learning rate decays over what compilation leaves of it. `on_step` is called after each step; what it
        returns ends the training if true. Returns why it ended: "steps", "time" or "stopped".
        """
        if max_steps is not None:
            self.config = replace(self.config, training=replace(self.config.training, max_steps=max_steps))
        most = self.config.training.max_steps
        if most is None and max_seconds is None:
            raise UserError("nothing ends this training: give --max-steps or --max-seconds.")
        self._steps.meet()
        started, before, first = self.clock.now(), self.state.seconds, self.step_count
        if most is None or first < most:
            self.warm_up()
            self._steps.meet()
        lost = self.clock.now() - started  # seconds without a step
        self.state.seconds = before + lost
        planned = before + max_seconds if most is None and max_seconds is not None else None
        while most is None or self.step_count < most:
            if max_seconds is not None and self.step_count > first and self.clock.now() - started >= max_seconds:
                return "time"
            share = None if planned is None else (self.state.seconds - lost) / max(planned - lost, 1e-9)
            report = self.step(share)
            self.state.seconds = before + self.clock.now() - started
            if on_step is not None and self._steps.agreed(on_step(report)):
                return "stopped"
        return "steps"


__all__ = ["EndReason", "StepReport", "Trainer"]
