"""What a page is told without asking: how far a training is, and which state of the field frames show."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

MOST_POINTS = 400  # of the curve

Point = tuple[int, float, float]  # step, PSNR in dB, loss


@dataclass
class State:
    """One moment. `ready`: the kernels of pictures are compiled; `seconds` of training; PSNR in dB of recent steps."""

    step: int = 0
    revision: int = 0
    ready: bool = False
    training: bool = False
    paused: bool = False
    finished: bool = False
    saved_step: int | None = None
    seconds: float = 0.0
    loss: float | None = None
    psnr: float | None = None


class News:
    """The state, changed by one thread and read by others, and the curve so far, thinned as it grows."""

    def __init__(self, state: State, history: Iterable[Point] = ()):
        self._lock = threading.Lock()
        self._state = state
        self._history: list[Point] = []
        self._stride, self._seen = 1, 0
        for point in history:
            self._add(point)

    def update(self, point: Point | None = None, **changes: Any) -> None:
        """Change parts of the state, and add a point to the curve."""
        with self._lock:
            for name, value in changes.items():
                setattr(self._state, name, value)
            if point is not None:
                self._add(point)

    def replace_history(self, history: Iterable[Point]) -> None:
        """Begin the curve anew."""
        with self._lock:
            self._history, self._stride, self._seen = [], 1, 0
            for point in history:
                self._add(point)

    def _add(self, point: Point) -> None:
        if self._seen % self._stride == 0:
            self._history.append(point)
            if len(self._history) > MOST_POINTS:
                self._history = self._history[::2]
                self._stride *= 2
        self._seen += 1

    @property
    def state(self) -> State:
        """The state now."""
        with self._lock:
            return State(**asdict(self._state))

    def since(self, step: int) -> dict[str, Any]:
        """The state as plain values, with the points of the curve after a step under "history"."""
        with self._lock:
            return {**asdict(self._state), "history": [point for point in self._history if point[0] > step]}
