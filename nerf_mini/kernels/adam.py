"""Adam (Kingma and Ba 2015), in one pass over flat arrays of parameters."""

import math

from numba import prange

from nerf_mini.kernels.compiling import kernel, parallel_kernel
from nerf_mini.kernels.schedule import ADAM_BLOCK


@kernel
def adam_step(parameters, gradient, mean, variance, rate, beta1, beta2, epsilon, step):
    """Update parameters, mean and variance (all flat, same dtype) in place; `step` counts from 1."""
    real = parameters.dtype.type
    scale1, scale2 = real(1 / (1 - beta1**step)), real(1 / (1 - beta2**step))
    keep1, take1, keep2, take2 = real(beta1), real(1 - beta1), real(beta2), real(1 - beta2)
    rate, epsilon = real(rate), real(epsilon)
    for i in range(parameters.size):
        g = gradient[i]
        mean[i] = keep1 * mean[i] + take1 * g
        variance[i] = keep2 * variance[i] + take2 * g * g
        parameters[i] -= rate * (mean[i] * scale1) / (math.sqrt(variance[i] * scale2) + epsilon)


@parallel_kernel
def adam_step_sparse(parameters, gradient, mean, variance, rate, beta1, beta2, epsilon, step):
    """`adam_step` for those entries only whose gradient is not zero; the others, with their means, stay as they are.

    For tables of which a step touches a part: what is not touched does not drift, and costs a comparison.
    """
    real = parameters.dtype.type
    scale1, scale2 = real(1 / (1 - beta1**step)), real(1 / (1 - beta2**step))
    keep1, take1, keep2, take2 = real(beta1), real(1 - beta1), real(beta2), real(1 - beta2)
    rate, epsilon = real(rate), real(epsilon)
    for block in prange((parameters.size + ADAM_BLOCK - 1) // ADAM_BLOCK):
        part = slice(block * ADAM_BLOCK, min((block + 1) * ADAM_BLOCK, parameters.size))
        p, gradients, means, variances = parameters[part], gradient[part], mean[part], variance[part]
        for i in range(p.size):
            g = gradients[i]
            if g != 0:
                m = keep1 * means[i] + take1 * g
                v = keep2 * variances[i] + take2 * g * g
                means[i], variances[i] = m, v
                p[i] -= rate * (m * scale1) / (math.sqrt(v * scale2) + epsilon)
