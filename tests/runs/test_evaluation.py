"""Scores of held-out views: what counts, what may be fitted first, and that the records say so."""

import dataclasses
import json

import numpy as np
import pytest

from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.geometry.poses import rigid_motion
from nerf_mini.io.images import to_uint8
from nerf_mini.rendering.metrics import psnr
from nerf_mini.rendering.registration import registered
from nerf_mini.runs.evaluation import evaluate_views, target_image
from nerf_mini.runs.restoring import load_trainer
from nerf_mini.scenes import Views

TWIST = np.array([0.02, -0.03, 0.02, 0.05, -0.05, 0.1])

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trainer(blobs, tiny):
    from nerf_mini.config import with_settings
    from nerf_mini.scenes import load_scene
    from nerf_mini.training import Trainer

    scene = load_scene(blobs)
    trainer = Trainer(with_settings(tiny, max_steps=250), scene.cameras, scene)
    trainer.train()
    return trainer


def test_only_valid_pixels_are_scored(trainer, rng):
    views = trainer.views_of("test")
    valid = rng.random(len(views.pixels)) < 0.7
    valid[: 16 * 16] = False  # nothing of the first view
    scores = []
    for color in (0, 255):
        pixels = views.pixels.copy()
        pixels[~valid] = color
        scores.append(evaluate_views(trainer, Views(views.cameras, pixels, views.names, valid), [0, 1]))
    first, second = scores
    assert first.views == second.views and [view.name for view in first.views] == [views.names[1]]
    assert first.protocol.skipped == (views.names[0],)
    image, target = trainer.render(views.cameras, 1).color, target_image(views, 1, trainer.cameras.background)
    assert first.psnr == pytest.approx(psnr(image, target, valid[256:].reshape(16, 16)))
    with pytest.raises(UserError, match="masks leave nothing"):
        evaluate_views(trainer, Views(views.cameras, views.pixels, views.names, np.zeros_like(valid)), [0, 1])


def test_exposure_is_fitted_on_the_left_and_scored_on_the_right(trainer, monkeypatch):
    """Pictures that are renderings at other gains fit perfectly; the right half has no say in the fit."""
    views = trainer.views_of("test")
    monkeypatch.setattr(trainer, "_cameras", dataclasses.replace(trainer.cameras, background=(0.0, 0.0, 0.0)))
    gain, images = np.array([0.5, 0.8, 0.9]), []
    for index in range(len(views)):
        images.append(to_uint8(gain * trainer.render(views.cameras, index).color))
    dimmed = Views.from_images(views.cameras, images, views.names)
    assert evaluate_views(trainer, dimmed, [0, 1]).psnr < 35
    fitted = evaluate_views(trainer, dimmed, [0, 1], fit="exposure")
    assert fitted.psnr > 45 and fitted.protocol.scored == "right half"
    for image in images:
        image[:, 8:] = 0
    half = Views.from_images(views.cameras, images, views.names)
    assert evaluate_views(trainer, half, [0, 1], fit="exposure").psnr < 35


def test_a_pose_is_found_again_from_its_picture(trainer):
    views = trainer.views_of("test")
    camera, background = views.cameras[0], np.ones(3, np.float32)
    target = trainer.render(camera).color
    wrong = dataclasses.replace(camera, poses=camera.poses @ rigid_motion(TWIST))
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))

    def error(other):
        return np.abs(other.project(points, np.zeros(50, int)) - camera.project(points, np.zeros(50, int))).mean()

    found = registered(trainer.model, trainer.field, wrong, target, background, np.ones((16, 16), bool))
    assert error(found) < 0.1 * error(wrong)


def test_evaluation_says_how_scores_were_taken(own_run, capsys):
    assert main(["eval", str(own_run), "--fit-test", "exposure"]) == 0
    file = own_run / "eval" / "test-fit-exposure.json"
    found = json.loads(file.read_text())
    said = {key: found[key] for key in ("fit", "scored", "refine", "exposure", "cameras", "skipped")}
    assert said == {
        "fit": "exposure", "scored": "right half", "refine": "none", "exposure": "off", "cameras": "as given",
        "skipped": [],
    }  # fmt: skip
    assert found["cc_psnr"] == pytest.approx(np.mean([view["cc_psnr"] for view in found["views"]]))
    said = capsys.readouterr().out
    assert "exposure of each view fitted on its left half" in said and f"written: {file}" in said
    assert not (own_run / "eval" / "test.json").exists(), "that is for scores of pictures as they are"
    assert main(["eval", str(own_run)]) == 0
    assert json.loads((own_run / "eval" / "test.json").read_text())["scored"] == "all pixels"


def test_training_views_are_rendered_with_refined_cameras(tmp_path, blobs, tiny_config):
    from nerf_mini.runs.session import start

    start(blobs, tmp_path / "run", tiny_config(refine="poses", refine_from=1, max_steps=6)).train()
    assert main(["eval", str(tmp_path / "run"), "--split", "train", "--max-views", "2"]) == 0
    found = json.loads((tmp_path / "run" / "eval" / "train.json").read_text())
    assert (found["refine"], found["cameras"]) == ("poses", "refined")
    assert main(["render", str(tmp_path / "run"), "--path", "train", "--views", "2"]) == 0
    trainer = load_trainer(tmp_path / "run")
    from nerf_mini.io.images import read_image

    picture = read_image(tmp_path / "run" / "renders" / "train" / "color_001.png")
    np.testing.assert_array_equal(picture, to_uint8(trainer.render(trainer.training_cameras, 1).color))
