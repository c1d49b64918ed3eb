"""The exceptions and warnings that vecpress raises, beside TypeError (wrong kind) and ValueError (wrong shape or value)."""

import sys
import warnings


class NotFittedError(ValueError, AttributeError):
    """A learned attribute or a method that needs one was used before `fit`."""


class BackendError(RuntimeError):
    """A backend that was asked for by name cannot run here; the message says why."""


class CorruptFileError(ValueError):
    """A file is not what its format promises; the message names the file, the place and what is wrong."""


class SmallTrainingSetWarning(UserWarning):
    """There are too few training vectors for what is to be learned; recall will suffer."""


def warn_few_rows(message: str) -> None:
    """A SmallTrainingSetWarning that points at the caller of vecpress, however deep in it a codec is fitted."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, SmallTrainingSetWarning, stacklevel=level)
