"""Shortcuts for a log's shape (:class:`stagecast.features.engines.sql.Shape`) change no result.

Without refunds and late records NumPy computes all dates together
(:mod:`stagecast.features.engines.plain`), unless sums are too large.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.standard import standard
from stagecast.features.engines import duckdb, sql
from stagecast.features.events import EventLog
from stagecast.features.requests import Event
from tests.parity.logs import DAY, KINDS, TICK, Customers, event_log, logs, midnights, utc
from tests.profiles import examples

CATALOG = standard(90).with_parameters(shop_gap_days=33.3)
KINDS_OF = {
    "plain": tuple(kind for kind in KINDS if kind != "refund"),
    "purchases": ("purchase",),
    "refunds": KINDS,
}


def results(log: EventLog, as_of: datetime, shape: sql.Shape | None) -> dict[str, bytes]:
    """Return features, outcomes and purchase days as bytes; without ``shape`` for the log's own."""
    shape_of = duckdb.shape_of if shape is None else lambda *_: shape
    with patch("stagecast.features.engines.duckdb.known_events.shape_of", shape_of):
        table = duckdb.DailyTable(log.con, as_of)
    features, outcomes = table.features(CATALOG, [0, 30, 400]), table.outcomes(30, [30, 90])
    order = sorted(
        range(len(outcomes["back"])),
        key=lambda row: (outcomes["back"][row], outcomes["customer"][row]),
    )
    days = table.purchase_days(30)
    return {
        **{name: column.tobytes() for name, column in features.items()},
        **{f"outcome {name}": column[order].tobytes() for name, column in outcomes.items()},
        **{f"day {name}": column.tobytes() for name, column in vars(days).items()},
        "first events": table.first_events(30).tobytes(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kinds", KINDS_OF)
@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_skipped_steps_change_no_byte(kinds: str, data: st.DataObject) -> None:
    as_of = data.draw(midnights())
    customers = data.draw(logs(as_of, late=False, kinds=KINDS_OF[kinds], years=3))
    with event_log(customers) as log:
        expected = results(log, as_of, None)
        # wide: all of it in SQL
        own_shape = replace(duckdb.DailyTable(log.con, as_of).shape, wide=True)
        any_shape = replace(sql.ANY, wide=True)
        for shape in (any_shape, replace(any_shape, late=False), own_shape):
            assert results(log, as_of, shape) == expected


@pytest.mark.slow
@pytest.mark.parametrize("kinds", KINDS_OF)
@settings(max_examples=examples(5), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_several_dates_give_the_results_of_each_alone(kinds: str, data: st.DataObject) -> None:
    """However many rows are computed at once."""
    as_of = data.draw(midnights())
    customers = data.draw(logs(as_of, late=kinds == "refunds", kinds=KINDS_OF[kinds], years=3))
    with event_log(customers) as log:
        table = duckdb.DailyTable(log.con, as_of)
        alone = [table.features(CATALOG, [back]) for back in (0, 30, 90, 400)]
        for rows in (1, 2, 1000):
            with patch("stagecast.features.engines.plain.ROWS_AT_ONCE", rows):
                together = table.features(CATALOG, [400, 0, 90, 30, 90])
            for name, column in together.items():
                expected = b"".join(columns[name].tobytes() for columns in alone)
                assert column.tobytes() == expected, (name, rows)


def test_a_constant_column_takes_no_memory() -> None:
    as_of = utc("2020-06-01")
    with event_log({name: (Event(as_of - DAY, "purchase", 5.0),) for name in "abc"}) as log:
        columns = duckdb.DailyTable(log.con, as_of).features(CATALOG, [0])
    for name, value in {
        "refunds": 0.0,
        "visits_30d": 0.0,
        "trend_activity_30d": 1.0,
        "last_active_day": np.nan,
    }.items():
        np.testing.assert_array_equal(columns[name], [value] * 3)
        assert columns[name].strides == (0,)


def shape_of(customers: Customers, as_of: datetime) -> sql.Shape:
    with event_log(customers) as log:
        return duckdb.DailyTable(log.con, as_of).shape


def test_the_shape_of_a_log_is_that_of_its_known_events() -> None:
    as_of = utc("2020-06-01")
    purchase = Event(as_of - DAY, "purchase", 5.0)
    assert shape_of({"a": (purchase,)}, as_of) == sql.Shape(
        False, False, False, frozenset({"purchase"}), (), False
    )
    later = Event(as_of, "refund", 5.0, "web", category="books", discount=1.0)
    late = Event(as_of - 9 * DAY, "visit", recorded_at=as_of)
    assert shape_of({"a": (purchase, later, late)}, as_of) == shape_of({"a": (purchase,)}, as_of)
    refund = Event(as_of - DAY, "refund", None, "web", as_of - TICK, category="books", discount=1.0)
    assert shape_of({"a": (purchase, refund)}, as_of) == sql.Shape(
        True, True, False, frozenset({"purchase", "refund"}), ("channel", "category"), True
    )
    assert shape_of({"a": (purchase,)}, as_of + TICK).late, "the anchor is not at midnight"


@pytest.mark.parametrize("kind", ["purchase", "refund", "visit"])
def test_sums_beyond_exact_doubles_are_wide(kind: str) -> None:
    as_of, amount = utc("2020-06-01"), 2**53 / 1e6 / 90
    small = Event(as_of - DAY, "purchase", 1.0)
    large = tuple(Event(as_of - DAY, kind, amount) for _ in range(90))
    assert shape_of({"a": (small, *large)}, as_of).wide
    by_customer = {f"c{i}": (event,) for i, event in enumerate(large)}
    assert not shape_of({"a": (small,), **by_customer}, as_of).wide, (
        "the sum of a single customer counts"
    )
