"""What maps a point and a direction to density and colour."""

from nerf_mini.fields.hash_grid import InstantField
from nerf_mini.fields.mlp import MLPField

__all__ = ["InstantField", "MLPField"]
