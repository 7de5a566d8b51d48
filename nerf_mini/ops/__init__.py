"""Fused operators: each a pair of kernels beside its plain-NumPy reference, registered with autodiff."""

from nerf_mini.ops.activations import DensityActivation, activate, logistic, truncated_exp
from nerf_mini.ops.compositing import composite
from nerf_mini.ops.distortion import distortion
from nerf_mini.ops.encoding import encode, encoding_width
from nerf_mini.ops.harmonics import HARMONICS, spherical_harmonics
from nerf_mini.ops.hash_grid import GridShape, hash_grid
from nerf_mini.ops.instant import InstantShape, instant_network, instant_parameter_shapes
from nerf_mini.ops.network import NetworkShape, network, parameter_shapes
from nerf_mini.ops.positions import positions
from nerf_mini.ops.sampling import sample_histogram

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
