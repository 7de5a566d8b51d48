"""Training methods by name. A method has init, render and loss_and_gradient; see `NeRF`."""

from .batch import RayBatch, background_color, draw_batch
from .nerf import NeRF

METHODS = {"nerf": NeRF}

__all__ = ["METHODS", "NeRF", "RayBatch", "background_color", "draw_batch"]
