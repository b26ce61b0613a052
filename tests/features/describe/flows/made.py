"""Small logs for the tests of the flows, and a slow evaluation of them without arrays."""

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

StagePath = Sequence[tuple[float, str]]
Orders = Sequence[tuple[float, float]]


def instant(text: str) -> int:
    """Return an ISO time (UTC) in microseconds since 1970."""
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def at(day: float) -> int:
    """Return a day (since 1970) in microseconds since 1970."""
    return round(day * DAY)


def journeys(*paths: StagePath) -> Journeys:
    """Return journeys, each customer a list of the day (since 1970) and stage of each spell."""
    rows = [
        (customer, STAGES.index(stage), at(day))
        for customer, path in enumerate(paths)
        for day, stage in path
    ]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Journeys(SCHEME, *(np.ascontiguousarray(column) for column in columns))


def bought(*customers: Orders) -> PurchaseDays:
    """Return purchase days, each customer a list of the day (since 1970) and spend of each."""
    rows = [
        (customer, day, spend) for customer, orders in enumerate(customers) for day, spend in orders
    ]
    customer, day, spend = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    first = np.rint(day * DAY).astype(np.int64)
    return PurchaseDays(customer.astype(np.int64), first // DAY, spend.copy(), first)


def first_events(*paths: StagePath) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the instants of the customers' first events."""
    return np.array([at(path[0][0]) for path in paths], dtype=np.int64)


def rows(table: pa.Table, *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table as tuples, of all columns or of those named."""
    selected = table.select(list(columns)) if columns else table
    return list(zip(*(selected[name].to_pylist() for name in selected.column_names), strict=True))


@dataclass(frozen=True)
class Log:
    """A test log: each customer's spells and orders, in days since 1970."""

    paths: tuple[StagePath, ...]
    orders: tuple[Orders, ...]
    as_of: float

    @property
    def journeys(self) -> Journeys:
        return journeys(*self.paths)

    @property
    def days(self) -> PurchaseDays:
        return bought(*self.orders)

    @property
    def first_events(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return first_events(*self.paths)

    def stage(self, customer: int, instant: int) -> str | None:
        """Return the stage just before an instant, by a loop over the spells."""
        current = None
        for day, stage in self.paths[customer]:
            if at(day) < instant:
                current = stage
        return current

    def spend(self, customer: int, start: int, end: int) -> float:
        """Return the spend of a customer from an instant up to another."""
        return sum(spend for day, spend in self.orders[customer] if start <= at(day) < end)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Logs of up to six customers over half a year, some spells and orders after the as_of."""
    as_of = draw(st.integers(1, 720)) / 4
    paths, orders = [], []
    for _ in range(draw(st.integers(0, 6))):
        starts = sorted(draw(st.sets(st.integers(0, 800), min_size=1, max_size=6)))
        path = [(starts[0] / 4, draw(st.sampled_from(STAGES)))]
        for start in starts[1:]:
            path.append((start / 4, draw(st.sampled_from(STAGES.replace(path[-1][1], "")))))
        offsets = draw(st.sets(st.integers(0, 200), max_size=5))
        cents = st.integers(0, 10_000).map(lambda c: c / 100)
        paths.append(tuple(path))
        orders.append(tuple((path[0][0] + offset, draw(cents)) for offset in sorted(offsets)))
    return Log(tuple(paths), tuple(orders), as_of)
