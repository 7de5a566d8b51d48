"""Pixels wider than those of the training: means over rays, in closed form."""

import dataclasses

import numpy as np
import pytest

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.poses import look_at
from nerf_mini.rendering.antialiasing import MOST, mean_over_rays, places_in_pixel, rays_along_pixel
from nerf_mini.rendering.images import render_image, render_progressively
from nerf_mini.rendering.volume import Rendering

GREEN = np.array([0.0, 1.0, 0.0], np.float32)
CAMERA = Cameras.from_field_of_view(look_at((0.3, -4.0, 1.0), (0, 0, 0)), 24, 16, 0.7, 2.0, 6.0)


@dataclasses.dataclass
class Painted:
    """A model whose rays see a function of their directions: color (rays, 3), depth and opacity (rays,)."""

    paint: object
    rays_at_once: int = 100

    def view(self, parameters, rays, background):
        assert len(rays) <= self.rays_at_once and np.isfinite(rays.directions).all()
        color, depth, opacity = self.paint(rays.directions.astype(np.float64))
        color = color * opacity[:, None] + (1 - opacity)[:, None] * background
        return Rendering(color.astype(np.float32), depth.astype(np.float32), opacity.astype(np.float32))


def waves(directions):
    """Detail finer than a pixel."""
    x, z = directions[:, 0], directions[:, 2]
    color = 0.5 + 0.5 * np.sin(np.stack([200 * x, 170 * z, 150 * (x + z)], axis=1))
    return color, 3 + np.cos(90 * x), np.where(np.sin(120 * z) > 0, 1.0, 0.3)


def flat(directions):
    return np.full((len(directions), 3), 0.3), np.full(len(directions), 4.1), np.full(len(directions), 0.7)


def blocks(image, n):
    """(h n, w n, ...) -> (h, w, n * n, ...)"""
    h, w = image.shape[0] // n, image.shape[1] // n
    return np.moveaxis(image.reshape(h, n, w, n, -1), 2, 1).reshape(h, w, n * n, -1)


@pytest.mark.parametrize(
    ("ratio", "count"),
    [(0.1, 1), (1.0, 1), (1.04, 1), (1.06, 2), (2.0, 2), (2.04, 2), (2.06, 3), (4, 4), (8, 8), (9, MOST), (1e9, MOST)],
)
def test_rays_along_a_pixel_are_the_ratio_of_widths_rounded_up(ratio, count):
    assert rays_along_pixel(0.01 * ratio, 0.01) == count


@pytest.mark.parametrize(("width", "trained"), [(np.nan, 1.0), (1.0, np.nan), (1.0, 0.0), (1.0, -np.inf)])
def test_where_widths_are_unknown_there_is_one_ray(width, trained):
    assert rays_along_pixel(width, trained) == 1
    assert rays_along_pixel(np.inf, 1.0) == MOST


@pytest.mark.parametrize("n", range(1, MOST + 1))
def test_rays_are_spread_evenly_about_the_middle_of_a_pixel(n):
    across, down = places_in_pixel(n)
    assert len(set(zip(across, down, strict=True))) == n * n
    np.testing.assert_allclose([across.mean(), down.mean()], 0, atol=1e-15)
    np.testing.assert_allclose(np.diff(np.unique(across.round(12))), 1 / n, atol=1e-9)
    assert max(np.abs(across).max(), np.abs(down).max()) == pytest.approx(0.5 - 0.5 / n)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8])
def test_a_flat_field_has_the_same_bits_with_any_number_of_rays(n):
    image, one = (render_image(Painted(flat), None, CAMERA, GREEN, supersampling=k) for k in (n, 1))
    for name in ("color", "depth", "opacity"):
        a, b = getattr(image, name), getattr(one, name)
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=2e-7, atol=0)
    assert np.ptp(image.color, axis=(0, 1)).max() == 0


@pytest.mark.parametrize("n", [2, 4, 8])
@pytest.mark.parametrize("lens", [{}, {"lens": "fisheye", "lens_parameters": (0.05, -0.01, 0, 0)}])
def test_a_smaller_picture_is_the_mean_over_the_blocks_of_a_larger_one(n, lens):
    """The rays of n x n in a pixel are those of a picture n times as large, through any lens."""
    large = Cameras.make(CAMERA.poses, (24, 16), 30.0, near=2.0, far=6.0, **lens)
    small = large.scaled(1 / n)
    whole = render_image(Painted(waves), None, large, GREEN)
    found = render_image(Painted(waves), None, small, GREEN, supersampling=n)
    opacity, depth = blocks(whole.opacity, n)[..., 0], blocks(whole.depth, n)[..., 0]
    np.testing.assert_allclose(found.color, blocks(whole.color, n).mean(axis=2), atol=2e-6)
    np.testing.assert_allclose(found.opacity, opacity.mean(axis=2), atol=1e-6)
    np.testing.assert_allclose(found.depth, (opacity * depth).sum(axis=2) / opacity.sum(axis=2), rtol=1e-6)
    jagged = render_image(Painted(waves), None, small, GREEN)
    assert np.abs(jagged.color - found.color).mean() > 0.05, "this is what aliasing is"


def test_one_ray_in_a_pixel_is_what_it_was():
    """Bit for bit, and the same rays."""
    rays = CAMERA.image_rays()
    color, depth, opacity = waves(rays.directions.astype(np.float64))
    color = (color * opacity[:, None] + (1 - opacity)[:, None] * GREEN).astype(np.float32)
    found = render_image(Painted(waves), None, CAMERA, GREEN)
    assert np.clip(color, 0, 1).tobytes() == found.color.tobytes()
    assert depth.astype(np.float32).tobytes() == found.depth.tobytes()
    assert opacity.astype(np.float32).tobytes() == found.opacity.tobytes()


@pytest.mark.parametrize("rays_at_once", [1, 9, 10, 1 << 16])
def test_the_size_of_batches_changes_no_bit(rays_at_once):
    pictures = [
        render_image(Painted(waves, count), None, CAMERA, GREEN, supersampling=3) for count in (100, rays_at_once)
    ]
    assert pictures[0].color.tobytes() == pictures[1].color.tobytes()


def test_nothing_counts_of_what_leaves_beside_the_lens():
    """A field of one colour has that colour in each pixel of which any ray is seen, and others show the background."""
    fisheye = Cameras.make(CAMERA.poses, (20, 20), 3.0, near=2.0, far=6.0, lens="fisheye")
    picture = render_image(Painted(flat), None, fisheye, GREEN, supersampling=4)
    middle = np.isfinite(fisheye.image_rays().directions[:, 0]).reshape(20, 20)
    seen = picture.opacity > 0
    assert not middle.all() and seen[middle].all() and (seen & ~middle).any() and not seen.all()
    np.testing.assert_allclose(picture.opacity[seen], 0.7, rtol=1e-6)
    np.testing.assert_allclose(picture.depth[seen], 4.1, rtol=1e-6)
    assert not picture.depth[~seen].any() and np.all(picture.color[~seen] == GREEN)


def test_the_edge_of_a_crop_covers_pixels_in_part():
    """Beside the box rays see the background, which counts."""
    crop = Crop(np.zeros(3), np.full(3, 0.8))
    camera = CAMERA.scaled(0.5)
    picture = render_image(Painted(flat), None, camera, GREEN, crop=crop, supersampling=8)
    hit, _ = crop.clip(CAMERA.scaled(4.0).image_rays())
    share = blocks(hit.reshape(64, 96), 8).mean(axis=(2, 3))
    assert np.any((share > 0) & (share < 1))
    np.testing.assert_allclose(picture.opacity, 0.7 * share, atol=1e-6)
    wanted = share[..., None] * (0.7 * 0.3 + 0.3 * GREEN) + (1 - share)[..., None] * GREEN
    np.testing.assert_allclose(picture.color, wanted, atol=1e-6)
    np.testing.assert_allclose(picture.depth[share > 0], 4.1, rtol=1e-6)


def test_means_are_of_what_is_lit(rng):
    seen, lit = rng.random((50, 4, 5), np.float32), rng.random((50, 4)) < 0.5
    lit[0], lit[1] = False, True
    seen[2, :, 4] = 0.0
    found = mean_over_rays(seen, lit)
    for pixel, row in enumerate(found):
        kept = seen[pixel, lit[pixel]] if lit[pixel].any() else seen[pixel]
        np.testing.assert_allclose(row[[0, 1, 2, 4]], kept[:, [0, 1, 2, 4]].mean(axis=0), rtol=1e-6)
        if kept[:, 4].any():
            assert row[3] == pytest.approx(np.average(kept[:, 3], weights=kept[:, 4]), rel=1e-5)
        else:
            assert row[3] == 0


def test_a_progressive_picture_ends_without_aliasing():
    pictures = list(render_progressively(Painted(waves), None, CAMERA, GREEN, coarsest=2, supersampling=3))
    assert len(pictures) == 3
    one, whole = (render_image(Painted(waves), None, CAMERA, GREEN, supersampling=n) for n in (1, 3))
    assert pictures[-2].color.tobytes() == one.color.tobytes()
    assert pictures[-1].color.tobytes() == whole.color.tobytes()
