"""What the training loop, evaluation and rendering ask of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import numpy as np

from nerf_mini.rendering.volume import Rendering
from nerf_mini.scenes.batches import RayBatch


class Method(ABC):
    """A way to train and to render a radiance field.

    The answers given here are those of a method that keeps nothing besides its parameters.
    """

    lazy: Collection[str] = ()  # members of the parameters of which a step touches a part only
    rays_at_once: int = 1 << 12  # of a picture: enough for kernels at full speed, in bounded memory

    @abstractmethod
    def init(self, rng: np.random.Generator) -> Any:
        """Fresh parameters: nested dicts of arrays."""

    @abstractmethod
    def rays_of_step(self) -> int:
        """How many rays to draw for the next step."""

    @abstractmethod
    def samples_at_once(self) -> int:
        """About how many samples a training step or a picture works on together, for a forecast of memory."""

    @abstractmethod
    def bytes_kept(self) -> int:
        """About how much a training step keeps between its forward and its backward pass, for a forecast of memory."""

    @abstractmethod
    def loss_and_gradient(
        self, parameters: Any, batch: RayBatch, rng: np.random.Generator
    ) -> tuple[dict[str, float], Any]:
        """The loss of a batch, its parts, and the gradient in the form of the parameters.

        The parts are `loss`; `fine_loss`, the mean squared error of the picture; and `spread`, how much rays differ.
        """

    @abstractmethod
    def view(self, parameters: Any, origins: np.ndarray, directions: np.ndarray, background: np.ndarray) -> Rendering:
        """What rays (rays, 3) see, the same every time. The weights of the samples may be left out."""

    @property
    def state(self) -> dict[str, np.ndarray]:
        """What besides the parameters a training needs to go on; goes into checkpoints."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over the numbers of a `state`."""
        for name, array in self.state.items():
            array[...] = state[name]

    def before_step(self, parameters: Any, step: int, rng: np.random.Generator) -> None:  # noqa: B027 (may do nothing)
        """Called before the rays of a step are drawn; `step` counts from 0."""

    def background_of_step(self, background: str, has_alpha: bool) -> str:
        """What to put behind the pictures in training; `background` is what they are shown on."""
        return background
