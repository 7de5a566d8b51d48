"""Training methods by name; see `Method` for what one is."""

from typing import Any

from .base import Method
from .batch import RayBatch, background_color, draw_batch
from .instant import Instant
from .nerf import NeRF

METHODS: dict[str, Any] = {"nerf": NeRF, "instant": Instant}

__all__ = ["METHODS", "Instant", "Method", "NeRF", "RayBatch", "background_color", "draw_batch"]
