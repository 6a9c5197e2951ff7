"""What can go wrong, each as one sentence that names the place."""

from __future__ import annotations


class PackRunnerError(Exception):
    """Base of all errors of this package."""


class PackError(PackRunnerError):
    """A file of the pack, or the configuration handed in, is not valid.

    :param file: the file, relative to the pack where it belongs to the pack
    :param path: where in the file, dots between keys; empty for the file as a whole
    :param reason: what is wrong
    """

    def __init__(self, file: str, path: str, reason: str) -> None:
        self.file = file
        self.path = path
        self.reason = reason
        super().__init__(f"{file}: {path}: {reason}" if path else f"{file}: {reason}")


class UnknownActionError(PackRunnerError):
    """No action of that name in the pack (or it is switched off)."""


class ParameterError(PackRunnerError):
    """Parameters do not fit the action: unknown, missing, immutable, wrong type, not to be rendered."""


class AliasError(PackRunnerError):
    """A chat text matches no alias, more than one, or sets what may not be set."""


class ResultError(PackRunnerError):
    """A python action returned something that has no meaning as a result."""


class AlreadyServingError(PackRunnerError):
    """Another process serves on this state directory: its sensors would all run twice."""


class PayloadError(PackRunnerError):
    """A trigger of an unknown type, or with a payload that does not fit its schema."""
