"""What maps a point and a direction to density and colour."""

from .activations import logistic, truncated_exp
from .instant import InstantField
from .mlp import MLPField

__all__ = ["InstantField", "MLPField", "logistic", "truncated_exp"]
