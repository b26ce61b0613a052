"""Lengths of time as callers give them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from stagecast.features.arguments.values import refuse, shown, whole_number
from stagecast.features.clock import DAY, parse_span_days
from stagecast.features.errors import UsageError

_GIVE = "a span in days or weeks, like '90d' or '12w', or a timedelta"
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))


def as_timedelta(value: Any) -> timedelta | None:
    """Return a timedelta, also of NumPy; None where the value is none, or is null."""
    if hasattr(value, "dtype") and getattr(value.dtype, "kind", "") == "m" and not value.shape:
        value = value.astype("timedelta64[us]").item()
    is_span = isinstance(value, timedelta) and value == value  # NaT differs from itself
    return value if is_span else None


def as_days(value: Any, name: str = "horizon") -> int:
    """Return a span in days.

    Parameters
    ----------
    value
        Text such as ``90d`` or ``12w``, or a ``timedelta`` of whole days.
    name
        Name of the argument, for error messages.

    Raises
    ------
    UsageError
        It has no unit, or is not a whole number of days from 1 on.

    >>> as_days("12w"), as_days(timedelta(days=30))
    (84, 30)
    """
    span = as_timedelta(value)
    if span is not None:
        if span < DAY or span % DAY:
            raise UsageError(f"{name} = {shown(span)} is not a whole number of days from 1 on")
        return span.days
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return parse_span_days(value, f"--{name.replace('_', '-')}")
    return refuse(value, name, _GIVE)


def days_or_span(value: Any, name: str) -> int:
    """Return days, of an argument that counts them: a whole number, or a span.

    >>> days_or_span(60, "horizon_days"), days_or_span("60d", "horizon_days")
    (60, 60)
    """
    if isinstance(value, str) or as_timedelta(value) is not None:
        # worded as the other errors of the argument, not as an option
        try:
            return as_days(value, name)
        except UsageError:
            refuse(value, name, f"days, like 90, or {_GIVE}")
    return whole_number(value, name, f"days, like 90, or {_GIVE}", least=-(10**9))


def duration_text(value: Any, name: str) -> str:
    """Return a short span as an option writes it, of a text or of a timedelta.

    Raises
    ------
    UsageError
        It is neither, or not a whole number of minutes.

    >>> duration_text(timedelta(hours=2), "skew"), duration_text("1d", "skew")
    ('2h', '1d')
    """
    if isinstance(value, str):
        return value
    give = "a span like '2h' or '1d', or a timedelta of whole minutes"
    span = as_timedelta(value)
    seconds = -1.0 if span is None else span.total_seconds()
    for unit, length in _UNITS:
        if seconds >= 0 and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return refuse(value, name, give)
