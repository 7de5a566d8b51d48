"""A run is a folder: configuration, cameras, metrics, checkpoints and pictures, and nothing outside it but the
data set.

config.json      the configuration, and where the data set is
cameras.json     cameras of the data set and bounds of its rays: enough to render without the data set
pictures.json    digits of its pictures, by which changed ones are known
metrics.jsonl    one line of JSON per entry, in the order of steps
checkpoints/     step-NNNNNNN.npz
training.lock    while it is trained: by whom; see `runs.lock`
renders/, eval/  what was made of the run

The first three and checkpoints have a checksum each, and older formats of them are read too; see `runs.formats`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerf_mini.config import Config, from_dict, to_dict
from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.space import World
from nerf_mini.io.files import (
    append_line,
    is_temporary,
    remove_leftovers,
    require_no_way_out,
    undone_on_failure,
    write_atomically,
)
from nerf_mini.runs import cameras as cameras_file
from nerf_mini.runs.checkpoint import save, step_of
from nerf_mini.runs.formats import read_upgraded, stamp
from nerf_mini.runs.history import line_of, said_in
from nerf_mini.runs.lock import LOCK, STOP
from nerf_mini.runs.pictures import FILE as PICTURES
from nerf_mini.runs.pictures import write_pictures
from nerf_mini.runs.records import MetricsEntry
from nerf_mini.runs.sealing import write_sealed
from nerf_mini.scenes import SPLITS, Scene, SceneCameras, Views, load_scene
from nerf_mini.training.state import TrainingState


@dataclass(frozen=True)
class Run:
    """A run folder, and nothing of it in memory but what its two JSON files say.

    Attributes:
        path: the folder.
        config: the configuration, whose precision is resolved.
        data: where the data set was; None where it was made from arrays.
        cameras: those of the data set, and the colour behind it.
    """

    path: Path
    config: Config
    data: Path | None
    cameras: SceneCameras

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """The file of metrics."""
        return self.path / "metrics.jsonl"

    @property
    def renders(self) -> Path:
        """The folder of pictures."""
        return self.path / "renders"

    @property
    def evaluations(self) -> Path:
        """The folder of evaluations."""
        return self.path / "eval"

    def read_scene(self, splits: Sequence[str] = SPLITS, data: Path | None = None) -> Scene:
        """The data set, from where it was when the run began, or from `data`. Raises UserError for another one."""
        where = data or self.data
        if where is None:
            raise UserError(f"{self.path}: its data was made from arrays and is not on the disk; say where it is.")
        if not where.exists():
            raise UserError(f"{where}: the data set of this run is not there any more; say where it is with --data.")
        cameras = self.cameras
        world = None if cameras.space is None else World(cameras.space, cameras.to_capture)
        scene = read_scene(where, self.config, splits, world)
        self.require_same(scene)
        return scene

    def read_split(self, split: str, data: Path | None = None) -> tuple[Scene, Views]:
        """The data set with a split and the training views, and that split. Raises UserError where it has none, and as
        `read_scene`."""
        scene = self.read_scene((split,) if split == "train" else ("train", split), data)
        if split not in scene.splits:
            raise UserError(f"{scene.path}: has no split {split!r}; it has {', '.join(scene.splits)}.")
        return scene, scene.splits[split]

    def require_same(self, scene: Scene) -> None:
        """Raise a UserError for a data set that is not the run's."""
        views = scene.splits.get("train")
        if views is not None and not same_cameras(views.cameras, self.cameras.train):
            raise UserError(
                f"{scene.path or scene.name}: is another data set than {self.path} was trained on; its training cameras"
                " differ."
            )


def same_cameras(first: Cameras, second: Cameras) -> bool:
    """Whether two sets of cameras stand in the same places, but for the rounding of files in single precision."""
    a, b = first.poses, second.poses
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-5)


def read_scene(data: Path, config: Config, splits: Sequence[str] = SPLITS, world: World | None = None) -> Scene:
    """The data set as the configuration wants it; a capture in the world of a run that there is, so that runs outlive
    changes in how captures are settled."""
    options = config.scene
    return load_scene(
        data,
        downscale=options.downscale,
        splits=splits,
        near=options.near,
        far=options.far,
        test_every=options.test_every,
        space=None if options.space == "auto" else options.space,
        world=world,
    )


def unfinished_start(path: Path) -> bool:
    """Whether a folder holds nothing but what a training leaves that was killed before its first step."""
    if not path.is_dir() or (path / "config.json").exists():
        return False
    inside = [content for content in path.iterdir() if content.name not in _OF_LOCK]
    checkpoints = [file for file in (path / "checkpoints").glob("*") if not is_temporary(file.name)]
    first = all(step_of(file) == 0 for file in checkpoints)
    begun = bool(inside) or (path / LOCK).exists()
    return begun and first and all(c.name in _OF_START or is_temporary(c.name) for c in inside)


_OF_LOCK, _OF_START = (LOCK, STOP), ("cameras.json", PICTURES, "checkpoints")


def require_free(path: Path) -> None:
    """Raise a UserError if a folder for a new run holds anything already, other than an unfinished start."""
    if path.exists() and (not path.is_dir() or any(content.name not in _OF_LOCK for content in path.iterdir())):
        if unfinished_start(path):
            return
        raise UserError(
            f"{path}: holds another run, or other files. Continue it with --resume, or choose another --output."
        )


def create_run(run: Run, state: TrainingState, scene: Scene | None = None) -> None:
    """Make the folder of a new run on a scene, with its first checkpoint; if that fails, nothing is left behind.

    Raises UserError if the folder holds anything already, or cannot be written to.
    """
    require_free(run.path)
    if unfinished_start(run.path):
        for left in [content for content in run.path.iterdir() if content.name not in _OF_LOCK]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    with undone_on_failure(run.path, _OF_LOCK):
        write_sealed(run.path / "cameras.json", {**stamp("cameras"), **cameras_file.to_json(run.cameras)})
        if scene is not None:
            write_pictures(run.path, scene)
        save(run.checkpoints, state)
        write_config(run)  # last: a folder with a config.json is a whole run


def write_config(run: Run) -> None:
    """Write config.json."""
    data = None if run.data is None else str(run.data)
    write_sealed(run.path / "config.json", {**stamp("config"), "data": data, "config": to_dict(run.config)})


def open_run(path: Path) -> Run:
    """Open an existing run folder. Raises UserError if it is not one, or if its files are not what they should be."""
    file = path / "config.json"
    if unfinished_start(path):
        raise UserError(
            f"{path}: a training was ended here before its first step, and nothing is lost: start it again with the"
            " same command, without --resume."
        )
    if not file.is_file():
        raise UserError(f"{path}: is not a run folder; it has no config.json. `nerf-mini train` makes one.")
    require_no_way_out(path)
    saved = read_upgraded("config", file)
    for key in ("config", "data"):
        if key not in saved:
            raise UserError(f"{file}: lacks the key {key!r}.")
    data = saved["data"]
    if data is not None and not isinstance(data, str):
        raise UserError(f"{file}: 'data' is {quoted(data)}; it must be a path, or null.")
    config = from_dict(saved["config"], str(file))
    file = path / "cameras.json"
    cameras = cameras_file.from_json(read_upgraded("cameras", file), str(file))
    return Run(path, config, None if data is None else Path(data), cameras)


def append_metrics(path: Path, entry: MetricsEntry) -> None:
    """Add a line to metrics.jsonl."""
    append_line(path, line_of(entry))


def truncate_metrics(path: Path, step: int) -> None:
    """Drop the lines of steps after `step`, which a resumed run writes again, lines that are damaged, and repeated
    ones: of the same step and kind, the last stays. Raises UserError for a file that cannot be read, or written."""
    try:
        lines = path.read_bytes().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from error
    kept: dict[tuple[int, bool], str] = {}
    for line in lines:
        found = said_in(line)
        if found is not None and type(found.get("step")) is int and found["step"] <= step:
            kept[found["step"], "validation_psnr" in found] = line + "\n"
    write_atomically(path, lambda file: file.write("".join(kept.values()).encode()))


def remove_temporary_files(run: Run) -> None:
    """Remove what trainings of a run that were killed have left of files they wrote; for who holds its lock.

    What other processes may be writing, such as pictures, goes when it is old.
    """
    for folder in (run.path, *(path for path in run.path.rglob("*") if path.is_dir() and not path.is_symlink())):
        remove_leftovers(folder)
    for folder in (run.checkpoints, run.renders / "validation"):
        remove_leftovers(folder, age=0.0)
    for name in ("config.json", "cameras.json", PICTURES, run.metrics.name, "report.html", "report.json"):
        remove_leftovers(run.path, age=0.0, of=name)
