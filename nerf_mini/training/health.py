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


def require_finite(loss: float, gradient: Any, step: int, seed: int, rate: float) -> None:
    """Raise a UserError unless loss and gradient are finite. Called before the update: no state ever holds a NaN."""
    # the sum of squares is finite where every value is, and needs no array of its own
    if math.isfinite(loss) and all(math.isfinite(np.vdot(leaf, leaf)) for leaf in tree.flatten(gradient)[0]):
        return
    problem = "the gradient is not finite" if math.isfinite(loss) else f"the loss became {loss}"
    raise UserError(
        f"{problem} at step {step + 1} (seed {seed}). Train again with a lower --learning-rate than {rate}, or another"
        " --seed."
    )


def spread_is_due(step: int) -> bool:
    """Whether to call `require_spread` in this step."""
    return step >= COLLAPSE_AFTER and step % COLLAPSE_EVERY == 0


def require_spread(emitted: list[np.ndarray], target: np.ndarray, step: int, seed: int, advice: str = "") -> None:
    """Raise a UserError where every ray has the same colour although the pictures have not: nothing more is learnt.

    Colours without the background, and opacity: emitted (rays, 4) for each rendering, target (n, 4) of the pictures.
    """
    found = min((float(np.std(rays, axis=0).max(initial=0.0)) if len(rays) else 0.0 for rays in emitted), default=0.0)
    if found >= COLLAPSE_SPREAD or np.std(target, axis=0).max() < 10 * COLLAPSE_SPREAD:
        return
    raise UserError(
        f"training has collapsed: at step {step} every ray has the same colour (seed {seed}). Train again with another"
        f" --seed,{advice} with a lower --learning-rate, or check that --near and --far enclose the scene."
    )
