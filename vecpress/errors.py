"""The exceptions and warnings that vecpress raises, beside TypeError (wrong kind) and ValueError (wrong shape or value)."""


class NotFittedError(ValueError, AttributeError):
    """A learned attribute or a method that needs one was used before `fit`."""


class BackendError(RuntimeError):
    """A backend that was asked for by name cannot run here; the message says why."""


class CorruptFileError(ValueError):
    """A file is not what its format promises; the message names the file, the place and what is wrong."""


class SmallTrainingSetWarning(UserWarning):
    """There are too few training vectors for what is to be learned; recall will suffer."""
