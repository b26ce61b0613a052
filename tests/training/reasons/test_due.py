"""What a silence says where it is known when the next order or payment is due."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagecast.training.reasons.explanation import Explained, explain
from stagecast.training.reasons.families import Family
from stagecast.training.reasons.reason import Reason
from stagecast.training.reasons.sentences import clause
from stagecast.training.reasons.wordings import languages
from stagecast.training.reference.usual import AVERAGE, Usual

ORDERS = Family("orders", ("orders",), -1)
SILENCE = Family("recency_days", ("",), 1, own_past="gap_mean", least_gaps=2, overdue=True)
PAYMENT = Family(
    "payment_days",
    ("log_hazard",),
    -1,
    own_past="payment_period_days",
    turns_at="payment_turn_days",
)
SPEND = Family("spend_mean", ("spend",), -1)


def told(
    family: Family, effect: float, *, horizon: float = math.inf, **columns: float
) -> Reason | None:
    """Return the reason of one row with one family, compared with medians of 30."""
    row = {"orders": 3.0, "frequency": 2.0, "gap_mean": 365.0, "recency_days": 20.0, **columns}
    usual = dict.fromkeys(row, 30.0) | {"gap_mean": 360.0, "spend_mean": 20.0}
    explained = Explained(
        np.array([[effect]]),
        {name: np.array([value]) for name, value in row.items()},
        np.array(["new"]),
        np.array(["New"]),
        np.array([0.4]),
        horizon_days=horizon,
    )
    (explanation,) = explain(
        (family,), explained, Usual({AVERAGE: usual}, {AVERAGE: (0.0,)}, {AVERAGE: -1.0}), 2 / 3
    )
    return explanation.reasons[0] if explanation.reasons else None


@pytest.mark.parametrize(
    ("silence", "effect", "gaps", "code"),
    [
        (20.0, 0.6, 2, "recency_days.not_due"),  # paid just now: none comes for a year
        (300.0, -0.6, 2, "recency_days.due"),
        (20.0, 0.6, 0, "recency_days.not_due_of_all"),
        (300.0, -0.6, 0, "recency_days.due_of_all"),
        (400.0, 0.6, 2, "recency_days.own"),  # overdue
        (400.0, -0.6, 2, None),
    ],
)
def test_a_silence_shorter_than_the_gap_says_whether_the_next_is_due_in_the_horizon(
    silence: float, effect: float, gaps: int, code: str | None
) -> None:
    own = 365.0 if gaps else math.nan
    reason = told(SILENCE, effect, horizon=90.0, recency_days=silence, frequency=gaps, gap_mean=own)
    assert (reason and reason.code) == code
    if reason is not None:
        assert reason.usual == (365.0 if gaps else 360.0)
        assert (reason.direction == "raises") == (effect > 0)


@pytest.mark.parametrize(
    ("silence", "effect", "gaps", "horizon", "code"),
    [
        (372.0, 0.6, 2, 90.0, "recency_days.own"),  # a week late
        (372.0, 0.6, 0, 90.0, "recency_days.gap_of_all"),
        (372.0, -0.6, 2, 90.0, "recency_days.own"),  # a late payment lowers no risk
        (372.0, -0.6, 0, 90.0, "recency_days.gap_of_all"),
        (366.0, -0.6, 2, 90.0, None),  # a day is nothing yet
        (200.0, 0.6, 2, 90.0, "recency_days.not_due"),
        (200.0, -0.6, 2, 90.0, "recency_days.not_due"),
        (274.0, -0.6, 2, 90.0, None),  # on the last day of the horizon or after it
        (300.0, -0.6, 0, 90.0, "recency_days.due_of_all"),
        (300.0, 0.6, 2, 400.0, None),  # a silence shorter than the gap raises nothing
        (300.0, -0.6, 2, 400.0, "recency_days.own"),
    ],
)
def test_the_silence_of_regular_purchases_is_compared_with_the_gap_alone(
    silence: float, effect: float, gaps: int, horizon: float, code: str | None
) -> None:
    reason = told(
        SILENCE,
        effect,
        horizon=horizon,
        recency_days=silence,
        frequency=gaps,
        gap_mean=365.0 if gaps else math.nan,
        usual_gap_days=365.0,
    )
    assert (reason and reason.code) == code
    if reason is not None:
        assert reason.usual == 365.0
        # what is told against its effect has none
        assert math.isnan(reason.effect) == (
            effect * (1 if reason.direction == "raises" else -1) < 0
        )


def test_who_left_a_year_out_has_the_gap_of_the_others() -> None:
    reason = told(SILENCE, 0.6, recency_days=372.0, gap_mean=550.0, usual_gap_days=365.0)
    assert reason is not None
    assert clause(reason.code, reason.value, reason.usual) == (
        "no order for 372 days (a gap of 365 is usual)"
    )


def test_a_horizon_as_long_as_the_gap_leaves_the_silence_what_it_was() -> None:
    for horizon in (365.0, math.inf):
        reason = told(SILENCE, -0.6, horizon=horizon)
        assert reason is not None
        assert reason.code == "recency_days.own"


@pytest.mark.parametrize(
    ("late", "effect", "code"),
    [
        (0.0, 0.6, None),  # the silence is the day of the month
        (0.0, -0.6, None),
        (9.0, 0.6, "payment_late_days.plain"),
        (9.0, -0.6, None),
        (math.nan, 0.6, "recency_days.active"),  # no period is known
    ],
)
def test_the_silence_of_a_period_is_a_late_payment_or_nothing(
    late: float, effect: float, code: str | None
) -> None:
    reason = told(SILENCE, effect, payment_late_days=late, recency_days=39.0, gap_mean=math.nan,
                  frequency=0.0)  # fmt: skip
    assert (reason and reason.code) == code
    if late == 9 and reason is not None:
        assert clause(reason.code, reason.value) == "the payment is 9 days late"


@pytest.mark.parametrize(
    ("due", "effect", "is_told"),
    [(25.0, -0.6, True), (3.0, 0.6, True), (3.0, -0.6, False), (25.0, 0.6, False)],
)
def test_the_next_payment_is_compared_with_its_own_period(
    due: float, effect: float, *, is_told: bool
) -> None:
    reason = told(
        PAYMENT, effect, payment_days=due, payment_period_days=30.44, payment_turn_days=15.22
    )
    assert (reason is not None) == is_told
    if reason is not None:
        assert reason.code == "payment_days.own"
        assert clause(reason.code, reason.value, reason.usual).endswith("(they pay every 30 days)")


def test_who_paid_nothing_has_no_order_and_who_was_given_all_back_has() -> None:
    free = {"orders": 1.0, "frequency": 0.0, "gap_mean": math.nan, "spend_mean": 0.0}
    assert told(ORDERS, 0.6, **free) is None
    silence, spend = told(SILENCE, 0.6, **free), told(SPEND, 0.6, **free)
    assert silence is not None
    assert spend is not None
    assert clause(silence.code, 20.0) == "something free 20 days ago, and nothing since"
    assert clause(spend.code, 0.0, 20.0) == "has paid nothing so far (20 is usual)"
    paid = {**free, "refund_share": 1.0, "recency_days": 40.0}
    assert told(SPEND, 0.6, **paid) is None
    silence = told(SILENCE, 0.6, **paid)
    assert silence is not None
    assert silence.code == "recency_days.active"
    assert told(ORDERS, 0.6, **paid) is not None


@pytest.mark.parametrize("language", languages())
def test_every_code_is_worded_in_every_language(language: str) -> None:
    texts = {
        code: clause(code, 21.0, 365.0, None, language)
        for code in ("recency_days.own", "recency_days.due", "recency_days.not_due",
                     "recency_days.due_of_all", "recency_days.not_due_of_all", "payment_days.own",
                     "recency_days.gap_of_all", "contract_over.plain",
                     "payment_days.active", "payment_late_days.plain", "free_days.plain")
    }  # fmt: skip
    assert len(set(texts.values())) == len(texts)
    assert clause("spend_mean.active", 0.0, 5.0, None, language) != clause(
        "spend_mean.active", 0.4, 5.0, None, language
    )
