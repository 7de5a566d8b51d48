"""Structure from motion by COLMAP, through pycolmap: the few of its functions that are used, behind few of our own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.scenes.capture.models import Model

OLDEST = (4, 1, 1)  # before it, matching on a CPU was several times slower
UPSAMPLED_BELOW = 1200  # pixels of the longer side, below which features are sought in enlarged pictures
_EXTRA = "pip install 'nerf-mini[photos]'"
_OPENCV_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
# COLMAP's parameters after the focal lengths and the principal point, and how many focal lengths there are
_MODELS = {"SIMPLE_PINHOLE": (1, 0), "PINHOLE": (2, 0), "SIMPLE_RADIAL": (1, 1), "RADIAL": (1, 2), "OPENCV": (2, 4)}


@dataclass(frozen=True)
class Recipe:
    """How poses are sought.

    camera_model: COLMAP's name. max_size: pixels of the longer side, to which pictures are shrunk first. refine_center:
    whether principal points are found too, at the end. threads: 1 gives the same bits again.
    """

    camera_model: str
    max_size: int = 1600
    max_features: int = 4096
    refine_center: bool = False
    threads: int = 0
    seed: int = 0


class Engine(Protocol):
    """What is asked of structure from motion. The database is a file that may hold what an earlier call found. Names
    of pictures are plain: no spaces, no signs.
    """

    def features(
        self, database: Path, folder: Path, names: Sequence[str], size: tuple[int, int], recipe: Recipe
    ) -> None:
        """Find features in some pictures of one size, taken by one camera."""

    def known(self, database: Path) -> set[str]:
        """Names of the pictures in the database."""

    def match(self, database: Path, pairs: Sequence[tuple[str, str]], recipe: Recipe) -> None:
        """Match pairs of pictures."""

    def models(
        self, database: Path, folder: Path, work: Path, recipe: Recipe, another: Callable[[], None]
    ) -> list[Model]:
        """Find cameras and points; `another` is called after each picture."""


class Colmap:
    """The engine that is used."""

    def __init__(self) -> None:
        """Raises UserError where pycolmap is missing or too old."""
        try:
            import pycolmap
        except ImportError as error:
            raise UserError(f"capture needs pycolmap; install the extra: {_EXTRA}") from error
        version = tuple(int(part) for part in pycolmap.__version__.split(".")[:3] if part.isdigit())
        if version < OLDEST:
            needed = ".".join(map(str, OLDEST))
            raise UserError(f"pycolmap {pycolmap.__version__} is too old; {needed} is needed: {_EXTRA}")
        pycolmap.logging.minloglevel = 3
        self.colmap: Any = pycolmap

    def features(
        self, database: Path, folder: Path, names: Sequence[str], size: tuple[int, int], recipe: Recipe
    ) -> None:
        """See `Engine`."""
        colmap = self.colmap
        reading = colmap.ImageReaderOptions(camera_model=recipe.camera_model)
        camera = self._camera(database, size)
        if camera is not None:
            reading.existing_camera_id = camera
        extraction = colmap.FeatureExtractionOptions(num_threads=self._threads(recipe))
        extraction.max_image_size = recipe.max_size
        extraction.sift.max_num_features = recipe.max_features
        extraction.sift.first_octave = -1 if min(max(size), recipe.max_size) < UPSAMPLED_BELOW else 0
        colmap.set_random_seed(recipe.seed)
        colmap.extract_features(
            database, folder, image_names=list(names), camera_mode=colmap.CameraMode.SINGLE, reader_options=reading,
            extraction_options=extraction, device=colmap.Device.cpu,
        )  # fmt: skip

    def known(self, database: Path) -> set[str]:
        """See `Engine`."""
        if not database.exists():
            return set()
        with self.colmap.Database.open(database) as opened:
            return {image.name for image in opened.read_all_images() if opened.exists_keypoints(image.image_id)}

    def match(self, database: Path, pairs: Sequence[tuple[str, str]], recipe: Recipe) -> None:
        """See `Engine`."""
        colmap = self.colmap
        file = database.with_name("pairs.txt")
        file.write_text("".join(f"{a} {b}\n" for a, b in pairs), encoding="utf-8")
        verification = colmap.TwoViewGeometryOptions()
        verification.ransac.random_seed = recipe.seed
        colmap.set_random_seed(recipe.seed)
        colmap.match_image_pairs(
            database, matching_options=colmap.FeatureMatchingOptions(num_threads=self._threads(recipe)),
            pairing_options=colmap.ImportedPairingOptions(match_list_path=str(file)),
            verification_options=verification, device=colmap.Device.cpu,
        )  # fmt: skip
        file.unlink()

    def models(
        self, database: Path, folder: Path, work: Path, recipe: Recipe, another: Callable[[], None]
    ) -> list[Model]:
        """See `Engine`."""
        colmap = self.colmap
        options = colmap.IncrementalPipelineOptions(num_threads=self._threads(recipe), random_seed=recipe.seed)
        options.extract_colors = False
        colmap.set_random_seed(recipe.seed)
        work.mkdir(parents=True, exist_ok=True)
        found = colmap.incremental_mapping(database, folder, work, options=options, next_image_callback=another)
        if not found:
            return []
        best = max(found.values(), key=lambda model: model.num_reg_images())
        if recipe.refine_center:
            adjustment = colmap.BundleAdjustmentOptions()
            adjustment.refine_principal_point = True
            adjustment.print_summary = False
            with _hushed():  # it logs whatever the level is
                colmap.bundle_adjustment(best, adjustment)
            best.update_point_3d_errors()
        return [_model(reconstruction) for reconstruction in found.values()]

    def _camera(self, database: Path, size: tuple[int, int]) -> int | None:
        """The camera in the database that has pictures of a size."""
        if not database.exists():
            return None
        with self.colmap.Database.open(database) as opened:
            fitting = [c.camera_id for c in opened.read_all_cameras() if (c.width, c.height) == size]
        return fitting[0] if fitting else None

    @staticmethod
    def _threads(recipe: Recipe) -> int:
        return recipe.threads or os.cpu_count() or 1


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Without what compiled code writes to the standard error."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _model(found: Any) -> Model:
    """A pycolmap reconstruction as arrays, with OpenGL axes."""
    images = sorted((image for image in found.images.values() if image.has_pose), key=lambda image: image.name)
    numbers = {point: index for index, point in enumerate(found.points3D)}
    poses, point, image_of, place = [], [], [], []
    for view, image in enumerate(images):
        to_camera = np.eye(4)
        to_camera[:3] = image.cam_from_world().matrix()
        poses.append(np.linalg.inv(to_camera) @ _OPENCV_AXES)
        for feature in image.points2D:
            if feature.has_point3D() and feature.point3D_id in numbers:
                point.append(numbers[feature.point3D_id])
                image_of.append(view)
                place.append(feature.xy)
    positions = np.array([entry.xyz for entry in found.points3D.values()]).reshape(-1, 3)
    return Model(
        tuple(image.name for image in images),
        _cameras(np.array(poses).reshape(-1, 4, 4), [found.cameras[image.camera_id] for image in images]),
        positions, np.array(point, np.int64), np.array(image_of, np.int64), np.array(place).reshape(-1, 2),
        float(found.compute_mean_reprojection_error()) if len(positions) else 0.0,
    )  # fmt: skip


def _cameras(poses: np.ndarray, cameras: Sequence[Any]) -> Cameras:
    """COLMAP's cameras, those without a pinhole lens as radial-tangential ones."""
    focal, center, lens = [], [], np.zeros((len(cameras), 4))
    for view, camera in enumerate(cameras):
        focals, bent = _MODELS[camera.model.name]
        values = np.asarray(camera.params, np.float64)
        focal.append(np.broadcast_to(values[:focals], 2))
        center.append(values[focals : focals + 2])
        lens[view, :bent] = values[focals + 2 :]
    size = np.array([(camera.width, camera.height) for camera in cameras], np.int64)
    name = "radial-tangential" if lens.any() else "pinhole"
    parameters = lens if lens.any() else ()
    return Cameras.make(poses, size, np.array(focal), np.array(center), lens=name, lens_parameters=parameters)
