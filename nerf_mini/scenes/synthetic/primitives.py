"""Solid shapes with exact ray intersections. World units, z up; every array is float64.

The rays given to `intersect` start outside of the shape or on its surface; what is asked for is where they enter it.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

Vector = tuple[float, float, float]
HORIZON = 1e5  # how far the ground reaches


class Shape(Protocol):
    """What the ray tracer needs to know of a shape."""

    @property
    def bounds(self) -> tuple[np.ndarray, float]:
        """Centre (3,) and radius of a sphere that contains the shape."""

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Distance to the shape along rays (N, 3), (N, 3), unit directions: (N,), infinite where missed."""

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Outward unit normals at points on the surface: (N, 3) -> (N, 3)."""


@dataclass(frozen=True)
class Sphere:
    """All points within `radius` of `center`."""

    center: Vector
    radius: float

    @property
    def bounds(self) -> tuple[np.ndarray, float]:
        return np.array(self.center), self.radius

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        offset = origins - self.center
        return _smaller_root(1.0, _dot(offset, directions), _dot(offset, offset) - self.radius**2)

    def normals(self, points: np.ndarray) -> np.ndarray:
        return (points - self.center) / self.radius


@dataclass(frozen=True)
class Box:
    """A cuboid of the given half sides, turned about the vertical through its centre."""

    center: Vector
    half: Vector
    turn_degrees: float = 0.0

    @property
    def bounds(self) -> tuple[np.ndarray, float]:
        return np.array(self.center), float(np.linalg.norm(self.half))

    def _axes(self) -> np.ndarray:
        """The box's own axes as the columns of a rotation, so that v @ axes are its coordinates of v."""
        angle = np.radians(self.turn_degrees)
        cosine, sine = np.cos(angle), np.sin(angle)
        return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        start, step = (origins - self.center) @ self._axes(), directions @ self._axes()
        enter, leave = np.full(len(start), -np.inf), np.full(len(start), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            for axis, half in enumerate(self.half):
                low = (-half - start[:, axis]) / step[:, axis]
                high = (half - start[:, axis]) / step[:, axis]
                # fmin and fmax pass over the NaN of a ray that runs within the face itself.
                enter = np.fmax(enter, np.fmin(low, high))
                leave = np.fmin(leave, np.fmax(low, high))
        return np.where((enter <= leave) & (enter > 0.0), enter, np.inf)

    def normals(self, points: np.ndarray) -> np.ndarray:
        place = ((points - self.center) @ self._axes()) / self.half
        face = np.argmax(np.abs(place), axis=1)
        local = np.zeros_like(points)
        rows = np.arange(len(points))
        local[rows, face] = np.sign(place[rows, face])
        return local @ self._axes().T


@dataclass(frozen=True)
class Ground:
    """All that is below a level, out to the horizon."""

    level: float

    @property
    def bounds(self) -> tuple[np.ndarray, float]:
        return np.array([0.0, 0.0, self.level]), np.inf

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (self.level - origins[:, 2]) / directions[:, 2]
        return np.where((distance > 0.0) & (distance < HORIZON) & (directions[:, 2] < 0.0), distance, np.inf)

    def normals(self, points: np.ndarray) -> np.ndarray:
        return np.tile([0.0, 0.0, 1.0], (len(points), 1))


@dataclass(frozen=True)
class Cone:
    """An upright solid between two discs: a cylinder, a truncated cone or (top radius 0) a cone."""

    base: Vector
    height: float
    bottom_radius: float
    top_radius: float

    @property
    def bounds(self) -> tuple[np.ndarray, float]:
        widest = max(self.bottom_radius, self.top_radius)
        return np.array(self.base) + (0.0, 0.0, 0.5 * self.height), float(np.hypot(0.5 * self.height, widest))

    @property
    def _slope(self) -> float:
        return (self.top_radius - self.bottom_radius) / self.height

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        start = origins - self.base
        nearest = self._side_entry(start, directions)
        with np.errstate(divide="ignore", invalid="ignore"):
            for level, radius in ((0.0, self.bottom_radius), (self.height, self.top_radius)):
                distance = (level - start[:, 2]) / directions[:, 2]
                x = start[:, 0] + distance * directions[:, 0]
                y = start[:, 1] + distance * directions[:, 1]
                inside = (distance > 0.0) & (x * x + y * y <= radius * radius)
                nearest = np.where(inside & (distance < nearest), distance, nearest)
        return nearest

    def _side_entry(self, start: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Distance to the mantle x^2 + y^2 = (bottom_radius + slope z)^2, 0 <= z <= height, infinite where missed."""
        width, narrowing = self.bottom_radius + self._slope * start[:, 2], self._slope * step[:, 2]
        a = step[:, 0] ** 2 + step[:, 1] ** 2 - narrowing**2
        b = start[:, 0] * step[:, 0] + start[:, 1] * step[:, 1] - width * narrowing
        c = start[:, 0] ** 2 + start[:, 1] ** 2 - width**2
        nearest = np.full(len(start), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            root = np.sqrt(b * b - a * c)
            for distance in ((-b - root) / a, (-b + root) / a):
                z = start[:, 2] + distance * step[:, 2]
                on_mantle = (distance > 0.0) & (z >= 0.0) & (z <= self.height)
                nearest = np.where(on_mantle & (distance < nearest), distance, nearest)
        return nearest

    def normals(self, points: np.ndarray) -> np.ndarray:
        place = points - self.base
        radial = np.hypot(place[:, 0], place[:, 1])
        side = place / np.maximum(radial, 1e-12)[:, None]
        side[:, 2] = -self._slope
        side /= np.sqrt(1.0 + self._slope**2)
        # A point belongs to the surface, mantle or one of the discs, that it is nearest to.
        gaps = np.abs(
            [radial - (self.bottom_radius + self._slope * place[:, 2]), place[:, 2], self.height - place[:, 2]]
        )
        nearest = np.argmin(gaps, axis=0)[:, None]
        return np.where(nearest == 0, side, np.where(nearest == 1, (0.0, 0.0, -1.0), (0.0, 0.0, 1.0)))


@dataclass(frozen=True)
class Capsule:
    """All points within `radius` of the segment between two points: a rod with round ends."""

    start: Vector
    end: Vector
    radius: float

    @property
    def bounds(self) -> tuple[np.ndarray, float]:
        start, end = np.array(self.start), np.array(self.end)
        return 0.5 * (start + end), 0.5 * float(np.linalg.norm(end - start)) + self.radius

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        offset = origins - self.start
        axis, length = self._axis()
        along, speed = _dot(offset, axis), _dot(directions, axis)
        b, c = _dot(offset, directions), _dot(offset, offset) - self.radius**2
        # The infinite cylinder: a sphere's quadratic without what runs along the axis. Most rays miss even that.
        across = (1.0 - speed * speed, b - along * speed, c - along * along)
        distance = np.full(len(origins), np.inf)
        met = np.flatnonzero(across[1] ** 2 >= across[0] * across[2])
        along, speed, b, c = along[met], speed[met], b[met], c[met]
        side = _smaller_root(*(coefficient[met] for coefficient in across))
        place = along + np.where(np.isfinite(side), side, 0.0) * speed
        side = np.where((place >= 0.0) & (place <= length), side, np.inf)
        first = _smaller_root(1.0, b, c)
        last = _smaller_root(1.0, b - length * speed, c + length * (length - 2.0 * along))
        distance[met] = np.minimum(side, np.minimum(first, last))
        return distance

    def _axis(self) -> tuple[np.ndarray, float]:
        """Unit vector from start to end, and the length."""
        axis = np.subtract(self.end, self.start)
        length = float(np.linalg.norm(axis))
        return axis / length, length

    def normals(self, points: np.ndarray) -> np.ndarray:
        axis, length = self._axis()
        offset = points - self.start
        place = np.clip(_dot(offset, axis), 0.0, length)
        return (offset - place[:, None] * axis) / self.radius


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar products of vectors along the last axis."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def _smaller_root(a: np.ndarray | float, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The smaller solution t of a t^2 + 2 b t + c = 0, a >= 0; infinite where there is none or it is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        root = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(root > 0.0, root, np.inf)
