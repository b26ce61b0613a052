"""Snapshots see the past, outcomes the window ``[as_of, as_of + horizon)``, to the microsecond."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.standard import standard
from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.requests import Event
from stagecast.features.snapshots import Outcome, Snapshot, observe, take
from stagecast.features.stages.journeys import Journeys
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme_files import load_scheme
from tests.parity.logs import DAY, TICK, Customers, as_ofs, event_log, logs, utc

LIMITS = {
    "shop_gap_days": 31.4159265,
    "at_risk_ratio": 1.7320508,
    "sleeping_ratio": 3.1622777,
    "lost_after_days": 300.5,
    "loyal_orders": 3.0,
    "loyal_spend": 100.0,
}
SCHEME = load_scheme("retail").with_thresholds(LIMITS)
CATALOG = standard(90).with_parameters(shop_gap_days=LIMITS["shop_gap_days"])


def panel(
    customers: Customers, anchor: datetime, backs: list[int], horizon: int | None = None
) -> tuple[list[Snapshot], list[Outcome], Journeys]:
    with event_log(customers) as log:
        table = DailyTable(log.con, anchor)
        life = fit_lifecycle(table, SCHEME, 90)
        snapshots = take(table, life, backs)
        return (
            snapshots,
            observe(table, life.journeys, snapshots, horizon) if horizon else [],
            life.journeys,
        )


def bought(
    at: datetime, amount: float = 10.0, kind: str = "purchase", recorded: datetime | None = None
) -> Event:
    return Event(at, kind, amount, None, recorded)


@pytest.mark.parametrize(
    "time_of_day", [timedelta(0), TICK, timedelta(hours=13, microseconds=7), DAY - TICK]
)
@pytest.mark.parametrize("horizon", [1, 30, 90])
def test_the_window_holds_its_beginning_and_not_its_end(
    time_of_day: timedelta, horizon: int
) -> None:
    as_of = utc("2020-03-01") + time_of_day
    end = as_of + horizon * DAY
    long_ago = bought(as_of - 50 * DAY, 1.0)
    customers = {
        "at": (long_ago, bought(as_of)),
        "before": (long_ago, bought(as_of - TICK)),
        "end": (long_ago, bought(end)),
        "last": (long_ago, bought(end - TICK)),
        "refund": (long_ago, bought(end - TICK, 4.0, "refund")),
        "late": (long_ago, bought(as_of, recorded=end)),
        "too_late": (long_ago, bought(as_of, recorded=end + 10 * DAY)),
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
    several = tuple(bought(as_of + timedelta(hours=hours)) for hours in (1, 5, 23, 25, 24 * 9))
    [_], [outcome], _ = panel({"a": (bought(as_of - DAY), *several)}, as_of + 10 * DAY, [10], 10)
    assert (outcome.orders.tolist(), outcome.spend.tolist()) == ([3.0], [50.0])


def test_a_window_that_is_not_over_is_refused() -> None:
    customers = {"a": (bought(utc("2020-01-01")),)}
    assert panel(customers, utc("2020-06-01"), [90], 90)[1][0].orders.tolist() == [0.0]
    with pytest.raises(
        UsageError, match="91 days after the snapshot 90 days before the as_of are not over yet"
    ):
        panel(customers, utc("2020-06-01"), [90], 91)


def test_no_dates_are_no_snapshots_and_no_outcomes() -> None:
    snapshots, outcomes, _ = panel({"a": (bought(utc("2020-01-01")),)}, utc("2020-06-01"), [], 30)
    assert (snapshots, outcomes) == ([], [])


def test_a_date_before_the_first_event_has_no_rows() -> None:
    [snapshot], [outcome], _ = panel(
        {"a": (bought(utc("2020-01-01")),)}, utc("2020-06-01"), [365], 30
    )
    assert (len(snapshot), len(outcome.orders)) == (0, 0)


def test_a_log_without_a_past_is_too_little() -> None:
    with pytest.raises(NotEnoughDataError, match="no event stands before the as_of 2020-01-01"):
        panel({"a": (bought(utc("2020-01-01")),)}, utc("2020-01-01"), [0])


def test_the_stage_after_is_the_one_just_before_the_end() -> None:
    as_of, end = utc("2020-03-01T12:00"), utc("2020-04-10T12:00")
    customers = {
        "back": (bought(as_of - 200 * DAY), bought(end - TICK)),
        "gone": (bought(as_of - 200 * DAY), bought(end)),
        "on": (bought(as_of - 20 * DAY),),
        "one": (bought(as_of - 5 * DAY), bought(as_of + DAY)),
    }
    [snapshot], [outcome], _ = panel(customers, end + 100 * DAY, [140], 40)
    names = [SCHEME.ids[s] for s in snapshot.stage]
    assert dict(zip(snapshot.ids, names, strict=True)) == {
        "back": "sleeping",
        "gone": "sleeping",
        "on": "new",
        "one": "new",
    }
    after = [SCHEME.ids[s] for s in outcome.stage]
    assert dict(zip(snapshot.ids, after, strict=True)) == {
        "back": "reactivated",
        "gone": "sleeping",
        "on": "at_risk",
        "one": "repeat",
    }


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_stage_after_is_what_the_journeys_say_at_the_end(data: st.DataObject) -> None:
    anchor = data.draw(as_ofs())
    customers = data.draw(logs(anchor, years=3))
    [snapshot], [outcome], journeys = panel(customers, anchor, [200], 120)
    stage, _ = journeys.at(microseconds(anchor - 80 * DAY), len(snapshot.ids))
    assert outcome.stage.tolist() == stage[snapshot.customer].tolist()
    [today], _, _ = panel(customers, anchor, [0])
    assert today.stage.tolist() == SCHEME.assign(today.features).tolist()


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_past_snapshot_is_what_one_would_have_seen_then(data: st.DataObject) -> None:
    anchor = data.draw(as_ofs())
    customers = data.draw(logs(anchor, years=3))
    back = data.draw(st.sampled_from([1, 30, 200]))
    [from_now], _, _ = panel(customers, anchor, [back])
    if len(from_now):
        [from_then], _, _ = panel(customers, anchor - back * DAY, [0])
        assert from_now.ids[from_now.customer].tolist() == from_then.ids.tolist()
        assert from_now.stage.tobytes() == from_then.stage.tobytes()
        assert from_now.standing.since.tobytes() == from_then.standing.since.tobytes()
        assert {n: c.tobytes() for n, c in from_now.features.items()} == {
            n: c.tobytes() for n, c in from_then.features.items()
        }


def test_a_purchase_recorded_later_does_not_enter_the_stage_of_a_date_before() -> None:
    anchor = utc("2020-06-01")
    paid = bought(utc("2020-03-01"), recorded=utc("2020-04-15"))
    customers = {"a": (Event(utc("2020-01-01"), "visit"), paid)}
    [now, before], _, _ = panel(customers, anchor, [0, 60])
    assert [SCHEME.ids[s.stage[0]] for s in (now, before)] == ["at_risk", "prospect"]
    assert iso(from_microseconds(int(before.standing.since[0]))) == "2020-01-01"


@pytest.mark.parametrize(
    ("refund", "stages"),
    [
        (bought(utc("2020-05-01"), 10.0, "refund"), ["prospect", "new"]),
        (bought(utc("2020-05-01"), 4.0, "refund"), ["at_risk", "new"]),
        (bought(utc("2020-03-20"), 10.0, "refund", utc("2020-05-01")), ["prospect", "new"]),
        (bought(utc("2020-03-20"), 10.0, "refund"), ["prospect", "prospect"]),
    ],
)
def test_a_stage_of_the_past_is_unchanged_by_a_later_refund(
    refund: Event, stages: list[str]
) -> None:
    anchor = utc("2020-06-01")
    customers = {"a": (bought(utc("2020-03-15")), refund)}
    taken, _, _ = panel(customers, anchor, [0, 60])
    assert [SCHEME.ids[s.stage[0]] for s in taken] == stages
    [then], _, _ = panel(customers, anchor - 60 * DAY, [0])
    assert (then.stage[0], then.standing.since[0]) == (
        taken[1].stage[0],
        taken[1].standing.since[0],
    )


def test_a_part_taken_back_later_lowers_no_spend_of_the_past() -> None:
    earlier = tuple(bought(utc("2020-03-01") + days * DAY, 40.0) for days in (0, 10, 20))
    refund = bought(utc("2020-04-10"), 30.0, "refund")
    [now, before], _, _ = panel({"a": (*earlier, refund)}, utc("2020-04-11"), [0, 5])
    assert [SCHEME.ids[s.stage[0]] for s in (now, before)] == ["repeat", "loyal"]


def test_only_dates_that_later_refunds_reach_are_looked_at_anew() -> None:
    anchor = utc("2020-06-01")
    life = (
        bought(anchor - 100 * DAY),
        bought(anchor - 50 * DAY),
        bought(anchor - 40 * DAY, 10.0, "refund"),
    )
    for excess, reached in ((0.0, [False, True, False]), (1.0, [False, True, True])):
        back = (bought(anchor - 30 * DAY, excess, "refund"),) if excess else ()
        with event_log({"a": life + back, "b": (bought(anchor - 100 * DAY),)}) as log:
            table = DailyTable(log.con, anchor)
            assert [table.purchase_days_may_differ(days) for days in (20, 45, 60)] == reached


def test_spend_of_the_rest_of_the_day_does_not_enter_the_stage() -> None:
    as_of = utc("2020-04-01T12:00")
    earlier = tuple(bought(as_of - days * DAY, 20.0) for days in (40, 20))
    same_day = (bought(as_of - timedelta(hours=1), 20.0), bought(as_of + timedelta(hours=1), 500.0))
    [now, before], _, _ = panel({"a": earlier + same_day}, as_of + 30 * DAY, [0, 30])
    assert [SCHEME.ids[s.stage[0]] for s in (now, before)] == ["loyal", "repeat"]


def test_buyers_are_those_with_a_purchase() -> None:
    [snapshot], _, _ = panel(
        {"a": (bought(utc("2020-01-01")),), "b": (Event(utc("2020-01-01"), "visit"),)},
        utc("2020-06-01"),
        [0],
    )
    assert snapshot.buyers.tolist() == [True, False]
