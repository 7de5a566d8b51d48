"""Rays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rays:
    """Rays r(t) = origin + t direction, with t in [near, far].

    origins, directions (rays, 3), directions of unit length, so that t is a distance in scene units;
    near, far (rays,) float64; view (rays,) int64, the camera that sees each ray; codes (rays, k), what is peculiar to
    the picture that each ray is of, as the field has learnt to read it, or None: nothing.
    """

    origins: Any
    directions: Any
    near: np.ndarray
    far: np.ndarray
    view: np.ndarray
    codes: Any = None

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: Any) -> Rays:
        """Some of the rays, by a slice or an array of indices."""
        codes = None if self.codes is None else self.codes[index]
        near, far = self.near[index], self.far[index]
        return Rays(self.origins[index], self.directions[index], near, far, self.view[index], codes)
