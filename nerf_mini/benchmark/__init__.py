"""How fast this machine trains and renders, kernel by kernel, and beside PyTorch."""

from nerf_mini.benchmark.report import benchmark

__all__ = ["benchmark"]
