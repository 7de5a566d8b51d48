"""What a run writes down about itself: scores of views, and lines of metrics.jsonl."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ViewScore:
    """How well one view is rendered: PSNR in dB, and SSIM."""

    name: str
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Evaluation:
    """Scores of views after some step; rendering them took `seconds_per_view`."""

    step: int
    views: tuple[ViewScore, ...]
    seconds_per_view: float

    @property
    def psnr(self) -> float:
        """The mean over views of each view's PSNR, in dB."""
        return float(np.mean([view.psnr for view in self.views]))

    @property
    def ssim(self) -> float:
        """The mean over views of each view's SSIM."""
        return float(np.mean([view.ssim for view in self.views]))

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the means, as in RUN/eval/<split>.json."""
        return {"psnr": self.psnr, "ssim": self.ssim, **asdict(self)}


@dataclass(frozen=True)
class StepEntry:
    """A training step: seconds of training until then, loss, PSNR (dB) of recent steps, learning rate, and rays."""

    step: int
    seconds: float
    loss: float
    psnr: float
    learning_rate: float
    rays: float

    def to_json(self) -> dict[str, Any]:
        """A line of metrics.jsonl."""
        return asdict(self)


@dataclass(frozen=True)
class ValidationEntry:
    """The PSNR (dB) of one held-out view after a step."""

    step: int
    validation_psnr: float
    view: str

    def to_json(self) -> dict[str, Any]:
        """A line of metrics.jsonl."""
        return asdict(self)


MetricsEntry = StepEntry | ValidationEntry
