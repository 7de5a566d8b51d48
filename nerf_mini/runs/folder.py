"""A run is a folder: configuration, cameras, metrics, checkpoints and pictures, and nothing outside it but the
data set.

config.json      the configuration, and where the data set is
cameras.json     cameras of the data set and bounds of its rays: enough to render without the data set
metrics.jsonl    one line of JSON per entry, in the order of steps
checkpoints/     step-NNNNNNN.npz
renders/, eval/  what was made of the run
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini import __version__
from nerf_mini.runs.checkpoint import Checkpoint, load_latest, save
from nerf_mini.config import Config, from_dict, to_dict
from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Intrinsics
from nerf_mini.io.files import append_line, read_json, to_json, undone_on_failure, write_atomically, write_json
from nerf_mini.models import Method, make_method
from nerf_mini.scenes import Scene, load_scene
from nerf_mini.training.optimiser import adam_init


@dataclass(frozen=True)
class SceneCameras:
    """What a renderer needs of a data set: intrinsics, poses by split (views, 4, 4), ray bounds and background."""

    intrinsics: Intrinsics
    poses: dict[str, np.ndarray]
    near: float
    far: float
    background: str


@dataclass(frozen=True)
class Run:
    """An opened run folder."""

    path: Path
    config: Config
    data: Path
    cameras: SceneCameras

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def renders(self) -> Path:
        return self.path / "renders"

    def method(self, checkpoint: Checkpoint | None = None) -> Method:
        """The method of this run, in the state that a checkpoint holds."""
        c = self.cameras
        method = make_method(self.config, c.near, c.far, c.poses["train"], c.intrinsics)
        if checkpoint is not None:
            method.restore(checkpoint.method)
        return method

    def fresh(self) -> Checkpoint:
        """The state before the first step."""
        rng = np.random.default_rng(self.config.seed)
        method = self.method()
        parameters = method.init(rng)
        return Checkpoint(parameters, adam_init(parameters), rng, 0.0, method.state)

    def latest(self) -> tuple[Checkpoint, list[str]]:
        """The newest readable checkpoint, and warnings about unreadable ones."""
        method = self.method()
        return load_latest(self.checkpoints, method.init(np.random.default_rng(0)), method.state)

    def scene(self, splits: tuple[str, ...], data: Path | None = None) -> Scene:
        """The data set, from where it was when training began, or from `data`. Raises UserError for another one."""
        where = data or self.data
        if not where.exists():
            raise UserError(f"{where}: the data set of this run is not there any more; say where it is with --data.")
        scene = read_scene(where, self.config, splits)
        if "train" in scene.splits and not np.array_equal(scene.splits["train"].poses, self.cameras.poses["train"]):
            raise UserError(
                f"{where}: is another data set than {self.path} was trained on; its training cameras differ."
            )
        return scene


def read_scene(data: Path, config: Config, splits: tuple[str, ...] = ("train", "val", "test")) -> Scene:
    """The data set as the configuration wants it."""
    options = config.scene
    return load_scene(data, downscale=options.downscale, splits=splits, near=options.near, far=options.far)


def create_run(path: Path, config: Config, scene: Scene) -> Run:
    """A new run folder, with the checkpoint of step 0. Raises UserError if the folder holds anything already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(
            f"{path}: holds another run, or other files. Continue it with --resume, or choose another --output."
        )
    background = scene.background if config.scene.background == "auto" else config.scene.background
    poses = {split: views.poses for split, views in scene.splits.items()}
    cameras = SceneCameras(scene.splits["train"].intrinsics, poses, scene.near, scene.far, background)
    run = Run(path, config, scene.path.resolve(), cameras)
    with undone_on_failure(path):
        write_json(path / "cameras.json", _cameras_to_dict(cameras))
        save(run.checkpoints, run.fresh())
        # written last: a folder with a config.json is a whole run
        write_json(path / "config.json", {"version": __version__, "data": str(run.data), "config": to_dict(config)})
    return run


def open_run(path: Path) -> Run:
    """Open an existing run folder. Raises UserError if it is none."""
    if not (path / "config.json").is_file():
        raise UserError(f"{path}: is no run folder; it has no config.json. `nerf-mini train` makes one.")
    saved = read_json(path / "config.json")
    missing = [key for key in ("config", "data") if not isinstance(saved, dict) or key not in saved]
    if missing:
        raise UserError(f"{path / 'config.json'}: lacks the key {missing[0]!r}.")
    config = from_dict(saved["config"], str(path / "config.json"))
    return Run(path, config, Path(saved["data"]), _cameras_from_file(path / "cameras.json"))


def append_metrics(path: Path, entry: dict[str, Any]) -> None:
    """Add one line of JSON."""
    append_line(path, to_json(entry))


def truncate_metrics(path: Path, step: int) -> None:
    """Drop the lines of steps after `step`, and a last line that was cut off: a resumed training writes them again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):
            continue
    write_atomically(path, lambda file: file.write("".join(kept).encode()))


def _cameras_to_dict(cameras: SceneCameras) -> dict[str, Any]:
    return {
        "intrinsics": asdict(cameras.intrinsics),
        "near": cameras.near,
        "far": cameras.far,
        "background": cameras.background,
        "poses": {split: poses.tolist() for split, poses in cameras.poses.items()},
    }


def _cameras_from_file(path: Path) -> SceneCameras:
    saved = read_json(path)
    try:
        poses = {split: np.array(values, np.float64) for split, values in saved["poses"].items()}
        intrinsics = Intrinsics(**saved["intrinsics"])
        return SceneCameras(intrinsics, poses, saved["near"], saved["far"], saved["background"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is damaged or was written by another version ({error}).") from error
