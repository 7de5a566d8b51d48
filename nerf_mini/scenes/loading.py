"""From a path to a scene: the list of readers, and which of them a path is for."""

from collections.abc import Sequence
from pathlib import Path

from nerf_mini.errors import UserError
from nerf_mini.geometry.space import SpaceKind
from nerf_mini.scenes.readers import blender, tiny_nerf
from nerf_mini.scenes.readers.base import Reader, Request
from nerf_mini.scenes.scene import SPLITS, Scene

# The first that recognises a path reads it. A new format is a module with a READER, and one name here.
READERS: tuple[Reader, ...] = (blender.READER, tiny_nerf.READER)


def load_scene(
    path: Path | str,
    downscale: float = 1,
    splits: Sequence[str] = SPLITS,
    near: float | None = None,
    far: float | None = None,
    test_every: int | None = None,
    space: SpaceKind | None = None,
) -> Scene:
    """Read a data set, whose kind is told from the path itself.

    Args:
        path: a Blender-style folder, or a tiny NeRF .npz file or the folder with it.
        downscale: factor by which images shrink (area average) and their cameras with them.
        splits: which to read; one that the data set lacks is left out of the scene, except that "train" must exist.
        near, far: distances along rays, in scene units, instead of the data set's own.
        test_every: hold out every n-th picture by name for testing, instead of what the data set says.
        space: what the scene of a capture fills, instead of what suits its cameras.

    Raises:
        UserError: the path is no data set, or something in it is wrong; the message says what and where.
    """
    path = Path(path)
    unknown = [split for split in splits if split not in SPLITS]
    if unknown:
        raise UserError(f"there is no split {unknown[0]!r}; the splits are {', '.join(SPLITS)}.")
    if downscale < 1:
        raise UserError(f"the downscale factor must be at least 1, not {downscale}.")
    if test_every is not None and test_every < 2:
        raise UserError(f"--test-every {test_every}: must be at least 2, or nothing is left to train on.")
    if not path.exists():
        raise UserError(f"{path}: no such file or folder.")
    for reader in READERS:
        if reader.recognise(path):
            return reader.read(Request(path, downscale, splits, near, far, test_every, space))
    looked_for = "; ".join(reader.looks_for for reader in READERS)
    raise UserError(f"{path}: not a data set that is known here. Looked for: {looked_for}.")
