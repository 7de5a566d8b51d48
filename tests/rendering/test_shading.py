"""Pictures of depth, opacity and normals against closed forms."""

import numpy as np
import pytest

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.rendering.images import RenderedImage
from nerf_mini.rendering.shading import SHADINGS, DepthScale, color_table, colored, depth_colors, surface_normals


def _camera(eye=(3.0, 1.0, 2.0)):
    return Cameras.make(look_at(eye, (0.0, 0.0, 0.0)), size=(32, 24), focal=40.0)


def _image_of_plane(cameras, normal, offset):
    """The depth of the plane normal . x = offset, by rays."""
    rays = cameras.image_rays(0)
    depth = (offset - rays.origins @ normal) / (rays.directions @ normal)
    depth = depth.reshape(24, 32).astype(np.float32)
    return RenderedImage(np.zeros((24, 32, 3), np.float32), depth, np.ones((24, 32), np.float32))


@pytest.mark.parametrize("normal", [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.6, 0.0, 0.8)])
def test_the_normals_of_a_plane_are_its_own(normal):
    cameras, normal = _camera(), np.array(normal)
    found = surface_normals(_image_of_plane(cameras, normal, -0.5), cameras)
    np.testing.assert_allclose(found[1:-1, 1:-1], np.broadcast_to(normal, (22, 30, 3)), atol=2e-3)
    assert not found[0].any()


def test_there_is_no_normal_beside_what_is_not_opaque():
    cameras = _camera()
    image = _image_of_plane(cameras, np.array([0.0, 0.0, 1.0]), -0.5)
    image.opacity[10, 12] = 0.2
    found = surface_normals(image, cameras).any(axis=-1)
    assert not found[9:12, 12].any() and not found[10, 11:14].any()
    assert found[9, 11] and found[13, 12]


def test_the_lightness_of_the_colours_rises():
    linear = np.where(color_table() <= 0.04045, color_table() / 12.92, ((color_table() + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) > 0)
    assert np.abs(np.diff(color_table(), axis=0)).max() < 0.06  # and no band


def test_near_is_bright_far_is_dark_and_empty_is_black():
    depth = np.linspace(2.0, 6.0, 12, dtype=np.float32).reshape(3, 4)
    opacity = np.ones((3, 4), np.float32)
    opacity[1, 1] = 0.1
    shown = depth_colors(RenderedImage(np.zeros((3, 4, 3)), depth, opacity), DepthScale(2.0, 6.0))
    np.testing.assert_array_equal(shown[0, 0], color_table()[255])
    np.testing.assert_array_equal(shown[2, 3], color_table()[0])
    assert not shown[1, 1].any()


def test_the_scale_in_disparity_is_even_in_one_over_the_depth():
    scale = DepthScale(1.0, np.inf, in_disparity=True)
    np.testing.assert_allclose(scale.closeness(np.array([1.0, 2.0, 4.0, 1e9])), [1.0, 0.5, 0.25, 0.0], atol=1e-6)
    even = DepthScale(1.0, 5.0)
    np.testing.assert_allclose(even.closeness(np.array([1.0, 2.0, 5.0, 9.0])), [1.0, 0.75, 0.0, 0.0])


def test_a_scale_finds_its_range_without_the_extremes_and_moves_slowly():
    depth = np.full((40, 40), 3.0, np.float32)
    depth[:20] = 4.0
    depth[0, :3] = 900.0
    scale = DepthScale.of(RenderedImage(np.zeros((40, 40, 3)), depth, np.ones((40, 40), np.float32)))
    assert (scale.near, scale.far) == (3.0, 4.0)
    assert DepthScale(1.0, 2.0).toward(DepthScale(2.0, 4.0), 0.25) == DepthScale(1.25, 2.5)


def test_what_is_empty_has_a_picture_in_every_shading():
    cameras = _camera()
    nothing = RenderedImage(np.full((24, 32, 3), 0.7, np.float32), np.zeros((24, 32)), np.zeros((24, 32)))
    for name, shading in SHADINGS.items():
        shown = shading(nothing, cameras, 0, DepthScale.of(nothing))
        assert shown.shape == (24, 32, 3) and np.isfinite(shown).all(), name
    assert colored(np.array([-1.0, 2.0])).shape == (2, 3)
