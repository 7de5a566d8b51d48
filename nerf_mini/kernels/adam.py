"""Adam (Kingma and Ba 2015), one pass over a flat array of parameters."""

import math

from numba import njit


@njit(cache=True)
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
