"""How much memory training takes: a forecast, from sizes alone, before anything of these sizes is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nerf_mini.io.memory import require_memory
from nerf_mini.models import Model
from nerf_mini.scenes import Scene
from nerf_mini.training.calibration import Calibration
from nerf_mini.training.step import KEPT_BYTES

if TYPE_CHECKING:
    from nerf_mini.training.trainer import Trainer

PROCESS_BYTES, SAMPLE_BYTES = 220 << 20, 320  # measured, see `memory_to_train`


class _Shape:
    """An array of which nothing but the shape is asked."""

    def __init__(self, shape: Any):
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)

    def astype(self, dtype: Any) -> _Shape:
        """The same shape."""
        return self


class _Blank:
    """Stands in for a random generator where the shapes of what is drawn are all that matters.

    Tables and weights are drawn uniformly; whatever a field draws otherwise is really drawn.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(np.random.default_rng(0), name)

    def uniform(self, low: float, high: float, size: Any) -> _Shape:
        """Nothing drawn, and no memory taken."""
        return _Shape(size)


def parameter_shapes(model: Model) -> dict[str, Any]:
    """The shapes of a model's parameters, in their form; none of them is made."""
    return _shapes(model.init(_Blank()))  # type: ignore[arg-type]


def _shapes(parameters: Any) -> Any:
    if isinstance(parameters, Mapping):
        return {name: _shapes(member) for name, member in parameters.items()}
    return parameters.shape


def _count(shapes: Any) -> int:
    if isinstance(shapes, Mapping):
        return sum(map(_count, shapes.values()))
    return math.prod(shapes)


def memory_needed(trainer: Trainer) -> int:
    """About how many bytes the process of a trainer will take, see `memory_to_train`."""
    shards = trainer.config.training.shards
    return memory_to_train(trainer.model, trainer.calibration, trainer.scene, shards)


def memory_to_train(model: Model, calibration: Calibration, scene: Scene | None, shards: int = 1) -> int:
    """About how many bytes training will take.

    The interpreter and compiled kernels; the pictures; parameters, their gradient and Adam's two means, and where there
    are shards the sums of their gradients; what the sampler keeps, and its copy at the start; activations; and for each
    sample that is worked on at once its position, encoding, raw outputs, colour and their gradients.
    """
    splits = {} if scene is None else scene.splits
    pixels = sum(views.pixels.nbytes for views in splits.values())
    parameters = 4 * (_count(parameter_shapes(model)) + _count(calibration.shapes))
    kept = sum(array.nbytes for array in model.sampler.state.values())
    activations = model.bytes_kept()
    if model.bytes_per_ray():
        activations = min(KEPT_BYTES, activations)
    samples = SAMPLE_BYTES * model.samples_at_once() + activations
    vectors = 4 + (shards.bit_length() if shards > 1 else 0)  # a sum for each level of the tree
    return PROCESS_BYTES + pixels + vectors * parameters + 2 * kept + samples


def require_memory_to_train(model: Model, calibration: Calibration, scene: Scene | None, shards: int = 1) -> None:
    """Raise a UserError where training will not fit into the memory of this machine, where that is known."""
    remedy = (
        "Choose smaller pictures (--downscale), or less of what makes a model large, such as --log2-entries, --levels,"
        " --width or --samples-per-step."
    )
    require_memory("training needs", memory_to_train(model, calibration, scene, shards), remedy)
