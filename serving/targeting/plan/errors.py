"""Errors about plans that callers tell apart."""

from __future__ import annotations

from stagecast.features.errors import UsageError


class NoSuchPlanError(UsageError):
    """There is no plan of that name."""


class PlanStateError(UsageError):
    """The plan is in a state in which this is not possible."""


class NameRefusedError(UsageError):
    """A name that was given does not exist, or cannot be one.

    Parameters
    ----------
    message
        What is wrong, with the name.
    without_name
        The same without it, for answers that repeat nothing.
    """

    def __init__(self, message: str, without_name: str) -> None:
        super().__init__(message)
        self.without_name = without_name
