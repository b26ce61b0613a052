"""Snapshots use events before the as_of, outcomes those in ``[as_of, as_of + horizon)``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.requests import Event
from stagecast.features.snapshots import Outcome, Snapshot, observe_outcomes, take_snapshots
from stagecast.features.stages.journeys import Journeys
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme_files import load_scheme
from tests.parity.logs import DAY, TICK, Customers, as_ofs, event_log, logs, utc
from tests.profiles import examples

THRESHOLDS = {
    "shop_gap_days": 31.4159265,
    "at_risk_ratio": 1.7320508,
    "sleeping_ratio": 3.1622777,
    "lost_after_days": 300.5,
    "loyal_orders": 3.0,
    "loyal_spend": 100.0,
}
SCHEME = load_scheme("retail").with_thresholds(THRESHOLDS)


class Panel(NamedTuple):
    snapshots: list[Snapshot]
    outcomes: list[Outcome]
    journeys: Journeys


def panel(
    customers: Customers, anchor: datetime, backs: list[int], horizon: int | None = None
) -> Panel:
    with event_log(customers) as log:
        table = DailyTable(log.con, anchor)
        lifecycle = fit_lifecycle(table, SCHEME, 90)
        snapshots = take_snapshots(table, lifecycle, backs)
        outcomes = (
            observe_outcomes(table, lifecycle.journeys, snapshots, horizon) if horizon else []
        )
        return Panel(snapshots, outcomes, lifecycle.journeys)


def purchase(
    timestamp: datetime,
    amount: float = 10.0,
    kind: str = "purchase",
    recorded_at: datetime | None = None,
) -> Event:
    return Event(timestamp, kind, amount, None, recorded_at)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("time_of_day", "horizon"),
    [
        (timedelta(0), 1),
        (timedelta(0), 90),
        (TICK, 30),
        (timedelta(hours=13, microseconds=7), 1),
        (timedelta(hours=13, microseconds=7), 90),
        (DAY - TICK, 30),
    ],
)
def test_the_horizon_includes_its_start_and_excludes_its_end(
    time_of_day: timedelta, horizon: int
) -> None:
    as_of = utc("2020-03-01") + time_of_day
    end = as_of + horizon * DAY
    earlier = purchase(as_of - 50 * DAY, 1.0)
    customers = {
        "at": (earlier, purchase(as_of)),
        "before": (earlier, purchase(as_of - TICK)),
        "end": (earlier, purchase(end)),
        "last": (earlier, purchase(end - TICK)),
        "refund": (earlier, purchase(end - TICK, 4.0, "refund")),
        "late": (earlier, purchase(as_of, recorded_at=end)),
        "too_late": (earlier, purchase(as_of, recorded_at=end + 10 * DAY)),
    }
    [snapshot], [outcome], _ = panel(customers, end + 10 * DAY, [horizon + 10], horizon)
    orders = dict(zip(snapshot.ids[snapshot.customer], outcome.orders, strict=True))
    spend = dict(zip(snapshot.ids[snapshot.customer], outcome.spend, strict=True))
    assert snapshot.as_of == as_of
    assert orders == {
        "at": 1,
        "before": 0,
        "end": 0,
        "last": 1,
        "refund": 0,
        "late": 1,
        "too_late": 0,
    }
    assert spend == {
        "at": 10,
        "before": 0,
        "end": 0,
        "last": 10,
        "refund": 0,
        "late": 10,
        "too_late": 0,
    }
    inactive = dict(zip(snapshot.ids[snapshot.customer], outcome.inactive, strict=True))
    assert inactive == {name: count == 0 for name, count in orders.items()}


def test_outcomes_count_purchase_days() -> None:
    as_of = utc("2020-03-01")
    hours_after = (1, 5, 23, 25, 24 * 9)
    purchases = tuple(purchase(as_of + timedelta(hours=hours)) for hours in hours_after)
    customers = {"a": (purchase(as_of - DAY), *purchases)}
    [outcome] = panel(customers, as_of + 10 * DAY, [10], 10).outcomes
    assert (outcome.orders.tolist(), outcome.spend.tolist()) == ([3.0], [50.0])


def test_a_horizon_that_is_not_over_is_refused() -> None:
    customers = {"a": (purchase(utc("2020-01-01")),)}
    [outcome] = panel(customers, utc("2020-06-01"), [90], 90).outcomes
    assert outcome.orders.tolist() == [0.0]
    with pytest.raises(
        UsageError, match="91 days after the snapshot 90 days before the as_of are not over yet"
    ):
        panel(customers, utc("2020-06-01"), [90], 91)


def test_no_dates_are_no_snapshots_and_no_outcomes() -> None:
    empty = panel({"a": (purchase(utc("2020-01-01")),)}, utc("2020-06-01"), [], 30)
    assert (empty.snapshots, empty.outcomes) == ([], [])


def test_a_date_before_the_first_event_has_no_rows() -> None:
    [snapshot], [outcome], _ = panel(
        {"a": (purchase(utc("2020-01-01")),)}, utc("2020-06-01"), [365], 30
    )
    assert (len(snapshot), len(outcome.orders)) == (0, 0)


def test_a_log_without_events_before_the_as_of_is_too_little() -> None:
    with pytest.raises(NotEnoughDataError, match="no event stands before the as_of 2020-01-01"):
        panel({"a": (purchase(utc("2020-01-01")),)}, utc("2020-01-01"), [0])


def test_the_stage_of_an_outcome_is_the_one_just_before_the_end() -> None:
    as_of, end = utc("2020-03-01T12:00"), utc("2020-04-10T12:00")
    customers = {
        "returning": (purchase(as_of - 200 * DAY), purchase(end - TICK)),
        "silent": (purchase(as_of - 200 * DAY), purchase(end)),
        "single": (purchase(as_of - 20 * DAY),),
        "twice": (purchase(as_of - 5 * DAY), purchase(as_of + DAY)),
    }
    [snapshot], [outcome], _ = panel(customers, end + 100 * DAY, [140], 40)
    at_as_of = [SCHEME.ids[s] for s in snapshot.stage]
    assert dict(zip(snapshot.ids, at_as_of, strict=True)) == {
        "returning": "sleeping",
        "silent": "sleeping",
        "single": "new",
        "twice": "new",
    }
    at_end = [SCHEME.ids[s] for s in outcome.stage]
    assert dict(zip(snapshot.ids, at_end, strict=True)) == {
        "returning": "reactivated",
        "silent": "sleeping",
        "single": "at_risk",
        "twice": "repeat",
    }


@pytest.mark.slow
@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_stage_of_an_outcome_is_that_of_the_journeys(data: st.DataObject) -> None:
    anchor = data.draw(as_ofs())
    customers = data.draw(logs(anchor, years=3))
    [snapshot], [outcome], journeys = panel(customers, anchor, [200], 120)
    stage, _ = journeys.at(microseconds(anchor - 80 * DAY), len(snapshot.ids))
    assert outcome.stage.tolist() == stage[snapshot.customer].tolist()
    [at_anchor] = panel(customers, anchor, [0]).snapshots
    assert at_anchor.stage.tolist() == SCHEME.assign(at_anchor.features).tolist()


@pytest.mark.slow
@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_past_snapshot_is_the_same_from_any_anchor(data: st.DataObject) -> None:
    anchor = data.draw(as_ofs())
    customers = data.draw(logs(anchor, years=3))
    back = data.draw(st.sampled_from([1, 30, 200]))
    [from_later] = panel(customers, anchor, [back]).snapshots
    if len(from_later):
        [from_date] = panel(customers, anchor - back * DAY, [0]).snapshots
        assert from_later.ids[from_later.customer].tolist() == from_date.ids.tolist()
        assert from_later.stage.tobytes() == from_date.stage.tobytes()
        assert from_later.standing.since.tobytes() == from_date.standing.since.tobytes()
        assert {n: c.tobytes() for n, c in from_later.features.items()} == {
            n: c.tobytes() for n, c in from_date.features.items()
        }


@pytest.mark.slow
def test_a_purchase_recorded_later_does_not_change_an_earlier_stage() -> None:
    anchor = utc("2020-06-01")
    late_purchase = purchase(utc("2020-03-01"), recorded_at=utc("2020-04-15"))
    customers = {"a": (Event(utc("2020-01-01"), "visit"), late_purchase)}
    [at_anchor, earlier] = panel(customers, anchor, [0, 60]).snapshots
    assert [SCHEME.ids[s.stage[0]] for s in (at_anchor, earlier)] == ["at_risk", "prospect"]
    assert iso(from_microseconds(int(earlier.standing.since[0]))) == "2020-01-01"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("refund", "stages"),
    [
        (purchase(utc("2020-05-01"), 10.0, "refund"), ["prospect", "new"]),
        (purchase(utc("2020-05-01"), 4.0, "refund"), ["at_risk", "new"]),
        (purchase(utc("2020-03-20"), 10.0, "refund", utc("2020-05-01")), ["prospect", "new"]),
        (purchase(utc("2020-03-20"), 10.0, "refund"), ["prospect", "prospect"]),
    ],
)
def test_a_stage_of_the_past_is_unchanged_by_a_later_refund(
    refund: Event, stages: list[str]
) -> None:
    anchor = utc("2020-06-01")
    customers = {"a": (purchase(utc("2020-03-15")), refund)}
    snapshots = panel(customers, anchor, [0, 60]).snapshots
    assert [SCHEME.ids[s.stage[0]] for s in snapshots] == stages
    [from_date] = panel(customers, anchor - 60 * DAY, [0]).snapshots
    assert (from_date.stage[0], from_date.standing.since[0]) == (
        snapshots[1].stage[0],
        snapshots[1].standing.since[0],
    )


def test_a_later_partial_refund_does_not_reduce_earlier_spend() -> None:
    purchases = tuple(purchase(utc("2020-03-01") + days * DAY, 40.0) for days in (0, 10, 20))
    refund = purchase(utc("2020-04-10"), 30.0, "refund")
    [at_anchor, earlier] = panel({"a": (*purchases, refund)}, utc("2020-04-11"), [0, 5]).snapshots
    assert [SCHEME.ids[s.stage[0]] for s in (at_anchor, earlier)] == ["repeat", "loyal"]


def test_purchase_days_differ_only_at_dates_that_later_refunds_affect() -> None:
    anchor = utc("2020-06-01")
    events = (
        purchase(anchor - 100 * DAY),
        purchase(anchor - 50 * DAY),
        purchase(anchor - 40 * DAY, 10.0, "refund"),
    )
    for excess, expected in ((0.0, [False, True, False]), (1.0, [False, True, True])):
        refunds = (purchase(anchor - 30 * DAY, excess, "refund"),) if excess else ()
        with event_log({"a": events + refunds, "b": (purchase(anchor - 100 * DAY),)}) as log:
            table = DailyTable(log.con, anchor)
            assert [table.purchase_days_may_differ(days) for days in (20, 45, 60)] == expected


def test_spend_later_on_the_day_of_the_as_of_does_not_change_the_stage() -> None:
    as_of = utc("2020-04-01T12:00")
    purchases = (
        *(purchase(as_of - days * DAY, 20.0) for days in (40, 20)),
        purchase(as_of - timedelta(hours=1), 20.0),
        purchase(as_of + timedelta(hours=1), 500.0),
    )
    [at_anchor, earlier] = panel({"a": purchases}, as_of + 30 * DAY, [0, 30]).snapshots
    assert [SCHEME.ids[s.stage[0]] for s in (at_anchor, earlier)] == ["loyal", "repeat"]


def test_buyers_are_those_with_a_purchase() -> None:
    [snapshot] = panel(
        {"a": (purchase(utc("2020-01-01")),), "b": (Event(utc("2020-01-01"), "visit"),)},
        utc("2020-06-01"),
        [0],
    ).snapshots
    assert snapshot.buyers.tolist() == [True, False]
