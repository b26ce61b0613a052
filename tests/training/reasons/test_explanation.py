"""How reasons are chosen, on rows made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagecast.training.reasons.explanation import Explained, Explanation, explain
from stagecast.training.reasons.families import Family
from stagecast.training.reference.usual import AVERAGE, Usual

FAMILIES = (
    Family("orders", ("orders",), -1),
    Family("recency_days", ("",), 1, own_past="gap_mean", overdue=True),
)
COLUMNS = {"orders": 4.0, "recency_days": 60.0, "gap_mean": 30.0}


def usual(*, gap: float = 30.0, base: float = -1.0) -> Usual:
    medians = {"orders": 4.0, "recency_days": 40.0, "gap_mean": gap}
    loyal = {"orders": 12.0, "recency_days": 15.0, "gap_mean": gap}
    return Usual(
        {AVERAGE: medians, "loyal": loyal},
        {AVERAGE: (0.0, 0.0), "loyal": (-0.5, -1.5)},
        {AVERAGE: base, "loyal": base - 2.0},
    )


def one(
    effects: tuple[float, float],
    risk: float,
    *,
    group: str = "new",
    of: Usual | None = None,
    **columns: float,
) -> Explanation:
    values = {name: np.array([value]) for name, value in {**COLUMNS, **columns}.items()}
    rows = Explained(
        np.array([effects]), values, np.array([group]), np.array(["Loyal"]), np.array([risk])
    )
    (explanation,) = explain(FAMILIES, rows, of or usual(), 2 / 3)
    return explanation


def test_an_overdue_customer_of_a_calm_stage_is_told_so() -> None:
    # against the average the silence lowers the risk, against loyal customers it raises it
    reason, other = one((-0.5, -0.9), 0.2, group="loyal", recency_days=60.0, orders=12.0).reasons
    assert (other.code, other.direction) == ("orders.active", "lowers")
    assert (reason.code, reason.direction) == ("recency_days.own", "raises")
    assert reason.effect == pytest.approx(0.6)


def test_where_both_point_the_same_way_the_effect_is_that_against_the_average() -> None:
    reasons = one((0.0, -2.5), 0.02, group="loyal", recency_days=2.0, orders=4.0).reasons
    (silence,) = (reason for reason in reasons if reason.feature == "recency_days")
    assert (silence.direction, silence.effect) == ("lowers", pytest.approx(-2.5))


@pytest.mark.parametrize(
    ("recency", "gap", "code"),
    [
        (60.0, 30.0, "recency_days.own"),
        (60.0, 90.0, None),  # not overdue, though others are silent for 40 days
        (60.0, math.nan, "recency_days.active"),  # one order has no gap: none is told as theirs
    ],
)
def test_a_silence_raises_the_risk_of_who_is_overdue_by_the_own_gap_where_there_is_one(
    recency: float, gap: float, code: str | None
) -> None:
    reasons = one((0.0, 0.7), 0.4, recency_days=recency, gap_mean=gap).reasons
    assert [reason.code for reason in reasons] == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("recency", "gap", "told"),
    [
        (20.0, 15.0, False),  # overdue, though others stay silent longer
        (20.0, 25.0, True),
        (20.0, math.nan, True),  # one order has no gap to be overdue by
    ],
)
def test_who_is_overdue_is_not_told_that_the_silence_lowers_the_risk(
    recency: float, gap: float, *, told: bool
) -> None:
    reasons = one((0.0, -0.7), 0.1, recency_days=recency, gap_mean=gap).reasons
    assert [(r.feature, r.direction) for r in reasons] == [("recency_days", "lowers")] * told


@pytest.mark.parametrize(("days", "has_reason"), [(307.0, False), (296.0, True)])
def test_a_number_that_is_nearly_the_usual_one_explains_nothing(
    days: float, has_reason: bool
) -> None:
    # more of it may mean either, so that a reader could not see why 307 days are worse than 312
    age = (Family("age"),)
    rows = Explained(
        np.array([[0.4]]),
        {"age": np.array([days]), "orders": np.array([1.0])},
        np.array(["new"]),
        np.array(["New"]),
        np.array([0.2]),
    )
    usual_age = Usual({AVERAGE: {"age": 312.0}}, {AVERAGE: (0.0,)}, {AVERAGE: -1.0})
    (explanation,) = explain(age, rows, usual_age, 2 / 3)
    assert bool(explanation.reasons) == has_reason


@pytest.mark.parametrize(("orders", "told"), [(80.0, False), (78.0, True)])
def test_neither_does_one_whose_direction_is_known(orders: float, told: bool) -> None:
    families = (Family("orders", ("orders",), -1),)
    rows = Explained(
        np.array([[0.4]]),
        {"orders": np.array([orders])},
        np.array(["loyal"]),
        np.array(["Loyal"]),
        np.array([0.2]),
    )
    usual_orders = Usual({AVERAGE: {"orders": 83.0}}, {AVERAGE: (0.0,)}, {AVERAGE: -1.0})
    (explanation,) = explain(families, rows, usual_orders, 2 / 3)
    assert bool(explanation.reasons) == told


def test_a_number_that_is_the_usual_one_or_says_the_contrary_is_no_reason() -> None:
    assert one((0.8, 0.0), 0.4, orders=4.0).reasons == ()
    assert one((0.8, 0.0), 0.4, orders=9.0).reasons == ()
    assert [r.code for r in one((0.8, 0.0), 0.4, orders=1.0).reasons] == ["orders.active"]


def test_a_high_risk_that_no_number_shows_has_the_fact_or_the_average() -> None:
    (fact,) = one((0.8, 0.0), 0.9, orders=4.0).reasons
    assert (fact.code, fact.direction, fact.effect) == ("orders.plain", "raises", 0.8)
    (average,) = one((0.0, 0.0), 0.9, of=usual(base=2.2)).reasons
    assert average.code == "average.plain"
    assert average.value == pytest.approx(0.9, abs=0.01)
    assert math.isnan(average.effect)


@pytest.mark.parametrize(("names_risk", "versus"), [(False, "active"), (True, "no_order")])
def test_a_reason_that_names_a_risk_can_say_what_it_is_of(names_risk: bool, versus: str) -> None:
    of = Usual(
        dict.fromkeys((AVERAGE, "lost"), COLUMNS),
        {AVERAGE: (0.0, 0.0), "lost": (0.9, 0.0)},
        {AVERAGE: 0.0, "lost": 2.2},
    )
    rows = Explained(
        np.array([(0.9, 0.0), (0.0, 0.0)]),
        {name: np.full(2, value) for name, value in COLUMNS.items()},
        np.array(["lost", "new"]),
        np.array(["Lost", "New"]),
        np.array([0.9, 0.9]),
        names_risk=names_risk,
    )
    codes = [e.reasons[0].code for e in explain(FAMILIES, rows, of, 2 / 3)]
    assert codes == [f"stage.{versus}", f"average.{versus if names_risk else 'plain'}"]


@pytest.mark.parametrize(
    ("customer_for", "code"),
    [
        (24.0, None),  # all 4 orders lie in the window: they are told as orders so far
        (120.0, "orders_90d.active"),  # 30 days of the 90 before were no customer's
        (180.0, "orders_90d.own"),
        (math.nan, "orders_90d.active"),  # no purchase yet
    ],
)
def test_orders_of_a_window_are_compared_with_a_past_that_there_was(
    customer_for: float, code: str | None
) -> None:
    windowed = Family("orders_90d", ("orders_90d",), -1, own_past="before", window_days=90)
    columns = {"orders_90d": 4.0, "before": 0.0, "orders": 4.0, "T_days": customer_for}
    rows = Explained(
        np.array([[-0.8]]),
        {name: np.array([value]) for name, value in columns.items()},
        np.array(["new"]),
        np.array(["New"]),
        np.array([0.2]),
    )
    usual_orders = Usual(
        {AVERAGE: {"orders_90d": 1.0, "before": 1.0}}, {AVERAGE: (0.0,)}, {AVERAGE: -1.0}
    )
    (explanation,) = explain((windowed,), rows, usual_orders, 2 / 3)
    assert [reason.code for reason in explanation.reasons] == ([code] if code else [])


def test_base_effects_and_rest_are_the_log_odds() -> None:
    explanation = one((0.8, -0.6), 0.4, orders=1.0, recency_days=3.0)
    effects = sum(reason.effect for reason in explanation.reasons)
    assert len(explanation.reasons) == 2
    assert explanation.base + effects + explanation.rest == pytest.approx(math.log(0.4 / 0.6))
