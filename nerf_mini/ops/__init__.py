"""Fused operators: each a pair of kernels beside its plain-NumPy reference, registered with autodiff."""

from .compositing import composite
from .encoding import encode, encoding_width
from .harmonics import HARMONICS, spherical_harmonics
from .hash_grid import GridShape, hash_grid
from .instant import InstantShape, instant_network, instant_parameter_shapes
from .network import NetworkShape, network, parameter_shapes
from .sampling import sample_histogram

__all__ = [
    "HARMONICS",
    "GridShape",
    "InstantShape",
    "NetworkShape",
    "composite",
    "encode",
    "encoding_width",
    "hash_grid",
    "instant_network",
    "instant_parameter_shapes",
    "network",
    "parameter_shapes",
    "sample_histogram",
    "spherical_harmonics",
]
