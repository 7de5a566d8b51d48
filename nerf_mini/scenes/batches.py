"""Batches of training pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_mini.scenes.scene import Views
from nerf_mini.scenes.shuffling import WholeNumbers


@dataclass(frozen=True)
class PixelBatch:
    """Pixels drawn from the views of a split.

    view, column, row (n,) int64; values (n, 3), or (n, 4) with straight alpha, uint8.
    """

    view: np.ndarray
    column: np.ndarray
    row: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: Any) -> PixelBatch:
        """Some of the pixels, by a slice or an array of indices."""
        return PixelBatch(self.view[index], self.column[index], self.row[index], self.values[index])


def draw_pixels(views: Views, count: int, crop: float, rng: WholeNumbers) -> PixelBatch:
    """`count` pixels, each valid pixel of each view as likely as any other: a random generator draws with replacement,
    `Shuffled` without.

    `crop` is the fraction of width and height, around the centre, that pixels are drawn from; masked views ignore it.
    """
    if views.valid is not None:
        return _draw_valid(views, count, rng)
    size = views.cameras.size
    kept = np.maximum(1, np.rint(size * crop).astype(np.int64))  # (V, 2)
    ends = np.cumsum(kept[:, 0] * kept[:, 1])
    place = rng.integers(int(ends[-1]), size=count)  # among the central pixels of all views
    view = np.searchsorted(ends, place, side="right")
    kept, size = kept[view], size[view]
    row, column = np.divmod(place - ends[view], kept[:, 0])  # negative rows, counted from the last one
    row += kept[:, 1]
    column += (size[:, 0] - kept[:, 0]) // 2
    row += (size[:, 1] - kept[:, 1]) // 2
    return PixelBatch(view, column, row, views.colors(view, column, row))


def _draw_valid(views: Views, count: int, rng: WholeNumbers) -> PixelBatch:
    place = views.valid_places[rng.integers(len(views.valid_places), size=count)]
    view = np.searchsorted(views.starts, place, side="right") - 1
    row, column = np.divmod(place - views.starts[view], views.cameras.size[view, 0])
    return PixelBatch(view, column, row, views.pixels[place])
