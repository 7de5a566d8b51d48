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
    """Pixels to learn from, and the colours (n, 3) behind them; dtype that of the arithmetic.

    places (n, k, 2): where k rays leave each pixel, as offsets of column and row from its middle; None: one ray, there.
    """

    pixels: PixelBatch
    background: np.ndarray
    places: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Any) -> Batch:
        places = None if self.places is None else self.places[index]
        return Batch(self.pixels[index], self.background[index], places)

    @property
    def rays_per_pixel(self) -> int:
        """k."""
        return 1 if self.places is None else self.places.shape[1]

    @property
    def views(self) -> np.ndarray:
        """The view of each ray, (n k,)."""
        return np.repeat(self.pixels.view, self.rays_per_pixel)

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
        """Rays through the pixels, pixel after pixel, in the precision of the background."""
        column, row = self.pixels.column, self.pixels.row
        if self.places is not None:
            column, row = ((at[:, None] + self.places[..., k]).reshape(-1) for k, at in enumerate((column, row)))
        return cameras.rays(self.views, column, row, self.background.dtype)


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
        renderings: those of the pixels of each part of the batch, coarse to fine, with the colours (pixels, 3) behind
            them.
        pixels: how many were trained on.
        squared_error: mean (C - C_target)^2 of the final rendering, whatever the loss is.
    """

    terms: LossTerms
    gradient: Any
    renderings: list[tuple[tuple[Rendering, ...], np.ndarray]]
    pixels: int
    squared_error: float

    def emitted(self) -> list[np.ndarray]:
        """Colour, the background aside, and opacity of the pixels of each rendering, coarse to fine: (pixels, 4)."""
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
    parts = max(1, -(-len(batch) * batch.rays_per_pixel * model.bytes_per_ray() // KEPT_BYTES))
    edges = np.linspace(0, len(batch), parts + 1).astype(int)
    results = [
        _of_part(model, parameters, cameras, batch[first:last] if parts > 1 else batch, weights, rng, acting)
        for first, last in pairwise(edges)
    ]
    if parts == 1:
        return results[0]
    pixels = sum(result.pixels for result in results)
    shares = [result.pixels / pixels for result in results]

    def mean(*leaves: Any) -> Any:
        return sum(share * leaf for share, leaf in zip(shares, leaves, strict=True))

    gradient = tree.map_leaves(mean, *(result.gradient for result in results))
    terms = tree.map_leaves(mean, *(result.terms for result in results))
    error = sum(share * result.squared_error for share, result in zip(shares, results, strict=True))
    return StepResult(terms, gradient, [part for result in results for part in result.renderings], pixels, error)


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
    per_pixel = batch.rays_per_pixel
    # a lens may end beside the middle of a pixel, and one that is learnt even there
    lit = np.isfinite(plain.directions[:, 0])
    if not lit.all():
        whole = lit.reshape(-1, per_pixel).all(axis=1)
        plain, batch = plain[np.repeat(whole, per_pixel)], batch[whole]
    chosen, samples = model.sample(coarsened(model, parameters["field"], acting.detail), plain, rng)
    pixels = len(chosen) // per_pixel  # the last one may lack some of its rays
    plain, samples, batch = plain[: pixels * per_pixel], samples.of_first(pixels * per_pixel), batch[:pixels]
    target = batch.target

    def loss(parameters: dict[str, Any]) -> tuple[Any, tuple[LossTerms, tuple[Rendering, ...]]]:
        rays = batch.rays(corrected(cameras, acting.corrections(parameters["cameras"]))) if learnt else plain
        if "appearance" in parameters:
            rays = replace(rays, codes=np.take(parameters["appearance"], batch.views, axis=0))  # (rays, k)
        field = coarsened(model, parameters["field"], acting.detail)
        behind: Any = batch.background
        if "background" in parameters:
            behind = np.ones_like(behind) * logistic(parameters["background"].astype(behind.dtype))
        behind_rays = behind if per_pixel == 1 else np.repeat(behind, per_pixel, axis=0)
        renderings = tuple(
            of_pixels(rendering, per_pixel) for rendering in model.render(field, rays, samples, behind_rays, rng)
        )
        if "exposure" in parameters:
            gain = np.take(np.exp(parameters["exposure"]), batch.pixels.view, axis=0)  # (pixels, 3)
            renderings = tuple(exposed(rendering, gain, behind) for rendering in renderings)
        terms = loss_terms(renderings, rays, model.region, target, weights)
        if acting.penalty is not None:
            terms = replace(terms, penalty=acting.penalty(parameters))
        return terms.total, (terms, renderings)

    (_, (terms, renderings)), gradient = value_and_grad(loss, has_aux=True)(parameters)
    error = float(terms.fine if weights.photometric == "mse" else np.mean((renderings[-1].color - target) ** 2))
    return StepResult(tree.map_leaves(float, terms), gradient, [(renderings, batch.background)], len(batch), error)


def of_pixels(rendering: Rendering, rays_per_pixel: int) -> Rendering:
    """What pixels show: the mean over the rays of each, which follow each other. Weights and samples stay the rays'."""
    if rays_per_pixel == 1:
        return rendering
    color = np.mean(np.reshape(rendering.color, (-1, rays_per_pixel, 3)), axis=1)
    depth, opacity = (
        np.mean(np.reshape(values, (-1, rays_per_pixel)), axis=1) for values in (rendering.depth, rendering.opacity)
    )
    return replace(rendering, color=color, depth=depth, opacity=opacity)


def _emitted(rendering: Rendering, background: np.ndarray) -> np.ndarray:
    """Colour, the background aside, and opacity of rays, (rays, 4): all the same where a network has collapsed."""
    color = rendering.color - (1 - rendering.opacity)[:, None] * background
    return np.column_stack([color, rendering.opacity])


__all__ = ["KEPT_BYTES", "Acting", "Batch", "StepResult", "loss_and_gradient", "of_pixels"]
