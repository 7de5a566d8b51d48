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


def patchwork(colors: tuple[str, ...], around: int, faded: float, seed: int = 0) -> Texture:
    """Fields in rings about the vertical through the origin, `around` of them in each, ever larger with the distance.

    Each is of a random one of the colours, which fade to their mean beyond the distance `faded`: fields near the
    horizon are too small to see.
    """
    palette = np.stack([_linear(color) for color in colors])
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(palette), size=(64, around))

    def color(points: np.ndarray) -> np.ndarray:
        distance = np.maximum(np.hypot(points[:, 0], points[:, 1]), 0.1)
        ring = np.floor(np.log(distance) * around / (2.0 * np.pi)).astype(np.intp) % len(chosen)
        sector = np.floor(np.arctan2(points[:, 1], points[:, 0]) * around / (2.0 * np.pi)).astype(np.intp) % around
        strength = 1.0 / (1.0 + (distance[:, None] / faded) ** 2)
        return strength * palette[chosen[ring, sector]] + (1.0 - strength) * palette.mean(axis=0)

    return color


def marbled(first: str, second: str, wavelength: float, seed: int = 0) -> Texture:
    """Two colours in clouds of about that size: twelve plane waves in random directions."""
    low, high = _linear(first), _linear(second)
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(3, 12))
    waves *= 2.0 * np.pi / wavelength * rng.uniform(0.5, 2.0, 12) / np.linalg.norm(waves, axis=0)
    phases = rng.uniform(0.0, 2.0 * np.pi, 12)

    def color(points: np.ndarray) -> np.ndarray:
        share = 0.5 + 0.5 * np.tanh(0.8 * np.sum(np.sin(points @ waves + phases), axis=1, keepdims=True))
        return (1.0 - share) * low + share * high

    return color


def bands(first: str, second: str, width: float, start: float) -> Texture:
    """Level bands of the given width, the first colour upwards from height `start`."""
    colors = np.stack([_linear(first), _linear(second)])
    return lambda points: colors[np.floor((points[:, 2] - start) / width).astype(np.intp) % 2]
