"""The fisheye of Kannala and Brandt (2006), with the parameters of OpenCV: k1, k2, k3, k4.

Light that arrives at an angle theta from the optical axis lands at the distance

    theta_d = theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8)

from the middle of the normalised image plane, in the same direction from it. Angles go up to pi: what is beside or
behind the camera has an image too. With k = 0 this is the equidistant lens. Where theta_d stops growing, at
1 + 3 k1 theta^2 + 5 k2 theta^4 + 7 k3 theta^6 + 9 k4 theta^8 = 0, the image ends.

Everything is a function of squares, theta^2 and theta_d^2, and so smooth at the axis, where angles are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import stop_gradient
from nerf_mini.geometry.lenses.base import Lens

_NEWTON_STEPS = 12  # at most; four suffice for most lenses
_CONVERGED = 1e-8  # a step as small squares to less than rounding
_WIDEST = np.pi
_WAY = np.linspace(0.0, 1.0, 65)  # from the axis to the widest angle
_SERIES_BELOW = 1e-3  # of squared angles: five terms are exact to rounding


def unproject(plane: Any, parameters: Any) -> Any:
    """Directions of the light that lands on a place, NaN where none does: (..., 2) -> unit (..., 3)."""
    x, y = plane[..., 0], plane[..., 1]
    squared = _squared_angle(x * x + y * y, parameters)
    small = squared < _SERIES_BELOW
    angle = np.sqrt(np.where(small, 1.0, squared))
    t = squared
    sine = np.where(small, 1 - t / 6 * (1 - t / 20 * (1 - t / 42 * (1 - t / 72))), np.sin(angle) / angle)
    cosine = np.where(small, 1 - t / 2 * (1 - t / 12 * (1 - t / 30 * (1 - t / 56))), np.cos(angle))
    scale = sine / _growth(t, parameters)[0]
    return np.stack([x * scale, y * scale, cosine], axis=-1)


def project(directions: Any, parameters: Any) -> Any:
    """Where light of a direction lands, NaN where the image has ended: (..., 3) -> (..., 2).

    What is exactly behind would land on a whole circle, and so nowhere.
    """
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    side2 = x * x + y * y
    ahead = z > 0.0
    forward = np.where(ahead, z, 1.0)
    q = side2 / (forward * forward)  # the squared tangent
    small = ahead & (q < _SERIES_BELOW)
    side = np.sqrt(np.where(small | (side2 == 0.0), 1.0, side2))
    near_axis = (1 - q * (1 / 3 - q * (1 / 5 - q * (1 / 7 - q * (1 / 9 - q / 11))))) / forward
    ratio = np.where(small, near_axis, np.arctan2(side, z) / side)  # of the angle to the side
    squared = ratio * ratio * side2
    fixed, constants = np.asarray(stop_gradient(squared)), np.asarray(stop_gradient(parameters))
    seen = _before_the_end(np.atleast_1d(fixed), constants).reshape(fixed.shape)
    scale = np.where(seen & (ahead | (side2 > 0.0)), ratio * _growth(squared, parameters)[0], np.nan)
    return np.stack([x * scale, y * scale], axis=-1)


def _growth(t: Any, parameters: Any) -> tuple[Any, Any]:
    """p = theta_d / theta of a squared angle t, and dp / dt."""
    k1, k2, k3, k4 = (parameters[..., i] for i in range(4))
    p = 1.0 + t * (k1 + t * (k2 + t * (k3 + t * k4)))
    return p, k1 + t * (2.0 * k2 + t * (3.0 * k3 + t * 4.0 * k4))


def _squared_angle(s: Any, parameters: Any) -> Any:
    """The squared angle t of the light that lands at the squared distance s: t p(t)^2 = s; NaN where none does.

    Found without derivatives; two steps of Newton's method follow under differentiation. Each squares the error of a
    perturbation, so that the derivatives of the first three orders are exact.
    """
    target, constants = np.asarray(stop_gradient(s)), np.asarray(stop_gradient(parameters))
    with np.errstate(all="ignore"):
        angle = _angle(np.sqrt(np.atleast_1d(target)), constants)
    t = (angle * angle).reshape(target.shape)
    if target is not s or constants is not parameters:
        for _ in range(2):
            p, slope = _growth(t, parameters)
            t = t - (t * p * p - s) / (p * (p + 2.0 * t * slope))
    return t


def _angle(distance: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """The angle of the light that lands at a distance from the middle, by Newton's method from the distance itself.

    Every place stops when it has converged, so that it depends on no other.
    """
    angle = np.minimum(distance, _WIDEST)
    moving = np.ones(angle.shape, bool)
    for _ in range(_NEWTON_STEPS):
        t = angle * angle
        p, slope = _growth(t, parameters)
        step = (angle * p - distance) / (p + 2.0 * t * slope)
        np.subtract(angle, step, out=angle, where=moving)
        moving &= ~(np.abs(step) < _CONVERGED)  # NaN moves on
        if not moving.any():
            break
    lost = moving | (angle < 0.0) | ~_before_the_end(angle * angle, parameters)
    if lost.any():
        some = np.broadcast_to(parameters[..., :4], (*angle.shape, 4))[lost]
        angle[lost] = _angle_by_bisection(distance[lost], some)
    return angle


def _angle_by_bisection(distance: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """As `_angle`, (n,), (n, 4) -> (n,), between the axis and where the image ends, which is found first."""
    angles = _WIDEST * _WAY[:, None]
    ended = ~(_slope(angles * angles, parameters) > 0.0)  # (way, n)
    first = np.where(ended.any(axis=0), ended.argmax(axis=0), len(_WAY))
    low, high = (np.minimum(_WIDEST * first_ / (len(_WAY) - 1), _WIDEST) for first_ in (first - 1, first))
    for _ in range(60):
        middle = 0.5 * (low + high)
        growing = _slope(middle * middle, parameters) > 0.0
        low, high = np.where(growing, middle, low), np.where(growing, high, middle)
    end, low, high = low, np.zeros_like(low), low
    for _ in range(60):
        middle = 0.5 * (low + high)
        short = middle * _growth(middle * middle, parameters)[0] < distance
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.where(distance <= end * _growth(end * end, parameters)[0], 0.5 * (low + high), np.nan)


def _slope(t: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """d theta_d / d theta at a squared angle t."""
    p, slope = _growth(t, parameters)
    return p + 2.0 * t * slope


def _before_the_end(t: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Whether theta_d grows all the way from the axis to a squared angle t, which is at most pi^2: (...) bool."""
    least: np.ndarray | float = 0.0
    for i in (3, 2, 1, 0):
        least = t * (least + (2 * i + 3) * np.minimum(parameters[..., i], 0.0))
    with np.errstate(invalid="ignore"):
        growing = (1.0 + least > 0.0) & (t <= _WIDEST * _WIDEST)
        unclear = ~growing & (t <= _WIDEST * _WIDEST)
        if unclear.any():
            some = np.broadcast_to(parameters[..., :4], (*t.shape, 4))[unclear]
            on_the_way = _WAY[:, None] ** 2 * t[unclear]
            growing[unclear] = np.all(_slope(on_the_way, some) > 0.0, axis=0)
    return growing


LENS = Lens("fisheye", ("k1", "k2", "k3", "k4"), unproject, project)
