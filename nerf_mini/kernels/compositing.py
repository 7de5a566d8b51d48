"""Volume rendering by quadrature, forward and backward, on packed samples.

With optical depths tau_i = density_i delta_i of the samples of one ray:
    T_i = exp(-sum_{j<i} tau_j),   alpha_i = 1 - exp(-tau_i),   w_i = T_i alpha_i,
    color = sum w_i c_i,   distance = sum w_i t_i,   opacity = sum w_i.
With v_i = g_color . c_i + g_distance t_i + g_opacity + g_weights_i, the derivative of sum w_i v_i is
    d/dtau_i = T_{i+1} v_i - sum_{j>i} w_j v_j     (Max 1995; Mildenhall et al. 2020, eq. 3).
"""

import math

from numba import prange

from nerf_mini.kernels.compiling import parallel_kernel
from nerf_mini.kernels.quadrature import weight_and_depth


@parallel_kernel
def composite_forward(
    density, color, t, delta, starts, counts, out_color, out_distance, out_opacity, out_weights, out_beyond
):
    """density, t, delta, out_weights, out_beyond (samples,); color (samples, 3); the others one per ray.

    `out_beyond` is T_{i+1}, the transmittance at the far side of each sample.
    """
    for ray in prange(starts.size):
        zero = density.dtype.type(0)
        depth, r, g, b, distance, opacity = zero, zero, zero, zero, zero, zero
        for i in range(starts[ray], starts[ray] + counts[ray]):
            w, depth = weight_and_depth(depth, density[i], delta[i])
            out_weights[i] = w
            out_beyond[i] = math.exp(-depth)
            r += w * color[i, 0]
            g += w * color[i, 1]
            b += w * color[i, 2]
            distance += w * t[i]
            opacity += w
        out_color[ray, 0], out_color[ray, 1], out_color[ray, 2] = r, g, b
        out_distance[ray], out_opacity[ray] = distance, opacity


@parallel_kernel
def composite_backward(
    density, color, t, delta, starts, counts, weights, beyond,
    g_color, g_distance, g_opacity, g_weights,
    out_density, out_color, out_t, out_delta,
):  # fmt: skip
    """Gradients of the four sample arrays, from the last sample of each ray to its first.

    Samples that belong to no ray keep what the outputs held.
    """
    for ray in prange(starts.size):
        behind = density.dtype.type(0)  # sum of w_j v_j over the samples behind i
        for i in range(starts[ray] + counts[ray] - 1, starts[ray] - 1, -1):
            v = g_color[ray, 0] * color[i, 0] + g_color[ray, 1] * color[i, 1] + g_color[ray, 2] * color[i, 2]
            v += g_distance[ray] * t[i] + g_opacity[ray] + g_weights[i]
            slope = beyond[i] * v - behind
            out_density[i] = delta[i] * slope
            out_delta[i] = density[i] * slope
            out_t[i] = weights[i] * g_distance[ray]
            for channel in range(3):
                out_color[i, channel] = weights[i] * g_color[ray, channel]
            behind += weights[i] * v
