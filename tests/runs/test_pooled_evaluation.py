"""Views scored on a pool have the scores of one process."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import pytest

import nerf_mini.runs.pooled_evaluation as pooled
from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.pool import Pool
from nerf_mini.runs.evaluation import evaluate_run
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.pooled_evaluation import evaluate_on_pool, evaluate_scales_on_pool
from nerf_mini.runs.scales import evaluate_run_at_scales, scales_file
from nerf_mini.runs.workers import at_step, held_trainer


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as executor:
        yield Pool(executor)


def without_times(evaluation):
    return replace(evaluation, seconds_per_view=0.0)


@pytest.mark.parametrize(("split", "fit"), [("test", "none"), ("train", "exposure")])
def test_the_scores_are_those_of_one_process(own_run, pool, split, fit):
    run = open_run(own_run)
    alone = evaluate_run(run, split, fit=fit)
    seen = []
    found = evaluate_on_pool(pool, run, split, report=seen.append, fit=fit)
    assert without_times(found) == without_times(alone)
    assert sorted(seen, key=lambda s: s.name) == sorted(found.views, key=lambda s: s.name)
    assert not list(run.evaluations.glob("*.parts"))


def test_views_that_were_scored_are_not_scored_again(own_run, pool, monkeypatch):
    run, scored, said = open_run(own_run), [], []

    def stop_at_second(task):
        if len(scored) == 1:
            raise UserError("the power is gone")
        scored.append(task.index)
        return pooled.evaluate_views(held_trainer(task.run), held_trainer(task.run).views_of("test"), [task.index])

    monkeypatch.setattr(pooled, "score_view", stop_at_second)
    with pytest.raises(UserError, match="the power is gone"):
        evaluate_on_pool(pool, run)
    parts = run.evaluations / "test.parts"
    assert len(list(parts.iterdir())) == 1 and not (run.evaluations / "test.json").exists()
    monkeypatch.undo()
    found = evaluate_on_pool(pool, run, warn=said.append)
    assert said == ["1 of 2 views are scored already"] and not parts.exists()
    assert without_times(found) == without_times(evaluate_run(run))


def test_scores_at_several_sizes_are_those_of_one_process(own_run, pool):
    run, scales = open_run(own_run), (Fraction(1, 4), Fraction(1), Fraction(1, 3))
    alone = evaluate_run_at_scales(run, scales)
    written, seen = json.loads(scales_file(run, "test").read_text()), []
    found = evaluate_scales_on_pool(pool, run, scales, report=lambda *scored: seen.append(scored))
    again = json.loads(scales_file(run, "test").read_text())
    assert list(found.scales) == list(alone.scales) == list(scales)
    assert {scale: without_times(own) for scale, own in found.scales.items()} == {
        scale: without_times(own) for scale, own in alone.scales.items()
    }
    for told in (written, again):  # times, and the checksum that is over them, differ
        told.pop("checksum")
        for row in told["scales"]:
            row.pop("seconds_per_view")
    assert again == written and not list(run.evaluations.glob("*.parts"))
    expected = [(scale, score) for scale, own in found.scales.items() for score in own.views]
    assert len(seen) == len(expected) and all(scored in expected for scored in seen)


def test_views_that_were_scored_at_a_size_count_for_that_alone(own_run, pool, monkeypatch):
    run, said, left = open_run(own_run), [], iter(range(3))

    def stop_at_fourth(task, score=pooled.score_view):
        if next(left, None) is None:
            raise UserError("the power is gone")
        return score(task)

    monkeypatch.setattr(pooled, "score_view", stop_at_fourth)
    with pytest.raises(UserError, match="the power is gone"):
        evaluate_scales_on_pool(pool, run, (0.5, 1))
    monkeypatch.undo()
    kept = sorted(file.name for file in (run.evaluations / "test-scales.parts").iterdir())
    assert len(kept) == 3 and kept == sorted({"0.json", "1.json", "0-1-2.json", "1-1-2.json"} & set(kept))
    found = evaluate_scales_on_pool(pool, run, (0.5, 1), warn=said.append)
    assert said == ["3 of 4 views are scored already"]
    alone = evaluate_run_at_scales(run, (0.5, 1))
    assert [without_times(own) for own in found.scales.values()] == [
        without_times(own) for own in alone.scales.values()
    ]


def test_scales_that_leave_no_pixel_are_refused_before_any_work(own_run, pool):
    with pytest.raises(UserError, match=r"--scales: .* leaves no pixel"):
        evaluate_scales_on_pool(pool, open_run(own_run), (1, Fraction(1, 64)))
    with pytest.raises(UserError, match="has no split 'no'"):
        evaluate_scales_on_pool(pool, open_run(own_run), split="no")


def test_scores_of_another_checkpoint_do_not_count(own_run, pool):
    run, said = open_run(own_run), []
    parts = run.evaluations / "test.parts"
    parts.mkdir(parents=True)
    (parts / "0.json").write_text(json.dumps({"mark": "16-00000000"}))
    (parts / "1.json").write_text("{cut off")
    evaluate_on_pool(pool, run, warn=said.append)
    assert said == []


def test_a_split_that_is_not_there_and_a_run_that_moved(own_run, pool, tmp_path, capsys):
    with pytest.raises(UserError, match="has no split 'no'"):
        evaluate_on_pool(pool, open_run(own_run), "no")
    at = at_step(open_run(own_run), 20)
    with pytest.raises(UserError, match=r"there is no such run here. Workers need the run folder at the same path"):
        held_trainer(replace(at, path=tmp_path / "elsewhere"))
    with pytest.raises(UserError, match="is another run here, or another state of it"):
        held_trainer(replace(at, mark="20-12345678"))
    with pytest.raises(UserError, match="the checkpoint of step 7 is not there"):
        held_trainer(replace(at, step=7))
    assert main(["eval", str(own_run), "--cluster", "somewhere"]) == 2
    assert "--cluster 'somewhere': must be local" in capsys.readouterr().err


def test_a_model_is_loaded_once(own_run):
    at = at_step(open_run(own_run), 20)
    assert held_trainer(at) is held_trainer(at)
    assert held_trainer(at) is not held_trainer(at_step(open_run(own_run), 16))
