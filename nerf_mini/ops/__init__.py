"""Fused operators: each a pair of kernels beside its plain-NumPy reference, registered with autodiff."""

from .activations import DensityActivation, activate, logistic, truncated_exp
from .compositing import composite
from .distortion import distortion
from .encoding import encode, encoding_width
from .harmonics import HARMONICS, spherical_harmonics
from .hash_grid import GridShape, hash_grid
from .instant import InstantShape, instant_network, instant_parameter_shapes
from .network import NetworkShape, network, parameter_shapes
from .positions import positions
from .sampling import sample_histogram

__all__ = [
    "HARMONICS",
    "DensityActivation",
    "GridShape",
    "InstantShape",
    "NetworkShape",
    "activate",
    "composite",
    "distortion",
    "encode",
    "encoding_width",
    "hash_grid",
    "instant_network",
    "instant_parameter_shapes",
    "logistic",
    "network",
    "parameter_shapes",
    "positions",
    "sample_histogram",
    "spherical_harmonics",
    "truncated_exp",
]
