"""Videos: as long as they should be, and whole or not at all."""

import sys
import threading

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from nerf_mini.errors import UserError
from nerf_mini.io.files import write_json
from nerf_mini.outputs.video import video_file


def frames(count, size=(24, 32)):
    """All different."""
    return [
        np.full((*size, 3), 97 * i % 256, np.uint8) + np.arange(size[1], dtype=np.uint8)[:, None] for i in range(count)
    ]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize("rate", [1.0, 15.0, 24.0, 29.97, 60.0, 240.0])
def test_an_animation_is_as_long_as_its_rate_says(tmp_path, suffix, rate):
    with video_file(tmp_path / f"film{suffix}", rate) as film:
        for frame in frames(48):
            film.add(frame)
    durations = []
    with Image.open(tmp_path / f"film{suffix}") as animation:
        for number in range(animation.n_frames):
            animation.seek(number)
            animation.load()
            durations.append(animation.info["duration"])
    assert sum(durations) == pytest.approx(48000 / rate, abs=10)
    assert min(durations) >= (20 if suffix == ".gif" else 1)
    assert rate > 50 or len(durations) == 48


def test_mp4_holds_every_frame(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    with video_file(tmp_path / "film.mp4", 24.0) as film:
        for frame in frames(7, (33, 31)):
            film.add(frame)
    assert iio.imread(tmp_path / "film.mp4").shape == (7, 34, 32, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="a program is put in the place of ffmpeg as a shell script")
@pytest.mark.parametrize("dies", ["at once", "in the end"])
def test_an_encoder_that_fails_leaves_no_file_and_is_quoted(tmp_path, monkeypatch, dies):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    wait = "" if dies == "at once" else "cat > /dev/null\n"
    (tmp_path / "ffmpeg").write_text(f"#!/bin/sh\n{wait}echo 'No space left on device' >&2\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setattr(ffmpeg, "get_ffmpeg_exe", lambda: str(tmp_path / "ffmpeg"))
    with pytest.raises(UserError, match="No space left"), video_file(tmp_path / "film.mp4") as film:
        for frame in frames(60, (200, 200)):
            film.add(frame)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_threads_may_write_one_file(tmp_path):
    failures = []

    def write(value):
        try:
            for _ in range(30):
                write_json(tmp_path / "file.json", {"value": [value] * 500})
        except UserError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and [path.name for path in tmp_path.iterdir()] == ["file.json"]
