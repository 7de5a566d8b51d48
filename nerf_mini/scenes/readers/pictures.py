"""Picture files of a capture: finding them, in downscaled folders too, and what else lies beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.io.images import ImageHeader, area_average, read_header, read_image, shrunk_mask

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_GUESSES = ("", *(form(suffix) for suffix in SUFFIXES[:4] for form in (str.lower, str.upper)))

Size = tuple[int, int]


@dataclass(frozen=True)
class Mask:
    """A picture that says which pixels to ignore: the black ones, or all but these.

    nerfstudio's and COLMAP's masks are black where there is nothing to learn from, instant-ngp's are where there is.
    """

    file: Path
    keeps_black: bool = False

    def read(self, picture: Size, size: Size) -> np.ndarray:
        """Which pixels are valid in a picture that was shrunk to a size: (height, width) bool.

        Raises UserError where the mask cannot be read, or has other proportions than its picture.
        """
        black = read_image(self.file)[..., :3].max(axis=2) == 0
        found = black.shape[1], black.shape[0]
        if not proportional(found, picture):
            raise UserError(
                f"{self.file}: the mask has {found[0]}x{found[1]} pixels, its picture {picture[0]}x{picture[1]}."
            )
        return shrunk_mask(black if self.keeps_black else ~black, size)


@dataclass(frozen=True)
class Picture:
    """A picture file before its pixels are read.

    Attributes:
        file: on the disk.
        header: what it says of itself.
        factor: by which it is to shrink.
        alpha: a file with its opacity, where that is not in the picture.
        upright: whether it is to be turned as EXIF's orientation says.
    """

    file: Path
    header: ImageHeader
    factor: float = 1.0
    alpha: Path | None = None
    upright: bool = False

    @property
    def stored(self) -> Size:
        """Width and height before it is shrunk."""
        return self.header.shown_size if self.upright else self.header.size

    @property
    def has_alpha(self) -> bool:
        return self.header.has_alpha or self.alpha is not None

    def read(self, size: Size) -> np.ndarray:
        """Its pixels, shrunk to a size: uint8 (height, width, 3 or 4). Raises UserError where they cannot be read."""
        image = read_image(self.file, self.upright)
        if (image.shape[1], image.shape[0]) != self.stored:
            raise UserError(f"{self.file}: holds another number of pixels than it says.")
        if self.alpha is not None:
            opacity = read_image(self.alpha)[..., :1]
            if opacity.shape[:2] != image.shape[:2]:
                raise UserError(f"{self.alpha}: differs in size from the picture that it belongs to.")
            image = np.concatenate([image[..., :3], opacity], axis=2)
        return area_average(image, size)


def open_pictures(files: Sequence[Path], factor: float, where: Sequence[str]) -> list[Picture]:
    """Read the headers of picture files. An error begins with the place in `where`."""
    with ThreadPoolExecutor() as pool:
        headers = list(pool.map(partial(_told_where, read_header), files, where))
    return [
        Picture(file, header, factor, beside(file, f"{file.stem}.alpha{file.suffix}"))
        for file, header in zip(files, headers, strict=True)
    ]


def beside(file: Path, name: str) -> Path | None:
    """Another file in the same folder, if it exists."""
    other = file.with_name(name)
    return other if other.is_file() else None


def _told_where(read: Callable[[Path], ImageHeader], file: Path, where: str) -> ImageHeader:
    try:
        return read(file)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def proportional(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether two sizes are of one picture at two scales, each side rounded to whole pixels in any way."""
    if min(*first, *second) <= 0:
        return False
    large, small = (first, second) if first[0] * first[1] > second[0] * second[1] else (second, first)
    low = max((small[axis] - 1) / large[axis] for axis in (0, 1))
    high = min((small[axis] + 1) / large[axis] for axis in (0, 1))
    return low <= high


# ----------------------------------------------------------------------------------------------------------------------
# Finding files


def pictures_in(folder: Path) -> list[str]:
    """The picture files in a folder and the folders in it, relative to it, by name; but for masks and opacities."""
    if not folder.is_dir():
        return []
    of_others = (".", "dynamic_mask_")
    named = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    files = (file for file in named if not file.name.startswith(of_others) and not file.stem.endswith(".alpha"))
    return sorted(file.relative_to(folder).as_posix() for file in files)


def levels_of(root: Path, folder: str) -> dict[int, str]:
    """Downscaled folders beside a folder of pictures, by how much: {2: "images_2", 8: "images_8"}."""
    try:
        names = [entry.name for entry in root.iterdir() if entry.is_dir()]
    except OSError:
        return {}
    matches = ((re.fullmatch(rf"{re.escape(folder)}_([1-9]\d{{0,2}})", name), name) for name in names)
    return {int(match[1]): name for match, name in matches if match and int(match[1]) > 1}


def find_pictures(
    root: Path, names: Sequence[str], downscale: float, levels: bool = True
) -> tuple[list[Path | None], float]:
    """Where pictures are: in the folder that their names begin with, or in a downscaled one beside it.

    Taken are the smallest pictures that are at least as large as wanted. `downscale` counts from the largest there
    are. In a downscaled folder names may be others, as in LLFF's data: then the order of names says which is which.

    Args:
        root: the folder of the data set.
        names: relative to it, such as "images/0001.jpg"; a suffix may be missing.
        downscale: at least 1.
        levels: whether to look into downscaled folders at all.

    Returns:
        A file for each name, None where there is none; and the factor that is left to shrink by.
    """
    first = _common_folder(names) if levels else None
    found = {1: [_existing(root / name) for name in names]}
    if first is not None:
        found |= {n: _in_level(root, first, level, names) for n, level in levels_of(root, first).items()}
    counts = {n: sum(file is not None for file in files) for n, files in found.items()}
    most = max(counts.values())
    base = min((n for n in counts if counts[n] == most), default=1)
    chosen = max(n for n in counts if counts[n] == most and n <= max(base, downscale * base))
    return found[chosen], max(1.0, downscale * base / chosen)


def _common_folder(names: Sequence[str]) -> str | None:
    """The folder that all names begin with, if there is one."""
    firsts = {parts[0] if len(parts := PurePosixPath(name).parts) > 1 else None for name in names}
    first = firsts.pop() if len(firsts) == 1 else None
    return None if first in (None, "..", "/") else first


def _existing(file: Path) -> Path | None:
    """A file by its path, or by its path without a suffix."""
    try:
        return next((found for guess in _GUESSES if (found := Path(f"{file}{guess}")).is_file()), None)
    except (OSError, ValueError):  # a name too long, or with a character that no name has
        return None


def _in_level(root: Path, first: str, level: str, names: Sequence[str]) -> list[Path | None]:
    """The files of a downscaled folder by name, with any suffix; or, where no name is the same, by order."""
    inner = [PurePosixPath(name).relative_to(first).as_posix() for name in names]
    found = [_existing(root / level / name) or _existing((root / level / name).with_suffix("")) for name in inner]
    if any(found):
        return found
    reference, files = pictures_in(root / first) or sorted(inner), pictures_in(root / level)
    if len(reference) != len(files):
        return found
    place = {name: index for index, name in enumerate(reference)}
    return [root / level / files[place[name]] if name in place else None for name in inner]


def unique_names(paths: Sequence[str]) -> tuple[str, ...]:
    """Short names for pictures, fit for files: the stems where these differ, else more of the paths."""
    parts = [
        [p for p in PurePosixPath(path.replace("\\", "/")).parts if p not in ("..", "/")] or ["_"] for path in paths
    ]
    stems = [PurePosixPath(p[-1]).stem for p in parts]
    longer = ["_".join([*p[:-1], stem]) for p, stem in zip(parts, stems, strict=True)]
    whole = ["_".join(p) for p in parts]
    for names in (stems, longer, whole):
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{index:04d}_{name}" for index, name in enumerate(stems))
