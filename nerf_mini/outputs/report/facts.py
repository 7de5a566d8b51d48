"""What is reported of a run: plain values, gathered from its folder and its trainer, as report.json holds them."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.config import PRESETS
from nerf_mini.config.repeating import OF_EVERY_RUN, Change, changes, nearest_preset, options
from nerf_mini.config.settings import setting_values
from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.files import real_path
from nerf_mini.outputs.report.fingerprint import fingerprint_of
from nerf_mini.outputs.report.machine import Machine
from nerf_mini.runs.evaluation import evaluation_file, read_evaluation
from nerf_mini.runs.folder import Run
from nerf_mini.runs.records import Evaluation, Fit
from nerf_mini.runs.sealing import read_sealed, write_sealed
from nerf_mini.training import Trainer

FORMAT = 1
_FITS: tuple[Fit, ...] = ("exposure", "poses")


@dataclass(frozen=True)
class SplitFacts:
    """How many views a split has, and their sizes: the least and the largest width and height, in pixels."""

    views: int
    width: tuple[int, int]
    height: tuple[int, int]

    @classmethod
    def of(cls, cameras: Cameras) -> SplitFacts:
        """Those of some cameras."""
        low, high = np.min(cameras.size, axis=0).tolist(), np.max(cameras.size, axis=0).tolist()
        return cls(len(cameras), (low[0], high[0]), (low[1], high[1]))


@dataclass(frozen=True)
class FittedScore:
    """PSNR (dB) of test views after their exposures or poses were fitted, which `nerf-mini eval --fit-test` wrote."""

    fit: Fit
    psnr: float
    views: int


@dataclass(frozen=True)
class Facts:
    """What is said of a run. Times are in seconds, PSNR in dB.

    Attributes:
        name: of the run folder.
        data: of the data set's folder; None where it was made from arrays.
        preset: the one nearest to the configuration.
        changed: the settings that differ from it.
        settings: all of them, by name.
        step, planned_steps: those taken, and those there are to be; None for a run bound by time.
        seconds: of training, compilation included.
        scores: of test views; None where nothing was scored.
        fitted: scores after a fit, of the same step.
        test_views: how many there are.
        behind: the colour that test views are composited on; None where they are opaque, or not at hand.
        splits: the views of each split.
        space: what the scene fills.
        parameters: how many values were learnt.
        fingerprint: the same for runs that are the same to the bit.
        command: what repeats the run, where its data is at hand; None where that was made from arrays.
        trained_on: None where the report was not made when the run ended.
        made_on: where the report was made, and the seconds per view were measured.
    """

    name: str
    data: str | None
    method: str
    preset: str
    changed: tuple[Change, ...]
    settings: dict[str, Any]
    step: int
    planned_steps: int | None
    seconds: float
    scores: Evaluation | None
    fitted: tuple[FittedScore, ...]
    test_views: int
    behind: tuple[float, ...] | None
    splits: dict[str, SplitFacts]
    space: str
    parameters: int
    fingerprint: str
    command: str | None
    trained_on: Machine | None
    made_on: Machine

    @property
    def psnr(self) -> float | None:
        """The mean over views of each view's PSNR."""
        return None if self.scores is None else self.scores.psnr

    @property
    def ssim(self) -> float | None:
        """The mean over views of each view's SSIM."""
        return None if self.scores is None or math.isnan(self.scores.ssim) else self.scores.ssim

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = {**asdict(self), "scores": None if self.scores is None else self.scores.to_json()}
        return {"format": FORMAT, "psnr": self.psnr, "ssim": self.ssim, **plain}


def gather(run: Run, trainer: Trainer, scores: Evaluation | None, just_trained: bool) -> Facts:
    """The facts of a run whose trainer is at some step.

    Args:
        just_trained: by this process, and so on this machine.
    """
    config, state = trainer.config, trainer.state
    preset, here = nearest_preset(config), Machine.here()
    mark = fingerprint_of(config, trainer.cameras, state)
    splits = {split: SplitFacts.of(cameras) for split, cameras in trainer.cameras.splits.items()}
    space = trainer.cameras.space
    return Facts(
        name=run_name(run.path), data=None if run.data is None else run.data.name, method=config.method, preset=preset,
        changed=changed_settings(trainer, preset), settings=setting_values(config), step=state.step,
        planned_steps=config.training.max_steps, seconds=state.seconds, scores=scores,
        fitted=fitted_scores(run, state.step), test_views=splits["test"].views if "test" in splits else 0,
        behind=_behind(trainer), splits=splits, space="box" if space is None else space.kind,
        parameters=_count(state.parameters), fingerprint=mark, command=command(run, trainer, preset),
        trained_on=here if just_trained else _machine_of(run.path / "report.json", mark), made_on=here,
    )  # fmt: skip


def _behind(trainer: Trainer) -> tuple[float, ...] | None:
    views = None if trainer.scene is None else trainer.scene.splits.get("test")
    return trainer.cameras.background if views is not None and views.has_alpha else None


def run_name(path: Path) -> str:
    """The name of a run folder, also of "." and of what ends in ".."."""
    return real_path(path).name or str(path)


def changed_settings(trainer: Trainer, preset: str) -> tuple[Change, ...]:
    """The settings that differ from those of a preset, but for the steps and the precision that a run takes."""
    found = changes(trainer.config, PRESETS[preset].config)
    return tuple(change for change in found if change.name == "seed" or change.name not in OF_EVERY_RUN)


def command(run: Run, trainer: Trainer, preset: str) -> str | None:
    """The command line that repeats a run beside it; None where its data is not on the disk.

    A run bound by time is repeated by its time: it ends at another step.
    """
    if run.data is None:
        return None
    words = ["nerf-mini", "train", _handed_on(run.data), *options(trainer.config, preset)]
    if trainer.config.training.max_steps is None:
        words += ["--max-seconds", str(math.ceil(trainer.state.seconds))]
    if "--seed" not in words:
        words += ["--seed", str(trainer.config.seed)]
    return shlex.join([*words, "--output", f"{_handed_on(run.path)}-again"])


def _handed_on(path: Path) -> str:
    """A path for others: from the current folder if it lies in there, else its name. Where this machine keeps it is
    nobody's business."""
    path = real_path(path)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name


def _count(parameters: Any) -> int:
    if isinstance(parameters, dict):
        return sum(map(_count, parameters.values()))
    return int(np.size(parameters))


def fitted_scores(run: Run, step: int) -> tuple[FittedScore, ...]:
    """What `nerf-mini eval --fit-test` wrote of test views at this step; what cannot be read does not count."""
    found = []
    for fit in _FITS:
        try:
            scores = read_evaluation(evaluation_file(run, "test", fit))
        except UserError:
            continue
        if scores.step == step:
            found.append(FittedScore(fit, scores.psnr, len(scores.views)))
    return tuple(found)


def _machine_of(file: Path, mark: str) -> Machine | None:
    """Where a run was trained, from the report that was made when it ended, if it is of the same fingerprint."""
    if not file.is_file():
        return None
    try:
        saved = read_sealed(file)
        if saved.get("fingerprint") != mark or not isinstance(saved.get("trained_on"), dict):
            return None
        found = Machine(**saved["trained_on"])
    except (UserError, TypeError):
        return None
    kinds = {"threads": int, "bfloat16": bool}
    return found if all(type(v) is kinds.get(k, str) for k, v in asdict(found).items()) else None


def write_facts(facts: Facts, path: Path, **more: Any) -> None:
    """report.json, with what else is to be said."""
    write_sealed(path, {**facts.to_json(), **more})


__all__ = ["Facts", "FittedScore", "SplitFacts", "gather", "run_name", "write_facts"]
