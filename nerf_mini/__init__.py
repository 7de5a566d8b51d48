"""nerf-mini: train and look at a neural radiance field on a laptop, in NumPy and Numba."""

__version__ = "0.1.0"
