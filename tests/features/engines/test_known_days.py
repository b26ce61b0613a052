"""Purchase days from the money held in memory are those that SQL computes, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.engines import known_days
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import EventLog
from stagecast.features.record import PurchaseDays
from tests.parity.logs import event_log, logs, midnights
from tests.profiles import examples
from tests.training.made import day, log_of, simulated_rows

BACKS = (0, 1, 30, 90, 180, 365)
COLUMNS = ("customer", "day", "spend", "first_purchase")


def by_both(log: EventLog, table: DailyTable) -> list[tuple[PurchaseDays, PurchaseDays]]:
    """Return the purchase days of the dates as held in memory, and as SQL computes them."""
    in_memory = [table.purchase_days(back) for back in BACKS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_days, "MOST_ROWS", -1)
        by_sql = DailyTable(log.con, table.anchor)
        return list(zip(in_memory, (by_sql.purchase_days(back) for back in BACKS), strict=True))


def check_equal(in_memory: PurchaseDays, by_sql: PurchaseDays) -> None:
    for name in COLUMNS:
        mine, theirs = getattr(in_memory, name), getattr(by_sql, name)
        assert mine.dtype == theirs.dtype, name
        assert np.array_equal(mine, theirs), name


def test_purchase_days_of_many_customers_are_those_of_sql() -> None:
    with log_of(simulated_rows(60, 500, seed=3, refunds=0.3)) as log:
        table = DailyTable(log.con, day(500))
        pairs = by_both(log, table)
    assert len(pairs[0][0].day) > len(pairs[-1][0].day) > 0
    for in_memory, by_sql in pairs:
        check_equal(in_memory, by_sql)


@pytest.mark.slow
@settings(
    max_examples=examples(24),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_purchase_days_of_late_records_and_refunds_are_those_of_sql(data: st.DataObject) -> None:
    anchor = data.draw(midnights())
    with event_log(data.draw(logs(anchor, kinds=("purchase", "refund", "visit")))) as log:
        for in_memory, by_sql in by_both(log, DailyTable(log.con, anchor)):
            check_equal(in_memory, by_sql)
