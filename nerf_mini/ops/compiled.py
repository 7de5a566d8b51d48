"""What the CPU can do."""

from nerf_mini.kernels.matmul import BFLOAT16

__all__ = ["BFLOAT16"]
