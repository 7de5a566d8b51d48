"""All that a run needs to go on with the same bits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nerf_mini.training.optimiser import AdamState

RECENT = 200  # steps over which the training PSNR is averaged


@dataclass
class TrainingState:
    """The state after `step` steps.

    Attributes:
        parameters: {"field": ..., and what `training.calibration` learns beside it}.
        optimiser: Adam's steps and means.
        rng: the one random generator.
        seconds: training time so far.
        sampler: the arrays that the sampler keeps.
        drawn: pixels trained on so far.
        recent: mean squared errors of the last steps, at most `RECENT`.
    """

    parameters: dict[str, Any]
    optimiser: AdamState
    rng: np.random.Generator
    seconds: float = 0.0
    sampler: dict[str, np.ndarray] = field(default_factory=dict)
    drawn: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def step(self) -> int:
        """Steps taken."""
        return self.optimiser.step
