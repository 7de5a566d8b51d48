"""nerf-mini as a method of nerfbaselines, which finds it by our entry point once both are installed.

`Adapter` implements the protocol `Method` of nerfbaselines 1.2. Its cameras have OpenCV's axes, ours have OpenGL's.
"""

from typing import Any

import numpy as np

import nerf_mini as nm

INFO: dict[str, Any] = {
    "required_features": frozenset({"color"}),
    "supported_camera_models": frozenset({"pinhole"}),
    "supported_outputs": ("color", "depth", "accumulation"),
}


def _cameras(theirs: Any, near: float = 2.0, far: float = 6.0) -> nm.Cameras:
    """Our cameras; near and far are for data sets without bounds."""
    poses = np.tile(np.eye(4), (len(theirs.poses), 1, 1))
    poses[:, :3] = theirs.poses[:, :3] * [1, -1, -1, 1]
    bounds = np.array([[near, far]]) if theirs.nears_fars is None else theirs.nears_fars
    fx_fy, cx_cy = theirs.intrinsics[:, :2], theirs.intrinsics[:, 2:]
    return nm.Cameras.make(poses, theirs.image_sizes, fx_fy, cx_cy, bounds[:, 0], bounds[:, 1])


class Adapter:
    """A nerf-mini trainer, driven by nerfbaselines."""

    def __init__(self, *, checkpoint: str | None = None, train_dataset: Any = None, config_overrides: Any = None):
        scene: Any = None
        if train_dataset is not None:
            c, color = _cameras(train_dataset["cameras"]), train_dataset["metadata"].get("background_color")
            arrays = train_dataset["images"], c.poses, c.focal
            behind = np.ones(3) if color is None else color / 255
            scene = nm.scene_from_arrays(*arrays, center=c.center, near=c.near, far=c.far, background=behind)
        self.trainer = nm.open_run(checkpoint, scene) if checkpoint else nm.Trainer(scene, **(config_overrides or {}))
        self.loaded = {"loaded_checkpoint": checkpoint, "loaded_step": self.trainer.step_count if checkpoint else None}

    @classmethod
    def get_method_info(cls) -> dict[str, Any]:
        return {"method_id": "nerf-mini", **INFO}

    def get_info(self) -> dict[str, Any]:
        steps = self.trainer.config.training.max_steps
        return {**self.get_method_info(), **self.loaded, "num_iterations": steps, "hparams": self.trainer.settings}

    def train_iteration(self, step: int) -> dict[str, float]:
        report = self.trainer.step()
        return {"loss": report.loss, "psnr": report.psnr, "num_rays": report.rays}

    def render(self, camera: Any, *, options: Any = None) -> dict[str, np.ndarray]:
        train = self.trainer.cameras.train
        image = self.trainer.render(_cameras(camera[None], train.near[0], train.far[0]))
        color = (image.color * 255 + 0.5).astype(np.uint8)  # rounded; they would truncate
        return {"color": color, "depth": image.depth, "accumulation": image.opacity}

    def save(self, path: str) -> None:
        self.trainer.save(path)
