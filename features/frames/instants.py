"""Times and spans as Python writes them: text, date, datetime, Timestamp, timedelta."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TypeAlias

import numpy as np
import pandas as pd

from stagecast.features.clock import parse_shop_time, parse_span_days
from stagecast.features.errors import UsageError

Instant: TypeAlias = str | date | datetime | pd.Timestamp | np.datetime64
"""A point in time. Without a zone it is what the shop's clock shows; a date is its midnight."""

Span: TypeAlias = str | timedelta
"""A length of time in whole days: ``90d``, ``12w`` or a ``timedelta``."""


def as_datetime(value: Instant, name: str = "as_of") -> datetime:
    """Return a time as a ``datetime``, to the microsecond.

    Parameters
    ----------
    value
        Text in ISO 8601, ``date``, ``datetime``, pandas ``Timestamp`` or NumPy ``datetime64``.
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
    if isinstance(value, str):
        return parse_shop_time(value, f"--{name.replace('_', '-')}")
    if pd.isna(value):
        raise UsageError(f"{name} is not a time (NaT); write it like '2011-09-01'")
    if isinstance(value, pd.Timestamp):
        return value.floor("us").to_pydatetime()
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value).floor("us").to_pydatetime()
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    raise UsageError(
        f"{name} = {value!r} is of type {type(value).__name__}; give a text like '2011-09-01', a "
        "date, a datetime or a pandas Timestamp"
    )


def as_days(value: Span, name: str = "horizon") -> int:
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
    if isinstance(value, timedelta):
        if value < timedelta(days=1) or value % timedelta(days=1):
            raise UsageError(f"{name} = {value} is not a whole number of days from 1 on")
        return value.days
    return parse_span_days(value, f"--{name.replace('_', '-')}")
