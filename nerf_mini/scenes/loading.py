"""From a path to a scene: the list of readers, and which of them a path is for."""

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from nerf_mini.errors import UserError, log_warning
from nerf_mini.geometry.space import SpaceKind, World
from nerf_mini.scenes.readers import colmap, llff, polycam, tiny_nerf, transforms
from nerf_mini.scenes.readers.base import Reader, Request
from nerf_mini.scenes.scene import SPLITS, Scene

# The first that recognises a path reads it. A new format is a module with a READER, and one name here.
READERS: tuple[Reader, ...] = (transforms.READER, colmap.READER, llff.READER, polycam.READER, tiny_nerf.READER)
PLUG_INS = "nerf_mini.readers"  # the group of entry points through which other packages add readers


def load_scene(
    path: Path | str,
    downscale: float = 1,
    splits: Sequence[str] = SPLITS,
    near: float | None = None,
    far: float | None = None,
    test_every: int | None = None,
    space: SpaceKind | None = None,
    world: World | None = None,
) -> Scene:
    """Read a data set, whose kind is told from the path itself.

    Args:
        path: a folder with transforms files (of Blender, nerfstudio or instant-ngp), with a COLMAP model, with
            LLFF's poses_bounds.npy, or with Polycam's keyframes; or a tiny NeRF .npz file or the folder with it.
        downscale: factor by which images shrink (area average) and their cameras with them. Where there are downscaled
            folders such as images_4, it counts from the largest pictures.
        splits: which to read; one that the data set lacks is left out of the scene, except that "train" must exist.
        near, far: distances along rays, in scene units, instead of the data set's own.
        test_every: hold out every n-th picture by name for testing, instead of what the data set says.
        space: what the scene of a capture fills, instead of what suits its cameras.
        world: what a capture was turned into before, to do the same again.

    Raises:
        UserError: the path is no data set, or something in it is wrong; the message says what and where.
    """
    path = Path(path)
    unknown = [split for split in splits if split not in SPLITS]
    if unknown:
        raise UserError(f"there is no split {unknown[0]!r}; the splits are {', '.join(SPLITS)}.")
    if not 1 <= downscale < float("inf"):
        raise UserError(f"the downscale factor must be at least 1, not {downscale}.")
    if test_every is not None and test_every < 2:
        raise UserError(f"--test-every {test_every}: must be at least 2, or nothing is left to train on.")
    _check_distances(near, far)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder.")
    request = Request(path, downscale, splits, near, far, test_every, space, world)
    looked_for = []
    for reader in READERS:
        if reader.recognise(path):
            return reader.read(request)
        looked_for.append(reader.looks_for)
    for name, reader in _plug_ins():
        scene = _read_by_plug_in(name, reader, request)
        if scene is not None:
            return scene
        looked_for.append(reader.looks_for)
    raise UserError(f"{path}: not a data set that is known here. Looked for: {'; '.join(looked_for)}.")


def _check_distances(near: float | None, far: float | None) -> None:
    """Raise a UserError unless what the user asks for is a range, or the beginning or the end of one."""
    least, most = near if near is not None else 0.0, far if far is not None else sys.float_info.max
    if not 0.0 <= least < most < float("inf"):
        given = " and ".join(
            f"{name} {value}" for name, value in (("--near", near), ("--far", far)) if value is not None
        )
        raise UserError(f"{given}: not a range of distances; need 0 <= near < far, both finite.")


def _plug_ins() -> Iterator[tuple[str, Reader]]:
    """The readers that other packages add, with what to call them in messages; a warning for each that is none."""
    for point in entry_points(group=PLUG_INS):
        name = f"the reader {point.name!r} ({point.value})"
        try:
            reader = point.load()
        except Exception as error:  # whatever a package does when it is imported
            log_warning(f"{name} cannot be loaded: {type(error).__name__}: {error}")
            continue
        if isinstance(reader, Reader):
            yield name, reader
        else:
            log_warning(f"{name} is no nerf_mini.scenes.readers.base.Reader, but {type(reader).__name__}")


def _read_by_plug_in(name: str, reader: Reader, request: Request) -> Scene | None:
    """The scene, or None where the reader does not recognise the path. Raises UserError, whatever the reader raises."""
    try:
        if not reader.recognise(request.path):
            return None
        scene = reader.read(request)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{request.path}: {name} failed: {type(error).__name__}: {error}") from error
    if not isinstance(scene, Scene):
        raise UserError(f"{request.path}: {name} gave no scene, but {type(scene).__name__}.")
    return scene
