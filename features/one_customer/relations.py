"""Relations of the catalogue over the events of one customer, as whole numbers.

The columns are those of :mod:`stagecast.features.engines.relations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import numpy as np

from stagecast.features.catalog.feature import LOG_SCALE, UNEVENNESS_SCALE
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.one_customer.past import NetDay, Past

_HOUR = 3_600_000_000
_OF_BEFORE = ("gap", "spend_change", "gap_log", "gap_entropy")


class RowsOfOne:
    """Rows of one relation, ordered by day, with columns that are computed when asked for.

    Parameters
    ----------
    days
        Days since 1970.
    column
        Name of a column and its event types -> whole numbers, one per row; a null is 0.
    valid
        The same -> which rows have a value; None: all have.
    """

    def __init__(
        self,
        days: Sequence[int],
        column: Callable[[str, tuple[str, ...]], Sequence[int]],
        valid: Callable[[str, tuple[str, ...]], Sequence[bool] | None],
    ) -> None:
        self.days, self._column, self._valid = days, column, valid
        self._cache: dict[tuple[str, str, tuple[str, ...]], Sequence[int] | None] = {}

    def column(self, name: str, types: tuple[str, ...]) -> Sequence[int]:
        """Return a column."""
        key = "column", name, types
        if key not in self._cache:
            self._cache[key] = self._column(name, types)
        return self._cache[key] or ()

    def valid(self, name: str, types: tuple[str, ...]) -> Sequence[bool] | None:
        """Return which rows have a value; None: all have."""
        key = "valid", name, types
        if key not in self._cache:
            self._cache[key] = self._valid(name, types)
        return self._cache[key]  # type: ignore[return-value]  # bools are integers

    def running(self, name: str, types: tuple[str, ...], *, squared: bool) -> Sequence[int]:
        """Return the running total of a column, beginning with 0."""
        key = "squares" if squared else "sums", name, types
        if key not in self._cache:
            values = self.column(name, types)
            numbers = [value * value for value in values] if squared else values
            self._cache[key] = list(accumulate(numbers, initial=0))
        return self._cache[key] or ()

    def running_count(self, name: str, types: tuple[str, ...]) -> Sequence[int] | None:
        """Return the running number of rows with a value, beginning with 0; None: all have."""
        key = "counts", name, types
        if key not in self._cache:
            valid = self.valid(name, types)
            self._cache[key] = None if valid is None else list(accumulate(valid, initial=0))
        return self._cache[key]


def event_rows(past: Past) -> RowsOfOne:
    """Return the rows of ``log`` and ``types``, one per event."""
    events = past.events

    def selected(types: tuple[str, ...]) -> list[bool]:
        return past.of_types(types) if types else past.is_activity

    def column(name: str, types: tuple[str, ...]) -> Sequence[int]:
        match name:
            case "purchases":
                return [e.kind == "purchase" for e in events]
            case "gross_spend":
                return [e.amount if e.kind == "purchase" else 0 for e in events]
            case "discount":
                return past.discounts
            case "refunds":
                return [e.kind == "refund" for e in events]
            case "refund":
                return [e.amount if e.kind == "refund" else 0 for e in events]
            case "activity":
                return past.is_activity
            case "events":
                return selected(types)
            case "amount":
                chosen = zip(events, selected(types), strict=True)
                return [e.amount if is_selected else 0 for e, is_selected in chosen]
            case "hour":
                return [
                    1 << (e.happened - e.day * DAY_MICROSECONDS) // _HOUR
                    if e.kind == "purchase"
                    else 0
                    for e in events
                ]
            case _:
                return past.days

    def valid(name: str, types: tuple[str, ...]) -> Sequence[bool] | None:
        if name == "active_day":
            return past.is_activity
        if not types:
            return None
        if name == "amount":
            chosen = zip(events, selected(types), strict=True)
            return [is_selected and e.has_amount for e, is_selected in chosen]
        return selected(types)

    return RowsOfOne(past.days, column, valid)


def purchase_day_rows(net_days: Sequence[NetDay]) -> RowsOfOne:
    """Return the rows of ``days``, one per purchase day net of refunds."""
    days = [row.day for row in net_days]
    spend = [row.spend for row in net_days]
    gaps = [0, *(later - day for day, later in pairwise(days))][: len(days)]
    has_previous = [position > 0 for position in range(len(days))]

    def column(name: str, _: tuple[str, ...]) -> Sequence[int]:
        match name:
            case "spend":
                return spend
            case "spend_change":
                pairs = pairwise(spend)
                return [0, *(abs(later - before) for before, later in pairs)][: len(days)]
            case "gap":
                return gaps
            case "gap_log":
                return [math.floor(log * LOG_SCALE + 0.5) for log in _logs(gaps)]
            case "gap_entropy":
                return _entropies(gaps)
            case "gap_unevenness":
                return [0, 0, *map(_unevenness, gaps[2:], gaps[1:])][: len(days)]
            case "weekday":
                return [1 << (day + 3) % 7 for day in days]
            case "weekend":
                return [(day + 3) % 7 >= 5 for day in days]
            case _:
                return days

    def valid(name: str, _: tuple[str, ...]) -> Sequence[bool] | None:
        return has_previous if name in _OF_BEFORE else None

    return RowsOfOne(days, column, valid)


def _entropies(gaps: Sequence[int]) -> list[int]:
    pairs = zip(gaps, _logs(gaps), strict=True)
    return [math.floor(gap * log * LOG_SCALE + 0.5) for gap, log in pairs]


def _logs(gaps: Sequence[int]) -> list[float]:
    # NumPy's logarithm, whose last bit may be another than that of Python's
    logs: list[float] = np.log(np.maximum(np.array(gaps, dtype=np.int64), 1)).tolist()
    return logs


def _unevenness(gap: int, gap_before: int) -> int:
    deviation = gap / max(gap + gap_before, 1) - 0.5
    return math.floor(deviation * deviation * UNEVENNESS_SCALE + 0.5)
