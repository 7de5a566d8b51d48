"""pictures.json: digits of each picture that a run began with, by which pictures that have changed since are known.

They are digits of pixels as the data set gives them, decoded and shrunk, with its masks: a file that is written anew
with the same pixels counts as the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerf_mini.errors import UserError, listed, plain, quoted
from nerf_mini.runs.formats import read_upgraded, stamp
from nerf_mini.runs.sealing import write_sealed
from nerf_mini.scenes import SPLITS, Scene, Views

FILE = "pictures.json"
DIGITS = 16


@dataclass(frozen=True)
class Changes:
    """Which views of a data set show other pixels than when the run began, by "split/name"; all is well for none.

    file: what says so.
    """

    file: Path
    views: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.views)

    def __str__(self) -> str:
        """A sentence, without what to do."""
        if len(self.views) == 1:
            return f"the picture {plain(self.views[0])} is not the one that the run began with."
        return f"{len(self.views)} pictures are not those that the run began with: {listed(self.views)}."


def digits_of(views: Views) -> list[str]:
    """For each view the first 16 hexadecimal digits of the SHA-256 of its size, its pixels and its mask."""
    found = []
    for index in range(len(views)):
        image, mask = views.image(index), views.mask(index)
        digest = hashlib.sha256(repr(image.shape).encode())
        digest.update(image.data)
        if mask is not None and not mask.all():  # a mask elsewhere gives all views one
            digest.update(mask.data)
        found.append(digest.hexdigest()[:DIGITS])
    return found


def write_pictures(run: Path, scene: Scene) -> None:
    """Write RUN/pictures.json. Raises UserError where the place cannot be written to."""
    splits = {
        split: {"names": list(views.names), "digits": digits_of(views)} for split, views in scene.splits.items()
    }  # fmt: skip
    write_sealed(run / FILE, {**stamp("pictures"), "splits": splits})


def changed_pictures(run: Path, scene: Scene) -> Changes:
    """Which pictures of a data set are not those that a run began with; none for a run of an earlier version.

    Raises UserError where RUN/pictures.json is damaged.
    """
    file = run / FILE
    if not file.exists():
        return Changes(file)
    known = _splits(read_upgraded("pictures", file), file)
    changed: list[str] = []
    for split, views in scene.splits.items():
        if split in known:
            changed += (f"{split}/{name}" for name in _changed(known[split], views))
    return Changes(file, tuple(changed))


def require_unchanged(run: Path, scene: Scene) -> None:
    """Raise a UserError where a training would go on with other pictures than it began with."""
    changes = changed_pictures(run, scene)
    if changes:
        raise UserError(
            f"{scene.path or scene.name}: {changes} Bring them back, or train anew with another --output. To go on with"
            f" the pictures as they are now, remove {changes.file}."
        )


def _changed(known: dict[str, list[str]], views: Views) -> list[str]:
    """The names of views that differ. Where one has come or gone, there is nothing to compare, and all do."""
    if len(known["digits"]) != len(views):
        return list(views.names)
    return [
        name for name, was, found in zip(views.names, known["digits"], digits_of(views), strict=True) if was != found
    ]


def _splits(content: dict[str, Any], file: Path) -> dict[str, dict[str, list[str]]]:
    """What a pictures.json says. Raises UserError for what is missing, or of another kind."""
    splits = content.get("splits")
    if not isinstance(splits, dict) or not set(splits) <= set(SPLITS):
        raise UserError(f"{file}: 'splits' is {quoted(splits)}; it must be an object with keys {', '.join(SPLITS)}.")
    for split, said in splits.items():
        lists = [said.get(key) for key in ("names", "digits")] if isinstance(said, dict) else [None]
        if not all(_texts(found) for found in lists) or len({len(found) for found in lists if found is not None}) != 1:
            raise UserError(f"{file}: 'splits.{split}' must hold 'names' and 'digits', lists of text of one length.")
    return splits


def _texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(text, str) for text in found)
