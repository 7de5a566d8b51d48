"""One trainer at a time in a run folder; locks of the dead are taken over, and those of the living say whose."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time

import pytest

import nerf_mini.runs.lock as module
from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.runs.lock import LOCK, STALE, STOP, Holder, RunLock, ask_to_stop
from nerf_mini.runs.session import resume, save_trainer, start

HOLD = """
    import sys, time
    from pathlib import Path
    from nerf_mini.runs.lock import RunLock

    lock = RunLock(Path(sys.argv[1])).acquire()
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path / "run"."""
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def write(run, holder, age=0.0):
    run.mkdir(exist_ok=True)
    (run / LOCK).write_text(json.dumps(dataclasses.asdict(holder)))
    os.utime(run / LOCK, (time.time() - age,) * 2)


@pytest.fixture
def elsewhere():
    return dataclasses.replace(Holder.here(), host="another-host")


# -- the living and the dead -------------------------------------------------------------------------------------------


def test_a_lock_has_one_holder_and_leaves_nothing(tmp_path):
    first, second = RunLock(tmp_path / "a" / "run"), RunLock(tmp_path / "a" / "run")
    with first:
        assert first.held
        with pytest.raises(UserError, match=r"run: this process on .* trains it since \d{4}-.* another --output"):
            second.acquire()
    assert not list(tmp_path.iterdir())
    with second:
        assert second.held and not first.held


def test_another_process_holds_it_until_it_is_killed(tmp_path, holder):
    run = tmp_path / "run"
    with pytest.raises(UserError, match=f"run: process {holder.pid} on "):
        RunLock(run).acquire()
    holder.kill()
    holder.wait()
    assert (run / LOCK).exists(), "the dead clear nothing away"
    with RunLock(run):
        assert json.loads((run / LOCK).read_text())["pid"] == os.getpid()
    assert not run.exists() or not list(run.iterdir())


def test_where_files_cannot_be_locked_the_process_is_looked_for(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(module, "_lock", lambda descriptor: None)
    with pytest.raises(UserError, match=f"process {holder.pid} on "):
        RunLock(tmp_path / "run").acquire()
    write(tmp_path / "run", dataclasses.replace(module._read(tmp_path / "run" / LOCK), began="1"))
    with RunLock(tmp_path / "run"):  # the number belongs to a younger process now
        with pytest.raises(UserError, match="this process on"):
            RunLock(tmp_path / "run").acquire()


def test_a_holder_on_another_host_is_judged_by_its_signs_of_life(tmp_path, elsewhere):
    run = tmp_path / "run"
    write(run, elsewhere, age=STALE / 2)
    with pytest.raises(UserError, match=r"on another-host trains .* sign of life 30 s ago.*try again in 60 s"):
        RunLock(run).acquire()
    for age in (STALE + 1, -2 * STALE):  # or the clock has gone back
        write(run, elsewhere, age)
        with RunLock(run):
            pass


def test_a_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.01)
    with RunLock(tmp_path):
        os.utime(tmp_path / LOCK, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / LOCK).stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / LOCK).stat().st_mtime > 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}', "\0" * 9999, '{"pid": ' + "9" * 5000 + "}"])
def test_a_damaged_lock_counts_as_that_of_a_dead_process(tmp_path, content):
    (tmp_path / LOCK).write_text(content)
    with RunLock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_forgotten_lock_is_given_back(tmp_path):
    lock = RunLock(tmp_path).acquire()
    assert lock.held
    del lock
    assert not list(tmp_path.iterdir())


# -- asking and taking over --------------------------------------------------------------------------------------------


def test_a_holder_is_asked_to_stop(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    assert not ask_to_stop(tmp_path)
    with RunLock(tmp_path) as lock:
        lock.check()
        assert not lock.stop_asked and ask_to_stop(tmp_path)
        lock.check()
        assert lock.stop_asked and not (tmp_path / STOP).exists()


def test_a_frozen_holder_finds_that_another_one_has_gone_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    frozen = RunLock(tmp_path).acquire()
    with RunLock(tmp_path).take_over(patience=0.0) as second:
        with pytest.raises(UserError, match="another process goes on with this run"):
            frozen.check()
        frozen.release()
        second.check()
        assert (tmp_path / LOCK).exists() and not (tmp_path / STOP).exists()


# -- trainings ---------------------------------------------------------------------------------------------------------


def test_a_run_that_is_trained_is_not_touched_by_a_second_training(blobs, tmp_path, tiny_config, capsys):
    run = tmp_path / "run"
    session = start(blobs, run, tiny_config())

    def files():
        return {p.relative_to(run): p.read_bytes() if p.is_file() else None for p in run.rglob("*")}

    def second(report):
        if report.step != 9:
            return
        before = files()
        for arguments in (["--resume"], []):
            assert main(["train", str(blobs), "--output", str(run), *arguments]) == 2
        message = capsys.readouterr().err
        assert f"{run}: this process on " in message and "holds another run" in message
        for attempt in (lambda: resume(run), lambda: save_trainer(session.trainer, run)):
            with pytest.raises(UserError, match="trains it since"):
                attempt()
        assert files() == before
        assert main(["eval", str(run), "--max-views", "1"]) == 0, "readers need no lock"

    assert session.train(on_step=second) == "steps"
    assert not (run / LOCK).exists()
    resume(run, tiny_config(max_steps=22)).train()


def test_a_start_that_was_killed_is_made_anew(blobs, tmp_path, tiny_config, capsys):
    run, command = tmp_path / "run", ["train", str(blobs), "--output", str(tmp_path / "run"), "--max-steps", "1"]
    stages = ((LOCK,), (".cameras.json.77.tmp",), ("cameras.json",), ("cameras.json", "checkpoints"))
    for left in stages:
        start(blobs, tmp_path / "whole", tiny_config())
        run.mkdir()
        for name in left:
            if (tmp_path / "whole" / name).exists():
                (tmp_path / "whole" / name).rename(run / name)
            else:
                (run / name).touch()
        assert main([*command, "--resume"]) == 2
        assert "start it again with the same command, without --resume" in " ".join(capsys.readouterr().err.split())
        start(blobs, run, tiny_config()).train()
        assert {p.name for p in run.iterdir()} == {
            "cameras.json", "checkpoints", "config.json", "metrics.jsonl", "pictures.json", "renders"
        }  # fmt: skip
        for folder in (run, tmp_path / "whole"):
            shutil.rmtree(folder)


def test_what_was_trained_is_no_unfinished_start(own_run, blobs, tiny_config):
    (own_run / "config.json").unlink()
    (own_run / "metrics.jsonl").unlink()
    shutil.rmtree(own_run / "renders")
    with pytest.raises(UserError, match="holds another run, or other files"):
        start(blobs, own_run, tiny_config())


def test_what_killed_trainings_were_writing_is_cleared_away(own_run):
    own = (".config.json.7.tmp", ".report.html.77.tmp", ".metrics.jsonl.77.tmp", "checkpoints/.step-0000018.npz.7.tmp",
           "renders/validation/.step-0000010.png.7.tmp")  # fmt: skip
    others = ("renders/.color_000.png.7.tmp",)  # of a process that may still be writing
    for name in (*own, *others):
        (own_run / name).write_text("half")
    old = own_run / "renders" / ".color_001.png.7.tmp"
    old.write_text("half")
    os.utime(old, (0, 0))
    resume(own_run)
    left = {str(path.relative_to(own_run)) for path in own_run.rglob(".*.tmp")}
    assert left == set(others)
