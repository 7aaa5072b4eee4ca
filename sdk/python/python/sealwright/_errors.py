"""What is wrong with a request."""


class RequestError(ValueError):
    """The request cannot be judged, which says nothing about the evidence: something is missing, malformed or makes no sense."""

    __module__ = "sealwright"  # where callers find it, and what tracebacks say

    argument: str
    """The argument of `verify` that is at fault or missing."""

    def __init__(self, message: str, argument: str) -> None:
        super().__init__(message, argument)
        self.argument = argument

    def __str__(self) -> str:
        return f"{self.args[0]} (argument {self.argument!r})"
