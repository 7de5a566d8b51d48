"""What is said to people: the one error type that is meant for them, and warnings."""

import logging
from collections.abc import Callable

Warn = Callable[[str], None]
"""Told what went wrong without ending the work."""


class UserError(Exception):
    """Something the user can put right: the message says what was wrong, where, and what to do.

    The command line prints the message alone, without a traceback, and exits with code 2.
    """


def log_warning(text: str) -> None:
    """The `Warn` of whoever names none: a warning of the logger "nerf_mini"."""
    logging.getLogger("nerf_mini").warning(text)
