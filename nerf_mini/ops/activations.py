"""From a network's raw outputs to density and colour: one fused operator."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from autodiff import define
from nerf_mini.kernels import activations as kernels
from nerf_mini.ops.registry import fused_operator

DensityActivation = Literal["relu", "softplus", "exp"]
_KINDS = {"relu": kernels.RELU, "softplus": kernels.SOFTPLUS, "exp": kernels.EXP}

# The derivative is the value itself, also beyond the cap: what is too dense can become thinner, and nothing overflows.
truncated_exp = define(
    "truncated_exp",
    lambda x: np.exp(np.minimum(x, kernels.CAP)),
    jvp=lambda tangents, out, x: tangents[0] * out,
    vjp=lambda needs, g, out, x: (g * out,),
)


def logistic(x):
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def activate_density(raw, density: DensityActivation):
    """Density from the raw one (n,), as `activate` has it, in plain NumPy."""
    if density == "relu":
        return np.maximum(raw, 0.0)
    return np.logaddexp(raw - kernels.SHIFT, 0.0) if density == "softplus" else truncated_exp(raw)


def exp_density(raw: np.ndarray, scale: float) -> np.ndarray:
    """scale exp(raw), bounded as in `activate`, written over raw (n,) itself: no derivative, and no new memory."""
    np.minimum(raw, raw.dtype.type(kernels.CAP), out=raw)
    np.exp(raw, out=raw)
    raw *= raw.dtype.type(scale)
    return raw


def _reference(raw, *, density):
    return activate_density(raw[:, 3], density), logistic(raw[:, :3])


def _forward(raw, *, density):
    raw = np.ascontiguousarray(raw)
    sigma, color = np.empty(len(raw), raw.dtype), np.empty((len(raw), 3), raw.dtype)
    kernels.activate_forward(raw, _KINDS[density], sigma, color)
    return (sigma, color), (sigma, color)


def _backward(needs, g, saved, raw, *, density):
    raw = np.ascontiguousarray(raw)
    g_raw = np.empty_like(raw)
    g_density, g_color = (np.ascontiguousarray(part) for part in g)
    kernels.activate_backward(g_density, g_color, raw, *saved, _KINDS[density], g_raw)
    return (g_raw,)


def _skeleton(raw, *, density):
    out = np.zeros(len(raw), raw.dtype), np.zeros((len(raw), 3), raw.dtype)
    return out, out


_activate = fused_operator(
    "activate",
    reference=_reference,
    forward=_forward,
    backward=_backward,
    example=lambda: ([np.linspace(-2.0, 2.0, 12).reshape(3, 4)], {"density": "exp"}),
    skeleton=_skeleton,
)


def activate(raw, density: DensityActivation):
    """Density (samples,) and colour (samples, 3) from raw red, green, blue and density (samples, 4).

    colour = 1 / (1 + exp(-raw)). The density is max(raw, 0) for "relu", the paper's; log(1 + exp(raw - 1)) for
    "softplus", which never stops learning (Barron et al. 2021); exp(raw), bounded, for "exp" (Mueller et al. 2022).
    """
    if density not in _KINDS:
        raise ValueError(f"the density activation is one of {get_args(DensityActivation)}, not {density!r}")
    if np.ndim(raw) != 2 or np.shape(raw)[1] != 4:
        raise ValueError(f"activate takes raw (samples, 4), got {np.shape(raw)}")
    return _activate(raw, density=density)
