"""Train a radiance field from photographs and look at it, on any laptop: pure Python on NumPy and Numba.

>>> import nerf_mini as nm
>>> scene = nm.load_scene("data/shapes")  # or nm.scene_from_arrays(images, poses, focal, near=2, far=6)
>>> trainer = nm.Trainer(scene, preset="quick", max_steps=600)  # doctest: +SKIP
>>> trainer.train(max_seconds=60)  # doctest: +SKIP
'steps'
>>> image = trainer.render(nm.orbit(scene, views=40)[0])  # doctest: +SKIP
>>> trainer.save("runs/shapes")  # doctest: +SKIP

`docs/python.md` shows the rest. Names are imported when they are first used: importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from nerf_mini.api import Trainer, open_run, orbit, spiral, view
    from nerf_mini.config import PRESETS, Config, from_preset
    from nerf_mini.errors import UserError
    from nerf_mini.geometry.cameras import Cameras
    from nerf_mini.geometry.poses import look_at
    from nerf_mini.rendering.metrics import psnr, ssim
    from nerf_mini.scenes import Scene, load_scene, scene_from_arrays

_HOME = {
    "PRESETS": "nerf_mini.config",
    "Cameras": "nerf_mini.geometry.cameras",
    "Config": "nerf_mini.config",
    "Scene": "nerf_mini.scenes",
    "Trainer": "nerf_mini.api",
    "UserError": "nerf_mini.errors",
    "from_preset": "nerf_mini.config",
    "load_scene": "nerf_mini.scenes",
    "look_at": "nerf_mini.geometry.poses",
    "open_run": "nerf_mini.api",
    "orbit": "nerf_mini.api",
    "psnr": "nerf_mini.rendering.metrics",
    "scene_from_arrays": "nerf_mini.scenes",
    "spiral": "nerf_mini.api",
    "ssim": "nerf_mini.rendering.metrics",
    "view": "nerf_mini.api",
}

__all__ = [
    "PRESETS",
    "Cameras",
    "Config",
    "Scene",
    "Trainer",
    "UserError",
    "__version__",
    "from_preset",
    "load_scene",
    "look_at",
    "open_run",
    "orbit",
    "psnr",
    "scene_from_arrays",
    "spiral",
    "ssim",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
