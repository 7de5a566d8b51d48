"""The public API: lazy, documented, and enough to train, look and keep without the command line."""

import base64
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import nerf_mini as nm
from nerf_mini.io.images import to_uint8
from nerf_mini.scenes import Views

TINY = {
    "levels": 4, "log2_entries": 10, "base_resolution": 4, "finest_resolution": 16, "hidden_width": 16,
    "samples_per_step": 1024, "march_steps": 64, "occupancy_resolution": 16, "max_steps": 12,
}  # fmt: skip


@pytest.fixture
def scene(blobs):
    return nm.load_scene(blobs)


def test_importing_the_package_imports_nothing_heavy():
    script = "import sys, nerf_mini; assert not {'numpy', 'numba', 'PIL', 'tyro', 'autodiff'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("name", [name for name in nm.__all__ if name != "__version__"])
def test_every_name_is_there_and_documented(name):
    assert name in dir(nm)
    assert getattr(nm, name).__doc__


def test_a_name_that_is_not_there_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match="no attribute 'Traner'"):
        _ = nm.Traner


def test_a_callback_sees_every_step_and_may_stop(scene):
    seen, trainer = [], nm.Trainer(scene, preset="quick", **TINY)
    assert trainer.train(on_step=lambda report: seen.append(report.step) or report.step == 5) == "stopped"
    assert seen == [1, 2, 3, 4, 5] and trainer.step_count == 5
    assert trainer.train() == "steps" and trainer.step_count == TINY["max_steps"]


def test_saved_opened_and_continued_gives_the_bits_of_going_on(scene, tmp_path):
    trainer = nm.Trainer(scene, preset="quick", **TINY)
    trainer.train(on_step=lambda report: report.step == 6)
    again = nm.open_run(trainer.save(tmp_path / "run"))
    camera = nm.orbit(scene, views=3)
    for one in (trainer, again):
        one.train()
    np.testing.assert_array_equal(again.render(camera, 1).color, trainer.render(camera, 1).color)


def test_the_density_is_zero_where_no_camera_looks(scene):
    trainer = nm.Trainer(scene, preset="quick", **TINY)
    density, color = trainer.query([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    assert density[0] > 0 and density[1] == 0 and color.shape == (2, 3)


def test_evaluation_is_the_mean_of_each_views_psnr(scene):
    trainer = nm.Trainer(scene, preset="quick", **TINY)
    found = trainer.evaluate("test")
    truth = scene.splits["test"].image(0) / 255
    truth = truth[..., :3] * truth[..., 3:] + 1 - truth[..., 3:]
    first = nm.psnr(trainer.render(scene.splits["test"].cameras, 0).color, truth)
    assert found.views[0].psnr == pytest.approx(first, abs=1e-4)
    assert found.psnr == pytest.approx(np.mean([view.psnr for view in found.views]))
    with pytest.raises(nm.UserError, match="no split 'vall'"):
        trainer.evaluate("vall")


def test_cameras_of_paths_surround_the_scene(scene):
    cameras = nm.spiral(scene.cameras, views=5)
    assert len(cameras) == 5 and len(nm.orbit(scene.splits["train"].cameras, views=4)) == 4
    np.testing.assert_array_equal(cameras.size, np.tile(scene.splits["train"].cameras.size[:1], (5, 1)))


# -- in notebooks ------------------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """Which tags stay open, and the pictures in it."""

    def __init__(self, text):
        super().__init__()
        self.open, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            kind, data = dict(attrs)["src"].split(",")
            assert kind == "data:image/png;base64"
            self.pictures.append(np.asarray(Image.open(BytesIO(base64.b64decode(data)))))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_scenes_and_views_show_their_images(scene):
    page = _Page(scene._repr_html_())
    views = scene.splits["train"]
    assert not page.open and len(page.pictures) == sum(min(len(v), 8) for v in scene.splits.values())
    np.testing.assert_array_equal(page.pictures[0], views.image(0))
    assert not _Page(views._repr_html_()).open


def test_a_rendering_is_a_png_of_its_colours_and_a_trainer_shows_one(scene):
    trainer = nm.Trainer(scene, preset="quick", **TINY)
    assert not _Page(trainer._repr_html_()).pictures, "before training there is nothing to see, and kernels to compile"
    trainer.train()
    image = trainer.render(scene.splits["train"].cameras)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(image._repr_png_()))), to_uint8(image.color))
    page = _Page(trainer._repr_html_())
    np.testing.assert_array_equal(page.pictures[0], to_uint8(image.color))
    html = trainer.evaluate("test", max_views=2)._repr_html_()
    assert not _Page(html).open and "mean of 2" in html


def test_names_from_files_are_text_in_a_notebook():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    cameras = nm.Cameras.make(np.stack([nm.look_at((1, 0, 0), (0, 0, 0))] * 2), (4, 4), 4.0)
    html = Views.from_images(cameras, list(images), ("<script>alert(1)</script>", '" onerror="x'))._repr_html_()
    assert "<script" not in html and len(_Page(html).pictures) == 2
    assert 'title="&quot; onerror=&quot;x"' in html
