"""Whether training goes well: checks that end it with advice where it does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff import tree
from nerf_mini.errors import UserError

COLLAPSE_AFTER = 400  # steps; before, a network may well be of one colour
COLLAPSE_EVERY = 16  # steps between two looks
COLLAPSE_SPREAD = 2e-3  # standard deviation of the colours of a batch


def gradient_square(gradient: Any) -> float:
    """The sum of squares of a gradient: finite where every value is, and no array is needed to find it."""
    return sum(float(np.vdot(leaf, leaf)) for leaf in tree.flatten(gradient)[0])


def require_finite(loss: float, square: float, step: int, seed: int, rate: float) -> None:
    """Raise a UserError unless the loss and the sum of squares of the gradient are finite. Called before the update: no
    state ever holds a NaN."""
    if math.isfinite(loss) and math.isfinite(square):
        return
    problem = "the gradient is not finite" if math.isfinite(loss) else f"the loss became {loss}"
    raise UserError(
        f"{problem} at step {step + 1} (seed {seed}). Train again with a lower --learning-rate than {rate}, or another"
        " --seed."
    )


def spread_is_due(step: int) -> bool:
    """Whether to call `require_spread` in this step."""
    return step >= COLLAPSE_AFTER and step % COLLAPSE_EVERY == 0


def spreads(emitted: list[np.ndarray], target: np.ndarray) -> tuple[float, float]:
    """How far colours are spread: the standard deviation of that of four numbers which differs most, of the rendering
    in which they differ least, and of the pictures.

    Colours without the background, and opacity: emitted (rays, 4) for each rendering, target (n, 4) of the pictures.
    """
    found = min((float(np.std(rays, axis=0).max(initial=0.0)) if len(rays) else 0.0 for rays in emitted), default=0.0)
    return found, float(np.std(target, axis=0).max())


def require_spread(found: float, of_target: float, step: int, seed: int, advice: str = "") -> None:
    """Raise a UserError where every ray has the same colour although the pictures have not: nothing more is learnt.

    Both are those of `spreads`.
    """
    if found >= COLLAPSE_SPREAD or of_target < 10 * COLLAPSE_SPREAD:
        return
    raise UserError(
        f"training has collapsed: at step {step} every ray has the same colour (seed {seed}). Train again with another"
        f" --seed,{advice} with a lower --learning-rate, or check that --near and --far enclose the scene."
    )
