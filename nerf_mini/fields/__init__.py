"""What maps a point and a direction to density and colour."""

from nerf_mini.fields.base import Field
from nerf_mini.fields.hash_grid_field import HashGridField
from nerf_mini.fields.mlp_field import MLPField

__all__ = ["Field", "HashGridField", "MLPField"]
