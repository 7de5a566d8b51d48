"""From photos or a video to a data set with poses: gather, find features, match, find poses, judge, write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal, TypeVar

from nerf_mini.errors import UserError
from nerf_mini.io.files import folder_made_atomically, read_json, write_json
from nerf_mini.scenes.capture.engine import Colmap, Engine, Recipe
from nerf_mini.scenes.capture.gathering import VIDEOS, Photos, Progress, frames_of, linked, photos_in
from nerf_mini.scenes.capture.models import Model, accepted, largest
from nerf_mini.scenes.capture.writing import write_data_set

Item = TypeVar("Item")
Matching = Literal["auto", "exhaustive", "sequential"]
MOST_EXHAUSTIVE = 120  # photos of which every pair is tried
OVERLAP = 10  # doublings: in a sequence, each is tried with those 1, 2, 4, ... 512 later
MANY = 30  # pictures from which a lens with four parameters can be told
FEATURES_AT_ONCE, PAIRS_AT_ONCE = 8, 200  # between two reports of progress
_STATE, _DATABASE, _FRAMES, _PHOTOS, _MODELS = "state.json", "database.db", "frames", "photos", "models"


@dataclass(frozen=True)
class CaptureOptions:
    """What can be chosen.

    Attributes:
        matching: which pairs of pictures are compared; auto: all of them up to 120 photos, neighbours of a video.
        frames: how many frames of a video are taken.
        max_size: pixels of the longer side; larger photos are shrunk to it when they are written.
        seed, threads: one thread and the same seed give the same bits; 0 threads: as many as there are cores.
        restart: forget what an interrupted call found.
    """

    matching: Matching = "auto"
    frames: int = 150
    max_size: int = 1600
    seed: int = 0
    threads: int = 0
    restart: bool = False


@dataclass(frozen=True)
class Captured:
    """What came of it. model: in the world of the files, sizes being those of the photos."""

    folder: Path
    model: Model
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    warnings: tuple[str, ...]
    shrunk: int


def work_folder(output: Path) -> Path:
    """Where an unfinished capture keeps what it has found."""
    return output.with_name(f".{output.name}.capture")


def capture_photos(
    photos: Path,
    output: Path,
    options: CaptureOptions | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Captured:
    """Make a data set of photos, or of a video.

    What features and matches were found before an interruption is found again, unless photos or options changed. The
    data set appears whole or not at all.

    Args:
        photos: a folder, or a video file.
        output: the folder to make; it must not exist, or be empty.
        progress: told the stage ("frames", "features", "matches", "poses", "pictures"), and how much is done of it.
        engine: by default pycolmap's.

    Raises:
        UserError: the photos are too few or unreadable, too few of them got a pose, or the place is taken.
    """  # fmt: skip
    options, progress = options or CaptureOptions(), progress or (lambda stage, done, total: None)
    photos, output = Path(photos), Path(output).absolute()
    _check(photos, output, options)
    engine = engine or Colmap()
    work = work_folder(output)
    if options.restart:
        shutil.rmtree(work, ignore_errors=True)
    found = _gathered(photos, work, options, progress)
    recipe = _recipe(found, options)
    _continue_or_restart(work, found, recipe)
    database, plain = work / _DATABASE, linked(found, work / _PHOTOS)
    _find_features(engine, database, plain, recipe, progress)
    _match(engine, database, plain, options, recipe, progress)
    model = _renamed(_poses(engine, work, plain, recipe, progress), dict(zip(plain.names, found.names, strict=True)))
    model, warnings = accepted(model, found.names)
    with folder_made_atomically(output) as folder:
        model, shrunk = write_data_set(folder, found.folder, model, options.max_size, progress)
    shutil.rmtree(work, ignore_errors=True)
    missing = [name for name in found.names if name not in set(model.names)]
    return Captured(output, model, tuple(missing), found.unreadable, tuple(warnings), shrunk)


def _check(photos: Path, output: Path, options: CaptureOptions) -> None:
    if not photos.exists():
        raise UserError(f"{photos}: no such file or folder.")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output}: exists already and is not an empty folder. Choose another, or remove it first.")
    for name, value, least in (
        ("--frames", options.frames, 3), ("--max-size", options.max_size, 16), ("--seed", options.seed, 0),
        ("--threads", options.threads, 0),
    ):  # fmt: skip
        if value < least:
            raise UserError(f"{name} {value}: must be at least {least}.")


def _gathered(photos: Path, work: Path, options: CaptureOptions, progress: Progress) -> Photos:
    """The photos of a folder, or the frames of a video, which are kept with the work."""
    if photos.is_dir():
        return photos_in(photos)
    if photos.suffix.lower() not in VIDEOS:
        raise UserError(f"{photos}: is neither a folder of photos nor a video ({', '.join(VIDEOS)}).")
    stat = photos.stat()
    identity = {"video": [stat.st_size, stat.st_mtime_ns], "frames": options.frames, "max_size": options.max_size}
    folder = work / _FRAMES
    if not folder.exists() or _state(folder) != identity:
        shutil.rmtree(work, ignore_errors=True)
        with folder_made_atomically(folder) as made:
            frames_of(photos, made, options.frames, options.max_size, progress)
            write_json(made / _STATE, identity)
    return photos_in(folder, consecutive=True)


def _recipe(found: Photos, options: CaptureOptions) -> Recipe:
    many = len(found.photos) >= MANY
    return Recipe("OPENCV" if many else "SIMPLE_RADIAL", refine_center=many, threads=options.threads, seed=options.seed)


def _continue_or_restart(work: Path, found: Photos, recipe: Recipe) -> None:
    """Keep the database of an interrupted call if it was of the same photos, and sought in the same way."""
    identity = {
        "photos": [
            [plain, photo.name, *photo.size, *photo.stamp]
            for plain, photo in zip(found.plain_names, found.photos, strict=True)
        ],
        "recipe": asdict(replace(recipe, threads=0)),
    }
    if _state(work) != json.loads(json.dumps(identity)):
        for left in (work / _DATABASE, work / _STATE):
            left.unlink(missing_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        write_json(work / _STATE, identity)
    shutil.rmtree(work / _MODELS, ignore_errors=True)


def _state(folder: Path) -> dict[str, object] | None:
    try:
        return read_json(folder / _STATE)
    except UserError:
        return None


def _find_features(engine: Engine, database: Path, found: Photos, recipe: Recipe, progress: Progress) -> None:
    """Features of all pictures, those of one size as pictures of one camera."""
    known, done = engine.known(database), 0
    for size in dict.fromkeys(photo.size for photo in found.photos):
        names = sorted(photo.name for photo in found.photos if photo.size == size)
        for some in _chunks(names, FEATURES_AT_ONCE):
            new = [name for name in some if name not in known]
            if new:
                engine.features(database, found.folder, new, size, recipe)
            done += len(some)
            progress("features", done, len(found.photos))


def pairs_to_match(count: int, sequential: bool) -> list[tuple[int, int]]:
    """Pairs of numbers of pictures: all, or those that are 1, 2, 4, ... 512 apart."""
    if not sequential:
        return list(combinations(range(count), 2))
    return [(i, i + (1 << k)) for i in range(count) for k in range(OVERLAP) if i + (1 << k) < count]


def _match(
    engine: Engine, database: Path, found: Photos, options: CaptureOptions, recipe: Recipe, progress: Progress
) -> None:
    sequential = options.matching == "sequential"
    if options.matching == "auto":
        sequential = found.consecutive or len(found.photos) > MOST_EXHAUSTIVE
    known = engine.known(database)
    names = [name for name in found.names if name in known]
    pairs = [(names[a], names[b]) for a, b in pairs_to_match(len(names), sequential)]
    done = 0
    for some in _chunks(pairs, PAIRS_AT_ONCE):
        engine.match(database, some, recipe)
        done += len(some)
        progress("matches", done, len(pairs))


def _poses(engine: Engine, work: Path, found: Photos, recipe: Recipe, progress: Progress) -> Model | None:
    placed, total = 2, len(found.photos)

    def another() -> None:
        nonlocal placed
        placed = min(placed + 1, total)
        progress("poses", placed, total)

    return largest(engine.models(work / _DATABASE, found.folder, work / _MODELS, recipe, another))


def _renamed(model: Model | None, names: Mapping[str, str]) -> Model | None:
    return None if model is None else replace(model, names=tuple(names[name] for name in model.names))


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
