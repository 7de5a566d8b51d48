"""Positional encoding as a fused operator."""

import numpy as np

from nerf_mini.kernels import encoding as kernels
from nerf_mini.ops.registry import fused_operator


def encoding_width(frequencies: int, identity: bool) -> int:
    """Columns of the encoding of a point in space."""
    return 6 * frequencies + 3 * identity


def scales_of(frequencies: int, factor_pi: bool) -> np.ndarray:
    """Frequencies in half turns per unit: 2^k, or 2^k / pi where the formula has no pi."""
    scales = 2.0 ** np.arange(frequencies)
    return scales if factor_pi else scales / np.pi


def positional_encoding(x, *, frequencies, identity=False, factor_pi=True):
    """`encode` in plain NumPy, without its checks: enough for the directions of rays, with no kernel to compile."""
    columns = [x] if identity else []
    for k in range(frequencies):
        # half turns are reduced before the multiplication by pi, so that large angles keep their accuracy
        half_turns = x * 2.0**k if factor_pi else x * (2.0**k / np.pi)
        angle = np.pi * (half_turns - 2 * np.rint(half_turns / 2))
        columns += [np.sin(angle), np.cos(angle)]
    return np.concatenate(columns, axis=-1)


def _forward(x, *, frequencies, identity=False, factor_pi=True):
    points = np.ascontiguousarray(x.reshape(-1, 3))  # (points, 3)
    out = np.empty((len(points), encoding_width(frequencies, identity)), x.dtype)
    kernels.encode_forward(points, scales_of(frequencies, factor_pi), identity, out)
    return out.reshape(x.shape[:-1] + out.shape[-1:]), out


def _backward(needs, g, saved, x, *, frequencies, identity=False, factor_pi=True):
    g_points = np.empty((len(saved), 3), x.dtype)
    g = np.ascontiguousarray(g.reshape(saved.shape))
    kernels.encode_backward(g, saved, scales_of(frequencies, factor_pi), identity, g_points)
    return (g_points.reshape(x.shape),)


def _skeleton(x, *, frequencies, identity=False, factor_pi=True):
    out = np.zeros((*x.shape[:-1], encoding_width(frequencies, identity)), x.dtype)
    return out, out.reshape(-1, out.shape[-1])


_encode = fused_operator(
    "encode",
    reference=positional_encoding,
    forward=_forward,
    backward=_backward,
    example=lambda: ([np.linspace(-1.0, 1.0, 6).reshape(2, 3)], {"frequencies": 2}),
    skeleton=_skeleton,
)


def encode(x, frequencies: int, *, identity: bool = False, factor_pi: bool = True):
    """Positional encoding of points or directions (Mildenhall et al. 2020, eq. 4).

        gamma(p) = (sin 2^0 pi p, cos 2^0 pi p, ..., sin 2^(L-1) pi p, cos 2^(L-1) pi p)

    x is (..., 3); the result (..., 6 L), with L = `frequencies`: for each frequency three sines, then three
    cosines. With `identity` p itself comes first, (..., 3 + 6 L); without `factor_pi` the angles are 2^k p, as in
    the paper's published code.
    """
    if np.shape(x)[-1:] != (3,):
        raise ValueError(f"encode takes points of shape (..., 3), got {np.shape(x)}")
    if frequencies == 0 and not identity:
        raise ValueError("encode with no frequencies and no identity leaves nothing of the input")
    return _encode(x, frequencies=frequencies, identity=identity, factor_pi=factor_pi)
