"""The relations of the catalogue over events in memory: what
:mod:`stagecast.features.catalog.feature` says of each, as arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog.feature import ENTROPY_SCALE, UNEVENNESS_SCALE, Feature
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.engines.rows import TYPES_APART, Rows

if TYPE_CHECKING:
    from stagecast.features.engines.memory import MemoryEvents


class EventColumns:
    """Columns of ``log`` and ``types`` over events; see
    :class:`stagecast.features.engines.rows.Rows`.
    """

    def __init__(self, events: MemoryEvents) -> None:
        self._events = events

    def __call__(self, name: str) -> NDArray[Any]:
        events = self._events
        name, _, types = name.partition(" of ")
        kept = events.of_types(types.split(TYPES_APART)) if types else events.is_activity
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
                return kept
            case "amount":
                return np.where(kept, events.amount, 0)
            case "hour":
                hour = (events.happened - events.day * DAY_MICROSECONDS) // 3_600_000_000
                return np.where(events.is_purchase, np.left_shift(1, hour), 0)
            case _:
                return events.day


def given_of(events: MemoryEvents) -> Callable[[str], NDArray[np.bool_] | None]:
    """Return which events have a column of ``log`` or ``types``; None: all of them."""

    def given(name: str) -> NDArray[np.bool_] | None:
        name, _, types = name.partition(" of ")
        if name == "active_day":
            return events.is_activity
        if not types:
            return None
        kept = events.of_types(types.split(TYPES_APART))
        return (
            kept & events.amount_given
            if name == "amount" and events.amount_given is not None
            else kept
        )

    return given


def days_of(count: int, customer: Integers, day: Integers, spend: NDArray[Any]) -> Rows:
    """Return the relation ``days`` of so many customers' purchase days, ordered by customer and
    day.

    A row is told of itself and those before it, so it is the same at every date that stands after
    it.
    """
    length = len(day)
    later = np.zeros(length, dtype=np.bool_)  # a purchase day with another before it
    third = np.zeros(length, dtype=np.bool_)
    gap, gap_before = np.zeros(length, dtype=np.int64), np.zeros(length, dtype=np.int64)
    if length:
        later[1:] = customer[1:] == customer[:-1]
        third[2:] = later[2:] & later[1:-1]
        gap[1:] = np.where(later[1:], day[1:] - day[:-1], 0)
        gap_before[1:] = gap[:-1]

    def column(name: str) -> NDArray[Any]:
        match name:
            case "spend":
                return spend
            case "spend_change":
                change = np.zeros_like(spend)
                change[1:] = np.where(later[1:], np.abs(spend[1:] - spend[:-1]), 0)
                return change
            case "gap":
                return gap
            case "gap_entropy":
                return np.asarray(
                    np.floor(gap * np.log(np.maximum(gap, 1)) * ENTROPY_SCALE + 0.5), dtype=np.int64
                )
            case "gap_unevenness":
                off = np.where(third, gap / np.maximum(gap + gap_before, 1) - 0.5, 0.0)
                return np.floor(off * off * UNEVENNESS_SCALE + 0.5).astype(np.int64)
            case "weekday":
                return np.asarray(np.left_shift(1, (day + 3) % 7))  # 1970-01-01 was a Thursday
            case "weekend":
                return np.asarray((day + 3) % 7 >= 5, dtype=np.int64)
            case _:
                return day

    def given(name: str) -> NDArray[np.bool_] | None:
        return later if name in ("gap", "spend_change", "gap_entropy") else None

    return Rows(count, customer, day, column, given)


def different(feature: Feature, events: MemoryEvents, as_of_day: float) -> Array:
    """Return how many different values of a column the events of a window have."""
    count = len(events.customers)
    texts = events.texts(str(feature.column))
    kept = np.flatnonzero(texts >= 0)
    if feature.events:
        kept = kept[events.of_types(feature.events)[kept]]
    if feature.window_days is not None:
        kept = kept[as_of_day - events.day[kept] <= feature.window_days[1]]
    if not len(kept):
        return np.zeros(count)
    pairs = np.unique(events.customer[kept] * (int(texts.max()) + 1) + texts[kept])
    return np.bincount(pairs // (int(texts.max()) + 1), minlength=count).astype(np.float64)
