"""Reading data sets and images, good and bad, from small folders made on the spot."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from PIL import Image

from nerf_mini.errors import UserError
from nerf_mini.geometry.paths import orbit
from nerf_mini.geometry.poses import look_at
from nerf_mini.io.images import (
    area_average,
    composite,
    downscale,
    read_header,
    read_image,
    shrunk_mask,
    to_uint8,
    write_image,
)
from nerf_mini.scenes import load_scene
from nerf_mini.scenes.scene import BLACK, WHITE, Scene, Views

HEIGHT, WIDTH, ANGLE = 6, 8, 0.7


def _write_split(folder: Path, split: str, count: int, channels: int = 4, suffix: str = ".png", **keys: object) -> None:
    """A split of random images; `keys` go to the top level of its transforms file."""
    rng = np.random.default_rng(count)
    frames = []
    for index, pose in enumerate(orbit(count, 4.0)):
        write_image(
            folder / split / f"r_{index}{suffix}", rng.integers(0, 256, (HEIGHT, WIDTH, channels)).astype(np.uint8)
        )
        frames.append({"file_path": f"./{split}/r_{index}", "transform_matrix": pose.tolist()})
    content = {"camera_angle_x": ANGLE, "frames": frames} | keys
    (folder / f"transforms_{split}.json").write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good Blender-style data set with all three splits."""
    for split, count in (("train", 5), ("val", 1), ("test", 2)):
        _write_split(tmp_path, split, count)
    return tmp_path


def _edit(folder: Path, edit) -> None:
    """Change the training transforms in place."""
    file = folder / "transforms_train.json"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def _npz(path: Path, count: int = 5, **changes: object) -> Path:
    """A tiny NeRF file; `changes` replace arrays, None removes one."""
    rng = np.random.default_rng(0)
    images = rng.random((count, HEIGHT, WIDTH, 3), np.float32)
    arrays = {"images": images, "poses": orbit(count, 4.0), "focal": np.array(9.0)} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def _bounds(scene: Scene) -> tuple[float, float]:
    """Near and far, which are the same for every camera of these data sets."""
    cameras = list(scene.cameras.splits.values())
    near, far = (np.unique(np.concatenate([getattr(c, name) for c in cameras])) for name in ("near", "far"))
    assert len(near) == len(far) == 1
    return near[0], far[0]


def _images(views: Views) -> np.ndarray:
    """All images of a split whose images are of one size: (V, H, W, 3 or 4)."""
    return np.stack([views.image(index) for index in range(len(views))])


# ----------------------------------------------------------------------------------------------------------------------
# Good data


def test_a_blender_folder(folder):
    scene = load_scene(folder)
    assert (scene.kind, scene.name, scene.path) == ("blender", folder.name, folder)
    assert _bounds(scene) == (2.0, 6.0) and scene.background == scene.cameras.background == WHITE
    assert {split: len(views) for split, views in scene.splits.items()} == {"train": 5, "val": 1, "test": 2}
    train = scene.splits["train"]
    assert scene.cameras.train is train.cameras
    assert train.pixels.shape == (5 * HEIGHT * WIDTH, 4) and train.pixels.dtype == np.uint8 and train.has_alpha
    assert train.names == tuple(f"r_{index}" for index in range(5))
    np.testing.assert_array_equal(train.cameras.poses, orbit(5, 4.0))
    focal = 0.5 * WIDTH / math.tan(0.5 * ANGLE)
    np.testing.assert_array_equal(train.cameras.focal, np.full((5, 2), focal))
    np.testing.assert_array_equal(train.cameras.center, np.tile([WIDTH / 2, HEIGHT / 2], (5, 1)))
    np.testing.assert_array_equal(train.cameras.size, np.tile([WIDTH, HEIGHT], (5, 1)))
    assert set(train.cameras.lens) == {"pinhole"}
    for index in range(5):
        np.testing.assert_array_equal(train.image(index), read_image(folder / "train" / f"r_{index}.png"))
    picked = train.colors(view=np.array([4, 0]), column=np.array([7, 2]), row=np.array([1, 5]))
    np.testing.assert_array_equal(picked, [train.image(4)[1, 7], train.image(0)[5, 2]])


def test_only_the_splits_asked_for_are_read(folder):
    (folder / "train" / "r_0.png").unlink()
    assert set(load_scene(folder, splits=("val", "test")).splits) == {"val", "test"}


def test_missing_validation_and_test_splits_are_left_out(folder):
    (folder / "transforms_val.json").unlink()
    (folder / "transforms_test.json").unlink()
    assert set(load_scene(folder).splits) == {"train"}


def test_frames_keep_the_order_of_the_file(folder):
    _edit(folder, lambda content: content["frames"].reverse())
    assert load_scene(folder).splits["train"].names == ("r_4", "r_3", "r_2", "r_1", "r_0")


def test_near_and_far_come_from_the_user_then_the_file(folder):
    _edit(folder, lambda content: content.update(near=1.5, far=7))
    assert _bounds(load_scene(folder)) == (1.5, 7.0)
    assert _bounds(load_scene(folder, near=0.5)) == (0.5, 7.0)


def test_images_without_alpha_and_with_other_suffixes(tmp_path):
    _write_split(tmp_path, "train", 2, channels=3, suffix=".jpg")
    scene = load_scene(tmp_path)
    assert scene.background == BLACK and not scene.splits["train"].has_alpha
    _edit(tmp_path, lambda content: content["frames"][0].update(file_path="train/r_0.jpg"))
    assert load_scene(tmp_path).splits["train"].names == ("r_0", "r_1")


def test_images_with_and_without_alpha_in_one_split(folder):
    write_image(folder / "train" / "r_2.png", np.full((HEIGHT, WIDTH, 3), 9, np.uint8))
    images = _images(load_scene(folder).splits["train"])
    assert (images[2] == (9, 9, 9, 255)).all()
    np.testing.assert_array_equal(images[3], read_image(folder / "train" / "r_3.png"))


def test_downscaling_scales_images_and_cameras_together(folder):
    full, half = load_scene(folder).splits["train"], load_scene(folder, downscale=2).splits["train"]
    assert _images(half).shape == (5, HEIGHT // 2, WIDTH // 2, 4)
    scaled = full.cameras.scaled(0.5)
    for name in ("poses", "size", "focal", "center", "near", "far"):
        np.testing.assert_array_equal(getattr(half.cameras, name), getattr(scaled, name))
    np.testing.assert_array_equal(half.image(1), downscale(full.image(1), 2))


def test_measured_intrinsics_win_over_the_field_of_view(folder):
    """Photographs: principal point and focal lengths as measured, for images of w x h pixels."""
    measured = {"fl_x": 20.0, "fl_y": 22.0, "cx": 7.0, "cy": 5.0, "w": 2 * WIDTH, "h": 2 * HEIGHT}
    _edit(folder, lambda content: content.update(measured))
    cameras = load_scene(folder).splits["train"].cameras
    np.testing.assert_array_equal(cameras.focal, np.tile([10.0, 11.0], (5, 1)))
    np.testing.assert_array_equal(cameras.center, np.tile([3.5, 2.5], (5, 1)))


def test_every_nth_of_all_pictures_instead_of_the_split_files(folder):
    """Pooled and sorted by path: test/r_0, test/r_1, train/r_0 .. train/r_4, val/r_0."""
    scene = load_scene(folder, test_every=3)
    assert scene.kind == "blender" and scene.held_out == "every 3rd by name (--test-every)"
    assert scene.splits["test"].names == ("r_0", "r_1", "r_4")
    assert scene.splits["train"].names == ("test_r_1", "train_r_0", "train_r_2", "train_r_3", "val_r_0")
    np.testing.assert_array_equal(scene.splits["test"].image(1), read_image(folder / "train" / "r_1.png"))
    np.testing.assert_array_equal(scene.splits["test"].cameras.poses[1], orbit(5, 4.0)[1])


def test_a_rendered_world_is_settled_only_if_a_space_is_asked_for(folder):
    plain, settled = load_scene(folder), load_scene(folder, space="unbounded", splits=("test",))
    assert plain.space is None and (plain.to_capture == np.eye(4)).all()
    assert set(settled.splits) == {"test"} and settled.space.kind == "unbounded"
    back = settled.to_capture @ settled.splits["test"].cameras.poses
    np.testing.assert_allclose(back[:, :3, 3], plain.splits["test"].cameras.poses[:, :3, 3], atol=1e-9)


def _with_another_size(folder: Path, width: int, height: int) -> np.ndarray:
    """Replace image 3 of the training split by one of width x height pixels."""
    image = np.random.default_rng(9).integers(0, 256, (height, width, 4)).astype(np.uint8)
    write_image(folder / "train" / "r_3.png", image)
    return image


@pytest.mark.parametrize("factor", [1, 2])
def test_images_of_several_sizes_in_one_folder(folder, factor):
    """Each has its own size and, as the field of view is that of all, its own focal length and centre."""
    other = _with_another_size(folder, 12, 4)
    train = load_scene(folder, downscale=factor).splits["train"]
    sizes = np.tile([WIDTH, HEIGHT], (5, 1))
    sizes[3] = [12, 4]
    np.testing.assert_array_equal(train.cameras.size, sizes // factor)
    focal = 0.5 * sizes[:, :1] / math.tan(0.5 * ANGLE) / factor
    np.testing.assert_allclose(train.cameras.focal, np.repeat(focal, 2, axis=1), rtol=1e-15)
    np.testing.assert_array_equal(train.cameras.center, sizes / (2 * factor))
    for index in range(5):
        stored = other if index == 3 else read_image(folder / "train" / f"r_{index}.png")
        np.testing.assert_array_equal(train.image(index), downscale(stored, factor))
    left, right = train.cameras.rays(3, [-0.5, 12 / factor - 0.5], np.full(2, 2 / factor - 0.5), np.float64).directions
    assert np.arccos(left @ right) == pytest.approx(ANGLE, abs=1e-12)


def test_measured_intrinsics_follow_the_size_of_each_image(folder):
    measured = {"fl_x": 20.0, "fl_y": 22.0, "cx": 7.0, "cy": 5.0, "w": 2 * WIDTH, "h": 2 * HEIGHT}
    _edit(folder, lambda content: content.update(measured))
    _with_another_size(folder, 4 * WIDTH, HEIGHT)
    cameras = load_scene(folder).splits["train"].cameras
    np.testing.assert_array_equal(cameras.focal[[0, 3]], [[10.0, 11.0], [40.0, 11.0]])
    np.testing.assert_array_equal(cameras.center[[0, 3]], [[3.5, 2.5], [14.0, 2.5]])


def test_tiny_nerf_files(tmp_path):
    file = _npz(tmp_path / "tiny_nerf_data.npz", count=102)
    scene = load_scene(file)
    assert scene.kind == "tiny_nerf" and _bounds(scene) == (2.0, 6.0) and scene.background == BLACK
    assert {split: views.names for split, views in scene.splits.items()} == {
        "train": tuple(f"{index:03d}" for index in range(100)),
        "val": ("100",),
        "test": ("101",),
    }
    views = scene.splits["test"]
    images = np.load(file)["images"]
    assert np.abs(views.image(0) / 255.0 - images[101]).max() <= 0.5 / 255.0 + 1e-7
    np.testing.assert_array_equal(views.cameras.poses[0], orbit(102, 4.0)[101])
    np.testing.assert_array_equal(views.cameras.focal, [[9.0, 9.0]])
    np.testing.assert_array_equal(views.cameras.center, [[4.0, 3.0]])
    half = load_scene(tmp_path, splits=("val",), downscale=2).splits["val"].cameras
    np.testing.assert_array_equal((half.focal, half.size), ([[4.5, 4.5]], [[WIDTH // 2, HEIGHT // 2]]))


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, {"train": 1}), (2, {"train": 1, "test": 1}), (5, {"train": 3, "val": 1, "test": 1})]
)
def test_small_tiny_nerf_files(tmp_path, count, sizes):
    scene = load_scene(_npz(tmp_path / "few.npz", count=count))
    assert {split: len(views) for split, views in scene.splits.items()} == sizes


@pytest.mark.parametrize(
    "bounds", [{"near": 5, "far": 3}, {"near": 2, "far": 2}, {"near": -1}, {"far": 0}, {"near": math.nan}]
)
@pytest.mark.parametrize("space", [None, "box", "unbounded"])
def test_distances_that_are_no_range_are_refused_in_any_space(folder, bounds, space):
    with pytest.raises(UserError, match=r"^--(near|far) .*not a range of distances; need 0 <= near < far"):
        load_scene(folder, space=space, **bounds)


def test_distances_of_a_settled_scene_have_nothing_to_do_with_those_of_its_file(folder, tmp_path):
    for path in (folder, _npz(tmp_path / "tiny_nerf_data.npz", count=5)):
        cameras = load_scene(path, space="unbounded", near=10.0).splits["train"].cameras
        assert (cameras.near == 10.0).all() and (cameras.far > 10.0).all()
        with pytest.raises(UserError, match=r"near 10\.0 and far 6\.0"):
            load_scene(path, near=10.0)


def test_tiny_nerf_files_honour_what_the_user_asks_for(tmp_path):
    file = _npz(tmp_path / "few.npz", count=5)
    scene = load_scene(file, test_every=2, downscale=1.5, space="box")
    assert scene.splits["test"].names == ("000", "002", "004") and scene.space.kind == "box"
    np.testing.assert_array_equal(scene.splits["train"].cameras.size[0], (5, 4))
    with pytest.raises(UserError, match=r"few\.npz: an image of 8x6 pixels cannot be downscaled by 20"):
        load_scene(file, downscale=20)


# ----------------------------------------------------------------------------------------------------------------------
# Bad data: the message names the file and the place, and says what to do


def _set_pose(content: dict, index: int, pose: object) -> None:
    content["frames"][index]["transform_matrix"] = pose.tolist() if isinstance(pose, np.ndarray) else pose


def _changed_pose(row: int, column: int, value: float) -> np.ndarray:
    pose = look_at((4.0, 0.0, 1.0), (0.0, 0.0, 0.0))
    pose[row, column] = value
    return pose


GOOD_POSE = look_at((4.0, 0.0, 1.0), (0.0, 0.0, 0.0))
BAD_TRANSFORMS = {
    "angle missing": (lambda c: c.pop("camera_angle_x"), "'camera_angle_x' is missing"),
    "angle no number": (lambda c: c.update(camera_angle_x="wide"), "'camera_angle_x' must be a number"),
    "angle too large": (lambda c: c.update(camera_angle_x=3.2), "between 0 and pi"),
    "angle zero": (lambda c: c.update(camera_angle_x=0), "between 0 and pi"),
    "lens distortion": (lambda c: c.update(k1=0.1, p2=0.0), r"distorts \(k1\)"),
    "angle next to nothing": (lambda c: c.update(camera_angle_x=5e-324), "focal length along x must be positive and"),
    "angle not finite": (lambda c: c.update(camera_angle_x=math.nan), "'camera_angle_x' must be a number"),
    "focal length zero": (lambda c: c.update(fl_x=0.0), "'fl_x' must be positive, not 0.0"),
    "frames missing": (lambda c: c.pop("frames"), "'frames' must hold"),
    "frames empty": (lambda c: c.update(frames=[]), "at least one frame"),
    "frame without path": (lambda c: c["frames"][3].pop("file_path"), "frame 3 lacks the key 'file_path'"),
    "frame without pose": (lambda c: c["frames"][2].pop("transform_matrix"), "frame 2 lacks .*'transform_matrix'"),
    "path no text": (lambda c: c["frames"][1].update(file_path=7), "frame 1: 'file_path' must be text"),
    "image missing": (lambda c: c["frames"][4].update(file_path="train/none"), "frame 4: there is no image .*none"),
    "pose not 4x4": (lambda c: _set_pose(c, 1, GOOD_POSE[:3]), r"frame 1 .* shape is \(3, 4\)"),
    "pose ragged": (lambda c: _set_pose(c, 1, [[1.0], [2.0, 3.0]]), "frame 1 .* not a 4x4 matrix of numbers"),
    "pose infinite": (lambda c: _set_pose(c, 0, _changed_pose(0, 3, np.inf)), "frame 0 .* not finite"),
    "pose scaled": (lambda c: _set_pose(c, 2, GOOD_POSE @ np.diag([2.0, 2, 2, 1])), "frame 2 .* rotation: .*2, 2, 2"),
    "pose sheared": (lambda c: _set_pose(c, 2, _changed_pose(0, 0, 0.01)), "frame 2 .* no rotation"),
    "pose mirrored": (lambda c: _set_pose(c, 2, GOOD_POSE @ np.diag([1.0, 1, -1, 1])), "frame 2 .* mirrors"),
    "pose transposed": (lambda c: _set_pose(c, 2, GOOD_POSE.T), "frame 2 .* transposed"),
    "near beyond far": (lambda c: c.update(near=7.0), "near 7.0 and far 6.0"),
    "near no number": (lambda c: c.update(near="close"), "'near' must be a number"),
}


@pytest.mark.parametrize("case", BAD_TRANSFORMS)
def test_bad_transforms(folder, case):
    edit, message = BAD_TRANSFORMS[case]
    _edit(folder, edit)
    with pytest.raises(UserError, match=message) as caught:
        load_scene(folder)
    assert str(folder) in str(caught.value)


def test_json_that_was_cut_off(folder):
    file = folder / "transforms_train.json"
    file.write_text('{\n "camera_angle_x": 0.7,\n "frames": [{"file_pa')
    with pytest.raises(UserError, match=r"transforms_train\.json.* line 3, column 14"):
        load_scene(folder)
    file.write_text("[1, 2]")
    with pytest.raises(UserError, match="must hold a JSON object"):
        load_scene(folder)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        load_scene(folder)


def test_an_image_that_is_too_small_to_shrink(folder):
    """Of images of several sizes, the message names the one that is wrong."""
    _with_another_size(folder, 5, 1)
    with pytest.raises(UserError, match=r"frame 3 \(./train/r_3\): an image of 5x1 pixels cannot be downscaled by 2"):
        load_scene(folder, downscale=2)


def test_an_image_that_was_cut_off(folder):
    file = folder / "train" / "r_1.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(UserError, match=r"frame 1 .*r_1\.png: cannot be read as an image"):
        load_scene(folder)


def test_paths_that_are_no_data_set(tmp_path, folder):
    with pytest.raises(UserError, match="no such file or folder"):
        load_scene(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"Looked for: .*transforms_train\.json.*tiny_nerf_data\.npz"):
        load_scene(tmp_path / "empty")
    (folder / "transforms_train.json").unlink()
    with pytest.raises(UserError, match="nothing to train on"):
        load_scene(folder)


def test_bad_requests(folder):
    with pytest.raises(UserError, match=r"an image of 8x6 pixels cannot be downscaled by 20\."):
        load_scene(folder, downscale=20)
    with pytest.raises(UserError, match="at least 1, not inf"):
        load_scene(folder, downscale=math.inf)
    with pytest.raises(UserError, match="at least 1, not 0"):
        load_scene(folder, downscale=0)
    with pytest.raises(UserError, match="no split 'training'"):
        load_scene(folder, splits=("training",))
    for near, far in ((3.0, 3.0), (-1.0, 2.0), (math.nan, 2.0), (1.0, math.inf)):
        with pytest.raises(UserError, match="need 0 <= near < far"):
            load_scene(folder, near=near, far=far)


BAD_ARRAYS = {
    "no poses": ({"poses": None}, "lacks 'poses'; it holds images, focal"),
    "too few poses": ({"poses": orbit(3, 4.0)}, r"5 images, but 'poses' has the shape \(3, 4, 4\)"),
    "poses not 4x4": ({"poses": np.zeros((5, 3, 4))}, r"frame 0: the pose must be a 4x4 matrix"),
    "no rotation": ({"poses": 2.0 * orbit(5, 4.0)}, "frame 0: the last row"),
    "images flat": ({"images": np.zeros((5, 6, 8))}, r"'images' must be \(N, H, W, 3\)"),
    "images of no pixel": ({"images": np.zeros((0, 6, 8, 3))}, r"'images' must be \(N, H, W, 3\)"),
    "images too bright": ({"images": np.full((5, 6, 8, 3), 255.0)}, r"must lie in \[0, 1\]"),
    "images not finite": ({"images": np.full((5, 6, 8, 3), np.nan)}, r"must lie in \[0, 1\]"),
    "images of integers": ({"images": np.zeros((5, 6, 8, 3), np.int32)}, "must be uint8 or float"),
    "focal negative": ({"focal": np.array(-1.0)}, "'focal' must be one positive number"),
    "focal of two": ({"focal": np.array([1.0, 2.0])}, "'focal' must be one positive number"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_tiny_nerf_files(tmp_path, case):
    changes, message = BAD_ARRAYS[case]
    file = _npz(tmp_path / "bad.npz", **changes)
    with pytest.raises(UserError, match=message) as caught:
        load_scene(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("kept", [0, 10, 500, -30])
def test_a_tiny_nerf_file_that_was_cut_off(tmp_path, kept):
    file = _npz(tmp_path / "cut.npz")
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"cut\.npz: cannot be read as an \.npz archive"):
        load_scene(file)


# ----------------------------------------------------------------------------------------------------------------------
# Images


@given(hypothesis_numpy.arrays(np.uint8, (6, 4, 4)), st.sampled_from([1, 2]))
def test_downscaling_and_compositing_commute(image, factor):
    """Averaging the composited image is compositing the averaged one: what weighting by alpha is for."""

    def average(pixels: np.ndarray) -> np.ndarray:
        return pixels.reshape(6 // factor, factor, 4 // factor, factor, -1).mean(axis=(1, 3))

    for background in (0.0, 1.0):
        expected = average(composite(image, (background,) * 3).astype(np.float64))
        found = composite(downscale(image, factor), (background,) * 3)
        assert np.abs(found - expected).max() <= 1.01 / 255.0  # colour and alpha are rounded, half a level each
    opaque = image[..., :3]
    assert np.abs(downscale(opaque, factor) - average(opaque)).max() <= 0.5


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4]))
def test_area_average_of_any_size(width, height, w, h, channels):
    """By its definition: every pixel becomes w x h equal ones, and then blocks are averaged. Likewise for masks."""
    size = min(w, width), min(h, height)
    rng = np.random.default_rng(width + 10 * height + 100 * w + 1000 * h)
    image = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
    valid = rng.random((height, width)) > 0.2

    def blocks(pixels: np.ndarray) -> np.ndarray:
        fine = np.repeat(np.repeat(pixels, size[1], axis=0), size[0], axis=1)
        return fine.reshape(size[1], height, size[0], width, *pixels.shape[2:])

    found = area_average(image, size)
    assert found.shape == (size[1], size[0], channels)
    values = image.astype(np.float64)
    alpha = values[..., 3:] if channels == 4 else np.full((height, width, 1), 255.0)
    opacity = blocks(alpha).mean(axis=(1, 3))
    color = blocks(values[..., :3] * alpha).mean(axis=(1, 3)) / np.maximum(opacity, 1e-9)
    assert np.abs(np.where(opacity > 0, found[..., :3] - color, 0)).max() <= 0.5 + 1e-3
    assert channels == 3 or np.abs(found[..., 3:] - opacity).max() <= 0.5 + 1e-3
    np.testing.assert_array_equal(shrunk_mask(valid, size), blocks(valid).all(axis=(1, 3)))


def test_headers_say_what_reading_gives(tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    for name, image in {
        "rgb.png": Image.fromarray(pixels),
        "grey.png": Image.fromarray(pixels[..., 0]),
        "palette.png": Image.fromarray(pixels).quantize(16),
        "alpha.png": Image.fromarray(pixels[..., :2].copy(), mode="LA"),
        "photo.jpg": Image.fromarray(pixels),
    }.items():
        image.save(tmp_path / name)
        header, found = read_header(tmp_path / name), read_image(tmp_path / name)
        assert (header.size, header.has_alpha) == ((4, 2), found.shape[2] == 4) and header.orientation == 1
    for orientation, shown in ((3, (4, 2)), (6, (2, 4)), (77, (4, 2))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
        assert read_header(tmp_path / "turned.png").shown_size == shown
        assert read_image(tmp_path / "turned.png", upright=True).shape == (shown[1], shown[0], 3)
        assert read_image(tmp_path / "turned.png").shape == (2, 4, 3)


def test_image_files_of_every_mode(tmp_path):
    colors = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    Image.fromarray(colors).save(tmp_path / "rgb.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.png"), colors)
    Image.fromarray(colors[..., 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(colors[..., :1], 3, axis=2))
    Image.fromarray(colors).quantize(16).save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").shape == (2, 4, 3)
    Image.fromarray(colors[..., :2].copy(), mode="LA").save(tmp_path / "grey_alpha.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey_alpha.png"), colors[..., [0, 0, 0, 1]])
    deep = np.array([[0, 257, 65535, 32768 + 257]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png")[..., 0], [[0, 1, 255, 129]])
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(UserError, match=r"float\.tiff: cannot be read .*without a known range"):
        read_image(tmp_path / "float.tiff")


def test_writing_and_reading_back(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.random((3, 5, 4))
    write_image(tmp_path / "new" / "folder" / "image.png", image)
    back = read_image(tmp_path / "new" / "folder" / "image.png")
    assert np.abs(back / 255.0 - image).max() <= 0.5 / 255.0 + 1e-12
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["image.png"]  # nothing temporary is left
    np.testing.assert_array_equal(to_uint8(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])), [0, 0, 128, 255, 255])


def test_images_that_cannot_be_written(tmp_path):
    pixels = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(UserError, match=r"'\.xyz' names no image format"):
        write_image(tmp_path / "image.xyz", pixels)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        write_image(tmp_path / "file" / "image.png", pixels)
    with pytest.raises(UserError, match="cannot be written"):
        write_image(tmp_path / "image.jpg", np.zeros((2, 2, 4), np.uint8))
    assert not (tmp_path / "image.jpg").exists()
    with pytest.raises(ValueError, match="not finite"):
        write_image(tmp_path / "image.png", np.full((2, 2, 3), np.nan))
    with pytest.raises(ValueError, match="an image is"):
        write_image(tmp_path / "image.png", np.zeros((2, 2, 5)))
    with pytest.raises(ValueError, match="uint8 or floating point"):
        write_image(tmp_path / "image.png", np.zeros((2, 2, 3), np.int32))


def test_compositing():
    rgba = np.array([[[255, 0, 51, 255], [255, 0, 51, 0], [255, 0, 51, 51]]], np.uint8)
    over_white = composite(rgba, (1.0, 1.0, 1.0))
    assert over_white.dtype == np.float32
    np.testing.assert_allclose(over_white, [[[1.0, 0.0, 0.2], [1.0, 1.0, 1.0], [1.0, 0.8, 0.84]]], atol=1e-6)
    own = np.array([[[0.0, 0.0, 0.0], [0.1, 0.2, 0.3], [1.0, 1.0, 1.0]]])
    np.testing.assert_allclose(composite(rgba, own)[0, 1], [0.1, 0.2, 0.3], atol=1e-6)
    np.testing.assert_allclose(composite(rgba[..., :3], (1.0, 1.0, 1.0)), rgba[..., :3] / 255.0, atol=1e-6)


class Unpickled:
    """Makes a file when it is unpickled."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return open, (self.proof, "w")


def test_objects_in_an_npz_are_refused_and_never_run(tmp_path):
    proof = tmp_path / "executed"
    file = tmp_path / "data.npz"
    np.savez(file, images=np.zeros((3, 8, 8, 3)), poses=np.array([Unpickled(str(proof))] * 3, object), focal=8.0)
    proof.unlink(missing_ok=True)
    with pytest.raises(UserError, match="'poses' is an array of Python objects, which could run programs"):
        load_scene(file)
    assert not proof.exists()


@pytest.mark.parametrize("shape", [(10**11, 8, 8, 3), (2**62, 4)])
def test_an_npz_that_lies_about_its_size_takes_no_memory(tmp_path, shape):
    import zipfile

    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        for name in ("images", "poses", "focal"):
            raw = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(100)
            archive.writestr(f"{name}.npy", raw)
    with pytest.raises(UserError, match=r"'images' should hold \d+ bytes, but \d+ are there"):
        load_scene(tmp_path / "data.npz")


@pytest.mark.parametrize("focal", [1e-9, 1e30])
def test_a_focal_length_that_no_camera_has_is_refused(tmp_path, focal):
    poses = np.tile(np.eye(4), (3, 1, 1))
    np.savez(tmp_path / "data.npz", images=np.zeros((3, 8, 8, 3)), poses=poses, focal=focal)
    with pytest.raises(UserError, match="'focal' must be positive and finite, from 0"):
        load_scene(tmp_path / "data.npz")
