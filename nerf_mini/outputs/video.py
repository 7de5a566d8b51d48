"""Video files, frame by frame: GIF and animated WebP by Pillow, MP4 (H.264) by the extra "video"."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from PIL import Image

from nerf_mini.errors import UserError, plain
from nerf_mini.io.files import file_made_atomically

FRAMES_PER_SECOND = 15.0
SLOWEST, FASTEST = 0.1, 240.0  # frames per second; GIF counts in hundredths of a second, in 16 bits


class Encoder:
    """Takes frames (height, width, 3) uint8 of one size, and writes them into a file that is open.

    kept_bytes: how many of each pixel stay in memory until the file is finished.
    """

    kept_bytes = 0

    def __init__(self, file: BinaryIO, frames_per_second: float):
        self.file, self.frames_per_second = file, frames_per_second

    def add(self, frame: np.ndarray) -> None:
        """The next frame."""
        raise NotImplementedError

    def finish(self) -> None:
        """After the last frame."""
        raise NotImplementedError

    def give_up(self) -> None:
        """Instead of `finish`, when something went wrong."""

    @classmethod
    def require(cls) -> None:
        """Raise a UserError where the encoder is not installed."""


class _Animation(Encoder):
    """Pictures that Pillow puts into one file, which keeps them all in memory until then."""

    options: dict[str, Any]
    tick, least = 1, 1  # milliseconds that durations count in, and how many a frame lasts at least
    kept_bytes = 3

    def __init__(self, file: BinaryIO, frames_per_second: float):
        super().__init__(file, frames_per_second)
        self.frames: list[Image.Image] = []

    def add(self, frame: np.ndarray) -> None:
        """See `Encoder`."""
        self.frames.append(self.kept(Image.fromarray(frame)))

    def kept(self, frame: Image.Image) -> Image.Image:
        """What to keep of a frame until the end."""
        return frame

    def finish(self) -> None:
        """See `Encoder`."""
        durations = self._durations()
        first, *others = self.frames
        first.save(self.file, save_all=True, append_images=others, duration=durations, loop=0, **self.options)

    def _durations(self) -> list[int]:
        """Milliseconds of each frame in whole `tick`s, of which at least `least`: rates that the format cannot hold
        keep their length all the same. Frames that come too fast are dropped, evenly."""
        total = max(round(1000 / self.tick * len(self.frames) / self.frames_per_second), 1)  # ticks
        kept = max(min(len(self.frames), total // self.least), 1)
        self.frames = [self.frames[i * len(self.frames) // kept] for i in range(kept)]
        edges = [round(i * total / kept) for i in range(kept + 1)]
        return [self.tick * (end - start) for start, end in pairwise(edges)]


class Gif(_Animation):
    """256 colours a frame."""

    options = {"format": "GIF"}  # noqa: RUF012
    tick, least = 10, 2  # browsers slow down what is faster
    kept_bytes = 1

    def kept(self, frame: Image.Image) -> Image.Image:
        """See `_Animation`: a third of the memory."""
        return frame.convert("P", palette=Image.Palette.ADAPTIVE)


class WebP(_Animation):
    """All colours, in a fraction of the bytes of a GIF."""

    options = {"format": "WEBP", "quality": 90, "method": 4}  # noqa: RUF012


class Mp4(Encoder):
    """H.264 in colours that every player knows, with what players need at the beginning of the file."""

    def __init__(self, file: BinaryIO, frames_per_second: float):
        super().__init__(file, frames_per_second)
        self.process: subprocess.Popen | None = None
        self.said: IO[bytes] = tempfile.TemporaryFile()

    @classmethod
    def require(cls) -> None:
        """See `Encoder`."""
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise UserError(
                'MP4 needs the extra "video": pip install "nerf-mini[video]". GIF and WebP work without it.'
            ) from error

    def add(self, frame: np.ndarray) -> None:
        """See `Encoder`."""
        height, width = frame.shape[:2]
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")  # the codec wants even sizes
        if self.process is None:
            self.process = self._start(frame.shape[1], frame.shape[0])
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(np.ascontiguousarray(frame).data)
        except OSError:  # it has ended, and its exit code says why
            self.finish()
            raise

    def _start(self, width: int, height: int) -> subprocess.Popen:
        import imageio_ffmpeg

        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{self.frames_per_second:g}"]
        coded = ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *raw, "-i", "-", "-an", *coded]
        return subprocess.Popen([*command, self.file.name], stdin=subprocess.PIPE, stderr=self.said)

    def finish(self) -> None:
        """See `Encoder`. Raises UserError with what ffmpeg said where it failed, as on a full disk."""
        assert self.process is not None
        self.give_up(kill=False)
        if self.process.returncode != 0:
            self.said.seek(0)
            lines = self.said.read().decode(errors="replace").split("\n")
            told = next((line for line in reversed(lines) if line.strip()), f"exit code {self.process.returncode}")
            raise UserError(f"the video could not be encoded: ffmpeg said {plain(told.strip())!r}. Is the disk full?")

    def give_up(self, kill: bool = True) -> None:
        """See `Encoder`."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        with suppress(OSError):  # it may have ended by itself
            self.process.communicate()


def check_rate(frames_per_second: float, where: str) -> None:
    """Raise a UserError, which begins with `where`, for a rate that files cannot hold."""
    if not SLOWEST <= frames_per_second <= FASTEST:
        raise UserError(f"{where}: must be from {SLOWEST:g} to {FASTEST:g} frames per second.")


VIDEOS: dict[str, type[Encoder]] = {".gif": Gif, ".webp": WebP, ".mp4": Mp4}
"""Encoders by the ending of the file. A new one is a class, and an entry here."""


@contextmanager
def video_file(path: Path, frames_per_second: float = FRAMES_PER_SECOND) -> Iterator[Encoder]:
    """An encoder of the format that the name of the file says; the file appears whole or not at all.

    Raises UserError where the format needs an extra that is not installed, the place cannot be written to, or the rate
    is not one that files can hold.
    """
    check_rate(frames_per_second, f"{path}: {frames_per_second:g}")
    kind = VIDEOS[path.suffix.lower()]
    kind.require()
    with file_made_atomically(path) as file:
        encoder = kind(file, frames_per_second)
        try:
            yield encoder
            encoder.finish()
        except BaseException:
            encoder.give_up()
            raise
