"""The quadrature of volume rendering, one interval at a time: training and pictures share this one line of mathematics.

An interval of length delta and density sigma, behind the optical depth D, has the weight T alpha with T = exp(-D) and
alpha = 1 - exp(-sigma delta) (Max 1995); behind it, the optical depth is D + sigma delta.
"""

import math

from nerf_mini.kernels.compiling import part


@part
def weight_and_depth(depth, density, delta):
    """The weight of the next interval, and the optical depth behind it."""
    tau = density * delta
    # expm1 keeps the weight of a thin sample accurate, where 1 - exp(-tau) would cancel
    return math.exp(-depth) * -math.expm1(-tau), depth + tau
