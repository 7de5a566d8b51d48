"""Frames show what `render` shows, from wherever they are asked for."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from nerf_mini.config import with_settings
from nerf_mini.errors import UserError
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.poses import look_at
from nerf_mini.io.images import to_uint8
from nerf_mini.outputs.viewer import stage as module
from nerf_mini.outputs.viewer.description import describe, vertical_fields_of_view
from nerf_mini.outputs.viewer.requests import FrameRequest
from nerf_mini.outputs.viewer.stage import Stage
from nerf_mini.rendering.images import render_image
from nerf_mini.rendering.shading import SHADINGS, DepthScale
from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer


@pytest.fixture(scope="module", params=["nerf", "instant"])
def stage(request, blobs, tiny, tiny_config) -> Stage:
    scene = load_scene(blobs)
    config = tiny_config(max_steps=10) if request.param == "nerf" else with_settings(tiny, max_steps=150)
    trainer = Trainer(config, scene.cameras, scene)
    trainer.train()
    return Stage(trainer)


def pixels(frame) -> np.ndarray:
    return np.array(Image.open(BytesIO(frame.data)))


def asked(size=(16, 16), **changes) -> FrameRequest:
    pose = look_at((0.5, 4.0, 1.0), (0.0, 0.0, 0.0))
    return FrameRequest("a", 0, *size, **{"pose": pose, "fov": 0.7, "quality": 100, **changes})


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_lossless_frame_is_the_picture_of_its_camera(stage, split):
    trainer = stage.trainer
    cameras = trainer.cameras.splits[split]
    truth = to_uint8(trainer.render(cameras, 1).color)
    assert truth.std() > 1, "there should be something to see"
    found = stage.frame(asked(pose=cameras.poses[1], fov=float(vertical_fields_of_view(cameras)[1])))
    np.testing.assert_array_equal(pixels(found), truth)
    splits = trainer.cameras.splits
    first = sum(len(splits[name]) for name in list(splits)[: list(splits).index(split)])
    np.testing.assert_array_equal(pixels(stage.frame(asked(camera=first + 1, pose=None))), truth)


def test_cameras_of_another_size_show_the_same_view(stage):
    cameras = stage.trainer.cameras.train
    found = stage.cameras_of(asked((48, 32), camera=2, pose=None))
    whole = cameras[2].scaled(2)
    np.testing.assert_allclose(found.focal[0], whole.focal[0] * [1.5, 1.0])
    assert found.size.tolist() == [[48, 32]] and found.near == cameras.near[2]
    other = asked((48, 32), pose=cameras.poses[2], fov=float(vertical_fields_of_view(cameras)[2]))
    assert stage.cameras_of(other).focal[0, 0] == stage.cameras_of(other).focal[0, 1], "wider, not stretched"


def test_the_bits_of_a_frame_do_not_depend_on_tiles(stage, monkeypatch):
    whole = pixels(stage.frame(asked()))
    monkeypatch.setattr(module, "LEAST_TILE", 37)
    monkeypatch.setattr(module, "TILE", 37)
    monkeypatch.setattr(stage, "_tile", 37)
    np.testing.assert_array_equal(pixels(stage.frame(asked())), whole)


def test_a_frame_is_given_up_between_tiles(stage, monkeypatch):
    monkeypatch.setattr(module, "TILE", 64)
    monkeypatch.setattr(stage, "_tile", 64)
    looks = []
    assert stage.frame(asked(), lambda: looks.append(0) or len(looks) == 3) is None
    assert len(looks) == 3


def test_tiles_become_smaller_where_rays_are_slow_and_larger_again(stage, monkeypatch):
    monkeypatch.setattr(stage, "_tile", module.TILE)
    for _ in range(20):
        stage._adapt(True, 1.0)
    assert stage._tile == module.LEAST_TILE
    stage._adapt(False, 0.001)
    assert stage._tile == module.LEAST_TILE, "the last tile of a frame says nothing"
    for _ in range(20):
        stage._adapt(True, 0.001)
    assert stage._tile == module.TILE


def test_a_frame_without_aliasing_is_made_where_it_is_asked_for(stage, monkeypatch):
    """And others say where it would differ."""
    trainer = stage.trainer
    camera = trainer.cameras.splits["test"][:1].scaled(0.25)
    for antialias in (False, True):
        request = FrameRequest("a", 0, 4, 4, camera=11, quality=100, final=True, antialias=antialias)
        np.testing.assert_array_equal(stage.cameras_of(request).poses, camera.poses)
        frame = stage.frame(request)
        np.testing.assert_array_equal(pixels(frame), to_uint8(trainer.render(camera, antialias=antialias).color))
        assert frame.aliased is not antialias
    monkeypatch.setattr(stage, "_tile", 5)
    np.testing.assert_array_equal(pixels(stage.frame(request)), pixels(frame))
    assert not stage.frame(asked(pose=trainer.cameras.train.poses[0])).aliased, "pixels are those of the training"
    for rays, along in ((9 * 16, 3), (15, 1)):  # there is no time for more
        monkeypatch.setattr(module, "SHARP_RAYS", rays)
        assert stage._affordable(request, camera) == along and not stage.frame(request).aliased


@pytest.mark.parametrize("shading", SHADINGS)
def test_shadings_are_those_of_the_house(stage, shading):
    request = asked(shading=shading, final=True)
    cameras, trainer = stage.cameras_of(request), stage.trainer
    image = render_image(trainer.model, trainer.field, cameras, trainer.cameras.background)
    shown = to_uint8(SHADINGS[shading](image, cameras, 0, DepthScale.of(image)))
    np.testing.assert_array_equal(pixels(stage.frame(request)), shown)


def test_depth_colours_follow_a_moving_camera_slowly_and_settle(stage):
    near, far = look_at((0.5, 3.0, 1.0), (0, 0, 0)), look_at((0.5, 6.0, 2.0), (0, 0, 0))
    settled = pixels(stage.frame(asked(pose=far, shading="depth", final=True)))
    stage.frame(asked(pose=near, shading="depth", final=True))
    moving = pixels(stage.frame(asked(pose=far, shading="depth")))
    assert not np.array_equal(moving, settled)
    np.testing.assert_array_equal(pixels(stage.frame(asked(pose=far, shading="depth", final=True))), settled)
    for number in range(50):
        stage.frame(FrameRequest(f"page {number}", 0, 2, 2, pose=near, fov=0.7, shading="depth"))
    assert len(stage._scales) <= 8


def test_a_crop_shows_the_background_where_the_box_is_not(stage):
    everywhere = stage.frame(asked(crop=Crop(np.zeros(3), np.full(3, 100.0)), background=(0.0, 1.0, 0.0)))
    np.testing.assert_array_equal(pixels(everywhere), pixels(stage.frame(asked(background=(0.0, 1.0, 0.0)))))
    nothing = stage.frame(asked(crop=Crop(np.full(3, 50.0), np.ones(3)), background=(0.0, 1.0, 0.0)))
    assert np.unique(pixels(nothing).reshape(-1, 3), axis=0).tolist() == [[0, 255, 0]]


def test_what_lies_ahead_cannot_be_cropped(stage, monkeypatch):
    monkeypatch.setattr(type(stage.trainer.model.region), "croppable", False)
    with pytest.raises(UserError, match="cannot be cropped"):
        stage.frame(asked(crop=Crop(np.zeros(3), np.ones(3))))
    assert describe(stage.trainer, "", "", False)["crop"] is None


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.1), (0.0, 900.0, 0.1), (1e6, 0.0, 0.0)])
@pytest.mark.parametrize("fov", [0.02, 3.1])
def test_cameras_at_the_limits_see_something_finite(stage, place, fov):
    frame = stage.frame(asked(pose=look_at(place, (0.0, 0.0, 0.0)), fov=fov))
    assert pixels(frame).shape == (16, 16, 3) and frame.step == stage.trainer.step_count


def test_jpeg_is_near_the_picture_and_smaller(stage):
    lossless, small = stage.frame(asked((64, 64))), stage.frame(asked((64, 64), quality=90))
    assert (lossless.content_type, small.content_type) == ("image/png", "image/jpeg")
    assert np.abs(pixels(lossless).astype(int) - pixels(small)).mean() < 3


def test_the_description_of_a_scene_leads_to_its_cameras(stage):
    told = describe(stage.trainer, "blobs", "runs/blobs", photos=True)
    splits = stage.trainer.cameras.splits
    assert [camera["index"] for camera in told["cameras"]] == list(range(sum(map(len, splits.values()))))
    for camera in told["cameras"]:
        request = asked(pose=np.reshape(camera["pose"], (4, 4)), fov=camera["fov"])
        own = stage.cameras_of(FrameRequest("a", 0, camera["width"], camera["height"], camera=camera["index"]))
        assert stage.cameras_of(request).focal.tolist() == own.focal.tolist()
    start = told["start"]
    pose, target = np.reshape(start["pose"], (4, 4)), np.array(start["target"])
    ahead = target - pose[:3, 3]
    np.testing.assert_allclose(ahead / np.linalg.norm(ahead), -pose[:3, 2], atol=1e-9)
    assert start["radius"] == pytest.approx(np.median(np.linalg.norm(splits["train"].poses[:, :3, 3] - target, axis=1)))
