"""The error that every refusal raises."""


class DerivativeError(TypeError):
    """A function was written in a way that cannot be differentiated; the message says what to write instead."""
