"""Scenes from arrays: what goes in comes out, in any mixture of sizes and formats, and what cannot be is named."""

import numpy as np
import pytest

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import LENS_PARAMETERS, Cameras
from nerf_mini.geometry.paths import orbit
from nerf_mini.scenes import scene_from_arrays
from nerf_mini.scenes.scene import WHITE

SIZES = [(8, 6), (5, 7), (8, 6), (12, 3)]  # width, height


def _images(channels: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, channels)).astype(np.uint8) for width, height in SIZES]


def _make(**changes: object):
    """A scene of four images; keywords replace arguments."""
    arguments = {"images": _images(), "poses": orbit(4, 4.0), "focal": 9.0, "near": 2.0, "far": 6.0}
    return scene_from_arrays(**{**arguments, **changes})


def _replaced(values, index: int, value) -> list:
    """A copy of a list with one entry replaced."""
    return [value if i == index else entry for i, entry in enumerate(values)]


# ----------------------------------------------------------------------------------------------------------------------
# Good arrays


def test_images_and_cameras_come_back_as_they_went_in():
    images, poses, rng = _images(4), orbit(4, 4.0), np.random.default_rng(1)
    numbers = {
        "focal": rng.uniform(5, 9, (4, 2)), "center": rng.uniform(2, 3, (4, 2)), "near": rng.uniform(1, 2, 4),
        "far": rng.uniform(5, 6, 4),
    }  # fmt: skip
    lens = ["pinhole", "radial-tangential", "pinhole", "radial-tangential"]
    parameters = rng.uniform(-0.1, 0.1, (4, LENS_PARAMETERS))
    scene = scene_from_arrays(
        images, poses, **numbers, lens=lens, lens_parameters=parameters, background=(0.1, 0.2, 0.3), name="mine"
    )
    assert (scene.name, scene.path, scene.kind) == ("mine", None, "arrays")
    assert scene.background == scene.cameras.background == (0.1, 0.2, 0.3)
    assert set(scene.splits) == {"train"}
    views = scene.splits["train"]
    assert views.has_alpha and len(views) == 4 and views.names == ("000", "001", "002", "003")
    for index, image in enumerate(images):
        np.testing.assert_array_equal(views.image(index), image)
    np.testing.assert_array_equal(views.cameras.size, SIZES)
    for name, values in {**numbers, "poses": poses, "lens": lens, "lens_parameters": parameters}.items():
        np.testing.assert_array_equal(getattr(views.cameras, name), values)


def test_what_is_left_out_has_its_default():
    scene = _make()
    cameras = scene.cameras.train
    np.testing.assert_array_equal(cameras.center, np.array(SIZES) / 2)
    np.testing.assert_array_equal(cameras.focal, np.full((4, 2), 9.0))
    assert set(cameras.lens) == {"pinhole"} and not cameras.lens_parameters.any()
    assert scene.background == WHITE and not scene.splits["train"].has_alpha


def test_one_array_of_all_images_does_too():
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3)).astype(np.uint8)
    views = _make(images=images).splits["train"]
    np.testing.assert_array_equal([views.image(index) for index in range(4)], images)


def test_floats_are_rounded_to_the_nearest_level():
    rng = np.random.default_rng(0)
    images = [
        rng.random((height, width, 3)).astype(dtype) for (width, height), dtype in zip(SIZES, 2 * "fd", strict=True)
    ]
    images[2][0, 0] = [-5e-4, 1.0005, 0.5]  # rounding errors of whoever made them
    views = _make(images=images).splits["train"]
    for index, image in enumerate(images):
        assert np.abs(views.image(index) / 255.0 - np.clip(image, 0, 1)).max() <= 0.5 / 255.0 + 1e-6
    np.testing.assert_array_equal(views.image(2)[0, 0], [0, 255, 128])


def test_images_without_alpha_among_others_are_opaque():
    images = _replaced(_images(4), 1, _images(3)[1])
    views = _make(images=images).splits["train"]
    np.testing.assert_array_equal(views.image(1)[..., :3], images[1])
    assert (views.image(1)[..., 3] == 255).all()
    np.testing.assert_array_equal(views.image(2), images[2])


def test_poses_of_three_rows_are_completed():
    whole, short = _make().cameras.train, _make(poses=orbit(4, 4.0)[:, :3]).cameras.train
    np.testing.assert_array_equal(short.poses, whole.poses)


def test_held_out_images_are_tested_on_and_not_trained_on():
    images, poses = _images(), orbit(4, 4.0)
    scene = _make(held_out=[3, 1, 3])
    assert {split: views.names for split, views in scene.splits.items()} == {
        "train": ("000", "002"),
        "test": ("001", "003"),
    }
    for split, indices in (("train", (0, 2)), ("test", (1, 3))):
        views = scene.splits[split]
        np.testing.assert_array_equal(views.cameras.poses, poses[list(indices)])
        for place, index in enumerate(indices):
            np.testing.assert_array_equal(views.image(place), images[index])


def test_the_arrays_given_are_left_alone():
    """Neither changed nor shared: what the caller does with them later does not reach the scene."""
    images, poses = _images(), orbit(4, 4.0)
    kept = [image.copy() for image in images], poses.copy()
    scene = _make(images=images, poses=poses)
    for image, before in zip(images, kept[0], strict=True):
        np.testing.assert_array_equal(image, before)
        image[:] = 0
    poses[:] = 0
    views = scene.splits["train"]
    np.testing.assert_array_equal(views.image(2), kept[0][2])
    np.testing.assert_array_equal(views.cameras.poses, kept[1])


def test_rays_of_a_scene_from_arrays_are_those_of_its_cameras():
    cameras = Cameras.make(orbit(4, 4.0), SIZES, 9.0, near=2.0, far=6.0)
    wanted, found = cameras.image_rays(3), _make().cameras.train.image_rays(3)
    for name in ("origins", "directions", "near", "far"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


# ----------------------------------------------------------------------------------------------------------------------
# Bad arrays: the message says which image it is


def _changed_pose(row: int, column: int, value: float) -> np.ndarray:
    poses = orbit(4, 4.0)
    poses[2, row, column] = value
    return poses


GOOD, GOOD_POSES = _images(), orbit(4, 4.0)
FLOATS = [image / 255.0 for image in GOOD]
BAD = {
    "no image": ({"images": [], "poses": orbit(4, 4.0)[:0]}, "there is no image"),
    "grey": ({"images": _replaced(GOOD, 1, GOOD[1][..., 0])}, r"image 1 must be .* not \(7, 5\)"),
    "two channels": ({"images": _replaced(GOOD, 2, GOOD[2][..., :2])}, r"image 2 must be .* not \(6, 8, 2\)"),
    "no pixel": ({"images": _replaced(GOOD, 3, GOOD[3][:0])}, r"image 3 must be .* not \(0, 12, 3\)"),
    "ragged": ({"images": _replaced(GOOD, 1, [[1.0], [2.0, 3.0]])}, "image 1 is no array"),
    "no number": ({"images": _replaced(GOOD, 0, "picture.png")}, r"image 0 must be .* not \(\)"),
    "whole numbers": ({"images": _replaced(GOOD, 3, GOOD[3].astype(int))}, "image 3 must be uint8, or float .* int64"),
    "true and false": ({"images": _replaced(GOOD, 3, GOOD[3] > 9)}, "image 3 must be uint8, or float .* bool"),
    "too bright": ({"images": _replaced(FLOATS, 2, 255 * FLOATS[2])}, r"image 2 must lie in \[0, 1\], .* to 2\d\d"),
    "negative": ({"images": _replaced(FLOATS, 1, FLOATS[1] - 0.5)}, r"image 1 must lie in \[0, 1\], .* from -0"),
    "not finite": ({"images": _replaced(FLOATS, 1, FLOATS[1] * np.nan)}, "image 1 must lie in .* nan"),
    "too few poses": ({"poses": orbit(3, 4.0)}, r"4 images need poses \(4, 4, 4\) or .* not \(3, 4, 4\)"),
    "a pose for all": ({"poses": np.eye(4)}, r"4 images need poses .* not \(4, 4\)"),
    "poses that are none": ({"poses": np.zeros((4, 2, 4))}, r"4 images need poses .* not \(4, 2, 4\)"),
    "poses of text": ({"poses": "transforms.json"}, "do not fit together.*could not convert"),
    "pose not finite": ({"poses": _changed_pose(0, 3, np.nan)}, "pose 2: .* not finite"),
    "pose sheared": ({"poses": _changed_pose(0, 0, 7.0)}, "pose 2: .* no rotation"),
    "pose mirrored": ({"poses": _replaced(GOOD_POSES, 2, GOOD_POSES[2] * [1, 1, -1, 1])}, "pose 2: .* mirrors"),
    "pose transposed": ({"poses": _replaced(GOOD_POSES, 2, GOOD_POSES[2].T)}, "pose 2: .* transposed"),
    "focal zero": ({"focal": 0.0}, "focal of image 0 must be positive"),
    "focal of one negative": ({"focal": [[9, 9], [9, 9], [9, -9], [9, 9]]}, "focal of image 2 must be positive"),
    "focal not finite": ({"focal": [[9, 9], [9, np.inf], [9, 9], [9, 9]]}, "focal of image 1 must be .* finite"),
    "focal per image": ({"focal": [9.0, 9.0, 9.0, 9.0]}, r"do not fit together.*\(4,\)"),
    "near beyond far": ({"near": [2.0, 7.0, 2.0, 2.0]}, "near 7.0 and far 6.0 of image 1"),
    "near negative": ({"near": -1.0}, "near -1.0 and far 6.0 of image 0"),
    "near not a number": ({"near": np.nan}, "near nan and far 6.0 of image 0"),
    "far infinite": ({"far": [6.0, 6.0, 6.0, np.inf]}, "far inf of image 3"),
    "too many bounds": ({"far": [6.0, 6.0]}, r"do not fit together.*\(2,\)"),
    "center not finite": ({"center": [[4, 3], [2, 3], [4, np.nan], [6, 1]]}, "center and .* of image 2 must be finite"),
    "center of one": ({"center": [[4, 3, 1]] * 4}, r"do not fit together.*\(4,3\)"),
    "unknown lens": ({"lens": "fish"}, "no lens 'fish'; the lenses are pinhole, radial-tangential"),
    "too many lenses": ({"lens": ["pinhole", "pinhole"]}, r"do not fit together.*\(2,\)"),
    "parameters without a lens": ({"lens_parameters": 0.1}, "'pinhole' takes 0 parameters, but 1 are given"),
    "too many parameters": ({"lens_parameters": np.zeros(40)}, "40 parameters"),
    "parameters not finite": (
        {"lens": "radial-tangential", "lens_parameters": [[0.0], [0.1], [0.1], [np.inf]]}, "of image 3 must be finite",
    ),
    "background of text": ({"background": "white"}, r"background must be a colour \(3,\) in \[0, 1\], not 'white'"),
    "background too bright": ({"background": (0, 0, 255)}, "background must be a colour"),
    "background a number": ({"background": 1.0}, "background must be a colour"),
    "background not finite": ({"background": (0, 0, np.nan)}, "background must be a colour"),
    "held out beyond the end": ({"held_out": [1, 4]}, "must name images 0 to 3, not 4"),
    "held out from the end": ({"held_out": [-1]}, "must name images 0 to 3, not -1"),
    "all held out": ({"held_out": range(4)}, "no image to train on"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays(case):
    changes, message = BAD[case]
    with pytest.raises(UserError, match=message):
        _make(**changes)


def test_pixels_that_no_light_reaches_are_not_valid():
    """With k1 = -0.3 nothing lies beyond 2 r / 3 at r^2 = 1 / 0.9 on the plane; other pictures are whole."""
    scene = _make(lens=["pinhole", "radial-tangential", "pinhole", "pinhole"], lens_parameters=[-0.3], focal=5.0)
    assert scene.splits["train"].mask(0).all() and scene.splits["train"].mask(2).all()
    y, x = (np.indices((7, 5)) + 0.5 - np.array([3.5, 2.5])[:, None, None]) / 5
    np.testing.assert_array_equal(scene.splits["train"].mask(1), np.hypot(x, y) < 2 / 3 / np.sqrt(0.9))
    assert _make().splits["train"].valid is None
