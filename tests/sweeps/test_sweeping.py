"""Sweeps of tiny trainings: what is finished is left out, what was interrupted ends as if it had not been."""

import csv
import dataclasses
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import nerf_mini.sweeps.training as training
from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.outputs.report.fingerprint import fingerprint_of
from nerf_mini.pool import Pool
from nerf_mini.runs.checkpoint import checkpoint_files
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.lock import ask_to_stop
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.runs.session import start
from nerf_mini.sweeps import Sweep, finished, read_plan, run_sweep, text_table, write_results
from nerf_mini.sweeps.training import train

PLAN = """
seeds = [0, 1]
[scenes.blobs]
size = 16
views = 6
[settings.tiny]
levels = 4
log2_entries = 10
base_resolution = 4
finest_resolution = 32
hidden_width = 32
color_layers = 1
samples_per_step = 2048
march_steps = 128
occupancy_resolution = 16
max_steps = 12
checkpoint_every = 4
"""


@pytest.fixture
def sweep(tmp_path):
    file = tmp_path / "toy.toml"
    file.write_text(PLAN)
    return Sweep(read_plan(file), tmp_path / "out", report=False)


def bits(sweep, task):
    run = open_run(sweep.job(task).run)
    trainer = restored_trainer(run)
    return trainer.step_count, fingerprint_of(run.config, run.cameras, trainer.state)


def stopping_at(step, error=KeyboardInterrupt):
    @contextmanager
    def watch(session):
        def on_step(report):
            if report.step == step:
                raise error

        yield on_step

    return watch


def test_a_sweep_that_was_killed_half_way_ends_with_the_same_bits(sweep, tmp_path):
    tasks, ended = sweep.plan.tasks, []
    for task in tasks:  # one after the other, in one go
        run_sweep(sweep, [task], done=lambda task, outcome: ended.append((task.number, outcome.step)))
    expected = [bits(sweep, task) for task in tasks]
    assert ended == [(0, 12), (1, 12)] and [step for step, _ in expected] == [12, 12]

    again = dataclasses.replace(sweep, output=tmp_path / "again")
    with pytest.raises(KeyboardInterrupt):
        run_sweep(again, tasks, watch=stopping_at(10))
    assert checkpoint_files(again.job(tasks[0]).run / "checkpoints")[-1].name == "step-0000008.npz"
    ended.clear()
    with ThreadPoolExecutor(2) as executor:
        run_sweep(again, tasks, Pool(executor), lambda task, outcome: ended.append(task.number))
    assert sorted(ended) == [0, 1] and [bits(again, task) for task in tasks] == expected
    ended.clear()
    run_sweep(again, tasks, done=lambda task, outcome: ended.append(task.number))
    assert ended == []
    assert not list(again.output.rglob("training.*")) and not list(again.output.rglob("*.tmp"))


def test_tables_say_what_was_found(sweep):
    run_sweep(dataclasses.replace(sweep, report=True), sweep.plan.tasks[:1])
    rows = sweep.rows()
    assert rows[1].outcome is None
    outcome = rows[0].outcome
    files = write_results(sweep)
    text, table, page = (file.read_text() for file in files)
    assert re.search(r"blobs +tiny +1 of 2 +" + f"{outcome.psnr:.2f}", text) and text == text_table(rows)
    (line,) = csv.DictReader(table.splitlines())
    assert line["scene"] == "blobs" and float(line["psnr"]) == outcome.psnr and line["run"] == "blobs/tiny/seed-0"
    saved = json.loads((sweep.output / "blobs/tiny/seed-0/eval/test.json").read_text())
    assert outcome.psnr == saved["psnr"] and outcome.views == len(saved["views"]) and saved["step"] == outcome.step
    assert 'href="blobs/tiny/seed-0/report.html"' in page and page.count("data:image/webp") == 2
    assert "1 of 2 runs finished" in page and "http" not in page.replace("http-equiv", "")


def test_means_and_spread_are_those_of_the_seeds(sweep):
    rows = sweep.rows()
    found = [dataclasses.replace(row, outcome=training.Outcome(12, 2.0 + n, 2, 20.0 + n, None, 1.0, 0.5))
             for n, row in enumerate(rows)]  # fmt: skip
    line = text_table(found).splitlines()[1]
    assert "20.50 ± 0.71" in line and "–" in line and "2.5 s" in line  # the deviation of 20 and 21; no SSIM
    equal = [dataclasses.replace(row, outcome=dataclasses.replace(row.outcome, psnr=None)) for row in found]
    assert "±" not in text_table(equal)


def test_what_fails_is_told_and_the_others_go_on(sweep, monkeypatch):
    tasks, told = sweep.plan.tasks, []
    real = training._scored

    def scored(session, job):
        if job.config.seed == 0:
            raise UserError("the disk is full")
        return real(session, job)

    monkeypatch.setattr(training, "_scored", scored)
    run_sweep(sweep, tasks, done=lambda task, outcome: told.append(outcome.error))
    assert told == ["the disk is full", None]
    assert finished(sweep.job(tasks[0])) is None and finished(sweep.job(tasks[1])) is not None


def test_a_run_of_another_plan_is_not_touched(sweep, tmp_path):
    run_sweep(sweep, sweep.plan.tasks[:1])
    for change, words in (("levels = 4", "has a different configuration"), ("max_steps = 12", "is a run of 12 steps")):
        (tmp_path / "toy.toml").write_text(PLAN.replace(change, change[:-1] + "8"))
        other = dataclasses.replace(sweep, plan=read_plan(tmp_path / "toy.toml"))
        outcome = train(other.job(other.plan.tasks[0]))
        assert words in outcome.error and "Choose another --output, or remove the run." in outcome.error
    assert finished(sweep.job(sweep.plan.tasks[0])) is not None


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 1}', '{"format": 1, "mark": "x", "step": 1}', "\0"])
def test_damaged_results_count_as_none(sweep, content):
    job = sweep.job(sweep.plan.tasks[0])
    job.run.mkdir(parents=True)
    (job.run / training.RESULT).write_text(content)
    assert finished(job) is None
    good = {"format": 1, "mark": job.mark, "psnr": 20.0}
    (job.run / training.RESULT).write_text(json.dumps(good))
    assert finished(job).psnr == 20.0
    for wrong in ({"psnr": "much"}, {"psnr": 1e300}, {"step": True}, {"machine": 3}, {"speed": 1}, {"format": 2}):
        (job.run / training.RESULT).write_text(json.dumps({**good, **wrong}))
        assert finished(job) is None


def test_a_start_that_was_killed_is_made_anew(sweep):
    job = sweep.job(sweep.plan.tasks[0])
    run_sweep(sweep, sweep.plan.tasks[:1])
    shutil.rmtree(job.run)
    start(job.data, job.run, job.config)
    (job.run / "config.json").unlink()
    assert train(job).error is None
    (job.run / "config.json").unlink()  # beside files of somebody's
    (job.run / training.RESULT).unlink()
    assert "holds another run, or other files" in train(job).error


def test_who_is_asked_to_stop_saves(sweep, monkeypatch):
    monkeypatch.setattr("nerf_mini.runs.lock.INTERVAL", 0.0)
    run_sweep(sweep, [])
    job = sweep.job(sweep.plan.tasks[0])
    from nerf_mini.sweeps.data import prepared

    prepared(sweep.plan.tasks[0].source, sweep.output)

    @contextmanager
    def watch(session):
        yield lambda report: ask_to_stop(job.run) if report.step == 6 else None

    outcome = train(job, watch)
    assert outcome.interrupted and outcome.step == 7, "the step after"
    assert checkpoint_files(job.run / "checkpoints")[-1].name == "step-0000007.npz"


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_trains_lists_and_writes(sweep, tmp_path, capsys):
    command = ["sweep", str(tmp_path / "toy.toml"), "--output", str(tmp_path / "out"), "--no-report"]
    assert main([*command, "--only", "1"]) == 0
    printed = capsys.readouterr().out
    assert "[1 of 1] blobs, tiny, seed 1: test PSNR" in printed and not (tmp_path / "out" / "sweep.csv").exists()
    assert main([*command, "--list"]) == 0
    assert capsys.readouterr().out.split()[:6] == ["0", "to", "do", "blobs/tiny/seed-0", "1", "finished"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "2 runs in" in printed and "1 of them finished" in printed and "sweep.html" in printed
    for wrong in (["--only", "2"], ["--only", "-1"], ["--cluster", "moon"]):
        assert main([*command, *wrong]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to(sweep, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["sweep", str(tmp_path / "toy.toml"), "--output", str(tmp_path / "file")]) == 2
    assert "Traceback" not in capsys.readouterr().err
