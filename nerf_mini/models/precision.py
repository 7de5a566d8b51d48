"""Which precision the products of a network have: the only place that resolves "auto"."""

from __future__ import annotations

from typing import Literal

from nerf_mini.errors import UserError
from nerf_mini.ops import BFLOAT16

Precision = Literal["auto", "float32", "bfloat16"]


def resolve_precision(precision: Precision) -> Literal["float32", "bfloat16"]:
    """The precision for a new run on this CPU: bfloat16 where it has the instructions, unless another is asked for.

    Raises UserError for bfloat16 on a CPU without it.
    """
    if precision == "bfloat16" and not BFLOAT16:
        raise UserError(
            "--precision bfloat16: this CPU has no instructions for it; --precision auto takes float32 here."
        )
    return "bfloat16" if BFLOAT16 and precision != "float32" else "float32"


def uses_bfloat16(precision: Precision) -> bool:
    """Whether products are in bfloat16: as the setting says where the CPU can, in float32 elsewhere."""
    return BFLOAT16 and precision != "float32"
