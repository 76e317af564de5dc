"""What can go wrong. Every message is one line: what it is about: what is wrong; what to do."""


class Error(Exception):
    """The base of all exceptions that this package raises on purpose."""


class MissingError(Error, FileNotFoundError):
    """A file, or a package that is needed for what was asked, is not there."""


class DataError(Error, ValueError):
    """A file is not what it claims to be, or does not belong to the others."""


class UsageError(Error, ValueError):
    """The call makes no sense."""


class RangeError(UsageError, IndexError):
    """A row, column or item that is not there."""


class KindError(Error, TypeError):
    """An argument is of a kind that makes no sense there."""


class WorkflowError(Error, RuntimeError):
    """Arrays could not be made. Below the first line stands what the programs said last."""
