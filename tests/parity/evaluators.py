"""What is held to the oracle: every way of evaluating a catalogue, and how near each must come."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Protocol

import pytest

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from tests.parity import oracle
from tests.parity.logs import DAY, Attributes, Customers, event_log, requests

Rows = dict[tuple[str, int], dict[str, float]]
"""Customer and days before the as_of -> feature -> value; NaN is null."""


class Evaluate(Protocol):
    """A way of evaluating a catalogue for customers, of whom the table of customers tells
    something or nothing.
    """

    def __call__(
        self,
        customers: Customers,
        as_of: datetime,
        backs: Sequence[int],
        catalog: Catalog,
        told: Attributes | None = None,
        /,
    ) -> Rows: ...


def by_duckdb(
    customers: Customers,
    as_of: datetime,
    backs: Sequence[int],
    catalog: Catalog,
    told: Attributes | None = None,
) -> Rows:
    with event_log(customers, told) as log:
        table = DailyTable(log.con, as_of)
        columns = table.features(catalog, backs)
        ids = [str(table.customers[int(row)]) for row in columns["customer"]]
    keys = [(name, int(back)) for name, back in zip(ids, columns["back"], strict=True)]
    assert keys == sorted(keys, key=lambda key: (key[1], key[0])), (
        "rows are ordered by date, then customer"
    )
    return {key: {n: float(columns[n][i]) for n in catalog.names} for i, key in enumerate(keys)}


def by_memory(
    customers: Customers,
    as_of: datetime,
    backs: Sequence[int],
    catalog: Catalog,
    told: Attributes | None = None,
) -> Rows:
    rows: Rows = {}
    for back in backs:
        date = as_of - back * DAY
        seen = {
            name: some
            for name, some in customers.items()
            if any(event.seen_from(date) for event in some)
        }
        if seen:
            columns = Evaluator(catalog).features(MemoryEvents(requests(seen, told), date))
            rows |= {
                (c, back): {n: float(columns[n][i]) for n in catalog.names}
                for i, c in enumerate(seen)
            }
    return rows


def one_by_one(
    customers: Customers,
    as_of: datetime,
    backs: Sequence[int],
    catalog: Catalog,
    told: Attributes | None = None,
) -> Rows:
    """Return what memory says of each customer alone, as the API mostly asks."""
    rows: Rows = {}
    for name, some in customers.items():
        rows |= by_memory({name: some}, as_of, backs, catalog, told)
    return rows


def by_the_oracle(
    customers: Customers,
    as_of: datetime,
    backs: Sequence[int],
    catalog: Catalog,
    told: Attributes | None = None,
) -> Rows:
    """Return what the oracle says, of a standard catalogue for 90 days alone; for tests of the
    oracle itself.
    """
    rows: Rows = {}
    for back, (name, some) in itertools.product(backs, customers.items()):
        found = oracle.features(some, as_of - back * DAY, 90, catalog.parameters["shop_gap_days"])
        if found is not None:
            rows[name, back] = {
                n: math.nan if value is None else float(value) for n, value in found.items()
            }
    return rows


EVALUATORS = [
    pytest.param(by_duckdb, id="duckdb"),
    pytest.param(by_memory, id="memory"),
    pytest.param(one_by_one, id="one by one"),
]
by_each = pytest.mark.parametrize("evaluate", EVALUATORS)
by_each_and_the_oracle = pytest.mark.parametrize(
    "evaluate", [*EVALUATORS, pytest.param(by_the_oracle, id="oracle")]
)

EXACT = ("days", "events", "day number", "days^2", "values", "number")
"""Units of counts and days: exact where they are whole."""
PARTS = {"gap_entropy": 0.75e-10, "gap_unevenness": 0.75e-12}
"""By how much each row may be off: it is rounded to 1e-10 or 1e-12, so that rows add up to the
same in any order.
"""


def same(feature: Feature, got: float, want: oracle.Value, money: float, gaps: float) -> bool:
    """Exact for counts and whole days, else to a billionth; differences of sums to what the sums
    allow.

    ``money`` is all that the customer paid and got back, ``gaps`` how many gaps there are.
    """
    if want is None or math.isnan(got):
        return want is None and math.isnan(got)
    if feature.unit in EXACT and Fraction(want).denominator == 1:
        return got == float(want)
    if (part := PARTS.get(feature.name)) is not None:
        return math.isclose(got, float(want), rel_tol=1e-14, abs_tol=part * gaps)
    of_unit = {"money": 1e-12 * money, "days": 1e-11}
    # made of such parts, of which nearly nothing may be left
    absolute = (
        1e-9 if feature.name in ("clumpiness", "regularity") else of_unit.get(feature.unit, 1e-10)
    )
    return math.isclose(got, float(want), rel_tol=1e-9, abs_tol=absolute)


def check(
    rows: Rows,
    customers: Customers,
    as_of: datetime,
    horizon: int,
    backs: Sequence[int],
    gap: float,
) -> None:
    """Hold the rows to the oracle, each feature of each customer at each date."""
    catalog, expected = standard(horizon), set()
    for back in backs:
        date = as_of - back * DAY
        for name, some in customers.items():
            want = oracle.features(some, date, horizon, gap)
            if want is None:
                continue
            expected.add((name, back))
            assert set(want) == set(catalog.names), "the oracle knows every feature, and no other"
            money = float(want["purchase_spend"] or 0) + float(want["refund_spend"] or 0)
            gaps = float(want["frequency"] or 0)
            for feature in catalog.features:
                got = rows[name, back][feature.name]
                assert same(feature, got, want[feature.name], money, gaps), (
                    f"{feature.name} of {name} at {date}: {got!r}, by the oracle "
                    f"{_shown(want[feature.name])}"
                )
    assert set(rows) == expected, "a customer has a row at a date exactly where something was known"


def check_attributes(
    rows: Rows,
    customers: Customers,
    told: Attributes,
    as_of: datetime,
    backs: Sequence[int],
    asked: Sequence[Feature],
) -> None:
    """Hold features of the relation ``customer`` to the oracle; there are rows of those who have
    events.
    """
    past = {(name, back): as_of - back * DAY for name in customers for back in backs}
    assert set(rows) == {
        key for key, at in past.items() if any(event.seen_from(at) for event in customers[key[0]])
    }
    for (name, back), row in rows.items():
        for one in asked:
            want = oracle.attribute(
                str(one.function), str(one.column), one.values, told.get(name, {})
            )
            got = row[one.name]
            assert math.isnan(got) if want is None else got == float(want), (
                f"{one.how} of {name}, {back} days ago: {got!r}, by the oracle {_shown(want)}"
            )


def _shown(value: oracle.Value) -> str:
    return repr(None if value is None else float(value))
