"""What a run writes down about itself: scores of views, and lines of metrics.jsonl."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from nerf_mini.io.notebook_html import table
from nerf_mini.rendering.metrics import decibels

Fit = Literal["none", "exposure", "poses"]


@dataclass(frozen=True)
class ViewScore:
    """How well one view is rendered: PSNR in dB, SSIM, and PSNR after colours were corrected, see `rendering.metrics`.

    ssim is None where a mask leaves no window for it; mean_error, the mean absolute difference of colours in [0, 1], is
    None in files of earlier versions.
    """

    name: str
    psnr: float
    ssim: float | None
    cc_psnr: float
    mean_error: float | None = None


@dataclass(frozen=True)
class Protocol:
    """How scores were taken.

    Attributes:
        fit: what was fitted to each view before it was scored: none; exposure, a gain per channel; poses, its camera.
            Fitted are the left halves of pictures, and scored the right ones.
        refine, exposure: what was learnt of the training pictures, as in the configuration.
        cameras: with which views were rendered before anything was fitted: "as given", in whose world the refined
            training cameras are held; or "refined", for training views.
        skipped: views of which a mask leaves nothing to score.
        changed: views, as "split/name", whose pictures are not those that the run began with.
    """

    fit: Fit = "none"
    refine: str = "none"
    exposure: str = "off"
    cameras: Literal["as given", "refined"] = "as given"
    skipped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def scored(self) -> str:
        """Which pixels of a view count, besides a mask."""
        return "all pixels" if self.fit == "none" else "right half"


@dataclass(frozen=True)
class Evaluation:
    """Scores of views after some step; rendering one of them took `seconds_per_view`, the median."""

    step: int
    views: tuple[ViewScore, ...]
    seconds_per_view: float
    protocol: Protocol = field(default_factory=Protocol)

    @property
    def psnr(self) -> float:
        """The mean over views of each view's PSNR, in dB."""
        return float(np.mean([view.psnr for view in self.views]))

    @property
    def ssim(self) -> float:
        """The mean over views of each view's SSIM, where it has one; NaN where none has."""
        found = [view.ssim for view in self.views if view.ssim is not None]
        return float(np.mean(found)) if found else math.nan

    @property
    def cc_psnr(self) -> float:
        """The mean over views of each view's PSNR after its colours were corrected, in dB."""
        return float(np.mean([view.cc_psnr for view in self.views]))

    def _repr_html_(self) -> str:
        """The scores, for notebooks."""
        head = ("view", "PSNR (dB)", "SSIM", "PSNR with colours corrected")
        rows = [(view.name, view.psnr, view.ssim, view.cc_psnr) for view in self.views]
        rows.append((f"mean of {len(self.views)}", self.psnr, self.ssim, self.cc_psnr))
        return table(head, [(name, decibels(psnr), _three(ssim), decibels(cc)) for name, psnr, ssim, cc in rows])

    def of_changed(self, views: tuple[str, ...]) -> Evaluation:
        """The same scores, of a data set in which these pictures have changed since the run began."""
        return replace(self, protocol=replace(self.protocol, changed=views))

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the means, as in the files of RUN/eval."""
        means = {"psnr": self.psnr, "ssim": None if math.isnan(self.ssim) else self.ssim, "cc_psnr": self.cc_psnr}
        own = asdict(self)
        return {**means, **own.pop("protocol"), "scored": self.protocol.scored, **own}


@dataclass(frozen=True)
class MultiScaleEvaluation:
    """Scores of the same views at several scales of their pictures, at least one, by scale."""

    scales: Mapping[Fraction, Evaluation]

    @property
    def step(self) -> int:
        """Of the field that was scored."""
        return next(iter(self.scales.values())).step

    @property
    def psnr(self) -> float:
        """The mean over scales of each scale's PSNR, in dB."""
        return float(np.mean([found.psnr for found in self.scales.values()]))

    @property
    def ssim(self) -> float:
        """The mean over scales of each scale's SSIM, where it has one; NaN where none has."""
        known = [found.ssim for found in self.scales.values() if not math.isnan(found.ssim)]
        return float(np.mean(known)) if known else math.nan

    def rows(self) -> list[tuple[str, str, str, str]]:
        """A table for people: a head, a row for each scale, and the means."""
        rows = [("scale", "PSNR (dB)", "SSIM", "s per view")]
        for scale, found in self.scales.items():
            rows.append((str(scale), decibels(found.psnr), _three(found.ssim), f"{found.seconds_per_view:.2f}"))
        return [*rows, ("mean", decibels(self.psnr), _three(self.ssim), "")]

    def _repr_html_(self) -> str:
        """The scores, for notebooks."""
        head, *rows = self.rows()
        return table(head, rows)

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the means, as in RUN/eval/<split>-scales.json."""
        rows = [{"scale": str(scale), **found.to_json()} for scale, found in self.scales.items()]
        return {
            "step": self.step,
            "psnr": self.psnr,
            "ssim": None if math.isnan(self.ssim) else self.ssim,
            "scales": rows,
        }


def _three(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3f}"


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
