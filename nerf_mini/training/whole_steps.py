"""What a step's gradient is made of and who takes it: steps in one piece, by one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nerf_mini.config import OptimiserConfig
from nerf_mini.samplers import Density
from nerf_mini.training.calibration import Calibration
from nerf_mini.training.clock import Clock
from nerf_mini.training.health import gradient_square, spread_is_due, spreads
from nerf_mini.training.losses import LossTerms
from nerf_mini.training.optimiser import ParameterGroup, adam_update
from nerf_mini.training.state import TrainingState
from nerf_mini.training.step import Batch, StepResult

Draw = Callable[[np.random.Generator, int], tuple[Batch, StepResult]]
"""Draws a part of a batch, counted from 0, with random numbers of its own, and finds its loss and gradient."""


@dataclass(frozen=True)
class Found:
    """What a step found, all but the gradient itself.

    Attributes:
        terms: the loss.
        squared_error: mean (C - C_target)^2 of the final rendering, whatever the loss is.
        drawn: by how many pixels the order in which they are drawn has moved on.
        rays: how many were drawn.
        square: sum of squares of the gradient, finite where all of it is.
        spread, target_spread: see `health.spreads`; infinite in steps in which nobody looks.
    """

    terms: LossTerms
    squared_error: float
    drawn: int
    rays: int
    square: float
    spread: float
    target_spread: float

    @classmethod
    def of(cls, batch: Batch, result: StepResult, step: int) -> Found:
        """Of one batch in a step, counted from 0."""
        look = spread_is_due(step)
        spread, of_target = spreads(result.emitted(), batch.emitted) if look else (np.inf, np.inf)
        rays, square = len(batch) * batch.rays_per_pixel, gradient_square(result.gradient)
        return cls(result.terms, result.squared_error, result.pixels, rays, square, spread, of_target)


class Steps(Protocol):
    """How steps are taken: in one piece, or in shards that several processes share."""

    @property
    def clock(self) -> Clock:
        """What the time is, alike in all processes."""

    @property
    def parts(self) -> int:
        """In how many parts a batch is drawn."""

    def meet(self) -> None:
        """Wait for all processes, and set the clock."""

    def density(self, density: Density) -> Density:
        """A density as it is to be evaluated for all."""

    def find(self, draw: Draw, step: int) -> Found:
        """The loss and the gradient, which is kept, of a step, counted from 0."""

    def apply(self, groups: Sequence[ParameterGroup], progress: float) -> None:
        """Update the parameters with the gradient that was found."""

    def agreed(self, wish: Any) -> bool:
        """Whether to stop, as any process wishes."""

    def gather(self) -> None:
        """Make the state whole: all of the optimiser's means."""


class WholeSteps:
    """See `Steps`: in one piece, with the random generator of the state."""

    parts = 1

    def __init__(self, state: TrainingState, calibration: Calibration, config: OptimiserConfig):
        self.state, self.calibration, self.config, self.clock = state, calibration, config, Clock()
        self._gradient: Any = None

    def meet(self) -> None:
        """See `Steps`: nobody else is there."""

    def density(self, density: Density) -> Density:
        """See `Steps`."""
        return density

    def find(self, draw: Draw, step: int) -> Found:
        """See `Steps`."""
        batch, result = draw(self.state.rng, 0)
        self._gradient = result.gradient
        return Found.of(batch, result, step)

    def apply(self, groups: Sequence[ParameterGroup], progress: float) -> None:
        """See `Steps`."""
        gradient, self._gradient, state = self._gradient, None, self.state
        self.calibration.confine(gradient)
        adam_update(self.config, groups, state.parameters, gradient, state.optimiser, progress)
        self.calibration.constrain(state.parameters)

    def agreed(self, wish: Any) -> bool:
        """See `Steps`."""
        return bool(wish)

    def gather(self) -> None:
        """See `Steps`: it is whole."""
