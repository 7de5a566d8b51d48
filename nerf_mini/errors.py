"""What is said to people: the one error type that is meant for them, warnings, and how values are quoted in both."""

import logging
import re
from collections.abc import Callable, Sequence

LONGEST_QUOTE = 60  # characters of a value in a message
LONGEST_WORD = 300  # of a path, say: longer ones lose their middle
LONGEST_MESSAGE = 3000

Warn = Callable[[str], None]
"""Told what went wrong without ending the work."""


class UserError(Exception):
    """Something the user can put right: the message says what was wrong, where, and what to do.

    The command line prints the message alone, without a traceback, and exits with code 2. Whatever a data set or a user
    put into it, the message is fit to be read: see `readable`.
    """

    def __init__(self, message: object = ""):
        super().__init__(readable(str(message)))


def log_warning(text: str) -> None:
    """The `Warn` of whoever names none: a warning of the logger "nerf_mini"."""
    logging.getLogger("nerf_mini").warning(readable(text))


def printable(text: str) -> str:
    """A text in which control characters, which could rewrite a terminal, stand as escapes; lines stay lines."""
    return text if text.isprintable() else "".join(map(_shown, text))


def readable(text: str) -> str:
    """A printable text without endless words and of bounded length: each loses its middle."""
    words = re.sub(rf"\S{{{LONGEST_WORD + 1},}}", lambda word: _shortened(word[0], LONGEST_WORD), printable(text))
    return _shortened(words, LONGEST_MESSAGE)


def quoted(value: object) -> str:
    """A value for a message, as Python writes it, cut to a readable length."""
    try:
        return _cut(repr(value))
    except (ValueError, RecursionError):  # a whole number of thousands of digits; brackets without end
        return f"a value of the kind {type(value).__name__}"


def plain(name: str) -> str:
    """A name for a message: without quotes, in one line, cut to a readable length."""
    return _cut(repr(name)[1:-1])


def reason_of(error: BaseException) -> str:
    """What an error of the system or of a library says, for a message: in one line, cut, without numbers of errors."""
    return plain(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names for a message: the first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(plain, names[:most])) + more


def _shown(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode("ascii")


def _shortened(text: str, most: int) -> str:
    """A text without its middle, where it is longer."""
    half = (most - 5) // 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."
