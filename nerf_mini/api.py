"""The Python interface: what `import nerf_mini` offers besides the data classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from nerf_mini.config import Config, from_preset, to_dict
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit_like, spiral_like
from nerf_mini.io.images import to_uint8
from nerf_mini.io.notebook_html import facts, picture
from nerf_mini.runs.evaluation import Evaluation, evaluate_views, spread_indices
from nerf_mini.runs.records import Fit, MultiScaleEvaluation
from nerf_mini.runs.scales import MIP_NERF, evaluate_scales
from nerf_mini.runs.session import load_trainer, save_trainer
from nerf_mini.scenes import Scene, SceneCameras
from nerf_mini.training import trainer as core

if TYPE_CHECKING:
    from nerf_mini.outputs.viewer.embedding import Viewing

PREVIEW = 200  # pixels of the longer side of a picture in a notebook


class Trainer(core.Trainer):
    """Trains a radiance field of a scene, one step at a time or to the end, and renders it at any moment.

    >>> scene = load_scene("data/shapes")  # doctest: +SKIP
    >>> trainer = Trainer(scene, preset="quick", max_steps=600)  # doctest: +SKIP
    >>> trainer.train()  # doctest: +SKIP
    'steps'
    >>> trainer.render(scene.splits["test"].cameras, view=3).color.shape  # doctest: +SKIP
    (100, 100, 3)
    """

    def __init__(self, scene: Scene, preset: str = "default", config: Config | None = None, **settings: Any):
        """A fresh start on the training views of a scene.

        Args:
            preset: one of `PRESETS`, which is the choice of a model too.
            config: a whole configuration, instead of a preset and settings.
            settings: settings over the preset, by name, such as max_steps=600, levels=12 or seed=1.

        Raises UserError for settings that do not exist or make no sense.
        """
        super().__init__(from_preset(preset, **settings) if config is None else config, scene.cameras, scene)

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration as nested plain values."""
        return to_dict(self.config)

    def evaluate(
        self, split: str = "test", max_views: int | None = None, report: Callable | None = None, fit: Fit = "none"
    ) -> Evaluation:
        """PSNR and SSIM on the views of a split, or on at most `max_views` of them, evenly spread.

        With `fit` "exposure" or "poses", that of each view is fitted on the left half of its picture, and the right
        half is scored. Raises UserError for a split that the scene does not have.
        """
        views = self.views_of(split)
        return evaluate_views(self, views, spread_indices(len(views), max_views), report, fit)

    def evaluate_scales(
        self,
        scales: Iterable[float | Fraction] = MIP_NERF,
        split: str = "test",
        max_views: int | None = None,
    ) -> MultiScaleEvaluation:
        """PSNR and SSIM of pictures of several sizes, against the pictures of a split shrunk to them, and their means.

        By default at full size, 1/2, 1/4 and 1/8. Raises UserError for scales above 1, which have no truth.
        """
        views = self.views_of(split)
        return evaluate_scales(self, views, spread_indices(len(views), max_views), scales)

    def _repr_html_(self) -> str:
        """What it is and, once it has been trained, what it shows from the first camera, for notebooks."""
        field = self.state.parameters["field"]
        count = sum(np.size(leaf) for leaf in tree.flatten(field)[0])
        about = {
            "trainer": self.config.method, "steps": self.step_count, "seconds": f"{self.state.seconds:.0f}",
            "parameters": f"{count:,}", "space": "box" if self.cameras.space is None else self.cameras.space.kind,
            "scene": "opened without its data" if self.scene is None else self.scene.name,
        }  # fmt: skip
        if self.step_count == 0:
            return facts(about)
        first = self.cameras.train[0]
        view = first.scaled(min(1.0, PREVIEW / float(first.size.max())))
        return facts(about) + picture(to_uint8(self.render(view).color), f"step {self.step_count}")

    def save(self, folder: Path | str) -> Path:
        """Write a run folder, or a new checkpoint into the one that `save` or `open_run` made of this trainer.

        The command line evaluates, renders and resumes it. Raises UserError if the folder holds anything else.
        """
        return save_trainer(self, Path(folder))


def open_run(folder: Path | str, data: Path | str | Scene | None = None) -> Trainer:
    """The trainer of a run folder, at its newest sound checkpoint.

    Rendering and queries need no data. Training on and evaluation read it from where it was, or from `data`: a path, or
    a scene made from arrays. Raises UserError if the folder is not a run, is damaged, or the data is not that of the
    run.
    """
    opened = load_trainer(Path(folder), Path(data) if isinstance(data, str) else data)
    trainer = object.__new__(Trainer)  # everything is there already: nothing is to be drawn anew
    trainer.__dict__.update(opened.__dict__)
    return trainer


def view(of: core.Trainer | Path | str, port: int = 0) -> Viewing:
    """A viewer of a trainer, as it is now, or of a run folder: a page that a notebook shows in the cell.

    It runs in a process of its own until its `close`, or until this process ends; `update(trainer)` shows what was
    learnt since. `port` is where to listen, 0: anywhere. Raises UserError where the folder is no run.
    """
    from nerf_mini.outputs.viewer.embedding import serve  # a server, only for those who want one

    return serve(of, port)


def _training_cameras(of: Scene | core.Trainer | SceneCameras | Cameras) -> Cameras:
    if isinstance(of, Cameras):
        return of
    return of.train if isinstance(of, SceneCameras) else of.cameras.train


def orbit(of: Scene | core.Trainer | SceneCameras | Cameras, views: int = 40) -> Cameras:
    """`views` cameras on a circle around what the training cameras look at, at their median distance and elevation."""
    cameras = _training_cameras(of)
    return cameras.at(orbit_like(cameras.poses, views))


def spiral(of: Scene | core.Trainer | SceneCameras | Cameras, views: int = 40) -> Cameras:
    """`views` cameras that wind around what the training cameras look at, within the range of their elevations."""
    cameras = _training_cameras(of)
    return cameras.at(spiral_like(cameras.poses, views))
