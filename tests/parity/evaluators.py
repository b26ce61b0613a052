"""The ways to evaluate a catalogue that are compared with the oracle, and the tolerances."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import numpy as np
import pytest

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.one_customer.of_catalog import EvaluatorOfOne
from stagecast.features.one_customer.past import Past
from tests.parity import oracle
from tests.parity.logs import DAY, Attributes, Customers, event_log, known_customers, requests

Rows = dict[tuple[str, int], dict[str, float]]
"""Customer and days before the as_of -> feature -> value; NaN is null."""


class Evaluate(Protocol):
    """A way to evaluate a catalogue; ``attributes`` is the table of customers, if there is one."""

    def __call__(
        self,
        customers: Customers,
        as_of: datetime,
        backs: Sequence[int],
        catalog: Catalog,
        attributes: Attributes | None = None,
        /,
    ) -> Rows: ...


def by_duckdb(
    customers: Customers,
    as_of: datetime,
    backs: Sequence[int],
    catalog: Catalog,
    attributes: Attributes | None = None,
) -> Rows:
    """Evaluate with a daily table in DuckDB."""
    with event_log(customers, attributes) as log:
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
    attributes: Attributes | None = None,
) -> Rows:
    """Evaluate with events in memory, all customers at once."""
    rows: Rows = {}
    for back in backs:
        date = as_of - back * DAY
        if known := known_customers(customers, date):
            columns = Evaluator(catalog).features(MemoryEvents(requests(known, attributes), date))
            rows |= {
                (name, back): {n: float(columns[n][i]) for n in catalog.names}
                for i, name in enumerate(known)
            }
    return rows


def one_by_one(
    customers: Customers,
    as_of: datetime,
    backs: Sequence[int],
    catalog: Catalog,
    attributes: Attributes | None = None,
) -> Rows:
    """Evaluate with events in memory, each customer alone, as the API mostly does.

    What is compiled for one customer gives the same bits, or leaves the customer to arrays.
    """
    rows: Rows = {}
    evaluator = EvaluatorOfOne(catalog)
    for name, events in customers.items():
        alone = by_memory({name: events}, as_of, backs, catalog, attributes)
        for (_, back), row in alone.items():
            (request,) = requests({name: events}, attributes)
            try:
                compiled = evaluator.features(Past(request, as_of - back * DAY))
            except ArithmeticError:
                continue
            for feature, value in row.items():
                assert np.array(compiled[feature]).tobytes() == np.array(value).tobytes() or (
                    math.isnan(value) and math.isnan(compiled[feature])
                ), (name, back, feature, compiled[feature], value)
        rows |= alone
    return rows


def by_the_oracle(
    customers: Customers,
    as_of: datetime,
    backs: Sequence[int],
    catalog: Catalog,
    attributes: Attributes | None = None,
) -> Rows:
    """Evaluate with the oracle, for tests of the oracle itself.

    It evaluates the standard catalogue for 90 days only.
    """
    rows: Rows = {}
    for back, (name, events) in itertools.product(backs, customers.items()):
        shop_gap = catalog.parameters["shop_gap_days"]
        values = oracle.features(events, as_of - back * DAY, 90, shop_gap)
        if values is not None:
            rows[name, back] = {
                n: math.nan if value is None else float(value) for n, value in values.items()
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
"""Units of counts and days, which must be exact where the value is whole."""
ROUNDING = {
    "gap_log": 0.75e-10,
    "gap_logs": 0.75e-10,
    "gap_entropy": 0.75e-10,
    "gap_unevenness": 0.75e-12,
}
"""Column, or feature that adds it up -> error allowed per row.

Rows are rounded to 1e-10 or 1e-12, so that their sum does not depend on the order of rows.
"""


def same(feature: Feature, value: float, expected: oracle.Value, money: float, gaps: float) -> bool:
    """Tell whether a value is that of the oracle.

    Counts and whole days must be exact, other values to a relative error of 1e-9. Differences of
    sums may be off by the rounding error of the sums.

    Parameters
    ----------
    feature
        Feature of the standard catalogue.
    value
        Value of an evaluator; NaN is null.
    expected
        Value of the oracle.
    money
        All money that the customer paid and got back.
    gaps
        Number of the customer's gaps.
    """
    if expected is None or math.isnan(value):
        return expected is None and math.isnan(value)
    if feature.unit in EXACT and Fraction(expected).denominator == 1:
        return value == float(expected)
    if (rounding := ROUNDING.get(feature.name)) is not None:
        return math.isclose(value, float(expected), rel_tol=1e-14, abs_tol=rounding * gaps)
    tolerance_of_unit = {"money": 1e-12 * money, "days": 1e-11}
    # these two are computed from rounded sums, whose difference may be close to 0
    absolute = (
        1e-9
        if feature.name in ("clumpiness", "regularity")
        else tolerance_of_unit.get(feature.unit, 1e-10)
    )
    return math.isclose(value, float(expected), rel_tol=1e-9, abs_tol=absolute)


remembered = lru_cache(maxsize=None)(oracle.features)
"""The oracle for logs that are the same for each evaluator, whose instants are all in UTC."""


def check(
    rows: Rows,
    customers: Customers,
    as_of: datetime,
    horizon: int,
    backs: Sequence[int],
    gap: float,
    *,
    features_by_oracle: Callable[..., Mapping[str, oracle.Value] | None] = oracle.features,
) -> None:
    """Compare each feature of each customer at each date with the oracle.

    :data:`remembered` in its place asks it once for all evaluators of a log.
    """
    catalog, expected_keys = standard(horizon), set()
    for back in backs:
        date = as_of - back * DAY
        for name, events in customers.items():
            expected = features_by_oracle(events, date, horizon, gap)
            if expected is None:
                continue
            expected_keys.add((name, back))
            assert set(expected) == set(catalog.names), "the oracle has every feature, and no other"
            money = float(expected["purchase_spend"] or 0) + float(expected["refund_spend"] or 0)
            gaps = float(expected["frequency"] or 0)
            for feature in catalog.features:
                value = rows[name, back][feature.name]
                assert same(feature, value, expected[feature.name], money, gaps), (
                    f"{feature.name} of {name} at {date}: {value!r}, by the oracle "
                    f"{_shown(expected[feature.name])}"
                )
    assert set(rows) == expected_keys, (
        "a customer has a row at a date exactly if an event was known before it"
    )


def check_attributes(
    rows: Rows,
    customers: Customers,
    attributes: Attributes,
    as_of: datetime,
    backs: Sequence[int],
    features: Sequence[Feature],
) -> None:
    """Compare features of the relation ``customer`` with the oracle.

    There must be a row for each customer with an event known before the date.
    """
    assert set(rows) == {
        (name, back) for back in backs for name in known_customers(customers, as_of - back * DAY)
    }
    for (name, back), row in rows.items():
        for feature in features:
            expected = oracle.attribute(
                str(feature.function),
                str(feature.column),
                feature.values,
                attributes.get(name, {}),
            )
            value = row[feature.name]
            assert math.isnan(value) if expected is None else value == float(expected), (
                f"{feature.definition} of {name}, {back} days ago: {value!r}, by the oracle "
                f"{_shown(expected)}"
            )


def _shown(value: oracle.Value) -> str:
    return repr(None if value is None else float(value))
