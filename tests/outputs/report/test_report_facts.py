"""What is said of a run: the facts against the run itself, the command that repeats it, and what to doubt."""

import dataclasses
import json
import math
import shlex

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerf_mini.cli.arguments import parse_train
from nerf_mini.config import PRESETS, from_preset, with_settings
from nerf_mini.config.repeating import nearest_preset, options
from nerf_mini.errors import UserError
from nerf_mini.outputs.report.album import Album, border_pixels
from nerf_mini.outputs.report.doubts import Evidence, doubts_about
from nerf_mini.outputs.report.facts import gather
from nerf_mini.outputs.report.fingerprint import fingerprint_of
from nerf_mini.outputs.report.machine import Machine
from nerf_mini.outputs.report.opening import opened, scored
from nerf_mini.rendering.images import RenderedImage
from nerf_mini.runs.evaluation import ScoredView, evaluate_views, read_evaluation
from nerf_mini.runs.history import History, read_history
from nerf_mini.runs.records import Evaluation, StepEntry, ValidationEntry, ViewScore
from nerf_mini.runs.restoring import load_trainer


def quiet(done, total):
    pass


@pytest.fixture(scope="module")
def found(run_folder):
    return opened(run_folder)


@pytest.fixture(scope="module")
def facts(found):
    scores, _ = scored(found, 12, quiet)
    return gather(found.run, found.trainer, scores, just_trained=True)


def test_facts_are_those_of_the_run(facts, found, run_folder):
    trainer = load_trainer(run_folder)
    fresh = evaluate_views(trainer, trainer.views_of("test"), [0, 1])
    assert facts.psnr == fresh.psnr and facts.ssim == fresh.ssim and facts.scores.views == fresh.views
    assert (facts.name, facts.data, facts.method, facts.preset) == ("tiny", "blobs", "nerf", "small")
    assert (facts.step, facts.planned_steps, facts.test_views, facts.space) == (20, 20, 2, "box")
    assert facts.seconds == trainer.state.seconds
    assert {name: split.views for name, split in facts.splits.items()} == {"train": 10, "val": 1, "test": 2}
    assert facts.splits["test"].width == facts.splits["test"].height == (16, 16)
    assert facts.parameters == sum(leaf.size for leaf in leaves(trainer.state.parameters))
    assert facts.trained_on == facts.made_on == Machine.here()
    assert {c.name: c.value for c in facts.changed if c.name in ("depth", "width")} == {"depth": 2, "width": 16}
    plain = json.loads(json.dumps(facts.to_json(), allow_nan=False))
    assert plain["psnr"] == facts.psnr and plain["settings"]["rays"] == 128 and plain["format"] == 1


def leaves(tree):
    if isinstance(tree, dict):
        return [leaf for member in tree.values() for leaf in leaves(member)]
    return [tree]


def test_the_mean_error_of_a_view_is_that_of_its_valid_pixels(found):
    views = found.views
    (score,) = evaluate_views(found.trainer, views, [1]).views
    picture = found.trainer.render(views.cameras, 1).color
    alpha = views.image(1)[..., 3:] / 255
    truth = views.image(1)[..., :3] / 255 * alpha + 1 - alpha
    assert score.mean_error == pytest.approx(np.abs(picture - truth).mean(), abs=1e-6)


# -- fingerprint -------------------------------------------------------------------------------------------------------


def test_the_same_command_gives_the_same_fingerprint(found, facts, blobs, tmp_path, tiny_config):
    from nerf_mini.runs.session import resume, start

    session = start(blobs, tmp_path / "again", tiny_config(max_steps=13))
    session.train()
    resume(tmp_path / "again", tiny_config()).train()
    again = opened(tmp_path / "again")
    mark = gather(again.run, again.trainer, None, just_trained=False).fingerprint
    assert mark == facts.fingerprint and len(mark) == 16 and int(mark, 16)


def test_any_parameter_setting_or_camera_changes_the_fingerprint(found):
    trainer = found.trainer
    config, cameras, state = trainer.config, trainer.cameras, trainer.state
    mark = fingerprint_of(config, cameras, state)
    assert fingerprint_of(config, cameras, state) == mark
    marks = [mark]
    for leaf in leaves(state.parameters):
        before = leaf.flat[-1]
        leaf.flat[-1] = np.nextafter(before, np.float32(np.inf))
        marks.append(fingerprint_of(config, cameras, state))
        leaf.flat[-1] = before
    marks.append(fingerprint_of(with_settings(config, seed=1), cameras, state))
    moved = cameras.train.poses.copy()
    moved[0, 0, 3] += 1e-9
    train = dataclasses.replace(cameras.train, poses=moved)
    marks.append(fingerprint_of(config, dataclasses.replace(cameras, splits={**cameras.splits, "train": train}), state))
    assert len(set(marks)) == len(marks)
    assert fingerprint_of(config, cameras, state) == mark
    longer = with_settings(config, max_steps=99)
    assert fingerprint_of(longer, cameras, state) == mark, "what has been learnt so far is the same"


# -- the command that repeats a run ------------------------------------------------------------------------------------


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 99), "max_steps": st.integers(1, 9999), "precision": st.just("float32"),
        "learning_rate": st.floats(1e-6, 1.0), "decay_steps": st.none() | st.integers(1, 10**6),
        "downscale": st.floats(1, 8), "space": st.sampled_from(["auto", "box"]), "far": st.none() | st.floats(1, 99),
        "crop_steps": st.integers(0, 9),
    },
)  # fmt: skip
OF_NERF = st.fixed_dictionaries(
    {}, optional={"width": st.integers(2, 64), "identity": st.booleans(), "factor_pi": st.booleans()}
)
OF_INSTANT = st.fixed_dictionaries({}, optional={"levels": st.integers(1, 16), "cube_side": st.floats(0.1, 9)})


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(sorted(PRESETS)))
def test_the_command_makes_the_configuration_again(data, preset):
    of_method = OF_NERF if PRESETS[preset].config.method == "nerf" else OF_INSTANT
    config = with_settings(PRESETS[preset].config, **data.draw(CHANGES), **data.draw(of_method))
    words = options(config, nearest_preset(config))
    assert parse_train(["data", *words]).config == config


def test_a_run_bound_by_time_is_repeated_by_its_time():
    config = from_preset("quick", max_steps=None, levels=6, supersampling=None)
    assert nearest_preset(config) == "default", "it differs from both by the steps alone"
    words = options(config, "default")
    assert words == ["--preset", "default", "--levels", "6"]
    assert parse_train(["data", *words, "--max-seconds", "60"]).config == config


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_nearest_to_itself(preset):
    assert nearest_preset(PRESETS[preset].config) == preset
    assert nearest_preset(with_settings(PRESETS[preset].config, seed=3, log_every=7)) == preset


def test_the_command_names_data_seed_and_another_folder(facts, blobs):
    words = shlex.split(facts.command)
    assert words[:3] == ["nerf-mini", "train", blobs.name] and words[-1] == "tiny-again"
    assert parse_train(words[2:]).config.seed == 0 and "--seed" in words


# -- history and evaluations -------------------------------------------------------------------------------------------


def test_the_history_is_what_the_run_has_logged(run_folder, tmp_path):
    history = read_history(run_folder / "metrics.jsonl")
    assert [entry.step for entry in history.steps] == list(range(2, 21, 2)) and history.damaged == 0
    assert [entry.step for entry in history.validations] == [10, 20]
    assert read_history(tmp_path / "none.jsonl") == History()


LINES = {
    '{"step": 4, "seconds": 1, "loss": 0.5, "psnr": 3.0, "learning_rate": 0.1, "rays": 5}': StepEntry,
    '{"step": 4, "validation_psnr": 20.5, "view": "r_0"}': ValidationEntry,
    '{"step": 4, "validation_psnr": null, "view": "r_0"}': None,
    '{"step": -4, "validation_psnr": 1, "view": "r_0"}': None,
    '{"step": 4, "seconds": NaN, "loss": 0.5, "psnr": 3.0, "learning_rate": 0.1, "rays": 5}': None,
    '{"step": 1e3, "seconds": 1, "loss": 0.5, "psnr": 3.0, "learning_rate": 0.1, "rays": 5}': None,
    '{"step": 4, "seconds": 1, "loss"': None,
    "[1, 2]": None,
    "7": None,
    '{"step": 4, "view": "' + "x" * 99_999: None,
    "\x00\xff": None,
}


@pytest.mark.parametrize(("line", "kind"), LINES.items(), ids=range(len(LINES)))
def test_lines_that_say_nothing_are_counted(tmp_path, line, kind):
    file = tmp_path / "metrics.jsonl"
    file.write_text(f"{line}\n\n")
    history = read_history(file)
    assert [type(entry) for entry in (*history.steps, *history.validations)] == ([] if kind is None else [kind])
    assert (history.damaged > 0) == (kind is None)


def test_an_evaluation_is_read_as_it_was_written(own_run):
    from nerf_mini.cli.program import main

    assert main(["eval", str(own_run)]) == 0
    file = own_run / "eval" / "test.json"
    found, trainer = read_evaluation(file), load_trainer(own_run)
    assert found.views == evaluate_views(trainer, trainer.views_of("test"), [0, 1]).views
    content = {**json.loads(file.read_text()), "checksum": None}
    for damage in ({"views": []}, {"views": 3}, {"step": "x"}, {"fit": "all"}, {"views": [{"name": "a"}]}):
        file.write_text(json.dumps({**content, **damage}))
        with pytest.raises(UserError, match=r"test\.json: holds no evaluation"):
            read_evaluation(file)
    for value in (10**400, -(10**400), 1e308, float("nan"), float("-inf"), True, "1", [1]):
        views = [[{**content["views"][0], name: value}] for name in ("psnr", "ssim", "cc_psnr", "mean_error")]
        for damage in (*({"views": own} for own in views), {"seconds_per_view": value}, {"step": str(value)}):
            file.write_text(json.dumps({**content, **damage}))
            with pytest.raises(UserError, match=r"test\.json: holds no evaluation"):
                read_evaluation(file)
    for view in content["views"]:
        view.pop("mean_error")
        view["psnr"] = None
    file.write_text(json.dumps(content))
    assert math.isinf(read_evaluation(file).psnr), "equal pictures, and a file of an earlier version"


# -- albums ------------------------------------------------------------------------------------------------------------


def test_an_album_keeps_spread_views_and_the_worst(found):
    views, trainer = found.views, found.trainer
    image = trainer.render(views.cameras, 0)
    album = Album(trainer, views, chosen={0})
    for index, psnr in ((0, 20.0), (1, 10.0), (1, 30.0)):
        score = ViewScore(f"{index} at {psnr:.0f}", psnr, 0.5, psnr, 0.1)
        album.add(ScoredView(index, score, image, image.color, None))
    assert [view.name for view in album.shown] == ["0 at 20", "1 at 10"]


def test_what_lies_at_a_face_of_the_box_is_counted(found):
    """A wall at the distance where rays leave the box, and one in its middle."""
    trainer, cameras = found.trainer, found.run.cameras.train
    cube = trainer.model.region.cube
    rays = cameras.image_rays(0)
    origins, directions = rays.origins.astype(float), rays.directions.astype(float)
    ends = [(cube[:3] + side * cube[3] - origins) / directions for side in (0, 1)]
    leaves_at, enters_at = np.maximum(*ends).min(axis=1), np.minimum(*ends).max(axis=1)
    hits = leaves_at > enters_at
    opacity = hits.astype(np.float32).reshape(16, 16)

    def counted(depth):
        image = RenderedImage(np.zeros((16, 16, 3)), depth.reshape(16, 16).astype(np.float32), opacity)
        return border_pixels(trainer, cameras, 0, image).tolist()

    assert counted(leaves_at) == [hits.sum(), hits.sum()]
    opaque, close = counted(0.5 * (leaves_at + enters_at))
    assert opaque == hits.sum() and close < 0.5 * opaque


# -- doubts ------------------------------------------------------------------------------------------------------------


def said(facts, **evidence) -> str:
    return " ".join(doubt.text for doubt in doubts_about(Evidence(facts, **{"history": History(), **evidence})))


def test_doubts_say_what_is_wrong(facts):
    entry = StepEntry(2, 1.0, 0.1, 20.0, 0.01, 9.0)
    sound = dataclasses.replace(facts, scores=Evaluation(20, (facts.scores.views[0],) * 8, 0.1), test_views=8)
    assert said(sound, history=History((entry,))) == ""
    assert "no curves" in said(sound)
    assert "score is that of 2 views" in said(facts)
    assert "8 of 99 test views" in said(dataclasses.replace(sound, test_views=99))
    assert "at step 20 of 500" in said(dataclasses.replace(sound, planned_steps=500))
    assert "holds no views out" in said(dataclasses.replace(sound, test_views=0, scores=None))
    assert "12.5 % of the pixels" in said(sound, masked=0.125)
    assert "at a face of the box" in said(sound, border_share=0.2) and not said(
        sound, border_share=0.001, history=History((entry,))
    )
    assert "3 lines" in said(sound, history=History((entry,), damaged=3))
    assert "gone" in said(sound, missing_data="gone") and "earlier" in said(sound, missing_data="gone")
    refined = dataclasses.replace(sound, settings={**sound.settings, "refine": "poses"})
    assert "--fit-test poses" in said(refined)
    assert "mean of the appearances" in said(
        dataclasses.replace(sound, settings={**sound.settings, "appearance_codes": 8})
    )
    first = doubts_about(Evidence(sound, History(), problems=("damaged",)))[0]
    assert (first.severity, first.text) == ("warning", "damaged"), "warnings come first"
