"""Limits of settings, stated where a field is declared, and the one check that enforces them.

`width: Annotated[int, AtLeast(2)] = 64` states the kind of a field and its limit. None, where the kind
allows it, has no limit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints, runtime_checkable

from nerf_mini.errors import UserError, quoted

LARGEST_SEED = 2**63 - 1
_HINTS: dict[type, Mapping[str, Any]] = {}  # Python would evaluate them each time
LARGEST_SIZE, MOST_VIEWS = 4096, 10_000  # of synthetic scenes: what somebody could wait for


@runtime_checkable
class Limit(Protocol):
    """What a value must satisfy; `str(limit)` follows "must be" in a message."""

    def holds(self, value: Any) -> bool:
        """Whether a number is within the limit. Never true of NaN or infinity."""


@dataclass(frozen=True)
class AtLeast:
    """Finite and not below a least value."""

    least: float

    def holds(self, value: Any) -> bool:
        return self.least <= value < math.inf

    def __str__(self) -> str:
        return f"at least {figure(self.least)}" + (" and finite" if isinstance(self.least, float) else "")


@dataclass(frozen=True)
class Positive:
    """Finite and above zero."""

    def holds(self, value: Any) -> bool:
        return 0 < value < math.inf

    def __str__(self) -> str:
        return "positive and finite"


@dataclass(frozen=True)
class Between:
    """From `least` to `most`, either end included unless it is said to be open."""

    least: float
    most: float
    least_open: bool = False
    most_open: bool = False

    def holds(self, value: Any) -> bool:
        above = self.least < value if self.least_open else self.least <= value
        below = value < self.most if self.most_open else value <= self.most
        return above and below

    def __str__(self) -> str:
        lower = ("more than " if self.least_open else "at least ") + figure(self.least)
        upper = ("less than " if self.most_open else "at most ") + figure(self.most)
        return f"{lower} and {upper}"


@dataclass(frozen=True)
class PowerOfTwo:
    """A power of two from `least` to `most`."""

    least: int
    most: int

    def holds(self, value: Any) -> bool:
        return self.least <= value <= self.most and value & (value - 1) == 0

    def __str__(self) -> str:
        return f"a power of two, at least {self.least} and at most {self.most}"


class Section:
    """Base of the frozen dataclasses of a configuration: checks kinds and limits of all fields when it is made."""

    def __post_init__(self) -> None:
        for name, hint in hints(type(self)).items():
            value = getattr(self, name)
            if not of_kind(value, hint):
                raise UserError(f"{flag(name)} {quoted(value)}: must be {described(hint)}.")
        require_within_limits(self)
        self.check_together()

    def check_together(self) -> None:
        """Raise a UserError where fields that are fine by themselves do not go together."""


def require_within_limits(values: object) -> None:
    """Raise a UserError for the first field of a dataclass whose value is not within the limits that stand on it."""
    for name, hint in hints(type(values)).items():
        value = getattr(values, name)
        for limit in getattr(hint, "__metadata__", ()):
            if isinstance(limit, Limit) and value is not None and not all(map(limit.holds, _members(value))):
                raise UserError(f"{flag(name)} {quoted(value)}: must be {limit}.")


def _members(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def figure(value: float) -> str:
    """A limit as people write it: whole numbers in digits, others short."""
    return str(int(value)) if isinstance(value, int) or (abs(value) < 1e7 and value == int(value)) else f"{value:g}"


def hints(section: type) -> Mapping[str, Any]:
    """The annotations of a section's fields, limits included, in order."""
    if section not in _HINTS:
        _HINTS[section] = get_type_hints(section, include_extras=True)
    return _HINTS[section]


def flag(name: str) -> str:
    """How the command line spells a setting."""
    return "--" + name.replace("_", "-")


def of_kind(value: Any, hint: Any) -> bool:
    """Whether a value is of the annotated kind. A whole number is a fine float; a bool is no number."""
    hint = bare(hint)
    if get_origin(hint) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(hint))
    if get_origin(hint) in (UnionType, Union):
        return any(of_kind(value, member) for member in get_args(hint))
    if dataclasses.is_dataclass(hint):
        return isinstance(value, hint)  # type: ignore[arg-type]
    return type(value) in ((int, float) if hint is float else (hint,))


def bare(hint: Any) -> Any:
    """An annotation without its limits."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def described(hint: Any) -> str:
    """An annotated kind in words, to follow "must be"."""
    hint = bare(hint)
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(hint))
    if get_origin(hint) in (UnionType, Union):
        return " or ".join(described(member) for member in get_args(hint))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "none"}
    return names.get(hint, hint.__name__)
