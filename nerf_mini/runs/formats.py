"""The formats of a run's files, and how files of older ones become new.

config.json, cameras.json, pictures.json and checkpoints say `"format": n`; those of version 0.1.0, which say nothing,
are format 1. A change of a format is one function here, from the content of format n to that of n + 1, at the end of
its kind's list. From format 3 on, the first two and checkpoints have a checksum over the whole file.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini import __version__
from nerf_mini.errors import UserError, quoted
from nerf_mini.io.files import read_json
from nerf_mini.runs.sealing import unsealed

# Parts of a checkpoint; an array's name is the path to it, such as parameters/field/coarse/layer0/weight.
PARAMETERS, MEAN, VARIANCE, SAMPLER = "parameters", "mean", "variance", "sampler"


_SINCE_0_2: dict[str, Any] = {
    "exposure": {"exposure": "off", "exposure_rate": 5e-3, "exposure_penalty": 1e-3},
    "appearance": {"appearance_codes": 0, "appearance_penalty": 1e-3},
    "refinement": {
        "refine": "none", "refine_from": 100, "coarse_steps": 1000, "pose_rate": 1e-3, "final_pose_rate": 1e-4,
        "lens_rate": 1e-4, "position_penalty": 1e-2, "rotation_penalty": 1e-3,
    },
}  # sections that 0.1 did not have, as nothing  # fmt: skip


def upgrade_config_1_to_2(file: dict[str, Any]) -> dict[str, Any]:
    """Sections of all methods side by side become one model's; losses get a section.

    A run bound by time alone had a learning rate that decayed over it, whatever decay_steps said.
    """
    config = copy.deepcopy(file["config"])
    config["scene"] |= {"test_every": None, "space": "auto"}
    training, sampling, method = config["training"], config.pop("sampling"), config.pop("method")
    network, grid, occupancy = config.pop("network"), config.pop("instant"), config.pop("occupancy")
    rays, sampler = training.pop("rays"), sampling.pop("sampler")
    spread, noise = training.pop("distortion"), sampling.pop("density_noise")
    config["losses"] = {
        "photometric": "mse", "distortion": spread, "near_gradients": "full", "density_noise": noise
    }  # fmt: skip
    config |= copy.deepcopy(_SINCE_0_2)
    training |= {"supersampling": 1, "supersampling_from": None}
    if method == "nerf":
        model = {"rays": rays, "sampler": sampler, "network": network, "hierarchical": sampling}
    else:
        model = {"grid": grid}
    config["model"] = {"method": method, **model, "occupancy": occupancy}
    if training["max_steps"] is None:
        config["optimiser"]["decay_steps"] = None
    return {**file, "config": config}


def upgrade_config_2_to_3(file: dict[str, Any]) -> dict[str, Any]:
    """Learning rates decay in another way too, and steps may be divided. The file has a checksum."""
    config = copy.deepcopy(file["config"])
    config["optimiser"].setdefault("decay", "exponential")
    for name in ("batch", "shards"):
        config["training"].setdefault(name, 1)
    return {**file, "config": config}


def upgrade_cameras_1_to_2(file: dict[str, Any]) -> dict[str, Any]:
    """One pinhole camera at many poses becomes a camera per view; the background becomes a colour."""
    inside, near, far = file["intrinsics"], file["near"], file["far"]
    size = [inside["width"], inside["height"]]
    focal, center = [inside["focal_x"], inside["focal_y"]], [inside["center_x"], inside["center_y"]]
    colors = {"white": [1.0, 1.0, 1.0], "random": [1.0, 1.0, 1.0], "black": [0.0, 0.0, 0.0]}
    splits = {}
    for split, poses in file["poses"].items():
        views = len(poses)
        splits[split] = {
            "poses": poses, "focal": [focal] * views, "center": [center] * views, "size": [size] * views,
            "near": [near] * views, "far": [far] * views, "lens": ["pinhole"] * views,
            "lens_parameters": [[]] * views,
        }  # fmt: skip
    same = np.eye(4).tolist()
    return {"background": colors[file["background"]], "splits": splits, "space": None, "to_capture": same}


def upgrade_checkpoint_1_to_2(content: dict[str, Any], cube_side: float) -> dict[str, Any]:
    """Parameters move under "field", what the method kept becomes the sampler's, with densities per scene unit.

    `content` holds "meta" and "arrays" by name; `cube_side`, in scene units, is that of the occupancy grid's cube.
    """
    arrays = {}
    for name, array in content["arrays"].items():
        part, _, rest = name.partition("/")
        if name == "method/density":  # negative where no camera looks, which stays
            array = np.where(array < 0, array, array / np.float32(cube_side))
        if name in ("method/density", "method/bits", "method/blocks"):
            array = array[None]  # one level
        arrays[f"{SAMPLER}/{rest}" if part == "method" else f"{part}/field/{rest}"] = array
    return {"meta": content["meta"], "arrays": arrays}


def upgrade_checkpoint_2_to_3(content: dict[str, Any], **context: Any) -> dict[str, Any]:
    """Errors of recent steps are kept, and how many pixels were drawn, which older checkpoints do not know: the mean of
    the errors, and the first pass over all pixels, begin anew. Which blocks of cells are empty follows from the bits.
    The file has a checksum.
    """
    arrays = {name: array for name, array in content["arrays"].items() if name != f"{SAMPLER}/blocks"}
    return {"meta": {**content["meta"], "recent": [], "drawn": 0}, "arrays": arrays}


def only_sealed(content: dict[str, Any], **context: Any) -> dict[str, Any]:
    """The next format is the same with a checksum."""
    return content


UPGRADES: dict[str, tuple[Callable[..., dict[str, Any]], ...]] = {
    "config": (upgrade_config_1_to_2, upgrade_config_2_to_3),
    "cameras": (upgrade_cameras_1_to_2, only_sealed),
    "pictures": (),
    "checkpoint": (upgrade_checkpoint_1_to_2, upgrade_checkpoint_2_to_3),
}
SEALED_SINCE = {"config": 3, "cameras": 3, "pictures": 1, "checkpoint": 3}  # formats with a checksum of the whole file


def stamp(kind: str) -> dict[str, Any]:
    """What a new file of a kind begins with: its format, and the version that writes it."""
    return {"format": len(UPGRADES[kind]) + 1, "version": __version__}


def sealed(kind: str, header: dict[str, Any]) -> bool:
    """Whether a file with this header must have a checksum of the whole."""
    number = header.get("format", 1)
    return type(number) is int and number >= SEALED_SINCE[kind]


def read_upgraded(kind: str, path: Path) -> dict[str, Any]:
    """The content of a JSON file of a run, in the newest format of its kind.

    Raises UserError where the file is not as it was written, and as `read_json` and `upgraded`.
    """
    content = read_json(path)
    _checked_format(kind, content, str(path))  # what a later version writes may not be sealed as this one does
    return upgraded(kind, unsealed(content, str(path), sealed(kind, content)), str(path))


def _checked_format(kind: str, header: dict[str, Any], where: str) -> int:
    """The format that a header names. Raises UserError for one that is none, or newer than this version knows."""
    number, newest = header.get("format", 1), len(UPGRADES[kind]) + 1
    if type(number) is not int or number < 1:
        raise UserError(f"{where}: 'format' is {quoted(number)}; it must be a whole number, at least 1.")
    if number > newest:
        raise UserError(
            f"{where}: has format {quoted(number)} and was written by nerf-mini {quoted(header.get('version'))}; this"
            f" is {__version__}, which knows formats up to {newest}. Update it: pip install --upgrade nerf-mini."
        )
    return number


def upgraded(
    kind: str, content: dict[str, Any], where: str, header: dict[str, Any] | None = None, **context: Any
) -> dict[str, Any]:
    """The content of a file in the newest format of its kind.

    Args:
        where: the file, the beginning of every message.
        header: what says "format" and "version", by default the content itself.
        context: what the upgrades of this kind need besides.

    Raises UserError for a format that is none, or newer than this version knows, and where the content is not what
    its format says.
    """
    number = _checked_format(kind, content if header is None else header, where)
    try:
        for upgrade in UPGRADES[kind][number - 1 :]:
            content = upgrade(content, **context)
    except KeyError as error:
        raise UserError(f"{where}: lacks the key {quoted(error.args[0])}, or holds a value unknown there.") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{where}: is damaged: a value is of another kind than format {number} holds.") from error
    return content
