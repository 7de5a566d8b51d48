"""Scores of pictures of several sizes."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.api import Trainer
from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.io.images import area_average, composite, shrunk_mask
from nerf_mini.rendering.metrics import psnr, ssim
from nerf_mini.runs.evaluation import evaluate_views
from nerf_mini.runs.scales import checked_scales, evaluate_scales, parse_scales
from nerf_mini.scenes import Views

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trainer(blobs, tiny):
    from nerf_mini.config import with_settings
    from nerf_mini.scenes import load_scene

    trainer = Trainer(load_scene(blobs), config=with_settings(tiny, max_steps=80))
    trainer.train()
    return trainer


@pytest.mark.parametrize(
    ("text", "scales"),
    [
        ("1,1/2,1/4,1/8", [1, Fraction(1, 2), Fraction(1, 4), Fraction(1, 8)]),
        (" 1/3 , .25", [Fraction(1, 3), Fraction(1, 4)]),
        ("0.5", [Fraction(1, 2)]),
        ("4/8,1.0", [Fraction(1, 2), 1]),
    ],
)
def test_scales_are_numbers_or_fractions(text, scales):
    assert list(parse_scales(text)) == scales


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no scale"), ("1,,1/2", "'' is no scale"), ("half", "'half' is no scale"),
        ("1/0", "'1/0' is no scale"), ("-1", "'-1' is no scale"), ("1e-3", "is no scale"), ("1e999999999", "no scale"),
        ("nan", "is no scale"), ("1/2/3", "is no scale"), ("9" * 500, "no scale"), ("1 / 2", "no scale"),
        ("0", "not between"), ("0/5", "not between"), ("1/5000", "not between"),
        ("2", "2 has no truth"), ("1,3/2", "3/2 has no truth"), ("1.001", "has no truth"),
        ("1/2,0.5", "1/2 is named twice"), (",".join(f"1/{n}" for n in range(1, 18)), "from 1 to 16"),
    ],
)  # fmt: skip
def test_scales_that_make_no_sense_get_a_sentence(text, message):
    with pytest.raises(UserError, match=r"^--scales") as told:
        parse_scales(text)
    assert message in str(told.value) and len(str(told.value)) < 300


@given(st.lists(st.fractions(Fraction(1, 64), 1, max_denominator=64), min_size=1, max_size=8, unique=True))
def test_scales_that_are_written_down_are_read_again(scales):
    assert parse_scales(",".join(map(str, scales))) == tuple(scales)
    assert checked_scales(map(float, scales)) == tuple(scales)


def test_truth_is_averaged_premultiplied_by_alpha(trainer, rng):
    """What is stored where nothing is seen does not count; and scores are of shrunk pictures."""
    views = trainer.views_of("test")
    assert views.has_alpha
    pixels = views.pixels.copy()
    pixels[pixels[:, 3] == 0, :3] = 255 * rng.integers(0, 2, 3)
    found = evaluate_scales(trainer, views, [0, 1], (1, 0.5, 0.25))
    painted = evaluate_scales(trainer, Views(views.cameras, pixels, views.names), [0, 1], (1, 0.5, 0.25))
    assert not np.array_equal(pixels, views.pixels)
    for scale, scores in found.scales.items():
        assert painted.scales[scale].views == scores.views
        small = views.cameras.scaled(float(scale))
        for index, score in enumerate(scores.views):
            image = trainer.render(small, index).color
            rgba = views.image(index).astype(np.float64)
            size = int(16 * scale)
            blocks = rgba.reshape(size, 16 // size, size, 16 // size, 4)
            alpha = blocks[..., 3:].mean(axis=(1, 3))
            color = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3)) / np.maximum(alpha, 1e-9)
            exact = (color * alpha / 255 + (255 - alpha)) / 255
            truth = composite(area_average(views.image(index), (size, size)), (1, 1, 1))
            np.testing.assert_allclose(truth, exact, atol=2 / 255)
            assert score.psnr == pytest.approx(psnr(image, truth)) and score.ssim == pytest.approx(ssim(image, truth))


def test_means_are_over_scales(trainer):
    found = trainer.evaluate_scales([1, Fraction(1, 4)], max_views=2)
    scores = list(found.scales.values())
    assert found.psnr == pytest.approx(np.mean([score.psnr for score in scores]))
    assert found.ssim == pytest.approx(np.mean([score.ssim for score in scores]))
    assert scores[0].views == trainer.evaluate(max_views=2).views, "at full size, that is the ordinary evaluation"
    assert [row[0] for row in found.rows()] == ["scale", "1", "1/4", "mean"]
    assert "1/4" in found._repr_html_() and found.step == trainer.step_count


def test_only_pixels_count_all_of_which_is_valid(trainer, rng):
    views = trainer.views_of("test")
    valid = rng.random(len(views.pixels)) < 0.9
    pixels = np.where(valid[:, None], views.pixels, 0)
    found = evaluate_views(trainer, Views(views.cameras, pixels, views.names, valid), [0], scale=0.5)
    mask = shrunk_mask(valid[:256].reshape(16, 16), (8, 8))
    truth = composite(area_average(views.image(0), (8, 8)), trainer.cameras.background)
    assert 0.3 < mask.mean() < 0.95
    assert found.psnr == pytest.approx(psnr(trainer.render(views.cameras.scaled(0.5)).color, truth, mask))
    nothing = Views(views.cameras, pixels, views.names, np.zeros_like(valid))
    with pytest.raises(UserError, match=r"at 0\.5 of its size"):
        evaluate_views(trainer, nothing, [0], scale=0.5)


def test_what_leaves_no_pixel_is_refused_before_any_work(trainer, monkeypatch):
    monkeypatch.setattr(Trainer, "render", lambda *rest: pytest.fail("nothing is to be rendered"))
    with pytest.raises(UserError, match=r"--scales: scaling 16x16 pixels by .* leaves no pixel"):
        trainer.evaluate_scales([1, 1 / 64])


def test_training_views_are_scaled_as_refined(trainer, moved, monkeypatch):
    views, asked = trainer.views_of("train"), []
    refined = moved(views.cameras, 1.01)
    monkeypatch.setattr(Trainer, "training_cameras", refined)
    real = Trainer.render
    monkeypatch.setattr(Trainer, "render", lambda self, camera: asked.append(camera) or real(self, camera))
    evaluate_scales(trainer, views, [3], [0.5])
    np.testing.assert_array_equal(asked[0].poses, refined.poses[3:4])
    assert asked[0].size.tolist() == [[8, 8]]


def test_eval_at_scales_writes_a_table_and_a_file(own_run, capsys):
    assert main(["eval", str(own_run), "--scales", "1,1/2,1/4"]) == 0
    file, said = own_run / "eval" / "test-scales.json", capsys.readouterr().out
    found = json.loads(file.read_text())
    assert [row["scale"] for row in found["scales"]] == ["1", "1/2", "1/4"] and found["split"] == "test"
    assert found["psnr"] == pytest.approx(np.mean([row["psnr"] for row in found["scales"]]))
    assert all(len(row["views"]) == 2 for row in found["scales"])
    table = [line.split() for line in said.splitlines()[-6:-1]]
    assert [row[0] for row in table] == ["scale", "1", "1/2", "1/4", "mean"]
    assert table[2][1] == f"{found['scales'][1]['psnr']:.2f}"
    assert f"written: {file}" in said and not (own_run / "eval" / "test.json").exists()
    assert main(["eval", str(own_run), "--max-views", "2"]) == 0
    assert json.loads((own_run / "eval" / "test.json").read_text())["psnr"] == found["scales"][0]["psnr"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scales", "2"], "has no truth"), (["--scales", "1/3,x"], "'x' is no scale"),
        (["--scales", "1/32"], "leaves no pixel"), (["--scales", "1", "--fit-test", "poses"], "one of the two"),
        (["--scales", "1", "--max-views", "0"], "--max-views 0"), (["--scales", "1", "--data", "gone"], "gone"),
    ],
)  # fmt: skip
def test_bad_scales_end_with_a_sentence(own_run, capsys, options, message):
    assert main(["eval", str(own_run), *options]) == 2
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told and not (own_run / "eval").exists()
