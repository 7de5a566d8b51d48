"""The pictures of a data set, for the page: read when they are first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np

from nerf_mini.errors import UserError, reason_of
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.images import composite, to_uint8
from nerf_mini.scenes import Scene

THUMBNAIL, PHOTO = 96, 1024  # pixels of the longer side, at most
QUALITY = 92
PATIENCE = 20.0  # seconds to wait for the data set


class NotReadYet(Exception):
    """The data set is still being read."""


class Photos:
    """Pictures by the index of their camera, counted through all splits; no kernel is launched for them.

    Args:
        cameras: those of each split, in the order in which they are counted.
        background: behind what is transparent, (3,) in [0, 1].
        scene: the data set, or how to read it, which may raise UserError; None where there is none.
    """

    def __init__(
        self,
        cameras: Mapping[str, Cameras],
        background: tuple[float, float, float],
        scene: Scene | Callable[[], Scene] | None,
    ):
        self._places = [(split, view) for split, own in cameras.items() for view in range(len(own))]
        self._background = background
        self._scene = scene if isinstance(scene, Scene) else None
        self._read = None if isinstance(scene, Scene) else scene
        self._lock = threading.Lock()
        self._shrinking = threading.Lock()  # one picture at a time: some have a hundred megapixels
        self._reader: threading.Thread | None = None
        self._thumbnails: dict[int, bytes] = {}
        self.problem: str | None = None

    def __len__(self) -> int:
        """How many cameras there are."""
        return len(self._places)

    @property
    def exist(self) -> bool:
        """Whether there is a data set, as far as is known without reading it."""
        return self.problem is None and (self._scene is not None or self._read is not None)

    def thumbnail(self, index: int) -> bytes | None:
        """A small JPEG; None where there is none. Raises NotReadYet."""
        if index not in self._thumbnails:
            data = self.jpeg(index, THUMBNAIL)
            if data is None:
                return None
            self._thumbnails[index] = data
        return self._thumbnails[index]

    def photo(self, index: int) -> bytes | None:
        """A JPEG to look at; None where there is none. Raises NotReadYet."""
        return self.jpeg(index, PHOTO)

    def jpeg(self, index: int, longest: int) -> bytes | None:
        """A picture with at most n pixels on its longer side; None where there is none. Raises NotReadYet."""
        from PIL import Image

        scene = self._opened()
        if scene is None or not 0 <= index < len(self._places):
            return None
        split, view = self._places[index]
        views = scene.splits.get(split)
        if views is None or view >= len(views):
            return None
        with self._shrinking:
            small = Image.fromarray(views.image(view))
            small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        picture = Image.fromarray(to_uint8(composite(np.asarray(small), self._background)))
        stream = BytesIO()
        picture.save(stream, "JPEG", quality=QUALITY, subsampling=0)
        return stream.getvalue()

    def _opened(self) -> Scene | None:
        """The data set, read the first time. Raises NotReadYet where that takes long."""
        with self._lock:
            if self._reader is None and self._read is not None:
                self._reader = threading.Thread(target=self._load, args=(self._read,), daemon=True)
                self._reader.start()
        if self._reader is not None:
            self._reader.join(PATIENCE)
            if self._reader.is_alive():
                raise NotReadYet
        return self._scene

    def _load(self, read: Callable[[], Scene]) -> None:
        try:
            self._scene = read()
        except UserError as error:
            self.problem = str(error)
        except Exception as error:  # a thread that dies says nothing to anybody
            self.problem = f"the pictures cannot be read ({type(error).__name__}: {reason_of(error)})."
