"""Colours of surfaces as functions of the point: linear reflectances from colours as designers write them."""

import numpy as np

from nerf_mini.scenes.synthetic.tracer import DISPLAY_GAMMA, Texture


def _linear(color: str) -> np.ndarray:
    """A display colour "#rrggbb" as linear RGB (3,)."""
    return (np.frombuffer(bytes.fromhex(color.removeprefix("#")), np.uint8) / 255.0) ** DISPLAY_GAMMA


def solid(color: str) -> Texture:
    """One colour all over."""
    value = _linear(color)
    return lambda points: np.broadcast_to(value, points.shape)


def checker(first: str, second: str, cell: float) -> Texture:
    """Squares of side `cell` in the horizontal plane, a corner of four at the origin."""
    colors = np.stack([_linear(first), _linear(second)])
    return lambda points: colors[np.sum(np.floor(points[:, :2] / cell), axis=1).astype(np.intp) % 2]


def gradient(low: str, high: str, bottom: float, top: float) -> Texture:
    """From one colour at height `bottom` to another at height `top`."""
    first, second = _linear(low), _linear(high)

    def color(points: np.ndarray) -> np.ndarray:
        share = np.clip((points[:, 2:] - bottom) / (top - bottom), 0.0, 1.0)
        return (1.0 - share) * first + share * second

    return color


def bands(first: str, second: str, width: float, start: float) -> Texture:
    """Level bands of the given width, the first colour upwards from height `start`."""
    colors = np.stack([_linear(first), _linear(second)])
    return lambda points: colors[np.floor((points[:, 2] - start) / width).astype(np.intp) % 2]
