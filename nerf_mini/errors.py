"""What is said to people: the one error type that is meant for them, warnings, and how values are quoted in both."""

import logging
from collections.abc import Callable, Sequence

LONGEST_QUOTE = 60  # characters of a value in a message

Warn = Callable[[str], None]
"""Told what went wrong without ending the work."""


class UserError(Exception):
    """Something the user can put right: the message says what was wrong, where, and what to do.

    The command line prints the message alone, without a traceback, and exits with code 2.
    """


def log_warning(text: str) -> None:
    """The `Warn` of whoever names none: a warning of the logger "nerf_mini"."""
    logging.getLogger("nerf_mini").warning(text)


def quoted(value: object) -> str:
    """A value for a message, as Python writes it, cut to a readable length."""
    return _cut(repr(value))


def plain(name: str) -> str:
    """A name for a message: without quotes, in one line, cut to a readable length."""
    return _cut(repr(name)[1:-1])


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names for a message: the first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(plain, names[:most])) + more


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."
