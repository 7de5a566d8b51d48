"""What models need while cameras are learnt: detail that is released coarse to fine, and kernels for rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nerf_mini.models.base import Model
from nerf_mini.ops import OperatorUse


def coarsened(model: Model, parameters: Any, detail: float) -> Any:
    """Parameters with which a model's fields show a part of their detail, from 0 to 1, coarse first; differentiable."""
    if detail >= 1:
        return parameters
    field: Any = model.field  # type: ignore[attr-defined]
    if "coarse" in parameters:
        return {name: field.coarsened(of_field, detail) for name, of_field in parameters.items()}
    return field.coarsened(parameters, detail)


def differentiating_rays(operators: Sequence[OperatorUse]) -> tuple[OperatorUse, ...]:
    """The operators of a step that differentiates rays too, for the warm-up: nothing of them is constant."""
    return tuple(replace(use, constants=()) for use in operators)
