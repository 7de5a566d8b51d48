"""Adam, its parameter groups, and the schedule of its learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from autodiff import tree
from nerf_mini.config import OptimiserConfig
from nerf_mini.ops import adam_step


@dataclass(frozen=True)
class Schedule:
    """Decay of a learning rate from `initial` to `final`, constant from there on.

    After a share p of the way, initial (final / initial)^p, or half a period of the cosine (Loshchilov and Hutter 2017,
    eq. 5): final + (initial - final) (1 + cos(pi p)) / 2.
    """

    initial: float
    final: float
    decay: Literal["cosine", "exponential"] = "exponential"

    def times(self, factor: float) -> Schedule:
        """The same schedule with rates a factor as high."""
        return replace(self, initial=factor * self.initial, final=factor * self.final)

    def at(self, progress: float) -> float:
        """The rate after a share `progress`, from 0 to 1, of the run."""
        share = min(1.0, progress)
        if self.decay == "exponential":
            return self.initial * (self.final / self.initial) ** share
        return self.final + (self.initial - self.final) * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are updated alike.

    Attributes:
        path: the keys that lead to them, such as ("field", "tables"); () for all.
        schedule: of their learning rate.
        sparse: leave entries alone whose gradient is exactly zero, with their means: for tables of which a step touches
            a part.
    """

    path: tuple[str, ...]
    schedule: Schedule
    sparse: bool = False


@dataclass
class AdamState:
    """Steps taken, and the running means of gradients and of their squares, in the form of the parameters."""

    step: int
    mean: Any
    variance: Any


def adam_init(parameters: Any) -> AdamState:
    """The state before the first step."""
    return AdamState(0, tree.map_leaves(np.zeros_like, parameters), tree.map_leaves(np.zeros_like, parameters))


def adam_update(
    config: OptimiserConfig,
    groups: Sequence[ParameterGroup],
    parameters: Any,
    gradient: Any,
    state: AdamState,
    progress: float,
) -> None:
    """One step of Adam (Kingma and Ba 2015, algorithm 1), in place on the parameters and the state.

    Each leaf belongs to the first group whose path leads to it; leaves without a group are left alone. `progress`, from
    0 to 1, is for the schedules.
    """
    state.step += 1
    leaves = (tree.flatten(t)[0] for t in (parameters, gradient, state.mean, state.variance))
    of_leaves = groups_of(tuple(tree.paths(parameters)), tuple(groups))
    for group, p, g, m, v in zip(of_leaves, *leaves, strict=True):
        if group is None:
            continue
        adam_step(
            p, g, m, v, step=state.step, rate=group.schedule.at(progress), beta1=config.beta1, beta2=config.beta2,
            epsilon=config.epsilon, sparse=group.sparse,
        )  # fmt: skip


@lru_cache
def groups_of(paths: tuple[str, ...], groups: tuple[ParameterGroup, ...]) -> list[ParameterGroup | None]:
    """The group of each leaf, in the order of `tree.flatten`."""
    prefixes = [("".join(f"[{key!r}]" for key in group.path), group) for group in groups]
    return [next((group for prefix, group in prefixes if path.startswith(prefix)), None) for path in paths]
