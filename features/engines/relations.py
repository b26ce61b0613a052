"""Relations of the catalogue over events in memory, as arrays.

:mod:`stagecast.features.catalog.feature` defines the relations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog.feature import LOG_SCALE, UNEVENNESS_SCALE, Feature
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.engines.rows import TYPE_SEPARATOR, Rows

if TYPE_CHECKING:
    from stagecast.features.engines.memory import MemoryEvents


class EventColumns:
    """Columns of ``log`` and ``types``, one row per event.

    Call it with the name of a column, as :attr:`stagecast.features.engines.rows.Rows.column`.
    """

    def __init__(self, events: MemoryEvents) -> None:
        self._events = events

    def __call__(self, name: str) -> NDArray[Any]:
        events = self._events
        name, _, types = name.partition(" of ")
        is_selected = (
            events.is_of_types(types.split(TYPE_SEPARATOR)) if types else events.is_activity
        )
        match name:
            case "purchases":
                return events.is_purchase
            case "gross_spend":
                return np.where(events.is_purchase, events.amount, 0)
            case "discount":
                return np.where(events.is_purchase, events.discount, 0)
            case "refunds":
                return events.is_refund
            case "refund":
                return np.where(events.is_refund, events.amount, 0)
            case "activity":
                return events.is_activity
            case "events":
                return is_selected
            case "amount":
                return np.where(is_selected, events.amount, 0)
            case "hour":
                hour = (events.happened - events.day * DAY_MICROSECONDS) // 3_600_000_000
                return np.where(events.is_purchase, np.left_shift(1, hour), 0)
            case _:
                return events.day


def validity_of(events: MemoryEvents) -> Callable[[str], NDArray[np.bool_] | None]:
    """Return the validity of columns of ``log`` and ``types``, one row per event.

    The result is :attr:`stagecast.features.engines.rows.Rows.validity`: name of a column -> mask of
    the events that have a value, or None if all have one.

    Parameters
    ----------
    events
        Events of the customers, cut at the as_of.
    """

    def validity(name: str) -> NDArray[np.bool_] | None:
        name, _, types = name.partition(" of ")
        if name == "active_day":
            return events.is_activity
        if not types:
            return None
        is_selected = events.is_of_types(types.split(TYPE_SEPARATOR))
        return (
            is_selected & events.has_amount
            if name == "amount" and events.has_amount is not None
            else is_selected
        )

    return validity


def purchase_day_rows(count: int, customer: Integers, day: Integers, spend: NDArray[Any]) -> Rows:
    """Return the relation ``days`` of purchase days that are ordered by customer and day.

    The columns of a row depend only on the row itself and earlier ones, so they are the same at
    every later date.

    Parameters
    ----------
    count
        Number of customers.
    customer
        0, 1, 2, ..., below ``count``, shape (n_days,).
    day
        Days since 1970, UTC.
    spend
        Net of refunds, in millionths.
    """
    length = len(day)
    has_previous = np.zeros(length, dtype=np.bool_)
    has_two_previous = np.zeros(length, dtype=np.bool_)
    gap, gap_before = np.zeros(length, dtype=np.int64), np.zeros(length, dtype=np.int64)
    if length:
        has_previous[1:] = customer[1:] == customer[:-1]
        has_two_previous[2:] = has_previous[2:] & has_previous[1:-1]
        gap[1:] = np.where(has_previous[1:], day[1:] - day[:-1], 0)
        gap_before[1:] = gap[:-1]

    def column(name: str) -> NDArray[Any]:
        match name:
            case "spend":
                return spend
            case "spend_change":
                change = np.zeros_like(spend)
                change[1:] = np.where(has_previous[1:], np.abs(spend[1:] - spend[:-1]), 0)
                return change
            case "gap":
                return gap
            case "gap_log":
                return scaled(np.log(np.maximum(gap, 1)), LOG_SCALE)
            case "gap_entropy":
                return scaled(np.asarray(gap * np.log(np.maximum(gap, 1))), LOG_SCALE)
            case "gap_unevenness":
                share = gap / np.maximum(gap + gap_before, 1)
                deviation = np.where(has_two_previous, share - 0.5, 0.0)
                return scaled(deviation * deviation, UNEVENNESS_SCALE)
            case "weekday":
                return np.asarray(np.left_shift(1, (day + 3) % 7))  # 1970-01-01 was a Thursday
            case "weekend":
                return np.asarray((day + 3) % 7 >= 5, dtype=np.int64)
            case _:
                return day

    def scaled(values: NDArray[Any], scale: float) -> NDArray[np.int64]:
        return np.floor(values * scale + 0.5).astype(np.int64)

    def validity(name: str) -> NDArray[np.bool_] | None:
        of_before = ("gap", "spend_change", "gap_log", "gap_entropy")
        return has_previous if name in of_before else None

    return Rows(count, customer, day, column, validity)


def distinct_count(feature: Feature, events: MemoryEvents, as_of_day: float) -> Array:
    """Return the number of distinct values of a column among the events of a feature's window.

    Parameters
    ----------
    feature
        Feature of the relation ``values``.
    events
        Events of the customers, cut at the as_of.
    as_of_day
        Days from 1970 to the as_of.

    Returns
    -------
    array
        Shape (n_customers,).
    """
    count = len(events.customers)
    codes = events.text_codes(str(feature.column))
    rows = np.flatnonzero(codes >= 0)
    if feature.events:
        rows = rows[events.is_of_types(feature.events)[rows]]
    if feature.window_days is not None:
        rows = rows[as_of_day - events.day[rows] <= feature.window_days[1]]
    if not len(rows):
        return np.zeros(count)
    stride = int(codes.max()) + 1
    pairs = np.unique(events.customer[rows] * stride + codes[rows])
    return np.bincount(pairs // stride, minlength=count).astype(np.float64)
