"""Fused operators: each a pair of kernels beside its plain-NumPy reference, registered with autodiff."""

from .compositing import composite
from .encoding import encode, encoding_width
from .network import NetworkShape, network, parameter_shapes
from .sampling import sample_histogram

__all__ = ["NetworkShape", "composite", "encode", "encoding_width", "network", "parameter_shapes", "sample_histogram"]
