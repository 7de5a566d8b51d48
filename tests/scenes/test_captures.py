"""Captures in every format: the same cameras, pictures and splits, whatever they are written in."""

import json
import math
from dataclasses import replace
from pathlib import Path

import captures
import numpy as np
import pytest
from captures import Capture, make_capture, write_colmap, write_llff, write_pictures, write_transforms
from PIL import Image

from nerf_mini.errors import UserError
from nerf_mini.geometry.lenses import LENSES
from nerf_mini.io.images import read_image, write_image
from nerf_mini.scenes import Scene, load_scene
from nerf_mini.scenes.readers.pictures import unique_names

BENT = {"k1": 0.05, "k2": -0.02, "p1": 0.003, "p2": -0.002}
FISHEYE = {"k1": 0.03, "k2": -0.01, "k3": 0.004, "k4": -0.001}
LENS_CASES = {
    "pinhole": {},
    "radial-tangential": BENT,
    **({"fisheye": FISHEYE} if "fisheye" in LENSES else {}),
}
WRITERS = {
    "transforms": write_transforms,
    "colmap": write_colmap,
    "colmap text": lambda folder, capture: write_colmap(folder, capture, text=True),
}


def simple(views: int = 9) -> Capture:
    """A capture that LLFF can state too: one focal length, the centre in the middle."""
    capture = make_capture(views)
    return replace(capture, focal=np.full((views, 2), 21.0), center=np.full((views, 2), (12.0, 8.0)))


def some(capture: Capture, views: slice) -> Capture:
    return replace(
        capture,
        **{key: getattr(capture, key)[views] for key in ("names", "poses", "focal", "center")},
    )


def by_name(scene: Scene) -> dict[str, tuple]:
    """Cameras and index of each picture."""
    return {name: (views, index) for views in scene.splits.values() for index, name in enumerate(views.names)}


def seen(scene: Scene, capture: Capture) -> np.ndarray:
    """Where the scene's cameras see the capture's points, in order of names: (V, n, 2), pixels as they were read."""
    back = np.linalg.inv(scene.to_capture)
    points = capture.points @ back[:3, :3].T + back[:3, 3]
    found = by_name(scene)
    return np.stack(
        [
            found[Path(name).stem][0].cameras.project(points, np.full(len(points), found[Path(name).stem][1]))
            for name in capture.names
        ]
    )


def edit(file: Path, **changes: object) -> None:
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


# ----------------------------------------------------------------------------------------------------------------------
# The same capture in every format


@pytest.mark.parametrize("shared", [True, False], ids=["one camera", "own cameras"])
@pytest.mark.parametrize("lens", LENS_CASES)
@pytest.mark.parametrize("form", WRITERS)
def test_points_are_where_the_formulas_of_the_formats_say(tmp_path, form, lens, shared):
    capture = make_capture(lens=lens, shared=shared, **LENS_CASES[lens])
    scene = load_scene(WRITERS[form](tmp_path, capture))
    assert scene.kind == form.split()[0]
    assert set(scene.cameras.train.lens.tolist()) == {lens}
    wanted = np.stack([capture.places(view) for view in range(len(capture.names))])
    np.testing.assert_allclose(seen(scene, capture), wanted, atol=1e-9)


def test_llff_says_the_same(tmp_path):
    capture = simple()
    scene = load_scene(write_llff(tmp_path, capture))
    assert scene.kind == "llff" and scene.splits["test"].names == ("p00", "p08")
    wanted = np.stack([capture.places(view) for view in range(len(capture.names))])
    np.testing.assert_allclose(seen(scene, capture), wanted, atol=1e-9)
    unit = np.linalg.norm(scene.to_capture[:3, 0])
    np.testing.assert_allclose(scene.cameras.train.near * unit, capture.near)
    np.testing.assert_allclose(scene.cameras.train.far * unit, capture.far)


def test_all_formats_make_the_same_scene(tmp_path):
    capture = simple()
    scenes = []
    for form, write in {**WRITERS, "llff": write_llff}.items():
        folder = write(tmp_path / form, capture)
        for file in folder.glob("sparse/0/points3D.*"):
            file.unlink()  # the other formats have none, and the world is settled by them too
        scenes.append(load_scene(folder))
    first = scenes[0]
    for scene in scenes:
        assert scene.held_out == "every 8th by name" and scene.space == first.space
        np.testing.assert_allclose(scene.to_capture, first.to_capture, atol=1e-9)
        assert {split: views.names for split, views in scene.splits.items()} == {
            "train": tuple(f"p{i:02d}" for i in range(1, 8)),
            "test": ("p00", "p08"),
        }
        for split, views in scene.splits.items():
            np.testing.assert_array_equal(views.pixels, first.splits[split].pixels)
            for key in ("poses", "focal", "center", "size"):
                found, wanted = getattr(views.cameras, key), getattr(first.splits[split].cameras, key)
                np.testing.assert_allclose(found, wanted, atol=1e-9)
    images = capture.images()
    np.testing.assert_array_equal(first.splits["test"].image(1), images[8])


@pytest.mark.parametrize("text", [False, True])
def test_sparse_points_and_where_they_were_seen(tmp_path, text):
    capture = make_capture(shared=False)
    scene = load_scene(write_colmap(tmp_path, capture, text))
    points, to_capture = scene.points, scene.to_capture
    positions = points.positions @ to_capture[:3, :3].T + to_capture[:3, 3]
    np.testing.assert_allclose(positions, capture.points, atol=1e-9)
    assert (points.tracks == 9).all() and len(points.observations.point) == 9 * len(capture.points)
    found = by_name(scene)
    assert set(points.observations.names) == set(found)
    for index, name in enumerate(points.observations.names):
        mine = points.observations.image == index
        views, view = found[name]
        place = views.cameras.project(points.positions[points.observations.point[mine]], np.full(mine.sum(), view))
        np.testing.assert_allclose(place, points.observations.place[mine], atol=1e-9)
        np.testing.assert_array_equal(points.observations.size[index], capture.size)


def test_binary_files_win_over_text(tmp_path):
    write_colmap(tmp_path, make_capture())
    (tmp_path / "sparse" / "0" / "images.txt").write_text("nonsense")
    assert len(load_scene(tmp_path).splits["train"]) == 7


def test_the_model_with_most_pictures_is_read(tmp_path):
    write_colmap(tmp_path, make_capture(9), model="sparse/1")
    write_colmap(tmp_path, some(make_capture(9), slice(3)), model="sparse/0")
    assert sum(map(len, load_scene(tmp_path).splits.values())) == 9


@pytest.mark.parametrize("model", ["sparse", "colmap/sparse/0", ""])
def test_places_where_models_are(tmp_path, model):
    folder = write_colmap(tmp_path, make_capture(), model=model)
    assert load_scene(folder).kind == "colmap"
    if model:
        assert load_scene(folder / model).kind == "colmap", "the model itself, below its pictures"


def test_a_complete_model_is_preferred_to_llff(tmp_path):
    write_llff(tmp_path, simple())
    write_colmap(tmp_path, simple())
    assert load_scene(tmp_path).kind == "colmap"
    (tmp_path / "sparse" / "0" / "images.bin").unlink()
    assert load_scene(tmp_path).kind == "llff"


def test_a_picture_without_features_and_a_name_with_spaces(tmp_path):
    """The line of features may be empty, but counts."""
    capture = make_capture(3)
    capture = replace(capture, names=["a b.png", "c.png", "d.png"], points=capture.points[:0])
    folder = write_colmap(tmp_path, capture, text=True)
    images = folder / "sparse" / "0" / "images.txt"
    assert images.read_text().count("\n") == 7
    images.write_text(images.read_text().replace("0.5 0.5 -1", "").rstrip("\n"))
    scene = load_scene(folder)
    assert scene.splits["test"].names == ("a b",) and scene.splits["train"].names == ("c", "d")


# ----------------------------------------------------------------------------------------------------------------------
# Splits


def test_every_nth_for_testing(tmp_path):
    folder = write_transforms(tmp_path, make_capture())
    scene = load_scene(folder, test_every=3)
    assert scene.splits["test"].names == ("p00", "p03", "p06")
    assert scene.held_out == "every 3rd by name (--test-every)"


def test_frames_are_in_the_order_of_their_names(tmp_path):
    folder = write_transforms(tmp_path, make_capture())
    frames = json.loads((folder / "transforms.json").read_text())["frames"]
    edit(folder / "transforms.json", frames=frames[::-1])
    assert load_scene(folder).splits["train"].names == tuple(f"p{i:02d}" for i in range(1, 8))


def test_lists_of_nerfstudio(tmp_path):
    folder = write_transforms(tmp_path, make_capture())
    names = [f"images/p{i:02d}.png" for i in range(9)]
    edit(folder / "transforms.json", train_filenames=names[:6], val_filenames=names[6:8], test_filenames=names[6:])
    scene = load_scene(folder)
    assert {split: views.names for split, views in scene.splits.items()} == {
        "train": ("p00", "p01", "p02", "p03", "p04", "p05"),
        "val": ("p06", "p07"),
        "test": ("p06", "p07", "p08"),
    }
    assert scene.held_out == "its own lists (train_filenames, val_filenames, test_filenames)"
    assert load_scene(folder, test_every=8).splits["test"].names == ("p00", "p08")
    edit(folder / "transforms.json", test_filenames=["images/nowhere.png"])
    with pytest.raises(UserError, match=r"test_filenames: names pictures that .* not have: images/nowhere"):
        load_scene(folder)


def test_lists_of_names_beside_a_model(tmp_path):
    folder = write_colmap(tmp_path, make_capture())
    (folder / "test_list.txt").write_text("p03.png\n\np05.png\n")
    scene = load_scene(folder)
    assert scene.splits["test"].names == ("p03", "p05") and len(scene.splits["train"]) == 7
    assert "test_list.txt" in scene.held_out
    (folder / "test_list.txt").write_text("p99.png\n")
    with pytest.raises(UserError, match=r"test_list\.txt: names pictures .*p99"):
        load_scene(folder)


def test_pictures_in_neither_list_are_dropped_with_what_was_seen_in_them(tmp_path):
    folder = write_colmap(tmp_path, make_capture())
    (folder / "train_list.txt").write_text("p01.png\np05.png\np06.png\n")
    (folder / "test_list.txt").write_text("p03.png\n")
    scene = load_scene(folder)
    seen = scene.points.observations
    assert set(seen.names) == {"p01", "p03", "p05", "p06"}
    assert len(seen.size) == 4 and np.array_equal(np.bincount(seen.image), np.full(4, len(scene.points.positions)))
    found = by_name(scene)
    for index, name in enumerate(seen.names):
        views, view = found[name]
        mine = seen.image == index
        place = views.cameras.project(scene.points.positions[seen.point[mine]], np.full(mine.sum(), view))
        np.testing.assert_allclose(place, seen.place[mine], atol=1e-9)


def _split_files(folder: Path, capture: Capture, **top: object) -> Path:
    for split, part in (("train", slice(0, 6)), ("test", slice(6, 9))):
        write_transforms(folder, some(capture, part), f"transforms_{split}.json", **top)
    write_pictures(folder, capture)
    return folder


def test_split_files_win_over_a_single_file(tmp_path):
    folder = _split_files(tmp_path, make_capture())
    write_transforms(folder, make_capture())
    scene = load_scene(folder)
    assert scene.kind == "transforms" and scene.held_out == "its own split files"
    assert {split: len(views) for split, views in scene.splits.items()} == {"train": 6, "test": 3}
    assert load_scene(folder, test_every=8).splits["test"].names == ("p00", "p08")
    assert load_scene(folder / "transforms.json").splits["test"].names == ("p00", "p08"), "the file itself"


def test_split_files_of_photographs_are_a_capture(tmp_path):
    """Measured intrinsics of opaque pictures are. With transparency, or the field of view alone, it is an object."""
    folder = _split_files(tmp_path, make_capture(), camera_model=None, camera_angle_x=1.0)
    for split in ("train", "test"):
        edit(folder / f"transforms_{split}.json")  # drops what is None
    assert load_scene(folder).kind == "transforms"
    for file in (folder / "images").iterdir():
        write_image(file, np.full((16, 24, 4), 128, np.uint8))
    assert load_scene(folder).kind == "blender"
    for split in ("train", "test"):
        edit(folder / f"transforms_{split}.json", aabb_scale=4)
    scene = load_scene(folder)
    assert scene.kind == "transforms" and scene.space.kind == "box", "opacity shows an object alone"


@pytest.mark.parametrize("write", [write_transforms, write_colmap])
def test_the_world_is_the_same_whichever_splits_are_read(tmp_path, write):
    folder = write(tmp_path, make_capture())
    whole, test = load_scene(folder), load_scene(folder, splits=("test",))
    assert set(test.splits) == {"test"}
    np.testing.assert_array_equal(test.to_capture, whole.to_capture)
    np.testing.assert_array_equal(test.splits["test"].cameras.poses, whole.splits["test"].cameras.poses)
    np.testing.assert_array_equal(test.splits["test"].pixels, whole.splits["test"].pixels)


def test_what_the_user_asks_for(tmp_path):
    scene = load_scene(write_colmap(tmp_path, make_capture()), near=0.25, far=9.0, space="box")
    assert scene.space.kind == "box"
    for views in scene.splits.values():
        assert set(views.cameras.near) == {0.25} and set(views.cameras.far) == {9.0}
    with pytest.raises(UserError, match="need 0 <= near < far"):
        load_scene(tmp_path, near=math.nan)


def test_names_are_short_and_differ():
    assert unique_names(["images/a.jpg", "images/b.jpg"]) == ("a", "b")
    assert unique_names(["cam1/a.jpg", "cam2/a.jpg"]) == ("cam1_a", "cam2_a")
    assert unique_names(["a.jpg", "a.png"]) == ("a.jpg", "a.png")
    assert unique_names(["../x/a.jpg", "/b.jpg"]) == ("a", "b")
    assert len(set(unique_names(["./a.png", "a.png"]))) == 2


# ----------------------------------------------------------------------------------------------------------------------
# Pictures: sizes, folders, orientation


def _downscaled_folder(folder: Path, capture: Capture, n: int, prefix: str = "") -> list[np.ndarray]:
    rng, images = np.random.default_rng(n), []
    for index, name in enumerate(capture.names):
        images.append(rng.integers(0, 256, (captures.HEIGHT // n, captures.WIDTH // n, 3)).astype(np.uint8))
        write_image(folder / f"images_{n}" / (f"{prefix}{index:03d}.png" if prefix else name), images[-1])
    return images


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("prefix", ["", "image"], ids=["same names", "other names, same order"])
def test_downscaled_folders_are_used(tmp_path, form, prefix):
    capture = make_capture()
    folder = WRITERS[form](tmp_path, capture)
    half, quarter = (_downscaled_folder(folder, capture, n, prefix) for n in (2, 4))
    wanted = np.stack([capture.places(view) for view in range(9)])
    for factor, size, source in ((1, (24, 16), None), (2, (12, 8), half), (4, (6, 4), quarter)):
        scene = load_scene(folder, downscale=factor)
        views = scene.splits["test"]
        np.testing.assert_array_equal(views.cameras.size, [size, size])
        np.testing.assert_allclose(seen(scene, capture), wanted / factor, atol=1e-9)
        np.testing.assert_array_equal(views.image(1), (source or capture.images())[8])
    three = load_scene(folder, downscale=3).splits["train"]
    np.testing.assert_array_equal(three.cameras.size[0], (8, 5))  # from the halves, 12 x 8


def test_llff_with_downscaled_pictures_alone(tmp_path):
    """The largest pictures there are count as full size, and the file says for which size its focal length is."""
    capture = simple()
    folder = write_llff(tmp_path, capture)
    images = _downscaled_folder(folder, capture, 8, "image")
    for file in (folder / "images").iterdir():
        file.unlink()
    (folder / "images").rmdir()
    scene = load_scene(folder)
    assert scene.splits["test"].names == ("image000", "image008")
    np.testing.assert_array_equal(scene.splits["test"].image(1), images[8])
    np.testing.assert_allclose(scene.cameras.train.focal, np.full((7, 2), 21 / 8))
    np.testing.assert_array_equal(scene.cameras.train.size[0], (3, 2))
    (folder / "images_8" / "image003.png").unlink()
    with pytest.raises(UserError, match=r"has 9 rows, but .*images_8 holds 8 pictures: image000.png, image001"):
        load_scene(folder)


def test_intrinsics_follow_the_size_really_found_on_each_axis(tmp_path):
    """Files that speak of pictures a little more than twice as large."""
    folder = write_transforms(tmp_path, make_capture(), w=49, h=33)
    cameras = load_scene(folder).cameras.train
    np.testing.assert_allclose(cameras.focal[0], (21 * 24 / 49, 22 * 16 / 33))
    np.testing.assert_allclose(cameras.center[0], (11.5 * 24 / 49, 8.25 * 16 / 33))
    odd = load_scene(folder, downscale=2.9).cameras.train
    np.testing.assert_array_equal(odd.size[0], (8, 6))
    np.testing.assert_allclose(odd.focal[0], (21 * 8 / 49, 22 * 6 / 33))


def test_pictures_that_lie_on_their_side(tmp_path):
    """They are turned only where the cameras are those of the upright picture."""
    capture = make_capture()
    folder = write_transforms(tmp_path, capture)
    upright = capture.images()
    for name, image in zip(capture.names, upright, strict=True):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise when shown
        Image.fromarray(np.rot90(image)).save(folder / "images" / name, exif=exif)
    assert read_image(folder / "images" / "p00.png").shape == (24, 16, 3)
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.splits["test"].image(0), upright[0])
    edit(folder / "transforms.json", w=16, h=24)
    np.testing.assert_array_equal(load_scene(folder).splits["test"].image(0), np.rot90(upright[0]))
    edit(folder / "transforms.json", w=24, h=24)
    with pytest.raises(UserError, match=r"images/p01.png\): the picture p01.png has 16x24 pixels, .* for 24x24"):
        load_scene(folder)


# ----------------------------------------------------------------------------------------------------------------------
# Masks and opacity


def _mask() -> np.ndarray:
    mask = np.full((16, 24), 255, np.uint8)
    mask[2:5, 7:12] = 0
    return mask


def test_masks_of_each_kind(tmp_path):
    capture = make_capture()
    folder = write_transforms(tmp_path, capture)
    write_image(folder / "masks" / "p01.png", _mask())
    write_image(folder / "images" / "dynamic_mask_p02.png", 255 - _mask())
    frames = json.loads((folder / "transforms.json").read_text())["frames"]
    frames[1]["mask_path"] = "masks/p01.png"
    edit(folder / "transforms.json", frames=frames)
    colmap = write_colmap(tmp_path / "colmap", capture)
    write_image(colmap / "masks" / "p01.png.png", _mask())
    write_image(colmap / "masks" / "p02.png", _mask())
    for scene in (load_scene(folder), load_scene(colmap)):
        train, valid = scene.splits["train"], _mask() > 0
        for index in range(7):
            np.testing.assert_array_equal(train.mask(index), valid if index < 2 else np.ones_like(valid))
        assert scene.splits["test"].valid is None
    half = load_scene(folder, downscale=2).splits["train"].mask(0)
    np.testing.assert_array_equal(~half, np.pad(np.ones((2, 3), bool), ((1, 5), (3, 6))))
    write_image(folder / "masks" / "p01.png", _mask()[:, :9])
    with pytest.raises(UserError, match=r"frame 1 .*p01\.png: the mask has 9x16 pixels, its picture 24x16"):
        load_scene(folder)


def test_masks_that_leave_nothing(tmp_path):
    folder = write_colmap(tmp_path, make_capture())
    for index in range(9):
        write_image(folder / "masks" / f"p{index:02d}.png", np.zeros((16, 24), np.uint8))
    with pytest.raises(UserError, match="masks leave nothing to train on; black is ignored"):
        load_scene(folder)
    assert load_scene(folder, splits=("test",)).splits["test"].valid is not None, "nothing was to be trained on"


def test_opacity_in_a_file_of_its_own(tmp_path):
    folder = write_transforms(tmp_path, make_capture())
    write_image(folder / "images" / "p01.alpha.png", _mask())
    train = load_scene(folder).splits["train"]
    np.testing.assert_array_equal(train.image(0)[..., 3], _mask())
    assert (train.image(1)[..., 3] == 255).all()


def test_the_circle_of_a_fisheye(tmp_path):
    folder = write_transforms(tmp_path, make_capture(), fisheye_crop_radius=6.0)
    mask = load_scene(folder).splits["train"].mask(0)
    y, x = np.indices((16, 24)) + 0.5
    np.testing.assert_array_equal(mask, np.hypot(x - 12, y - 8) <= 6)


def test_what_lies_beyond_the_lens_is_not_valid(tmp_path):
    """With k1 = -0.3 the largest radius on the plane is 2 r / 3 at r^2 = 1 / 0.9, by the derivative of r - 0.3 r^3."""
    capture = replace(make_capture(lens="radial-tangential", k1=-0.3), focal=np.full((9, 2), 12.0))
    folder = write_transforms(tmp_path, capture)
    train = load_scene(folder).splits["train"]
    y, x = (np.indices((16, 24)) + 0.5 - np.array([8.25, 11.5])[:, None, None]) / 12
    np.testing.assert_array_equal(train.mask(3), np.hypot(x, y) < 2 / 3 / np.sqrt(0.9))
    assert np.isfinite(train.cameras.rays(0, *np.nonzero(train.mask(0))[::-1]).directions).all()


# ----------------------------------------------------------------------------------------------------------------------
# Keys of transforms.json


def _focal(folder: Path) -> np.ndarray:
    return load_scene(folder).cameras.train.focal[0]


def test_ways_to_state_the_focal_length(tmp_path):
    folder = write_transforms(tmp_path, make_capture())
    file = folder / "transforms.json"
    edit(file, camera_angle_x=1.0)
    np.testing.assert_allclose(_focal(folder), (21, 22))
    edit(file, x_fov=60.0, fl_y=None)
    np.testing.assert_allclose(_focal(folder), np.full(2, 12 / math.tan(math.radians(30))))
    edit(file, x_fov=None, fl_x=None, camera_angle_y=0.8)
    np.testing.assert_allclose(_focal(folder), (12 / math.tan(0.5), 8 / math.tan(0.4)))
    edit(file, w=None, h=None, cx=None, cy=None)
    np.testing.assert_allclose(load_scene(folder).cameras.train.center[0], (12, 8))
    edit(file, camera_angle_x=5e-324)
    with pytest.raises(UserError, match=r"frame 1 .*focal length along x must be positive and finite"):
        load_scene(folder)
    edit(file, camera_angle_x=None)
    with pytest.raises(UserError, match=r"frame 1 .*there is no focal length"):
        load_scene(folder)


def test_coefficients_in_a_list(tmp_path):
    folder = write_transforms(tmp_path, make_capture(), distortion_params=[0.05, -0.02, 0.01, 0, 0.003, -0.002])
    cameras = load_scene(folder).cameras.train
    assert set(cameras.lens.tolist()) == {"radial-tangential"}
    order = LENSES["radial-tangential"].parameters
    wanted = {**BENT, "k3": 0.01}
    np.testing.assert_array_equal(cameras.lens_parameters[0, : len(order)], [wanted.get(name, 0) for name in order])


def test_the_fourth_coefficient_is_that_of_nerfstudio(tmp_path):
    """Of r^8, a lens of its own; never the k4 of OpenCV's denominator."""
    folder = write_transforms(tmp_path, make_capture(), k4=0.01)
    if "radial-polynomial" in LENSES:
        assert set(load_scene(folder).cameras.train.lens.tolist()) == {"radial-polynomial"}
    else:
        with pytest.raises(UserError, match="'k4' of a perspective lens is not supported"):
            load_scene(folder)


def test_points_of_a_ply_file_and_of_a_model_beside(tmp_path):
    capture = make_capture()
    applied = np.array([[1.0, 0, 0, 0.5], [0, 0, 1, 0], [0, -1, 0, 2]])
    folder = write_colmap(tmp_path, capture)
    moved = np.concatenate([applied, [[0, 0, 0, 1]]])
    poses = moved @ capture.poses
    poses[:, :3, 3] *= 0.25
    write_transforms(folder, replace(capture, poses=poses))
    assert load_scene(folder).points is None, "how the cameras were moved is unknown"
    edit(folder / "transforms.json", applied_transform=applied.tolist(), applied_scale=0.25)
    scene = load_scene(folder)
    assert scene.kind == "transforms"
    there = 0.25 * (capture.points @ applied[:, :3].T + applied[:, 3])

    def in_file(scene: Scene) -> np.ndarray:
        return scene.points.positions @ scene.to_capture[:3, :3].T + scene.to_capture[:3, 3]

    np.testing.assert_allclose(in_file(scene), there, atol=1e-9)
    head = "ply\nformat {}\ncomment x\nelement vertex 12\nproperty float x\nproperty float y\nproperty float z\n{}"
    more = "property uchar red\nend_header\n"
    edit(folder / "transforms.json", ply_file_path="points.ply")
    rows = "".join(f"{x} {y} {z} 7\n" for x, y, z in there)
    (folder / "points.ply").write_text(head.format("ascii 1.0", more) + rows)
    np.testing.assert_allclose(in_file(load_scene(folder)), there, atol=1e-9)
    for form, order in (("binary_little_endian", "<"), ("binary_big_endian", ">")):
        records = np.zeros(12, [("p", f"{order}f4", 3), ("red", "u1")])
        records["p"] = there
        (folder / "points.ply").write_bytes(head.format(f"{form} 1.0", more).encode() + records.tobytes())
        np.testing.assert_allclose(in_file(load_scene(folder)), there, atol=1e-5)
        (folder / "points.ply").write_bytes(head.format(f"{form} 1.0", more).encode() + records.tobytes()[:-1])
        with pytest.raises(UserError, match=r"points\.ply: at byte \d+: 12 vertices of 13 bytes"):
            load_scene(folder)


@pytest.mark.skipif("equirectangular" not in LENSES, reason="no such lens yet")
def test_pictures_of_all_directions(tmp_path):
    """A ray of longitude 90 degrees and latitude 0 is the camera's own +x; the middle looks along -z."""
    capture = replace(make_capture(), size=(32, 16))
    folder = write_transforms(tmp_path, capture, camera_model="EQUIRECTANGULAR", w=32, h=16)
    cameras = load_scene(folder, space="unbounded").cameras.train
    rays = cameras.rays(0, [23.5, 15.5, 15.5], [7.5, 7.5, -0.5], np.float64).directions @ cameras.poses[0, :3, :3]
    np.testing.assert_allclose(rays, [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-9)
