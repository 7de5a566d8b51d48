"""What lenses share that distort the image of a pinhole camera along its radius, and a little across it.

With r^2 = x^2 + y^2 of the undistorted place (x, y) on the image plane, the light lands on

    x' = x d + 2 p1 x y + p2 (r^2 + 2 x^2)
    y' = y d + p1 (r^2 + 2 y^2) + 2 p2 x y,     d = (1 + a1 r^2 + a2 r^4 + ...) / (1 + b1 r^2 + b2 r^4 + ...)

which is inverted by Newton's method. Where the Jacobian of this map stops being positive definite, on the way from the
middle outwards, the image folds over: nothing beyond is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autodiff import stop_gradient
from nerf_mini.geometry.lenses import pinhole
from nerf_mini.geometry.lenses.base import Lens

_NEWTON_STEPS = 12  # at most; three suffice for the lenses of phones, ten in the last hundredth before a fold
_CONVERGED = 1e-8  # a step as small squares to less than rounding
_WAY = 16  # steps from the middle outwards
_RADII = np.tan(np.linspace(0.0, np.radians(89.0), 90))
_BISECTIONS = 40
_TILE = 4096  # places whose arrays stay in cache
_P1, _P2 = 2, 3  # where OpenCV has the tangential parameters


class Coefficients(NamedTuple):
    """Parameters sorted by their roles; each (...), or () or (1,) for all points."""

    top: Sequence[Any]
    bottom: Sequence[Any]
    p1: Any
    p2: Any


class Landing(NamedTuple):
    """Where light lands, (...) each, and the derivatives there: dx'/dx, dy'/dy, and dx'/dy, which is dy'/dx.

    And the denominator, for at its zeros the image ends too.
    """

    x: Any
    y: Any
    xx: Any
    yy: Any
    xy: Any
    bottom: Any


def distorting_lens(name: str, parameters: tuple[str, ...], top: tuple[int, ...], bottom: tuple[int, ...] = ()) -> Lens:
    """A lens from the places of a1, a2, ... and b1, b2, ... among its parameters; p1, p2 are the third and fourth."""
    distortion = Distortion(top, bottom)
    return Lens(name, parameters, distortion.unproject, distortion.project)


@dataclass(frozen=True)
class Distortion:
    """The maps of a lens, see `distorting_lens`."""

    top: tuple[int, ...]
    bottom: tuple[int, ...]

    def unproject(self, plane: Any, parameters: Any) -> Any:
        """Directions of the light that lands on a place: (..., 2) -> unit (..., 3)."""
        return pinhole.unproject(self.undistort(plane, parameters))

    def project(self, directions: Any, parameters: Any) -> Any:
        """Where light of a direction lands, NaN beyond the fold: (..., 3) -> (..., 2)."""
        plane = pinhole.project(directions)
        fixed, constants = np.asarray(stop_gradient(plane)), np.asarray(stop_gradient(parameters))
        with np.errstate(all="ignore"):
            seen = _before_the_fold(np.atleast_1d(fixed[..., 0]), np.atleast_1d(fixed[..., 1]), self._sorted(constants))
        return np.where(seen.reshape(fixed[..., :1].shape), self.distort(plane, parameters), np.nan)

    def distort(self, plane: Any, parameters: Any) -> Any:
        """Where the light of an undistorted place lands: (..., 2) -> (..., 2)."""
        landing = _land(plane[..., 0], plane[..., 1], self._sorted(parameters))
        return np.stack([landing.x, landing.y], axis=-1)

    def undistort(self, plane: Any, parameters: Any) -> Any:
        """The inverse of `distort`, NaN where no light lands: (..., 2) -> (..., 2).

        Under differentiation two more steps of Newton's method follow, which alone are differentiated. Each starts from
        the solution, so that it squares the error of a perturbation: the derivatives of the first three orders are
        exact.
        """
        target, constants = np.asarray(stop_gradient(plane)), np.asarray(stop_gradient(parameters))
        x, y = self._undistorted(target, constants)
        if target is not plane or constants is not parameters:
            coefficients = self._sorted(parameters)
            for _ in range(2):
                x, y = _newton_step(x, y, plane[..., 0], plane[..., 1], coefficients)[:2]
        return np.stack([x, y], axis=-1)

    def _undistorted(self, target: np.ndarray, constants: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of `undistort`, tile by tile: (...) each."""
        places = target.reshape(-1, 2)
        solution = np.empty((2, len(places)))
        if constants.ndim > 1:
            every = np.broadcast_to(constants, (*target.shape[:-1], constants.shape[-1]))
            constants = every.reshape(-1, constants.shape[-1])
        for first in range(0, len(places), _TILE):
            tile = slice(first, first + _TILE)
            own = constants if constants.ndim == 1 else constants[tile]
            solution[:, tile] = _solve(places[tile, 0], places[tile, 1], self._sorted(own))
        x, y = solution.reshape(2, *target.shape[:-1])
        return x, y

    def _sorted(self, parameters: Any) -> Coefficients:
        """Parameters by their roles, without trailing zeros where these are constant."""
        traced = stop_gradient(parameters) is not parameters
        top, bottom = [parameters[..., i] for i in self.top], [parameters[..., i] for i in self.bottom]
        for series in (top, bottom):
            while series and not traced and not np.any(series[-1]):
                series.pop()
        return Coefficients(top, bottom, parameters[..., _P1], parameters[..., _P2])


def _series(r2: Any, coefficients: Sequence[Any]) -> tuple[Any, Any]:
    """1 + c1 r^2 + c2 r^4 + ... and its derivative by r^2."""
    if not coefficients:
        return 1.0, 0.0
    value, slope = coefficients[-1], 0.0
    for c in reversed(coefficients[:-1]):
        value, slope = c + r2 * value, value + r2 * slope
    return 1.0 + r2 * value, value + r2 * slope


def _land(x: Any, y: Any, c: Coefficients) -> Landing:
    """Where the light of undistorted places (x, y) lands."""
    x2, y2, xy = x * x, y * y, x * y
    r2 = x2 + y2
    d, slope = _series(r2, c.top)
    bottom: Any = 1.0
    if c.bottom:
        bottom, change = _series(r2, c.bottom)
        d = d / bottom
        slope = (slope - d * change) / bottom
    slope = 2.0 * slope  # d d / dx is x times this
    along, across = 2.0 * c.p1 * x + 2.0 * c.p2 * y, 2.0 * c.p1 * y + 2.0 * c.p2 * x
    return Landing(
        x * (d + across) + c.p2 * r2,
        y * (d + across) + c.p1 * r2,
        d + x2 * slope + across + 4.0 * c.p2 * x,
        d + y2 * slope + across + 4.0 * c.p1 * y,
        xy * slope + along,
        bottom,
    )


def _folds_not(landing: Landing) -> Any:
    """Whether the Jacobian is positive definite, and this side of a zero of the denominator."""
    definite = (landing.xx > 0.0) & (landing.xx * landing.yy > landing.xy * landing.xy)
    return definite & (landing.bottom > 0.0)


def _newton_step(x: Any, y: Any, to_x: Any, to_y: Any, c: Coefficients) -> tuple[Any, Any, Any, Any]:
    """A place nearer to where light lands on (to_x, to_y), and the step that was taken."""
    landing = _land(x, y, c)
    u, v = landing.x - to_x, landing.y - to_y
    scale = 1.0 / (landing.xx * landing.yy - landing.xy * landing.xy)
    step_x, step_y = (landing.yy * u - landing.xy * v) * scale, (landing.xx * v - landing.xy * u) * scale
    return x - step_x, y - step_y, step_x, step_y


def _solve(to_x: np.ndarray, to_y: np.ndarray, c: Coefficients) -> tuple[np.ndarray, np.ndarray]:
    """The undistorted places whose light lands on (to_x, to_y), NaN where there are none.

    Newton's method from the target itself. Every place stops when it has converged, so that it depends on no other.
    """
    x, y = to_x.copy(), to_y.copy()
    moving = np.ones(x.shape, bool)
    with np.errstate(all="ignore"):
        for _ in range(_NEWTON_STEPS):
            next_x, next_y, step_x, step_y = _newton_step(x, y, to_x, to_y, c)
            np.copyto(x, next_x, where=moving)
            np.copyto(y, next_y, where=moving)
            moving &= ~(np.maximum(np.abs(step_x), np.abs(step_y)) < _CONVERGED)  # NaN moves on
            if not moving.any():
                break
        lost = moving | ~_before_the_fold(x, y, c)
        if lost.any():
            x[lost], y[lost] = _solve_by_radius(to_x[lost], to_y[lost], _chosen(c, lost))
    return x, y


def _solve_by_radius(to_x: np.ndarray, to_y: np.ndarray, c: Coefficients) -> tuple[np.ndarray, np.ndarray]:
    """As `_solve`, for (n,) places where Newton's method needs a better start: from the radius by bisection.

    Without p1 and p2 it is the solution. The radius lies where r d(r) first stops to rise or to be too small.
    """
    distance = np.hypot(to_x, to_y)
    too_near = _rises_to(_RADII[:, None], distance, c)  # (radii, n)
    after = np.where(too_near.all(axis=0), len(_RADII) - 1, too_near.argmin(axis=0))
    low, high = _RADII[np.maximum(after - 1, 0)], _RADII[after]
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        short = _rises_to(middle, distance, c)
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    x, y = low * to_x / distance, low * to_y / distance
    for _ in range(_NEWTON_STEPS):
        x, y, step_x, step_y = _newton_step(x, y, to_x, to_y, c)
    found = (np.maximum(np.abs(step_x), np.abs(step_y)) < _CONVERGED) & _before_the_fold(x, y, c)
    return np.where(found, x, np.nan), np.where(found, y, np.nan)


def _rises_to(r: np.ndarray, distance: np.ndarray, c: Coefficients) -> np.ndarray:
    """Whether r d(r) is still below a distance, and rising."""
    r2 = r * r
    (top, top_slope), (bottom, bottom_slope) = _series(r2, c.top), _series(r2, c.bottom)
    d = top / bottom
    rising = d + 2.0 * r2 * (top_slope - d * bottom_slope) / bottom > 0.0
    return (r * d < distance) & rising & (bottom > 0.0)


def _before_the_fold(x: np.ndarray, y: np.ndarray, c: Coefficients) -> np.ndarray:
    """Whether the lens folds nothing over on the way from the middle of the image to undistorted places: (...) bool.

    The eigenvalues of the Jacobian are at least 1 + 3 a1 r^2 + 5 a2 r^4 + ... - 6 (|p1| + |p2|) r, with the negative
    a alone and where there is no denominator. Only where this does not settle it are places on the way looked at.
    """
    r2 = x * x + y * y
    least: Any = 0.0
    for i, a in reversed(list(enumerate(c.top, start=1))):
        least = r2 * (least + (2 * i + 1) * np.minimum(a, 0.0))
    clear = 1.0 + least > 6.0 * (np.abs(c.p1) + np.abs(c.p2)) * np.sqrt(r2)
    unclear = ~clear if not c.bottom else np.ones(x.shape, bool)
    if unclear.any():
        far_x, far_y, chosen = x[unclear], y[unclear], _chosen(c, unclear)
        unfolded = np.ones(far_x.shape, bool)
        for share in np.linspace(1.0 / _WAY, 1.0, _WAY):
            unfolded &= _folds_not(_land(share * far_x, share * far_y, chosen))
        clear[unclear] = unfolded
    return clear


def _chosen(c: Coefficients, mask: np.ndarray) -> Coefficients:
    """The coefficients of some points."""

    def some(column: np.ndarray) -> np.ndarray:
        return np.broadcast_to(column, mask.shape)[mask]

    return Coefficients([some(a) for a in c.top], [some(b) for b in c.bottom], some(c.p1), some(c.p2))
