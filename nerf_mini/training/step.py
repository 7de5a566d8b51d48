"""One training step: from pixels to the loss and its gradient. The only place that differentiates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from autodiff import tree, value_and_grad
from nerf_mini.config import LossConfig
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.corrections import corrected
from nerf_mini.geometry.rays import Rays
from nerf_mini.io.images import composite
from nerf_mini.models import Model
from nerf_mini.models.refinement import coarsened
from nerf_mini.ops import logistic
from nerf_mini.rendering.volume import Rendering
from nerf_mini.scenes import PixelBatch
from nerf_mini.training.losses import LossTerms, exposed, loss_terms

KEPT_BYTES = 1 << 28  # at most, between a forward and a backward pass


@dataclass(frozen=True)
class Batch:
    """Pixels to learn from, and the colours (n, 3) behind them; dtype that of the arithmetic."""

    pixels: PixelBatch
    background: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Any) -> Batch:
        return Batch(self.pixels[index], self.background[index])

    @property
    def target(self) -> np.ndarray:
        """The colours to be seen, (n, 3): what is transparent shows the background."""
        return composite(self.pixels.values, self.background).astype(self.background.dtype, copy=False)

    @property
    def emitted(self) -> np.ndarray:
        """What the pictures show without any background: colour times opacity, and opacity, (n, 4) float32."""
        values = self.pixels.values
        opacity = values[:, 3] / np.float32(255) if values.shape[1] == 4 else np.ones(len(values), np.float32)
        return np.column_stack([composite(values, np.zeros(3)), opacity])

    def rays(self, cameras: Cameras) -> Rays:
        """Rays through the pixels' centres, in the precision of the background."""
        return cameras.rays(self.pixels.view, self.pixels.column, self.pixels.row, self.background.dtype)


@dataclass(frozen=True)
class Acting:
    """How parameters act in a step, where some are learnt beside the field.

    Attributes:
        detail: the share of the field's detail that is shown, see `models.refinement`.
        penalty: of the parameters, added to the loss.
        corrections: how parameters "cameras" become corrections of cameras.
    """

    detail: float = 1.0
    penalty: Callable[[dict[str, Any]], Any] | None = None
    corrections: Callable[[dict[str, Any]], dict[str, Any]] = dict


@dataclass
class StepResult:
    """What a step found.

    Attributes:
        terms: the loss.
        gradient: in the form of the parameters.
        renderings: those of each part of the batch, coarse to fine, with the colours (rays, 3) behind them.
        rays: how many were trained on.
        squared_error: mean (C - C_target)^2 of the final rendering, whatever the loss is.
    """

    terms: LossTerms
    gradient: Any
    renderings: list[tuple[tuple[Rendering, ...], np.ndarray]]
    rays: int
    squared_error: float

    def emitted(self) -> list[np.ndarray]:
        """Colour, the background aside, and opacity of the rays of each rendering, coarse to fine: (rays, 4)."""
        parts = [[_emitted(rendering, behind) for rendering in of_part] for of_part, behind in self.renderings]
        return [np.concatenate(of_rendering) for of_rendering in zip(*parts, strict=True)]


def loss_and_gradient(
    model: Model,
    parameters: dict[str, Any],
    cameras: Cameras,
    batch: Batch,
    weights: LossConfig,
    rng: np.random.Generator | None,
    acting: Acting = Acting(),
) -> StepResult:
    """The loss of a batch, or of its first rays that the sampler can take, and its gradient.

    Beside "field", parameters may hold "cameras", corrections of the cameras (see `geometry.corrections`), "exposure"
    (V, 3), logarithms of the gains of the views' channels, "appearance" (V, k), codes of the views, and "background"
    (3,), the colour behind everything before the logistic function. A batch of which the model would keep more than
    `KEPT_BYTES` is taken in equal parts, whose gradients are added.
    """
    if weights.distortion is None:
        weights = replace(weights, distortion=model.distortion)
    parts = max(1, -(-len(batch) * model.bytes_per_ray() // KEPT_BYTES))
    edges = np.linspace(0, len(batch), parts + 1).astype(int)
    results = [
        _of_part(model, parameters, cameras, batch[first:last] if parts > 1 else batch, weights, rng, acting)
        for first, last in pairwise(edges)
    ]
    if parts == 1:
        return results[0]
    rays = sum(result.rays for result in results)
    shares = [result.rays / rays for result in results]

    def mean(*leaves: Any) -> Any:
        return sum(share * leaf for share, leaf in zip(shares, leaves, strict=True))

    gradient = tree.map_leaves(mean, *(result.gradient for result in results))
    terms = tree.map_leaves(mean, *(result.terms for result in results))
    error = sum(share * result.squared_error for share, result in zip(shares, results, strict=True))
    return StepResult(terms, gradient, [part for result in results for part in result.renderings], rays, error)


def _of_part(
    model: Model,
    parameters: dict[str, Any],
    cameras: Cameras,
    batch: Batch,
    weights: LossConfig,
    rng: np.random.Generator | None,
    acting: Acting,
) -> StepResult:
    learnt = parameters.get("cameras")
    # where to look: no derivative
    plain = batch.rays(corrected(cameras, acting.corrections(learnt)) if learnt else cameras)
    if learnt and not (lit := np.isfinite(plain.directions[:, 0])).all():  # a lens that is learnt may lose pixels
        plain, batch = plain[lit], batch[lit]
    chosen, samples = model.sample(coarsened(model, parameters["field"], acting.detail), plain, rng)
    first = len(chosen) > 0 and chosen[-1] == len(chosen) - 1  # then a slice will do, and nothing is copied
    taken = slice(len(chosen)) if first else chosen
    plain, batch = plain[taken], batch[taken]
    target = batch.target

    def loss(parameters: dict[str, Any]) -> tuple[Any, tuple[LossTerms, tuple[Rendering, ...]]]:
        rays = batch.rays(corrected(cameras, acting.corrections(parameters["cameras"]))) if learnt else plain
        if "appearance" in parameters:
            rays = replace(rays, codes=np.take(parameters["appearance"], batch.pixels.view, axis=0))  # (rays, k)
        field = coarsened(model, parameters["field"], acting.detail)
        behind: Any = batch.background
        if "background" in parameters:
            behind = np.ones_like(behind) * logistic(parameters["background"].astype(behind.dtype))
        renderings = model.render(field, rays, samples, behind, rng)
        if "exposure" in parameters:
            gain = np.take(np.exp(parameters["exposure"]), batch.pixels.view, axis=0)  # (rays, 3)
            renderings = tuple(exposed(rendering, gain, behind) for rendering in renderings)
        terms = loss_terms(renderings, rays, model.region, target, weights)
        if acting.penalty is not None:
            terms = replace(terms, penalty=acting.penalty(parameters))
        return terms.total, (terms, renderings)

    (_, (terms, renderings)), gradient = value_and_grad(loss, has_aux=True)(parameters)
    error = float(terms.fine if weights.photometric == "mse" else np.mean((renderings[-1].color - target) ** 2))
    return StepResult(tree.map_leaves(float, terms), gradient, [(renderings, batch.background)], len(batch), error)


def _emitted(rendering: Rendering, background: np.ndarray) -> np.ndarray:
    """Colour, the background aside, and opacity of rays, (rays, 4): all the same where a network has collapsed."""
    color = rendering.color - (1 - rendering.opacity)[:, None] * background
    return np.column_stack([color, rendering.opacity])


__all__ = ["KEPT_BYTES", "Acting", "Batch", "StepResult", "loss_and_gradient"]
