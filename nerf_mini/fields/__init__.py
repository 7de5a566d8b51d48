"""What maps a point and a direction to density and colour."""

from .instant import InstantField
from .mlp import MLPField

__all__ = ["InstantField", "MLPField"]
