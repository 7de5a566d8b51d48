"""Video files, frame by frame: GIF and animated WebP by Pillow, MP4 (H.264) by the extra "video"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from nerf_mini.errors import UserError
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
        milliseconds = max(1, round(1000 / self.frames_per_second))
        first, *others = self.frames
        first.save(self.file, save_all=True, append_images=others, duration=milliseconds, loop=0, **self.options)


class Gif(_Animation):
    """256 colours a frame."""

    options = {"format": "GIF"}  # noqa: RUF012
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
        self.process: Any = None

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
        import imageio_ffmpeg

        height, width = frame.shape[:2]
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")  # the codec wants even sizes
        if self.process is None:
            self.process = imageio_ffmpeg.write_frames(
                self.file.name, (frame.shape[1], frame.shape[0]), fps=self.frames_per_second, codec="libx264",
                quality=None, macro_block_size=1, ffmpeg_log_level="error",
                output_params=["-crf", "18", "-movflags", "+faststart", "-f", "mp4"],
            )  # fmt: skip
            self.process.send(None)
        self.process.send(np.ascontiguousarray(frame))

    def finish(self) -> None:
        """See `Encoder`."""
        self.process.close()

    def give_up(self) -> None:
        """See `Encoder`."""
        if self.process is not None:
            self.process.close()


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
