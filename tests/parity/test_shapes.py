"""What a log has not (:class:`stagecast.features.engines.sql.Shape`) spares work, of SQL or all of
it, and changes no byte of the rest.

Without refunds and late records NumPy works out the dates together
(:mod:`stagecast.features.engines.plain`); large sums leave it to SQL.
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

CATALOG = standard(90).with_parameters(shop_gap_days=33.3)
KINDS_OF = {
    "plain": tuple(kind for kind in KINDS if kind != "refund"),
    "purchases": ("purchase",),
    "refunds": KINDS,
}


def found(log: EventLog, as_of: datetime, shape: sql.Shape | None) -> dict[str, bytes]:
    """Return features, outcomes and purchase days as bytes, of a shape or, where there is none,
    of what the log has.
    """
    chosen = duckdb.shape_of if shape is None else lambda *_: shape
    with patch("stagecast.features.engines.duckdb.shape_of", chosen):
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


@pytest.mark.parametrize("kinds", KINDS_OF)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_shorter_way_gives_the_same_bytes(kinds: str, data: st.DataObject) -> None:
    as_of = data.draw(midnights())
    customers = data.draw(logs(as_of, late=False, kinds=KINDS_OF[kinds], years=3))
    with event_log(customers) as log:
        want = found(log, as_of, None)
        by_sql = replace(duckdb.DailyTable(log.con, as_of).shape, wide=True)
        for shape in (replace(sql.ANY, wide=True), replace(sql.ANY, wide=True, late=False), by_sql):
            assert found(log, as_of, shape) == want


@pytest.mark.parametrize("kinds", KINDS_OF)
@pytest.mark.parametrize("at_once", [1, 2, 1000])
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_several_dates_are_what_each_is_alone(
    kinds: str, at_once: int, data: st.DataObject
) -> None:
    as_of = data.draw(midnights())
    customers = data.draw(logs(as_of, late=kinds == "refunds", kinds=KINDS_OF[kinds], years=3))
    with (
        event_log(customers) as log,
        patch("stagecast.features.engines.plain.ROWS_AT_ONCE", at_once),
    ):
        table = duckdb.DailyTable(log.con, as_of)
        together = table.features(CATALOG, [400, 0, 90, 30, 90])
        alone = [table.features(CATALOG, [back]) for back in (0, 30, 90, 400)]
    for name, column in together.items():
        assert column.tobytes() == b"".join(one[name].tobytes() for one in alone), name


def test_a_column_of_what_the_log_has_not_takes_no_memory() -> None:
    as_of = utc("2020-06-01")
    with event_log({name: (Event(as_of - DAY, "purchase", 5.0),) for name in "abc"}) as log:
        found = duckdb.DailyTable(log.con, as_of).features(CATALOG, [0])
    for name, value in {
        "refunds": 0.0,
        "visits_30d": 0.0,
        "trend_activity_30d": 1.0,
        "last_active_day": np.nan,
    }.items():
        np.testing.assert_array_equal(found[name], [value] * 3)
        assert found[name].strides == (0,)


def shape(customers: Customers, as_of: datetime) -> sql.Shape:
    with event_log(customers) as log:
        return duckdb.DailyTable(log.con, as_of).shape


def test_the_shape_of_a_log_is_what_was_known_of_it() -> None:
    as_of = utc("2020-06-01")
    plain = Event(as_of - DAY, "purchase", 5.0)
    assert shape({"a": (plain,)}, as_of) == sql.Shape(
        False, False, False, frozenset({"purchase"}), (), False
    )
    later = Event(as_of, "refund", 5.0, "web", category="books", discount=1.0)
    late = Event(as_of - 9 * DAY, "visit", recorded_at=as_of)
    assert shape({"a": (plain, later, late)}, as_of) == shape({"a": (plain,)}, as_of)
    some = Event(as_of - DAY, "refund", None, "web", as_of - TICK, category="books", discount=1.0)
    assert shape({"a": (plain, some)}, as_of) == sql.Shape(
        True, True, False, frozenset({"purchase", "refund"}), ("channel", "category"), True
    )
    assert shape({"a": (plain,)}, as_of + TICK).late, "the anchor divides a day"


@pytest.mark.parametrize("event", ["purchase", "refund", "visit"])
def test_sums_that_doubles_do_not_hold_are_wide(event: str) -> None:
    as_of, much = utc("2020-06-01"), 2**53 / 1e6 / 90
    some = tuple(Event(as_of - DAY, event, much) for _ in range(90))
    assert shape({"a": (Event(as_of - DAY, "purchase", 1.0), *some)}, as_of).wide
    each = {f"c{i}": (event,) for i, event in enumerate(some)}
    assert not shape({"a": (Event(as_of - DAY, "purchase", 1.0),), **each}, as_of).wide, (
        "what counts is one customer's"
    )
