"""Pictures of the data set for the page: read once, when they are asked for."""

import threading
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.outputs.viewer import photos as module
from nerf_mini.outputs.viewer.photos import NotReadYet, Photos
from nerf_mini.runs.evaluation import target_image
from nerf_mini.scenes import Scene, Views, load_scene

WHITE = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def scene(blobs):
    return load_scene(blobs)


def opened(data) -> np.ndarray:
    return np.array(Image.open(BytesIO(data)))


def test_pictures_are_counted_through_all_splits(scene):
    photos, index = Photos(scene.cameras.splits, WHITE, scene), 0
    for views in scene.splits.values():
        for view in range(len(views)):
            error = opened(photos.photo(index)) - 255 * target_image(views, view, WHITE)
            assert np.abs(error).mean() < 5, "but for what JPEG loses"
            index += 1
    assert len(photos) == index and photos.photo(index) is None and photos.thumbnail(-1) is None


def test_thumbnails_are_small_and_made_once():
    cameras = Cameras.make(np.eye(4), (300, 60), 100.0, near=1.0, far=2.0)
    views = Views.from_images(cameras, [np.full((60, 300, 3), 50, np.uint8)], ["wide"])
    photos = Photos({"train": cameras}, WHITE, Scene("wide", None, "made", {"train": views}, WHITE))
    small = photos.thumbnail(0)
    assert opened(small).shape == (19, 96, 3) and opened(photos.photo(0)).shape == (60, 300, 3)
    assert photos.thumbnail(0) is small


def test_transparent_pictures_are_shrunk_before_they_are_laid_over_the_background():
    """Both orders give the same, but for rounding: alpha weighs colours where they are averaged."""
    rgba = np.random.default_rng(0).integers(0, 256, (256, 384, 4), np.uint8)
    rgba[:, :, 3] = np.where(np.arange(384) < 192, 40, 255)
    cameras = Cameras.make(np.eye(4), (384, 256), 100.0, near=1.0, far=2.0)
    views = Views.from_images(cameras, [rgba], ["glass"])
    photos = Photos({"train": cameras}, WHITE, Scene("glass", None, "made", {"train": views}, WHITE))
    small = opened(photos.thumbnail(0))
    expected = 255 * area_average_of(target_image(views, 0, WHITE), 4)
    assert small.shape == expected.shape
    assert abs(small.mean() - expected.mean()) < 1.0 and np.abs(small - expected).mean() < 6.0


def area_average_of(image, factor):
    height, width, _ = image.shape
    return image.reshape(height // factor, factor, width // factor, factor, 3).mean(axis=(1, 3))


def test_the_data_set_is_read_once_and_not_before(scene):
    reads = []
    photos = Photos(scene.cameras.splits, WHITE, lambda: reads.append(0) or scene)
    assert photos.exist and not reads
    threads = [threading.Thread(target=photos.photo, args=(i,)) for i in range(5)]
    [thread.start() for thread in threads]
    [thread.join(20) for thread in threads]
    assert photos.photo(0) is not None and len(reads) == 1


def test_whoever_waits_too_long_is_told(scene, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    go = threading.Event()
    photos = Photos(scene.cameras.splits, WHITE, lambda: go.wait(20) and scene)
    with pytest.raises(NotReadYet):
        photos.photo(0)
    go.set()
    photos._reader.join(20)
    assert photos.photo(0) is not None


def test_without_a_data_set_there_is_nothing(scene):
    photos = Photos(scene.cameras.splits, WHITE, None)
    assert not photos.exist and photos.photo(0) is None and photos.thumbnail(0) is None

    def fail():
        raise UserError("it is gone.")

    photos = Photos(scene.cameras.splits, WHITE, fail)
    assert photos.photo(0) is None and photos.problem == "it is gone." and not photos.exist
