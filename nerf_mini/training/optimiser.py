"""Adam, and the schedule of its learning rate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff import tree
from nerf_mini.config import OptimiserConfig
from nerf_mini.ops import adam_step


@dataclass
class AdamState:
    """Steps taken, and the running means of gradients and of their squares, in the form of the parameters."""

    step: int
    mean: Any
    variance: Any


def learning_rate(config: OptimiserConfig, step: int, progress: float | None = None) -> float:
    """Exponential decay: geometric from `learning_rate` at step 0 to `final_rate` at `decay_steps`, then constant.

    `progress`, from 0 to 1, replaces step / decay_steps where a training is bound by time instead of steps.
    """
    progress = min(1.0, step / config.decay_steps if progress is None else progress)
    return config.learning_rate * (config.final_rate / config.learning_rate) ** progress


def adam_init(parameters: Any) -> AdamState:
    return AdamState(0, tree.map_leaves(np.zeros_like, parameters), tree.map_leaves(np.zeros_like, parameters))


def adam_update(
    config: OptimiserConfig,
    parameters: Any,
    gradient: Any,
    state: AdamState,
    progress: float | None = None,
    lazy: Collection[str] = (),
) -> None:
    """One step of Adam (Kingma and Ba 2015, algorithm 1), in place on the parameters and the state.

    In the leaves of the parameters' members named in `lazy`, entries whose gradient is exactly zero are left alone.
    """
    rate = learning_rate(config, state.step, progress)
    state.step += 1
    leaves = (tree.flatten(t)[0] for t in (parameters, gradient, state.mean, state.variance))
    is_lazy = [path.startswith(tuple(f"[{name!r}]" for name in lazy)) for path in tree.paths(parameters)]
    for p, g, m, v, skips in zip(*leaves, is_lazy, strict=True):
        adam_step(
            p, g, m, v, step=state.step, rate=rate, beta1=config.beta1, beta2=config.beta2, epsilon=config.epsilon,
            sparse=skips,
        )  # fmt: skip
