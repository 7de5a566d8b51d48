"""Synthetic captures: what is written is what was seen, and the truth that is written with it is true."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.io.images import read_image
from nerf_mini.scenes import load_scene
from nerf_mini.scenes.loading import READERS
from nerf_mini.scenes.synthetic import CAPTURES, CaptureSettings, make_capture
from nerf_mini.scenes.synthetic.capturing import planned, sparse_points
from nerf_mini.scenes.synthetic.outdoors import brightened, garden, passer_by, sky
from nerf_mini.scenes.synthetic.primitives import Ground, Sphere
from nerf_mini.scenes.synthetic.textures import marbled, patchwork, solid
from nerf_mini.scenes.synthetic.tracer import (
    DISPLAY_GAMMA,
    Lighting,
    Surface,
    SurfaceScene,
    render_surfaces,
    render_with_cover,
)
from nerf_mini.scenes.writers import WRITERS

SMALL = CaptureSettings(size=48, views=4, seed=2)
BUSY = replace(SMALL, exposure=1.5, passer_by=True)
YELLOW_BALL = np.array([0.46, 0.40, 0.32])  # the top of the still life, in scene coordinates
NOON = Lighting((0.0, 0.0, 1.0), (0.6, 0.6, 0.6), (0.2, 0.2, 0.2), (0.2, 0.2, 0.2))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make_capture("garden", tmp_path_factory.mktemp("captures") / "plain", SMALL)


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    return make_capture("garden", tmp_path_factory.mktemp("captures") / "busy", BUSY)


def pictures(folder, below="images"):
    return [read_image(file) for file in sorted((folder / below).iterdir())]


def truth(folder):
    return json.loads((folder / "truth" / "capture.json").read_text())


# ----------------------------------------------------------------------------------------------------------------------
# What there is to see


def test_the_ground_reaches_to_the_horizon_and_no_farther():
    """From a height h, a ray that falls by an angle a meets it after h / sin(a)."""
    angle = np.radians([90.0, 30.0, 1.0, 0.01, 1e-9, 0.0, -5.0])
    directions = np.stack([np.cos(angle), 0 * angle, -np.sin(angle)], axis=1)
    distance = Ground(-1.3).intersect(np.tile([5.0, -2.0, 0.7], (7, 1)), directions)
    np.testing.assert_allclose(distance[:4], 2.0 / np.sin(angle[:4]))
    assert np.isinf(distance[4:]).all()


def test_the_sky_is_where_nothing_is():
    scene = SurfaceScene((Surface(Ground(0.0), solid("#808080")),), NOON, sky)
    pose = look_at((0.0, 0.0, 1.0), (9.0, 0.0, 1.0))
    camera = Cameras.make(pose, (8, 8), 8.0)
    image = render_surfaces(scene, camera, supersampling=1)
    assert (image[..., 3] == 255).all()
    light = sky(camera.image_rays(dtype=np.float64).directions).reshape(8, 8, 3)
    np.testing.assert_allclose(
        image[:4, :, :3] / 255.0, np.minimum(light[:4], 1) ** (1 / DISPLAY_GAMMA), atol=0.501 / 255
    )
    assert len(np.unique(image[4:, :, 0])) == 1  # the ground, evenly lit
    clear = render_surfaces(replace(scene, sky=None), camera, supersampling=1)
    assert not clear[:4].any() and (clear[4:] == image[4:]).all()


def test_who_walks_through_covers_pixels_and_throws_no_shadow():
    camera = Cameras.make(look_at((0.0, -4.0, 0.5), (0.0, 0.0, -0.3)), (32, 24), 30.0)
    empty = garden()
    count = len(empty.surfaces)
    somebody = replace(empty, surfaces=(*empty.surfaces, *passer_by((0.4, -2.0))))
    image, cover = render_with_cover(somebody, camera, 2, range(count, count + 2))
    before, nothing = render_with_cover(empty, camera, 2, ())
    assert not nothing.any() and 0.0 < cover.mean() < 0.5 and cover.max() == 1.0
    np.testing.assert_array_equal(image[cover == 0.0], before[cover == 0.0])
    assert (image[cover == 1.0] != before[cover == 1.0]).any(axis=-1).all()


def test_what_hides_who_walks_through_is_not_covered():
    wall = Surface(Sphere((0.0, 0.0, 0.0), 1.0), solid("#808080"))
    behind = SurfaceScene((wall, *passer_by((0.0, 3.0))), NOON)
    camera = Cameras.make(look_at((0.0, -4.0, 0.0), (0.0, 0.0, 0.0)), (16, 16), 30.0)
    assert not render_with_cover(behind, camera, 2, (1, 2))[1][6:10, 6:10].any()


def test_light_that_is_brighter_is_a_factor_before_the_display():
    camera = Cameras.make(look_at((3.0, 1.0, 0.7), (0.0, 0.0, 0.0)), (24, 18), 20.0)
    image = render_surfaces(garden(), camera, 1).astype(float)
    bright = render_surfaces(brightened(garden(), 1.5), camera, 1).astype(float)
    inside = bright[..., :3] < 255
    assert inside.mean() > 0.7
    assert np.abs(bright[..., :3] - image[..., :3] * 1.5 ** (1 / DISPLAY_GAMMA))[inside].max() < 1.2


def test_textures_of_the_outdoors():
    fields = patchwork(("#000000", "#ffffff"), 12, 5.0)
    near, far = fields(np.array([[1.0, 0.5, 0.0]]))[0], fields(np.array([[1e4, 3e3, 0.0]]))[0]
    assert near[0] in (pytest.approx(0.05, abs=0.06), pytest.approx(0.95, abs=0.06))
    np.testing.assert_allclose(far, 0.5, atol=1e-6)
    points = np.random.default_rng(0).uniform(-9, 9, (500, 3))
    clouds = marbled("#000000", "#ffffff", 1.0)(points)
    assert clouds.min() >= 0.0 and clouds.max() <= 1.0 and clouds.std() > 0.2
    step = np.abs(marbled("#000000", "#ffffff", 1.0)(points + [1e-4, 0.0, 0.0]) - clouds).max()
    assert step < 0.02  # smooth


# ----------------------------------------------------------------------------------------------------------------------
# What is written


def test_a_known_thing_is_where_the_file_says(plain):
    """The yellow ball, by the formulas of the format alone: its world place lands on yellow pixels."""
    content, images = json.loads((plain / "transforms.json").read_text()), pictures(plain)
    to_world = np.array(truth(plain)["to_world"])
    place = to_world[:3, :3] @ YELLOW_BALL + to_world[:3, 3]
    assert content["camera_model"] == "OPENCV" and content["w"] == 48 and content["h"] == 36
    for frame, image in zip(content["frames"], images, strict=True):
        pose = np.array(frame["transform_matrix"])
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        right, up, back = pose[:3, :3].T @ (place - pose[:3, 3])
        x, y = right / -back, up / back
        r2 = x * x + y * y
        radial = 1 + content["k1"] * r2 + content["k2"] * r2 * r2
        p1, p2 = content["p1"], content["p2"]
        u = content["fl_x"] * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + content["cx"]
        v = content["fl_y"] * (y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)) + content["cy"]
        red, green, blue = image[int(v), int(u)].astype(int)
        assert red > green > 1.5 * blue


def test_exposures_can_be_recovered(plain, busy):
    """The ratio of a picture to the one that was exposed as the first is the gain, encoded for display."""
    gains = np.array(list(truth(busy)["gains"].values()))
    assert gains[0] == 1.0 and np.abs(np.log2(gains)).max() > 0.1 and np.abs(np.log2(gains)).max() <= 1.5
    assert set(truth(plain)["gains"].values()) == {1.0}
    masks = pictures(busy, "masks")
    for gain, image, mask, reference in zip(gains, pictures(busy), masks, pictures(plain), strict=True):
        usable = (mask[..., 0] == 255)[..., None] & (image < 250) & (image > 40) & (reference < 250)
        ratio = np.median(image[usable] / reference[usable].astype(float))
        assert ratio**DISPLAY_GAMMA == pytest.approx(gain, rel=0.02)


def test_masks_are_black_where_somebody_is(plain, busy, tmp_path):
    """Where pictures differ by more than their exposure; white in the form of instant-ngp."""
    same = make_capture("garden", tmp_path / "ngp", replace(SMALL, passer_by=True, format="instant-ngp"))
    for file, reference in zip(sorted((plain / "images").iterdir()), pictures(plain), strict=True):
        black = read_image(busy / "masks" / f"{file.name}.png")[..., 0]
        white = read_image(same / "images" / f"dynamic_mask_{file.stem}.png")[..., 0]
        np.testing.assert_array_equal(white, 255 - black)
        assert set(np.unique(black)) <= {0, 255}
        differs = (read_image(same / "images" / file.name) != reference).any(axis=-1)
        assert not (differs & (black == 255)).any()
    assert any((mask == 0).any() for mask in pictures(busy, "masks"))


@pytest.mark.parametrize("name", CAPTURES)
def test_points_are_on_surfaces_and_seen_where_they_land(name):
    plan = planned(name, CaptureSettings(size=160, views=6, passer_by=True), "radial-tangential")
    points = sparse_points(plan, np.random.default_rng(0))
    seen = points.observations
    assert len(points.positions) > 100 and points.tracks.min() >= 2
    np.testing.assert_array_equal(np.bincount(seen.point, minlength=len(points.positions)), points.tracks)
    back = np.linalg.inv(plan.to_world)
    local = points.positions @ back[:3, :3].T + back[:3, 3]
    error = np.linalg.norm(plan.cameras.project(local[seen.point], seen.image) - seen.place, axis=1)
    assert 0.2 < np.median(error) < 0.8
    inside = (seen.place > -3) & (seen.place < plan.cameras.size[seen.image] + 3)
    assert inside.all()


def test_nobody_hides_a_point_from_a_picture_that_sees_it():
    settings = CaptureSettings(size=160, views=6, passer_by=True)
    plan = planned("garden", settings, "radial-tangential")
    seen = sparse_points(plan, np.random.default_rng(0)).observations
    for view in range(6):
        scene, somebody = plan.at(view)
        cover = render_with_cover(scene, plan.cameras[view], 1, somebody)[1]
        whole = cover > 0
        whole[1:-1, 1:-1] = np.min([np.roll(cover, s, (0, 1)) for s in ((0, 1), (1, 0), (0, -1), (-1, 0))], 0)[
            1:-1, 1:-1
        ]
        x, y = np.clip(seen.place[seen.image == view].astype(int), 0, [159, 119]).T
        assert whole[y, x].mean() < 0.05  # noise carries some across the edge


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_a_capture_is_the_same_every_time_and_others_differ(busy, plain, tmp_path):
    done = []
    again = make_capture("garden", tmp_path / "b", BUSY, lambda *counts: done.append(counts))
    assert contents(again) == contents(busy) and done == [(i, 4) for i in range(1, 5)]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert not (plain / "masks").exists()
    other = planned("garden", replace(SMALL, seed=3), "pinhole")
    assert not np.allclose(other.cameras.poses, planned("garden", SMALL, "pinhole").cameras.poses)


def test_sizes_that_differ(tmp_path):
    folder = make_capture("facade", tmp_path / "a", replace(SMALL, mixed_sizes=True, size=32))
    assert [image.shape[:2] for image in pictures(folder)] == [(24, 32), (32, 24), (18, 24), (32, 24)]
    content = json.loads((folder / "transforms.json").read_text())
    assert [(frame["w"], frame["h"]) for frame in content["frames"]] == [(32, 24), (24, 32), (24, 18), (24, 32)]


def test_cameras_of_the_facade_look_the_same_way():
    poses = planned("facade", CaptureSettings(views=30), "pinhole").cameras.poses
    back = poses[:, :3, 2]
    assert np.linalg.eigvalsh(np.eye(3) - back.T @ back / 30)[0] < 0.01
    assert (np.ptp(poses[:, :3, 3], axis=0) > [2.0, 0.1, 0.6]).all()


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_written_is_read(kind, tmp_path):
    folder = make_capture("garden", tmp_path / "data", replace(BUSY, format=kind, views=6, size=32, exposure=0.0))
    if not any(reader.recognise(folder) for reader in READERS):
        pytest.skip(f"no reader for {kind}")
    scene, known = load_scene(folder), truth(folder)
    masks = 0
    for views in scene.splits.values():
        for view, name in enumerate(views.names):
            index = int(name.removeprefix("IMG_")) - 1
            np.testing.assert_array_equal(views.image(view), read_image(folder / "images" / f"{name}.png"))
            back = scene.to_capture @ views.cameras.poses[view]
            back[:3, :3] /= np.cbrt(np.linalg.det(back[:3, :3]))
            np.testing.assert_allclose(back, known["poses"][index], atol=1e-6)
            np.testing.assert_allclose(views.cameras.focal[view], known["focal"][index])
            np.testing.assert_allclose(views.cameras.center[view], known["center"][index])
            lens = dict(known["lens"])
            assert views.cameras.lens[view] == lens.pop("name")
            found = dict(zip(("k1", "k2", "p1", "p2"), views.cameras.lens_parameters[view], strict=False))
            assert found == {**dict.fromkeys(found, 0.0), **{key: lens[key] for key in found if key in lens}}
            mask = views.mask(view)
            masks += 0 if mask is None else np.count_nonzero(~mask)
    assert sorted(name for views in scene.splits.values() for name in views.names) == [
        f"IMG_{i:04d}" for i in range(1, 7)
    ]
    assert (masks > 0) == (WRITERS[kind].mask_file is not None)


def test_bad_requests_for_a_capture(tmp_path):
    def make(name="garden", **changes):
        return make_capture(name, tmp_path / "new", replace(SMALL, **changes))

    for call, message in (
        (partial(make, "castle"), "no capture 'castle'; the captures are garden, facade"),
        (partial(make, format="docx"), "no format 'docx'; the formats are nerfstudio"),
        (partial(make, size=8), "at least 16 pixels and at most 4096, not 8"),
        (partial(make, views=1), "at least 2 pictures and at most 10000, not 1"),
        (partial(make, seed=-1), "at least 0 and at most 9223372036854775807, but is -1"),
        (partial(make, exposure=9.0), "from 0 to 4 stops, not 9"),
        (partial(make, exposure=float("nan")), "from 0 to 4 stops"),
        (partial(make, lens="fisheye", format="llff"), "'fisheye': the lens must be one of pinhole"),
        (partial(make, lens="periscope"), "must be one of pinhole, radial-tangential, fisheye"),
    ):
        with pytest.raises(UserError, match=message):
            call()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not an empty folder"):
        make_capture("garden", tmp_path / "taken", SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]
