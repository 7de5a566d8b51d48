"""The one error type that is meant for people."""


class UserError(Exception):
    """Something the user can put right: the message says what was wrong, where, and what to do.

    The command line prints the message alone, without a traceback, and exits with code 2.
    """
