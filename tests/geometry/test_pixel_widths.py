"""How wide pixels are in the middle of each region: what decides how many rays a picture needs."""

from dataclasses import replace

import numpy as np
import pytest

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.regions import Box, Forward, Unbounded

BOX = Box((-1.0, -1.0, -1.0), 2.0)
UNBOUNDED = Unbounded((0.0, 0.0, 0.0), 2.0)
FORWARD = Forward((0.0, 0.0, 0.0), 1.5, (-1.0, -0.8), (2.0, 1.6))
REGIONS = pytest.mark.parametrize("region", [BOX, UNBOUNDED, FORWARD], ids=lambda region: type(region).__name__)


def standing(*distances, focal=50.0):
    poses = np.stack([look_at((0.0, 0.0, d), (0.0, 0.0, -9.0), (0, 1, 0)) for d in distances])
    return Cameras.make(poses, (60, 40), focal)


@REGIONS
@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0])
def test_smaller_pictures_have_wider_pixels(region, factor):
    cameras = standing(4.0, 0.5)
    widths = region.pixel_widths(cameras)
    assert widths.shape == (2,)
    np.testing.assert_allclose(region.pixel_widths(cameras.scaled(factor)), widths / factor)


@REGIONS
def test_a_pixel_is_as_wide_as_the_part_that_it_is_of_a_side(region):
    """Of one camera, `pixels_across` says the same of its pixels in the middle."""
    if region is not FORWARD:
        cameras = standing(3.0, 6.0, 12.0)
        wanted = [1 / region.pixels_across(cameras[view]) for view in range(3)]
        np.testing.assert_allclose(region.pixel_widths(cameras), wanted)
    at_center = standing(0.0)
    np.testing.assert_allclose(region.pixel_widths(at_center), 1 / region.pixels_across(at_center))


@pytest.mark.parametrize("region", [BOX, UNBOUNDED])
def test_from_twice_the_distance_pixels_are_twice_as_wide(region):
    widths = region.pixel_widths(standing(4.0, 8.0, 16.0))
    np.testing.assert_allclose(widths / widths[0], [1, 2, 4])
    inside = region.pixel_widths(standing(0.1, 0.2))
    assert inside[0] == inside[1] > 0, "those in the middle count as a little away"


def test_further_behind_the_others_what_is_twice_as_far_as_the_nearest_has_wider_pixels():
    """A ray through the border between two pixels meets the plane z = -2 near that far from the axis."""
    cameras = standing(0.0, 1.5, 3.0, -1.0, focal=(50.0, 25.0))
    rays = cameras.rays([0, 1, 2, 3], np.full(4, 29.5), np.full(4, 20.5), np.float64)  # one pixel below the axis
    t = (-2 * FORWARD.near - rays.origins[:, 2]) / rays.directions[:, 2]
    below = (rays.origins + t[:, None] * rays.directions)[:, 1]
    unit = np.abs(below) / (2 * FORWARD.near * FORWARD.side[1])
    np.testing.assert_allclose(FORWARD.pixel_widths(cameras[:1]), 1 / FORWARD.pixels_across(cameras[:1]))
    np.testing.assert_allclose(FORWARD.pixel_widths(cameras) / FORWARD.pixel_widths(cameras)[0], unit / unit[0])


@REGIONS
def test_cameras_anywhere_have_pixels_of_some_width(region):
    far = standing(0.0, 1e9, -1e9)
    widths = region.pixel_widths(far)
    assert np.isfinite(widths).all() and (widths > 0).all()
    none = replace(far, focal=np.zeros((3, 2)))
    assert np.isinf(region.pixel_widths(none)).all()
