"""How much of a training's time pictures may take while nobody moves."""

from __future__ import annotations

import math

from nerf_mini.outputs.viewer.jobs import MOST_CLIENTS
from nerf_mini.outputs.viewer.requests import FrameRequest

SHARE = 0.06  # of all time that sharp frames may take; what else a page costs comes on top, see docs/viewer.md
SETTLING = 2.0  # seconds after a movement in which sharper frames come at once
SHARPER = 1.5  # times as many pixels as before
MOST_DEBT = 2.0  # seconds, however often somebody moved


class Allowance:
    """Time that sharp frames take from a training is a debt, which shrinks by a share of the time that passes.

    While there is any, no sharp frame is due, but for those that get sharper after a movement: they come at once, and
    are paid for like the others. Times are in seconds of one clock.
    """

    def __init__(self) -> None:
        self._debt, self._until, self._moved = 0.0, -math.inf, -math.inf
        self._pixels: dict[str, int] = {}  # of the sharpest frame since a client's last movement

    def is_due(self, request: FrameRequest, now: float) -> bool:
        """Whether a frame may be rendered now."""
        return not request.final or self._is_sharper(request, now) or self._left(now) <= 0

    def _is_sharper(self, request: FrameRequest, now: float) -> bool:
        before = self._pixels.get(request.client, 0)
        return now - self._moved < SETTLING and request.width * request.height >= SHARPER * before

    def _left(self, now: float) -> float:
        """The debt now."""
        return max(0.0, self._debt - SHARE * max(0.0, now - self._until))

    def moved(self, client: str, now: float) -> None:
        """A coarse frame was rendered, which a moving camera asks for."""
        self._moved = now
        self._pixels.pop(client, None)

    def rendered(self, request: FrameRequest, shown: bool, began: float, now: float) -> None:
        """A sharp frame was rendered from a time to another, or given up."""
        left = self._left(began)
        self._debt, self._until = min(left + (1.0 - SHARE) * (now - began), MOST_DEBT), now
        if shown:
            self._pixels[request.client] = request.width * request.height
            if len(self._pixels) > MOST_CLIENTS:
                del self._pixels[next(iter(self._pixels))]

    def wait(self, still: float, now: float) -> float:
        """For how long the next frame of a moving camera is waited for: it is at rest `still` seconds after one."""
        return max(0.0, self._moved + still - now)
