"""Errors that the sandbox shows to its user as a message, without a traceback."""


class SandboxError(Exception):
    """Something failed; the message says what, where, and what to do."""

    exit_code = 1


class InputError(SandboxError):
    """What the user gave is wrong: a stack file, a setting, an option."""

    exit_code = 2
