"""Times and spans as Python writes them: text, date, datetime, Timestamp, timedelta."""

from __future__ import annotations

import warnings
from datetime import date, datetime, timedelta
from typing import TypeAlias

import numpy as np
import pandas as pd

from stagecast.features.arguments.spans import as_days
from stagecast.features.arguments.values import shown
from stagecast.features.clock import parse_shop_time
from stagecast.features.errors import UsageError

__all__ = ["Instant", "Span", "as_datetime", "as_days"]

Instant: TypeAlias = str | date | datetime | pd.Timestamp | np.datetime64
"""A point in time. Without a zone it is what the shop's clock shows; a date is its midnight."""

Span: TypeAlias = str | timedelta
"""A length of time in whole days: ``90d``, ``12w`` or a ``timedelta``."""


def as_datetime(value: Instant, name: str = "as_of") -> datetime:
    """Return a time as a ``datetime``, to the microsecond.

    Parameters
    ----------
    value
        Text in ISO 8601, ``date``, ``datetime``, pandas ``Timestamp``, NumPy ``datetime64``; or
        a ``Period`` of at most a day, of which it is the start.
    name
        Name of the argument, for error messages.

    Returns
    -------
    datetime
        With its own zone if it has one; otherwise naive or in shop time, which
        :meth:`stagecast.features.shop.clock.ShopClock.shop` reads as the shop's wall clock.

    Raises
    ------
    UsageError
        It is none of these, or not a time.

    >>> as_datetime(date(2011, 9, 1)).isoformat()
    '2011-09-01T00:00:00'
    """
    if hasattr(value, "as_py"):  # a scalar of Arrow
        value = value.as_py()
    if isinstance(value, str):
        return parse_shop_time(value, f"--{name.replace('_', '-')}")
    is_null = isinstance(value, np.datetime64) and bool(np.isnat(value))
    if is_null or type(value).__name__ == "NaTType":
        raise UsageError(f"{name} is not a time (NaT); write it like '2011-09-01'")
    if isinstance(value, pd.Period) and value.end_time - value.start_time < pd.Timedelta(days=1):
        return value.start_time.floor("us").to_pydatetime()
    if isinstance(value, pd.Timestamp):
        return value.floor("us").to_pydatetime()
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value).floor("us").to_pydatetime()
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    raise UsageError(
        f"{name} = {shown(value)} is of type {type(value).__name__}; give a text like "
        "'2011-09-01', a "
        "date, a datetime or a pandas Timestamp"
    )


LATE_DAYS = 365
"""An as_of so long after the last event is told: events are missing, or it is a slip."""


def warn_if_late(as_of: datetime, last: datetime, what: str, stacklevel: int) -> None:
    """Warn of an as_of more than :data:`LATE_DAYS` after the last event, by the same clock.

    Parameters
    ----------
    what
        What there was last, such as ``event``.
    stacklevel
        As of :func:`warnings.warn` in the function that calls this one.

    Warns
    -----
    UserWarning
        It stands so late.
    """
    silent = (as_of - last) / timedelta(days=1)
    if silent > LATE_DAYS:
        warnings.warn(
            f"as_of {as_of:%Y-%m-%d} stands {silent:,.0f} days after the last {what} "
            f"({last:%Y-%m-%d}): newer events are missing, or as_of should be near {last:%Y-%m-%d}",
            UserWarning,
            stacklevel=stacklevel + 1,
        )
