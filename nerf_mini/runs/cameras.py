"""cameras.json: the cameras of a run's data set, enough to render without it."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.cameras import LENS_PARAMETERS, Cameras
from nerf_mini.geometry.lenses import LENSES
from nerf_mini.geometry.space import SPACES, Space
from nerf_mini.scenes import SPLITS, SceneCameras
from nerf_mini.scenes.readers.base import checked_pose

LARGEST_SCALE = 1e15  # of a scene in its capture, and its inverse
FARTHEST = 1e15  # scene units: what lies beyond was never measured, and its square is too much for single precision
LARGEST_SIDE, FARTHEST_CENTER = 1 << 20, 1e9  # pixels
FOCAL_LIMITS = 1e-6, 1e12  # pixels
LARGEST_PARAMETER = 1e9  # of a lens
_KEYS = ("poses", "focal", "center", "size", "near", "far", "lens", "lens_parameters")


def to_json(cameras: SceneCameras) -> dict[str, Any]:
    """Plain values."""
    return {
        "background": list(cameras.background),
        "space": None if cameras.space is None else asdict(cameras.space),
        "to_capture": cameras.to_capture.tolist(),
        "splits": {
            split: {key: np.asarray(getattr(views, key)).tolist() for key in _KEYS}
            for split, views in cameras.splits.items()
        },
    }


def from_json(content: dict[str, Any], where: str) -> SceneCameras:
    """The inverse of `to_json`; `where` is the file, the beginning of every message.

    Raises UserError for what is missing, of the wrong kind or shape, not finite, or no camera.
    """
    background = _array(_under(content, "background", where), (3,), f"{where}: 'background'")
    if background.min() < 0 or background.max() > 1:
        raise UserError(f"{where}: 'background' is {quoted(background.tolist())}; it must be a colour in [0, 1].")
    space = _space(_under(content, "space", where), f"{where}: 'space'")
    to_capture = _similarity(_under(content, "to_capture", where), f"{where}: 'to_capture'")
    splits = _under(content, "splits", where)
    if not isinstance(splits, dict) or "train" not in splits or not set(splits) <= set(SPLITS):
        raise UserError(f"{where}: 'splits' must be an object with 'train' among the keys {', '.join(SPLITS)}.")
    views = {split: _views(values, f"{where}: 'splits.{split}'") for split, values in splits.items()}
    red, green, blue = background.tolist()
    return SceneCameras(views, (red, green, blue), space, to_capture)


def _similarity(value: Any, where: str) -> np.ndarray:
    """A rotation times a positive scale, and a place: (4, 4)."""
    matrix = _array(value, (4, 4), where)
    scale = math.hypot(*matrix[:3, 0].tolist())
    _require(1.0 / LARGEST_SCALE <= scale <= LARGEST_SCALE, f"{where} scales by {scale:g}, which cannot be.")
    rigid = matrix.copy()
    rigid[:3, :3] /= scale
    checked_pose(rigid, where)
    _require(np.abs(matrix[:3, 3]).max() <= FARTHEST, f"{where} moves further than {FARTHEST:g}.")
    return matrix


def _space(value: Any, where: str) -> Space | None:
    """What the scene fills."""
    if value is None:
        return None
    kind = _under(value, "kind", where)
    _require(kind in SPACES, f"{where}: 'kind' is {quoted(kind)}; it must be one of {', '.join(SPACES)}.")
    x, y, z = _array(_under(value, "center", where), (3,), f"{where}: 'center'").tolist()
    _require(max(abs(x), abs(y), abs(z)) <= FARTHEST, f"{where}: 'center' is further than {FARTHEST:g} away.")
    radius = _under(value, "radius", where)
    within = type(radius) in (int, float) and 1 / FARTHEST <= radius <= FARTHEST
    _require(within, f"{where}: 'radius' is {quoted(radius)}; it must be from {1 / FARTHEST:g} to {FARTHEST:g}.")
    return Space(kind, (x, y, z), float(radius))


def _views(values: Any, where: str) -> Cameras:
    """The cameras of one split."""
    fields = {key: _under(values, key, where) for key in _KEYS}
    poses = fields["poses"]
    if not isinstance(poses, list) or not poses:
        raise UserError(f"{where}: 'poses' must be a list of at least one 4x4 matrix.")
    count = len(poses)
    matrices = np.stack([checked_pose(pose, f"{where}: camera {index}") for index, pose in enumerate(poses)])
    shapes = {"focal": (count, 2), "center": (count, 2), "size": (count, 2), "near": (count,), "far": (count,)}
    arrays = {key: _array(fields[key], shape, f"{where}: {key!r}") for key, shape in shapes.items()}
    least, most = FOCAL_LIMITS
    focal, size = arrays["focal"], arrays["size"]
    _require(bool(np.all((focal >= least) & (focal <= most))), f"{where}: 'focal' must be from {least:g} to {most:g}.")
    _require(bool(np.all(np.abs(arrays["center"]) <= FARTHEST_CENTER)), f"{where}: 'center' is too far away.")
    whole = (size >= 1) & (size <= LARGEST_SIDE) & (size % 1 == 0)
    _require(bool(np.all(whole)), f"{where}: 'size' must hold whole numbers of pixels, at most {LARGEST_SIDE}.")
    near, far = arrays["near"], arrays["far"]
    _require(bool(np.all((near >= 0) & (near < far))), f"{where}: need 0 <= 'near' < 'far' of every camera.")
    _require(far.max() <= FARTHEST, f"{where}: 'far' must be at most {FARTHEST:g}.")
    _require(np.abs(matrices[:, :3, 3]).max() <= FARTHEST, f"{where}: a camera is further than {FARTHEST:g} away.")
    lens = fields["lens"]
    known = isinstance(lens, list) and len(lens) == count and all(isinstance(n, str) and n in LENSES for n in lens)
    _require(known, f"{where}: 'lens' is {quoted(lens)}; each camera has one of {', '.join(LENSES)}.")
    parameters = _array(fields["lens_parameters"], (count, None), f"{where}: 'lens_parameters'")
    _require(parameters.shape[1] <= LENS_PARAMETERS, f"{where}: 'lens_parameters' are too many for any lens.")
    most = LARGEST_PARAMETER
    _require(bool(np.all(np.abs(parameters) <= most)), f"{where}: 'lens_parameters' must be at most {most:g}.")
    try:
        return Cameras.make(
            matrices, size.astype(np.int64), arrays["focal"], arrays["center"], near, far, lens, parameters
        )
    except ValueError as error:
        raise UserError(f"{where}: {error}.") from error


def _under(content: Any, key: str, where: str) -> Any:
    if not isinstance(content, dict):
        raise UserError(f"{where}: must be an object, not {quoted(content)}.")
    if key not in content:
        raise UserError(f"{where}: lacks the key {key!r}.")
    return content[key]


def _array(value: Any, shape: tuple[int | None, ...], where: str) -> np.ndarray:
    """Nested lists of numbers as float64 of a shape; None stands for any length."""
    try:
        array = np.array(value if isinstance(value, list) else None)
    except ValueError as error:  # lists of unequal lengths
        raise UserError(f"{where} is {quoted(value)}; it must be an array of shape {shape}.") from error
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or array.dtype.kind not in "iuf":
        raise UserError(f"{where} is {quoted(value)}; it must hold numbers, in the shape {shape}.")
    if not np.isfinite(array).all():
        raise UserError(f"{where} holds values that are not finite.")
    return array.astype(np.float64)


def _require(holds: bool | np.bool_, message: str) -> None:
    if not holds:
        raise UserError(message)
