"""The distortion of the weights along a ray (Barron et al. 2022, eq. 15), forward and backward, in linear time.

    loss = sum_{i,j} w_i w_j |t_i - t_j| + 1/3 sum_i w_i^2 delta_i

With samples in order, the double sum is 2 sum_i w_i (t_i W_i - M_i), where W_i and M_i are the sums of w_j and w_j t_j
over the samples before i (Sun et al. 2022).
"""

from numba import prange

from nerf_mini.kernels.compiling import parallel_kernel


@parallel_kernel
def distortion_forward(weights, t, delta, starts, counts, out):
    """weights, t, delta (samples,) -> out (rays,)."""
    for ray in prange(starts.size):
        total = weights.dtype.type(0)
        before, moment = total, total
        for i in range(starts[ray], starts[ray] + counts[ray]):
            w = weights[i]
            total += 2 * w * (t[i] * before - moment) + w * w * delta[i] / 3
            before += w
            moment += w * t[i]
        out[ray] = total


@parallel_kernel
def distortion_backward(g, weights, t, delta, starts, counts, g_weights, g_t, g_delta):
    """Gradients of the three arrays of samples; samples that belong to no ray keep what the outputs held."""
    for ray in prange(starts.size):
        start, end = starts[ray], starts[ray] + counts[ray]
        zero = weights.dtype.type(0)
        all_weight, all_moment = zero, zero
        for i in range(start, end):
            all_weight += weights[i]
            all_moment += weights[i] * t[i]
        before, moment = zero, zero
        for i in range(start, end):
            w, place = weights[i], t[i]
            behind, moment_behind = all_weight - before - w, all_moment - moment - w * place
            distances = place * before - moment + moment_behind - place * behind
            g_weights[i] = g[ray] * (2 * distances + 2 * w * delta[i] / 3)
            g_t[i] = 2 * g[ray] * w * (before - behind)
            g_delta[i] = g[ray] * w * w / 3
            before += w
            moment += w * place
