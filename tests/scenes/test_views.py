"""Packed pixels of views of any sizes, and batches drawn from them."""

from collections import deque

import numpy as np
import pytest

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit
from nerf_mini.scenes import PixelBatch, Views, draw_pixels

SIZES = [(8, 6), (1, 5), (7, 1), (4, 10)]  # width, height


def _images(channels: int = 3, sizes: list[tuple[int, int]] = SIZES) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, channels)).astype(np.uint8) for width, height in sizes]


def _cameras(sizes: list[tuple[int, int]] = SIZES) -> Cameras:
    return Cameras.make(orbit(len(sizes), 4.0), sizes, 9.0, near=2.0, far=6.0)


def _views(sizes: list[tuple[int, int]] = SIZES) -> Views:
    return Views.from_images(_cameras(sizes), _images(3, sizes), [f"view {i}" for i in range(len(sizes))])


class EveryNumber:
    """A generator that draws each whole number below the bound exactly once."""

    def integers(self, bound: int, size: int) -> np.ndarray:
        assert size == bound
        return np.arange(bound)


# ----------------------------------------------------------------------------------------------------------------------
# Views


def test_images_are_packed_one_after_the_other_and_come_back():
    images, views = _images(), _views()
    assert len(views) == 4 and not views.has_alpha
    np.testing.assert_array_equal(views.starts, [0, 48, 53, 60])
    np.testing.assert_array_equal(views.pixels, np.concatenate([image.reshape(-1, 3) for image in images]))
    for index, image in enumerate(images):
        np.testing.assert_array_equal(views.image(index), image)
        assert views.image(index).base is not None, "a view of the pixels, not a copy"


def test_colours_of_single_pixels_are_those_of_the_images():
    images, views = _images(), _views()
    for index, image in enumerate(images):
        row, column = (place.reshape(-1) for place in np.indices(image.shape[:2]))
        found = views.colors(np.full(len(row), index), column, row)
        np.testing.assert_array_equal(found, image[row, column])


@pytest.mark.parametrize("index", [slice(1, 3), slice(None, None, 2), slice(-1, None), slice(0, 0)])
def test_some_of_the_views(index):
    part, views = _views()[index], _views()
    kept = range(4)[index]
    assert part.names == tuple(views.names[i] for i in kept)
    np.testing.assert_array_equal(part.cameras.poses, views.cameras.poses[index])
    for place, i in enumerate(kept):
        np.testing.assert_array_equal(part.image(place), views.image(i))


def test_a_deque_of_images_is_emptied_on_the_way():
    """So that pictures are not in memory twice; a list stays as it is."""
    images, pile = _images(), deque(_images())
    names = [str(index) for index in range(4)]
    packed = Views.from_images(_cameras(), pile, names)
    assert not pile
    np.testing.assert_array_equal(packed.pixels, Views.from_images(_cameras(), images, names).pixels)
    assert len(images) == 4


def test_what_does_not_fit_is_refused():
    cameras, pixels, names = _cameras(), _views().pixels, ("a", "b", "c", "d")
    with pytest.raises(ValueError, match=r"camera 1 is of 1x5 pixels, its image \(5, 2, 3\)"):
        Views.from_images(cameras, [*_images()[:1], np.zeros((5, 2, 3), np.uint8), *_images()[2:]], names)
    with pytest.raises(ValueError, match="longer than"):
        Views.from_images(cameras, _images()[:3], names)
    with pytest.raises(ValueError, match="4 cameras cannot have 3 names"):
        Views(cameras, pixels, names[:3])
    with pytest.raises(ValueError, match="100 pixels in all cannot hold 99"):
        Views(cameras, pixels[1:], names)
    for wrong in (pixels.astype(float), pixels[:, :2], pixels[:, 0]):
        with pytest.raises(ValueError, match="pixels must be"):
            Views(cameras, wrong, names)


# ----------------------------------------------------------------------------------------------------------------------
# Batches


def _crop(size: int, share: float) -> range:
    """The middle pixels of a side; where both ends cannot be alike, one pixel nearer to the first."""
    kept = max(1, round(size * share))
    first = (size - kept) // 2
    return range(first, first + kept)


@pytest.mark.parametrize("crop", [1.0, 0.5, 0.3, 0.01])
def test_each_pixel_of_each_view_is_one_of_the_equally_likely_numbers(crop):
    wanted = [
        (view, column, row)
        for view, (width, height) in enumerate(SIZES)
        for row in _crop(height, crop)
        for column in _crop(width, crop)
    ]
    batch = draw_pixels(_views(), len(wanted), crop, EveryNumber())
    assert list(zip(batch.view.tolist(), batch.column.tolist(), batch.row.tolist(), strict=True)) == wanted


def test_the_middle_of_an_image_is_really_its_middle():
    """As much is left out on the left as on the right, and above as below, but for one pixel."""
    batch = draw_pixels(_views([(20, 31)]), 10 * 16, 0.5, EveryNumber())
    assert (batch.column.min(), batch.column.max()) == (5, 14)
    assert (batch.row.min(), batch.row.max()) in ((7, 22), (8, 23))


@pytest.mark.parametrize("sizes", [SIZES, [(5, 4)] * 5], ids=["several sizes", "one size"])
def test_pixels_are_drawn_evenly(sizes, rng):
    """Pearson's chi squared of the counts, at most 5 standard deviations above its mean, and no less below."""
    views = _views(sizes)
    count = 200 * len(views.pixels)
    batch = draw_pixels(views, count, 1.0, rng)
    pixel = views.starts[batch.view] + batch.row * views.cameras.size[batch.view, 0] + batch.column
    found = np.bincount(pixel, minlength=len(views.pixels))
    freedom = len(views.pixels) - 1
    chi_squared = np.sum((found - 200.0) ** 2 / 200.0)
    assert abs(chi_squared - freedom) < 5 * np.sqrt(2 * freedom)


def test_a_batch_holds_the_colours_of_its_pixels(rng):
    images = _images(4)
    views = Views.from_images(_cameras(), images, "abcd")
    batch = draw_pixels(views, 500, 0.8, rng)
    assert len(batch) == 500 and set(batch.view) == {0, 1, 2, 3}
    wanted = [images[v][r, c] for v, c, r in zip(batch.view, batch.column, batch.row, strict=True)]
    np.testing.assert_array_equal(batch.values, wanted)


def test_the_same_seed_draws_the_same_pixels():
    def draw(seed: int) -> PixelBatch:
        return draw_pixels(_views(), 50, 1.0, np.random.default_rng(seed))

    for name in ("view", "column", "row", "values"):
        np.testing.assert_array_equal(getattr(draw(1), name), getattr(draw(1), name))
    assert np.any(draw(1).row != draw(2).row)


def test_some_pixels_of_a_batch(rng):
    batch = draw_pixels(_views(), 50, 1.0, rng)
    for index in (slice(3, 9), np.array([4, 4, 1])):
        part = batch[index]
        for name in ("view", "column", "row", "values"):
            np.testing.assert_array_equal(getattr(part, name), getattr(batch, name)[index])
