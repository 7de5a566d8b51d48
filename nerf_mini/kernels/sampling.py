"""Inverse-CDF sampling of a piecewise-constant density, forward and backward.

A histogram with edges e_0..e_B and weights w_k has the cumulative C_k = sum_{j<k} w_j and the total W. A number u
in [0, 1] falls in the bin k with C_k <= u W < C_{k+1}, and its sample is
    s = e_k + f (e_{k+1} - e_k),   f = (u W - C_k) / w_k.
"""

from numba import prange

from nerf_mini.kernels.compiling import parallel_kernel, part


@part
def _find_bin(cumulative, target, bins):
    """The bin whose share of the cumulative holds the target; the last bin of positive weight beyond the end."""
    low, high = 0, bins
    while high - low > 1:
        middle = (low + high) // 2
        if cumulative[middle] <= target:
            low = middle
        else:
            high = middle
    while low > 0 and cumulative[low + 1] <= cumulative[low]:
        low -= 1
    return low


@part
def _cumulate(weights, cumulative):
    total = weights.dtype.type(0)
    cumulative[0] = total
    for k in range(weights.size):
        total += weights[k]
        cumulative[k + 1] = total
    return total


@parallel_kernel
def sample_forward(edges, weights, u, out_samples, out_bins):
    """edges (rays, bins + 1), weights (rays, bins), u and both outputs (rays, samples)."""
    for ray in prange(edges.shape[0]):
        bins = weights.shape[1]
        cumulative = edges[ray].copy()
        total = _cumulate(weights[ray], cumulative)
        for i in range(u.shape[1]):
            target = u[ray, i] * total
            k = _find_bin(cumulative, target, bins)
            f = (target - cumulative[k]) / weights[ray, k]
            f = min(max(f, u.dtype.type(0)), u.dtype.type(1))
            out_samples[ray, i] = edges[ray, k] + f * (edges[ray, k + 1] - edges[ray, k])
            out_bins[ray, i] = k


@parallel_kernel
def sample_backward(g, edges, weights, u, bins, g_edges, g_weights, g_u):
    """The bin is held fixed. The gradients come in as zeros.

    ds/de_k = 1 - f, ds/de_{k+1} = f, ds/du = W h, ds/dw_j = h (u - [j<k] - f [j=k]), with h = (e_{k+1} - e_k) / w_k.
    """
    for ray in prange(edges.shape[0]):
        cumulative = edges[ray].copy()
        total = _cumulate(weights[ray], cumulative)
        before = edges[ray].copy()  # before[k]: sum of g h over samples in bins >= k, for the term [j < k]
        before[:] = 0
        shared = g.dtype.type(0)
        for i in range(u.shape[1]):
            k = bins[ray, i]
            w = weights[ray, k]
            f = (u[ray, i] * total - cumulative[k]) / w
            gh = g[ray, i] * (edges[ray, k + 1] - edges[ray, k]) / w
            g_edges[ray, k] += g[ray, i] * (1 - f)
            g_edges[ray, k + 1] += g[ray, i] * f
            g_u[ray, i] = gh * total
            g_weights[ray, k] -= gh * f
            before[k] += gh
            shared += gh * u[ray, i]
        after = g.dtype.type(0)
        for j in range(weights.shape[1] - 1, -1, -1):
            g_weights[ray, j] += shared - after
            after += before[j]
