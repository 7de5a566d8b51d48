"""A training that is watched ends with the bits of one that is not, and loses little of its time."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from nerf_mini.config import with_settings
from nerf_mini.errors import UserError
from nerf_mini.geometry.poses import look_at
from nerf_mini.outputs.viewer import watching as module
from nerf_mini.outputs.viewer.allowance import MOST_DEBT, SETTLING, SHARE
from nerf_mini.outputs.viewer.jobs import Frame
from nerf_mini.outputs.viewer.requests import FrameRequest
from nerf_mini.outputs.viewer.watching import Watching
from nerf_mini.runs.checkpoint import checkpoint_files
from nerf_mini.runs.session import start

POSE = look_at((0.5, 4.0, 1.0), (0.0, 0.0, 0.0))


def asked(seq=0, client="a", final=False, **changes):
    common = {"width": 12, "height": 12, "pose": POSE, "fov": 0.7}
    return FrameRequest(client, seq, **{**common, "final": final, **changes})


@pytest.mark.parametrize("method", ["nerf", "instant"])
def test_a_watched_training_ends_with_the_same_bits(blobs, tmp_path, tiny, tiny_config, method):
    config = tiny_config(max_steps=30) if method == "nerf" else with_settings(tiny, max_steps=60)
    alone, watched = (start(blobs, tmp_path / name, config) for name in ("alone", "watched"))
    alone.train()
    watching, served = Watching(watched), []

    def on_step(report):
        shading = ("color", "depth", "opacity", "normals")[report.step % 4]
        served.append(watching.jobs.submit(asked(report.step, final=report.step % 3 == 0, shading=shading)))
        if report.step == 7:
            watching.control("save")
        watching.step(report)

    watched.train(on_step=on_step)
    frames = [job.outcome for job in served if isinstance(job.outcome, Frame)]
    assert len(frames) > len(served) / 2 and frames[0].step == 1
    one, other = (np.load(checkpoint_files(tmp_path / name / "checkpoints")[-1]) for name in ("alone", "watched"))
    assert one.files == other.files and len(one.files) > 8, "parameters, means of Adam, sampler"
    for name in set(one.files) - {"meta", "checksum"}:
        assert one[name].tobytes() == other[name].tobytes(), name
    assert alone.trainer.state.rng.bit_generator.state == watched.trainer.state.rng.bit_generator.state


@pytest.fixture
def watching(blobs, tmp_path, tiny_config, monkeypatch):
    """Pages before a session that does not train; frames take a second each of a clock that stands still otherwise."""
    found = Watching(start(blobs, tmp_path / "run", tiny_config()))
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def frame(request, cancelled):
        clock.now += 1.0
        return Frame(b"", "image/png", 0.0, 0.0, 0, 0)

    found.stage.frame = frame
    found.clock = clock
    return found


def step(watching, number=1):
    watching.step(SimpleNamespace(step=number, loss=0.5, psnr=12.0))


def test_at_rest_sharp_frames_take_their_share_of_the_time(watching):
    """The page asks again as soon as it has a frame; a step takes a tenth of a second."""
    served, seq = 0.0, 0
    job = watching.jobs.submit(asked(seq, final=True))
    for number in range(2000):
        watching.clock.now += 0.1
        before = watching.clock.now
        step(watching, number + 1)
        served += watching.clock.now - before
        if job.wait(0):
            seq += 1
            job = watching.jobs.submit(asked(seq, final=True))
    assert SHARE * 0.8 < served / watching.clock.now < SHARE * 1.05


def test_while_a_camera_moves_every_frame_is_served_and_sharper_ones_follow_at_once(watching):
    coarse = watching.jobs.submit(asked())
    step(watching)
    assert coarse.wait(0)
    watching.clock.now += SETTLING
    for seq in range(1, 6):
        coarse = watching.jobs.submit(asked(seq))
        step(watching)
        assert coarse.wait(0)
    for seq, side in ((6, 12), (7, 24)):
        sharp = watching.jobs.submit(asked(seq, final=True, width=side, height=side))
        step(watching)
        assert sharp.wait(0), "sharper, then sharp"
        watching.clock.now -= 0.9  # of the second that a frame takes
    again = watching.jobs.submit(asked(8, final=True, width=24, height=24))
    step(watching)
    assert not again.wait(0), "the same of a newer field waits, however soon after a movement"
    watching.clock.now += MOST_DEBT / SHARE
    step(watching)
    assert again.wait(0)


def test_the_training_waits_for_the_next_frame_of_a_moving_camera(watching, monkeypatch):
    waits = []
    watching.stage.frame = lambda request, cancelled: None
    take = watching.jobs.take
    monkeypatch.setattr(watching.jobs, "take", lambda seconds, *rest: waits.append(seconds) or take(0, *rest))
    watching.jobs.submit(asked())
    step(watching)
    assert waits[0] == 0 and waits[1] > 0
    waits.clear()
    step(watching)
    assert waits == [], "where nobody asks, nothing is waited for"


def test_a_camera_that_never_stops_does_not_stop_the_training(watching):
    """As while a path is played: the page has its next request there before its frame is shown."""
    ask, rendered = watching.stage.frame, []

    def frame(request, cancelled):
        rendered.append(watching.jobs.submit(asked(request.seq + 1)))
        watching.clock.now -= 0.9  # of the second that a frame takes
        return ask(request, cancelled)

    watching.stage.frame = frame
    watching.jobs.submit(asked())
    for number in range(1, 4):
        step(watching, number)
        assert 5 * number <= len(rendered) <= 6 * number, "half a second each"


def test_a_sharp_frame_that_takes_too_long_is_given_up(watching, monkeypatch):
    def foggy(request, cancelled):
        while not cancelled():
            time.sleep(0.01)

    watching.stage.frame = foggy
    monkeypatch.setattr(module, "LIMIT", 0.05)
    job = watching.jobs.submit(asked(final=True))
    step(watching)
    assert job.wait(0) and job.outcome == "late"


def test_a_pause_serves_and_ends_by_the_page_or_by_ctrl_c(watching):
    watching.control("pause")
    thread = threading.Thread(target=step, args=(watching,))
    thread.start()
    for seq in range(5):
        assert watching.jobs.submit(asked(seq, final=True)).wait(10), "as many sharp frames as are asked for"
    assert watching.news.state.paused and thread.is_alive()
    watching.control("save")
    end = time.monotonic() + 10
    while watching.news.state.saved_step is None and time.monotonic() < end:
        time.sleep(0.01)
    assert watching.news.state.saved_step == 0
    watching.control("resume")
    thread.join(10)
    assert not thread.is_alive() and not watching.news.state.paused
    watching.control("pause")
    watching._session.interrupted = lambda: True
    step(watching)
    assert not watching.news.state.paused


def test_a_save_that_fails_does_not_end_the_training(watching, monkeypatch):
    said = []
    watching._warn = said.append

    def full():
        raise UserError("the disk is full.")

    monkeypatch.setattr(watching._session, "save", full)
    watching.control("save")
    step(watching)
    assert said == ["the disk is full."]


def test_the_end_is_told_and_the_picture_stays(blobs, tmp_path, tiny_config):
    session = start(blobs, tmp_path / "run", tiny_config(max_steps=4))
    watching = Watching(session)
    assert watching.info()["training"] and not watching.info()["ready"]
    session.train(on_step=watching.step)
    watching.finish()
    told = watching.news.since(-1)
    assert told["finished"] and told["step"] == told["saved_step"] == 4
    assert [point[0] for point in told["history"]] == [1, 2, 3, 4]
    assert not watching.info()["ready"], "nobody has asked for a picture, and nothing of those is compiled"
    with pytest.raises(UserError, match="finished"):
        watching.control("pause")
    thread = threading.Thread(target=watching.linger)
    thread.start()
    job = watching.jobs.submit(asked())
    assert job.wait(20) and job.outcome.step == 4
    watching.jobs.close()
    thread.join(10)
    assert watching.info()["ready"]
    assert not thread.is_alive() and len(checkpoint_files(tmp_path / "run" / "checkpoints")) == 2


def test_frames_are_not_counted_as_training(blobs, tmp_path, tiny_config, monkeypatch):
    session = start(blobs, tmp_path / "run", tiny_config(max_steps=4))
    watching = Watching(session)
    began = time.perf_counter()
    monkeypatch.setattr(watching.stage, "frame", lambda request, cancelled: time.sleep(0.5))

    def on_step(report):
        watching.jobs.submit(asked(report.step))
        watching.step(report)

    session.train(on_step=on_step)
    assert time.perf_counter() - began - session.trainer.state.seconds > 1.9


def test_without_view_nothing_of_it_is_imported():
    code = (
        "import sys, nerf_mini.cli.verbs.train\n"
        "print([n for n in sys.modules if n.startswith(('nerf_mini.outputs.viewer', 'http.server'))])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
