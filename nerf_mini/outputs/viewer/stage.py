"""From a request to an encoded frame, in the one thread that launches kernels."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.images import to_uint8
from nerf_mini.outputs.free_views import free_cameras
from nerf_mini.outputs.viewer.description import vertical_fields_of_view
from nerf_mini.outputs.viewer.jobs import MOST_CLIENTS, Frame
from nerf_mini.outputs.viewer.requests import LOSSLESS, FrameRequest
from nerf_mini.rendering.images import RenderedImage, render_pixels
from nerf_mini.rendering.shading import SHADINGS, DepthScale
from nerf_mini.training import Trainer

LEAST_TILE, TILE = 1 << 10, 1 << 14  # rays between two looks whether the frame is still wanted; smaller ones cost
SHARP_RAYS = 1 << 22  # of a sharp picture at most: a few seconds
TILE_SECONDS = 0.05  # that they should take, about: in a scene full of fog, or on a busy machine, fewer rays
SMOOTHING = 0.3  # how far the scale of depths goes towards that of the next frame while the camera moves
SAME_PLACE = 1e-6  # how much a pose may differ from a camera's and still be that camera


class Stage:
    """Renders what pages ask for of a trainer, which may be exchanged.

    Attributes:
        trainer: whose field is shown, as it is at the moment.
        revision: counts the trainers.
    """

    def __init__(self, trainer: Trainer):
        self.trainer, self.revision = trainer, 0
        self._scales: dict[str, DepthScale] = {}
        self._tile = TILE

    def exchange(self, trainer: Trainer) -> None:
        """Show another trainer of the same scene from now on."""
        self.trainer, self.revision = trainer, self.revision + 1

    def frame(self, request: FrameRequest, cancelled: Callable[[], bool] = lambda: False) -> Frame | None:
        """A frame; None where it was given up on the way. Raises UserError for what the scene does not allow."""
        started, trainer = time.perf_counter(), self.trainer
        cameras = self.cameras_of(request)
        affordable = self._affordable(request, cameras)
        supersampling = affordable if request.antialias else 1
        image = self._rendered(request, cameras, supersampling, cancelled)
        if image is None:
            return None
        picture = to_uint8(SHADINGS[request.shading](image, cameras, 0, self._scale(request, image)))
        rendered = time.perf_counter()
        data, content_type = encoded(picture, request.quality)
        render_ms, encode_ms = 1e3 * (rendered - started), 1e3 * (time.perf_counter() - rendered)
        aliased = affordable > supersampling
        return Frame(data, content_type, render_ms, encode_ms, trainer.step_count, self.revision, aliased)

    def cameras_of(self, request: FrameRequest) -> Cameras:
        """The camera of a request: one of the data set's, or one that stands anywhere."""
        size = np.array([[request.width, request.height]])
        if request.camera is not None:
            split, view = self._places()[request.camera]
            return _of_size(self.trainer.refined_cameras.splits[split][view], size)
        assert request.pose is not None
        same = self._standing_at(request)
        if same is not None:
            return same
        return free_cameras(self.trainer, request.pose, request.fov, (request.width, request.height))

    def _places(self) -> list[tuple[str, int]]:
        splits = self.trainer.cameras.splits
        return [(split, view) for split, cameras in splits.items() for view in range(len(cameras))]

    def _standing_at(self, request: FrameRequest) -> Cameras | None:
        """The camera of the data set that a request describes, if it does, to the last bit: what is seen from there is
        what evaluation sees."""
        for cameras in self.trainer.refined_cameras.splits.values():
            near = np.abs(cameras.poses - request.pose).max(axis=(1, 2)) < SAME_PLACE
            for view in np.flatnonzero(near & (np.abs(vertical_fields_of_view(cameras) - request.fov) < SAME_PLACE)):
                own = cameras[view]
                width, height = own.size[0].tolist()
                plain = own.lens[0] == "pinhole" and np.allclose(own.center, 0.5 * own.size)
                square = np.isclose(own.focal[0, 0], own.focal[0, 1])
                if plain and square and abs(request.width * height - request.height * width) < height:
                    return _of_size(own, np.array([[request.width, request.height]]))
        return None

    def _rendered(
        self, request: FrameRequest, cameras: Cameras, supersampling: int, cancelled: Callable[[], bool]
    ) -> RenderedImage | None:
        """The picture of a camera, tile by tile; None where it was given up."""
        trainer = self.trainer
        if request.crop is not None and not trainer.model.region.croppable:
            raise UserError("a scene that lies ahead of its cameras cannot be cropped.")
        background = trainer.cameras.background if request.background is None else request.background
        count, field = request.width * request.height, trainer.field
        values = np.empty((count, 5), np.float32)
        first = 0
        while first < count:
            if cancelled():
                return None
            began, tile = time.perf_counter(), max(1, self._tile // supersampling**2)
            pixels = np.arange(first, min(first + tile, count))
            values[pixels] = render_pixels(
                trainer.model, field, cameras, 0, pixels, background, request.crop, supersampling
            )
            first += len(pixels)
            self._adapt(len(pixels) == tile, time.perf_counter() - began)
        whole = values.reshape(request.height, request.width, 5)
        return RenderedImage(np.clip(whole[..., :3], 0, 1), whole[..., 3], whole[..., 4])

    def _affordable(self, request: FrameRequest, cameras: Cameras) -> int:
        """Rays along a side of a pixel that a picture needs, or as many as there is time for."""
        most = math.isqrt(SHARP_RAYS // (request.width * request.height))
        return min(self.trainer.supersampling(cameras), max(1, most))

    def _adapt(self, whole: bool, seconds: float) -> None:
        """Choose the size of the next tile by what one took, `whole` unless it is a frame's last; what it shows does
        not depend on that."""
        if seconds > 2.0 * TILE_SECONDS:
            self._tile = max(self._tile // 2, LEAST_TILE)
        elif seconds < 0.5 * TILE_SECONDS and whole:
            self._tile = min(2 * self._tile, TILE)

    def _scale(self, request: FrameRequest, image: RenderedImage) -> DepthScale:
        """The depths that colours stand for: in a moving picture they follow it slowly, or colours would flicker."""
        if request.shading != "depth":
            return DepthScale(0.0, 1.0)
        found = DepthScale.of(image, in_disparity=not self.trainer.model.region.bounded)
        before = self._scales.pop(request.client, None)
        if before is not None and not request.final:
            found = before.toward(found, SMOOTHING)
        self._scales[request.client] = found
        if len(self._scales) > MOST_CLIENTS:
            del self._scales[next(iter(self._scales))]
        return found


def _of_size(cameras: Cameras, size: np.ndarray) -> Cameras:
    """The same cameras with pictures of another size (1, 2)."""
    ratio = size / cameras.size
    return replace(cameras, size=size, focal=cameras.focal * ratio, center=cameras.center * ratio)


def encoded(picture: np.ndarray, quality: int) -> tuple[bytes, str]:
    """A picture (height, width, 3) uint8 as JPEG of some quality, or as PNG, with its content type."""
    from PIL import Image

    stream, image = BytesIO(), Image.fromarray(picture)
    if quality >= LOSSLESS:
        image.save(stream, "PNG", compress_level=1)
        return stream.getvalue(), "image/png"
    image.save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue(), "image/jpeg"
