"""The frames of transforms files, which Blender's, nerfstudio's and instant-ngp's data share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerf_mini.errors import UserError, listed, plain, quoted
from nerf_mini.io.files import read_json
from nerf_mini.scenes.readers.pictures import Picture, find_pictures, open_pictures


@dataclass(frozen=True)
class Frame:
    """One picture as a transforms file lists it.

    file: with the frame. index: in its list. name: `file_path`. values: of the frame. top: of the file, for all frames.
    """

    file: Path
    index: int
    name: str
    values: dict[str, Any]
    top: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.file}: frame {self.index} ({plain(self.name)})"

    def value(self, key: str) -> Any:
        """What the frame holds under a key that must be there."""
        if key not in self.values:
            raise UserError(f"{self.file}: frame {self.index} lacks the key {key!r}.")
        return self.values[key]

    def path(self, key: str) -> str | None:
        """A path that the frame may name."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise UserError(f"{self.where}: {key!r} must be text, not {quoted(value)}.")
        return value


def read_frames(file: Path) -> list[Frame]:
    """The frames of a transforms file, of which there is at least one. Raises UserError for any that has no path."""
    top = read_json(file)
    frames = top.get("frames")
    if not isinstance(frames, list) or not frames:
        raise UserError(f"{file}: the key 'frames' must hold a list of at least one frame.")
    top = {key: value for key, value in top.items() if key != "frames"}
    read = []
    for index, values in enumerate(frames):
        if not isinstance(values, dict) or "file_path" not in values:
            raise UserError(f"{file}: frame {index} lacks the key 'file_path'.")
        name = values["file_path"]
        if not isinstance(name, str):
            raise UserError(f"{file}: frame {index}: 'file_path' must be text, not {quoted(name)}.")
        read.append(Frame(file, index, name, values, top))
    return read


def found_pictures(folder: Path, frames: Sequence[Frame], downscale: float, levels: bool = True) -> list[Picture]:
    """The pictures of frames, not read yet.

    Args:
        folder: that paths are relative to.
        levels: whether to look into downscaled folders such as images_4 too.

    Raises UserError where one is missing.
    """
    names = [frame.name for frame in frames]
    files, factor = find_pictures(folder, names, downscale, levels)
    found: list[Path] = []
    for frame, file in zip(frames, files, strict=True):
        if file is None:
            missing = [name for name, other in zip(names, files, strict=True) if other is None]
            raise UserError(
                f"{frame.file}: frame {frame.index}: there is no image {quoted(frame.name)} in {folder} (tried it as it"
                f" is, .png and .jpg). Missing are {len(missing)} of {len(frames)}: {listed(missing)}."
            )
        found.append(file)
    return open_pictures(found, factor, [frame.where for frame in frames])
