"""Numba kernels: arrays in, arrays out; no autodiff, no Python objects. Only `ops` imports them."""
