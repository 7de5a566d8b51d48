"""Positions of samples along rays: o + t d."""

from numba import prange

from nerf_mini.kernels.compiling import kernel, parallel_kernel
from nerf_mini.kernels.schedule import POINT_BLOCK


@parallel_kernel
def positions_forward(origins, directions, t, ray_index, out):
    """origins, directions (rays, 3), t and ray_index (samples,) -> out (samples, 3)."""
    for block in prange((t.size + POINT_BLOCK - 1) // POINT_BLOCK):
        for i in range(block * POINT_BLOCK, min((block + 1) * POINT_BLOCK, t.size)):
            ray = ray_index[i]
            for axis in range(3):
                out[i, axis] = origins[ray, axis] + t[i] * directions[ray, axis]


@kernel
def positions_backward(g, directions, t, ray_index, g_origins, g_directions, g_t):
    """Adds to g_origins and g_directions (rays, 3); fills g_t (samples,)."""
    for i in range(t.size):
        ray, slope = ray_index[i], g.dtype.type(0)
        for axis in range(3):
            slope += g[i, axis] * directions[ray, axis]
            g_origins[ray, axis] += g[i, axis]
            g_directions[ray, axis] += t[i] * g[i, axis]
        g_t[i] = slope
