"""Small logs for the tests of the flows, and a slow reading of them without arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from stagecast.features.clock import DAY_MICROSECONDS as DAY
from stagecast.features.clock import microseconds
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys
from stagecast.features.stages.scheme import Scheme, Stage

STAGES = "abc"
SCHEME = Scheme(
    "made", {}, tuple(Stage(s, "active", {}, {}, {}, (), ()) for s in STAGES), tuple(STAGES), {}
)

Way = Sequence[tuple[float, str]]
Orders = Sequence[tuple[float, float]]


def instant(text: str) -> int:
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def at(day: float) -> int:
    return round(day * DAY)


def journeys(*ways: Way) -> Journeys:
    """Return the journeys of customers, each given by the day (since 1970) and the stage of each
    spell.
    """
    rows = [
        (customer, STAGES.index(stage), at(day))
        for customer, way in enumerate(ways)
        for day, stage in way
    ]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Journeys(SCHEME, *(np.ascontiguousarray(column) for column in columns))


def bought(*customers: Orders) -> PurchaseDays:
    """Return the purchase days of customers, each given by the day of the first purchase and the
    spend.
    """
    rows = [
        (customer, day, spend) for customer, orders in enumerate(customers) for day, spend in orders
    ]
    customer, day, spend = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    first = np.rint(day * DAY).astype(np.int64)
    return PurchaseDays(customer.astype(np.int64), first // DAY, spend.copy(), first)


def first_events(*ways: Way) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([at(way[0][0]) for way in ways], dtype=np.int64)


def rows(table: pa.Table, *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table as tuples; of some columns only, where they are named."""
    chosen = table.select(list(columns)) if columns else table
    return list(zip(*(chosen[name].to_pylist() for name in chosen.column_names), strict=True))


@dataclass(frozen=True)
class Log:
    """A made log: per customer the spells and the orders, as days since 1970."""

    ways: tuple[Way, ...]
    orders: tuple[Orders, ...]
    as_of: float

    @property
    def journeys(self) -> Journeys:
        return journeys(*self.ways)

    @property
    def days(self) -> PurchaseDays:
        return bought(*self.orders)

    @property
    def first_events(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return first_events(*self.ways)

    def stage(self, customer: int, when: int) -> str | None:
        """Return the stage just before an instant, by looking at one spell after the other."""
        found = None
        for day, stage in self.ways[customer]:
            if at(day) < when:
                found = stage
        return found

    def spend(self, customer: int, start: int, end: int) -> float:
        return sum(spend for day, spend in self.orders[customer] if start <= at(day) < end)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Logs of up to six customers over about half a year; spells on quarters of days, some after
    the as_of.
    """
    as_of = draw(st.integers(1, 720)) / 4
    ways, orders = [], []
    for _ in range(draw(st.integers(0, 6))):
        starts = sorted(draw(st.sets(st.integers(0, 800), min_size=1, max_size=6)))
        way = [(starts[0] / 4, draw(st.sampled_from(STAGES)))]
        for start in starts[1:]:
            way.append((start / 4, draw(st.sampled_from(STAGES.replace(way[-1][1], "")))))
        offsets = draw(st.sets(st.integers(0, 200), max_size=5))
        cents = st.integers(0, 10_000).map(lambda c: c / 100)
        ways.append(tuple(way))
        orders.append(tuple((way[0][0] + offset, draw(cents)) for offset in sorted(offsets)))
    return Log(tuple(ways), tuple(orders), as_of)
