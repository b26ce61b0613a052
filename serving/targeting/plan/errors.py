"""Errors about plans that callers tell apart."""

from __future__ import annotations

from stagecast.features.errors import UsageError


class NoSuchPlanError(UsageError):
    """There is no plan of that name."""


class PlanStateError(UsageError):
    """The plan is in a state in which this is not possible."""
