"""The radial-tangential lens of Brown (1966), with the parameters of OpenCV: k1, k2, p1, p2, k3.

With r^2 = x^2 + y^2 of the undistorted place (x, y) on the image plane, the light lands on

    x' = x (1 + k1 r^2 + k2 r^4 + k3 r^6) + 2 p1 x y + p2 (r^2 + 2 x^2)
    y' = y (1 + k1 r^2 + k2 r^4 + k3 r^6) + p1 (r^2 + 2 y^2) + 2 p2 x y
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import stop_gradient
from nerf_mini.geometry.lenses import pinhole
from nerf_mini.geometry.lenses.base import Lens

NEWTON_STEPS = 20  # at most; five suffice for the lenses of phones
_CONVERGED = 1e-13
_WAY = np.linspace(0.125, 1.0, 8)  # from the middle of the image outwards


def distort(plane: Any, parameters: Any) -> Any:
    """Where the light of an undistorted place lands: (..., 2) -> (..., 2)."""
    x, y = plane[..., 0], plane[..., 1]
    k1, k2, p1, p2, k3 = (parameters[..., i] for i in range(5))
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        ],
        axis=-1,
    )


def _jacobian(plane: Any, parameters: Any) -> tuple[Any, Any, Any]:
    """The derivatives of `distort` at `plane`: du/dx, dv/dy, and du/dy, which is dv/dx."""
    x, y = plane[..., 0], plane[..., 1]
    k1, k2, p1, p2, k3 = (parameters[..., i] for i in range(5))
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2.0 * (k1 + r2 * (2.0 * k2 + 3.0 * k3 * r2))  # d radial / dx is x times this
    xx = radial + x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
    yy = radial + y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
    return xx, yy, x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y


def _newton_step(plane: Any, residual: Any, parameters: Any) -> Any:
    """plane - J^-1 residual, where J is the Jacobian of `distort` at `plane`."""
    xx, yy, xy = _jacobian(plane, parameters)
    determinant = xx * yy - xy * xy
    u, v = residual[..., 0], residual[..., 1]
    step = np.stack([yy * u - xy * v, xx * v - xy * u], axis=-1) / determinant[..., None]
    return plane - step


def _before_the_fold(plane: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Whether the lens folds nothing over on the way from the middle of the image to `plane`: (..., 2) -> (..., 1)."""
    unfolded = np.ones((*plane.shape[:-1], 1), bool)
    for share in _WAY:
        xx, yy, xy = _jacobian(share * plane, parameters)
        unfolded &= ((xx > 0) & (xx * yy > xy * xy))[..., None]
    return unfolded


def undistort(plane: Any, parameters: Any) -> Any:
    """The inverse of `distort`, by Newton's method: (..., 2) -> (..., 2).

    Only the last two steps are differentiated. Each starts from the solution, so that it squares the error of a
    perturbation: the derivatives of the first three orders are exact. Places that no light reaches, where the lens
    folds the image over, give NaN.
    """
    target, constants = np.asarray(stop_gradient(plane)), np.asarray(stop_gradient(parameters))
    solution = target
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(NEWTON_STEPS):
            residual = distort(solution, constants) - target
            if np.abs(residual).max(initial=0.0) < _CONVERGED:
                break
            solution = _newton_step(solution, residual, constants)
        error = np.abs(distort(solution, constants) - target).max(axis=-1, keepdims=True)
        # beyond a fold there may be a second solution, which no light reaches
        found = (error < 1e-9 * (1.0 + np.abs(target))) & _before_the_fold(solution, constants)
    solution = np.where(found, solution, np.nan)
    for _ in range(2):
        solution = _newton_step(solution, distort(solution, parameters) - plane, parameters)
    return solution


def unproject(plane: Any, parameters: Any) -> Any:
    """Directions of the light that lands on a place: (..., 2) -> unit (..., 3)."""
    return pinhole.unproject(undistort(plane, parameters))


def project(directions: Any, parameters: Any) -> Any:
    """Where light of a direction lands: (..., 3) -> (..., 2)."""
    return distort(pinhole.project(directions), parameters)


LENS = Lens("radial-tangential", ("k1", "k2", "p1", "p2", "k3"), unproject, project)
