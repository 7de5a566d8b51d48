"""What maps a point and a direction to density and colour."""

from .mlp import MLPField

__all__ = ["MLPField"]
