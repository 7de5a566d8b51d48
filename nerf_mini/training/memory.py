"""How much memory training takes: a forecast, from sizes alone."""

from __future__ import annotations

from autodiff import tree
from nerf_mini.training.step import KEPT_BYTES
from nerf_mini.training.trainer import Trainer

PROCESS_BYTES, SAMPLE_BYTES = 220 << 20, 320  # measured, see `memory_needed`


def memory_needed(trainer: Trainer) -> int:
    """About how many bytes the process will take.

    The interpreter and compiled kernels; the pictures; parameters, their gradient and Adam's two means; what the
    sampler keeps, and its copy at the start; activations; and for each sample that is worked on at once its position,
    encoding, raw outputs, colour and their gradients.
    """
    splits = {} if trainer.scene is None else trainer.scene.splits
    pixels = sum(views.pixels.nbytes for views in splits.values())
    parameters = sum(leaf.nbytes for leaf in tree.flatten(trainer.state.parameters)[0])
    kept = sum(array.nbytes for array in trainer.model.sampler.state.values())
    activations = trainer.model.bytes_kept()
    if trainer.model.bytes_per_ray():
        activations = min(KEPT_BYTES, activations)
    samples = SAMPLE_BYTES * trainer.model.samples_at_once() + activations
    return PROCESS_BYTES + pixels + 4 * parameters + 2 * kept + samples
