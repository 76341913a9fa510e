"""Errors that a user can act on. The command line prints their text without a traceback and exits with 2."""


class UserError(Exception):
    """A mistake in input or settings.

    The text is one to three lines: what was found (file, field, value) and what to do about it. It never holds a
    patient's name, id or date; a source file is named by its path relative to the root that the user gave.
    """


class InsufficientEvidence(UserError):
    """A question that the data at hand cannot answer; the text says which data would."""
