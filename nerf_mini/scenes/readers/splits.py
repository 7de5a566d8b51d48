"""Which pictures of a capture are held out, and the rule in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nerf_mini.errors import UserError, listed, log_warning
from nerf_mini.scenes.scene import SPLITS

HELD_OUT_EVERY = 8  # the convention of LLFF, mip-NeRF 360 and all who compare with them

Split = tuple[dict[str, list[int]], str]
"""Indices of pictures by split, empty splits left out; and the rule in words."""


def every_nth(count: int, every: int | None) -> Split:
    """Of pictures in the order of their names, those with the indices 0, n, 2n .. are for testing.

    A single picture is trained on.
    """
    n = every or HELD_OUT_EVERY
    test = list(range(0, count, n)) if count > 1 else []
    held = set(test)
    splits = {"train": [index for index in range(count) if index not in held], "test": test}
    rule = f"every {ordinal(n)} by name" + (" (--test-every)" if every else "")
    return {split: indices for split, indices in splits.items() if indices}, rule


def ordinal(n: int) -> str:
    """2nd, 3rd, 8th, 11th, 21st."""
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def by_lists(names: Sequence[str], lists: Mapping[str, Sequence[str]], where: Mapping[str, str]) -> Split:
    """Pictures by lists of their names, for each split that has one; order is that of `names`.

    Where only one of "train" and "test" has a list, the other gets what no list holds.

    Args:
        names: of all pictures.
        lists: by split.
        where: file or key of each list, for messages and for the rule.

    Raises:
        UserError: a list names no picture, or nothing is left to train on.
    """
    known = set(names)
    for split, wanted in lists.items():
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise UserError(f"{where[split]}: names pictures that the data set does not have: {listed(unknown)}.")
    chosen = {split: set(wanted) for split, wanted in lists.items()}
    rest = known.difference(*chosen.values())
    for split in ("train", "test"):
        if split not in chosen:
            chosen[split] = rest
    if not chosen["train"]:
        raise UserError(f"{where[next(iter(lists))]}: leaves no picture to train on.")
    seen = [name for name in names if name in chosen["train"] & chosen["test"]]
    if seen:
        log_warning(f"{len(seen)} pictures are both trained on and tested on: {listed(seen)}")
    splits = {split: [i for i, name in enumerate(names) if name in chosen.get(split, ())] for split in SPLITS}
    rule = f"its own lists ({', '.join(dict.fromkeys(text.split(': ')[-1] for text in where.values()))})"
    return {split: indices for split, indices in splits.items() if indices}, rule
