"""Features worked out by hand, compared with every evaluator and the oracle."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest

from stagecast.features.catalog.standard import standard
from stagecast.features.requests import Event
from tests.parity.evaluators import Evaluate, by_each_and_the_oracle
from tests.parity.logs import DAY, utc

pytestmark = pytest.mark.slow

CATALOG = standard(90).with_parameters(shop_gap_days=30.0)
START = utc("2020-01-01")


def features_of(evaluate: Evaluate, events: tuple[Event, ...], as_of: datetime) -> dict[str, float]:
    return evaluate({"a": events}, as_of, [0], CATALOG)["a", 0]


def purchases_on(*days: int) -> tuple[Event, ...]:
    return tuple(
        Event(START + day * DAY + timedelta(hours=day % 24), "purchase", 5.0) for day in days
    )


@by_each_and_the_oracle
@pytest.mark.parametrize(
    ("days", "until", "clumpiness"),
    [
        # 10, 10 and 10 days of 30: three shares of 1/3, 1 + ln(1/3) / ln 3
        ((0, 10, 20), 30, 0.0),
        ((0, 7, 14, 21, 28), 35, 0.0),
        # 1 and 99 days of 100: the entropy of a coin of 1/100 is 0.0807931 bits
        ((0, 1), 100, 1 - 0.08079313589591118),
        # 2, 2 and 4 days of 8: 1 + (1/4 ln 1/4 + 1/4 ln 1/4 + 1/2 ln 1/2) / ln 3 = 1 - 3/2 ln 2 /
        # ln 3
        ((0, 2, 4), 8, 1 - 1.5 * math.log(2) / math.log(3)),
        # at 12:00 of a day: 1 and 1.5 days of 2.5; 1 + (0.4 ln 0.4 + 0.6 ln 0.6) / ln 2, a coin of
        # 2/5
        ((0, 1), 2.5, 1 - 0.9709505944546686),
        # one purchase or none has no interval between purchases
        ((3,), 30, math.nan),
        ((), 30, math.nan),
    ],
)
def test_clumpiness(
    evaluate: Evaluate, days: tuple[int, ...], until: float, clumpiness: float
) -> None:
    events = (*purchases_on(*days), Event(START - DAY, "visit"))
    value = features_of(evaluate, events, START + until * DAY)["clumpiness"]
    assert value == pytest.approx(clumpiness, rel=0, abs=2e-9, nan_ok=True)


@by_each_and_the_oracle
@pytest.mark.parametrize(
    ("days", "regularity"),
    [
        # no pair of gaps: the variance 1/12 of random purchases, (1 - 4/12) / (8/12)
        ((), 1.0),
        ((3,), 1.0),
        ((3, 50), 1.0),
        # gaps 10, 10: (0 + 3/12) / 4 = 1/16; (1 - 1/4) / (1/2)
        ((0, 10, 20), 1.5),
        # gaps 10, 10, 10, 10: (0 + 3/12) / 6 = 1/24; (1 - 1/6) / (1/3)
        ((0, 10, 20, 30, 40), 2.5),
        # gaps 1, 9: ((9/10 - 1/2)^2 + 3/12) / 4 = 0.1025; (1 - 0.41) / 0.82
        ((0, 1, 10), 0.59 / 0.82),
        # gaps 1, 39, 1, 39: three pairs of (39/40 - 1/2)^2 = 0.225625; (0.676875 + 0.25) / 6 =
        # 0.1544791666...
        ((0, 1, 40, 41, 80), (1 - 0.6179166666666667) / 1.2358333333333333),
        # gaps 10, 20, 10: two pairs of (1/6)^2 = 1/36; (1/18 + 1/4) / 5 = 11/180; (1 - 11/45) /
        # (22/45)
        ((0, 10, 30, 40), 34 / 22),
    ],
)
def test_regularity(evaluate: Evaluate, days: tuple[int, ...], regularity: float) -> None:
    events = (*purchases_on(*days), Event(START - DAY, "visit"))
    value = features_of(evaluate, events, START + 90 * DAY)["regularity"]
    assert value == pytest.approx(regularity, rel=1e-9)


AS_OF = utc("2020-06-01")  # a Monday
EVENTS = (
    # Saturday, Sunday, Tuesday; gaps 1 and 9, the last purchase 83 days ago, the first 93
    Event(utc("2020-02-29T09:30"), "purchase", 10.0, "web", category="books", discount=1.5),
    Event(
        utc("2020-03-01T09:59:59.999999"), "purchase", 9.0, "shop", category="books", discount=0.0
    ),
    Event(utc("2020-03-01T10:00"), "purchase", 5.0, " ", category="", discount=0.5),
    Event(utc("2020-03-10T23:59"), "purchase", 8.0, " web ", category="music"),
    # reverses no purchase; the discount of a refund is not a discount on a purchase
    Event(utc("2020-03-11"), "refund", 0.0, "post", discount=7.0),
    # 1, 30, 31, 60 and 61 days ago
    Event(utc("2020-05-31T23:59"), "visit", channel="app", category="music"),
    Event(utc("2020-05-02T12:00"), "visit"),
    Event(utc("2020-05-01T12:00"), "visit"),
    Event(utc("2020-04-02"), "visit"),
    Event(utc("2020-04-01T23:59"), "visit"),
    # 365 days ago and 366
    Event(utc("2019-06-02"), "email_open", channel="tv", category="NULL"),
    Event(utc("2019-06-01T23:59"), "email_open", channel="radio", category="toys"),
    # 90 days ago and 91
    Event(utc("2020-03-03"), "ticket", channel="web"),
    Event(utc("2020-03-02T23:59"), "ticket", channel="WEB"),
    # 7 days ago and 8; made by the marketer
    Event(utc("2020-05-25"), "contact"),
    Event(utc("2020-05-24T20:00"), "contact"),
    Event(utc("2020-01-05"), "unsubscribe"),
    # not known before the as_of
    Event(AS_OF, "visit", channel="later", category="later"),
    Event(
        utc("2020-05-30"),
        "purchase",
        99.0,
        "late",
        recorded_at=AS_OF,
        category="late",
        discount=99.0,
    ),
)
# spends 10, 14 and 8: the mean of the changes 4 and 6, divided by 2 / sqrt(pi)
SPREAD = 5 * math.sqrt(math.pi) / 2
EXPECTED: tuple[dict[str, float], ...] = (
    {
        "orders": 3,
        "purchase_events": 4,
        "frequency": 2,
        "spend": 32,
        "recency_days": 83,
        "T_days": 93,
    },
    {
        "orders_7d": 0,
        "spend_7d": 0,
        "orders_90d": 1,
        "orders_prev_90d": 2,
        "trend_orders_90d": 2 / 3,
    },
    {
        "orders_prev_30d": 0,
        "trend_orders_30d": 1,
        "orders_last_year_90d": 0,
        "spend_last_year_90d": 0,
    },
    {"trend_orders_year": 2, "trend_spend_year": 2, "spend_share_90d": 8 / 32},
    {"spend_change": 4 + 6, "spend_spread": SPREAD, "spend_variation": SPREAD / (32 / 3)},
    # gaps 1 and 9: mean 5, variance 16 + 16
    {
        "gap_spread": math.sqrt(32),
        "gap_variation": math.sqrt(32) / 5,
        "gap_logs": math.log(9),
        "gap_entropy": 9 * math.log(9),
    },
    {"gap_unevenness": 0.16, "regularity": 0.59 / 0.82},
    {
        "clumpiness": 1
        + (9 * math.log(9 / 93) + 83 * math.log(83 / 93) - math.log(93)) / 93 / math.log(3)
    },
    {"refunds": 1, "refund_spend": 0, "discount": 2, "discount_share": 2 / 34},
    # at 9, 9, 10 and 23 o'clock
    {"weekdays": 3, "hours": 3, "weekend_orders": 2, "weekend_share": 2 / 3},
    # web, shop, post, app, tv, radio, WEB; books, music, NULL, toys
    {"channels": 7, "channels_365d": 6, "categories": 4, "categories_365d": 3},
    {
        "activity_7d": 1,
        "activity_30d": 2,
        "activity_prev_30d": 2,
        "trend_activity_30d": 1,
        "activity": 10,
    },
    {"visits_7d": 1, "visits_30d": 2, "visits_90d": 5, "visits_180d": 5, "visits_365d": 5},
    {
        "email_opens_30d": 0,
        "email_opens_90d": 0,
        "email_opens_365d": 1,
        "days_since_email_open": 365,
    },
    {
        "tickets_30d": 0,
        "tickets_90d": 1,
        "tickets_365d": 2,
        "days_since_ticket": 90,
        "last_ticket_day": 18_324,
    },
    {
        "contacts_7d": 1,
        "contacts_30d": 2,
        "contacts_90d": 2,
        "days_since_contact": 7,
        "unsubscribes": 1,
    },
    {"days_since_visit": 1, "last_visit_day": 18_413, "silence_days": 1},
    # 31 + 29 + 31 + 30 + 31 days before June
    {"as_of_on_weekday": 1, "as_of_in_month": 6, "as_of_in_year": 153},
)


@by_each_and_the_oracle
def test_features_worked_out_by_hand(evaluate: Evaluate) -> None:
    features = features_of(evaluate, EVENTS, AS_OF)
    for expected in EXPECTED:
        assert {name: features[name] for name in expected} == pytest.approx(expected, rel=1e-9)


@by_each_and_the_oracle
def test_a_single_signup_has_counts_of_0_and_no_purchase_days(evaluate: Evaluate) -> None:
    features = features_of(evaluate, (Event(AS_OF - DAY, "signup"),), AS_OF)
    null = {name for name, value in features.items() if math.isnan(value)}
    assert null == {
        *{
            "first_day",
            "last_day",
            "T_days",
            "t_x_days",
            "recency_days",
            "order_rate",
            "monetary",
            "refund_share",
        },
        *{
            "spend_mean",
            "spend_first",
            "spend_last",
            "spend_max",
            "spend_spread",
            "spend_variation",
        },
        *{
            "gap_last",
            "gap_longest",
            "gap_squares",
            "gap_mean",
            "gap_spread",
            "gap_variation",
            "clumpiness",
        },
        *{"rhythm_days", "overdue_ratio", "overdue_longest", "overdue_spread", "return_ratio"},
        *{"spend_share_90d", "discount_share", "weekend_share"},
        *(f"days_since_{kind}" for kind in ("visit", "email_open", "ticket", "contact")),
        *(f"last_{kind}_day" for kind in ("visit", "email_open", "ticket", "contact")),
    }
    ones = {name for name, value in features.items() if math.isclose(value, 1)}
    assert {
        "activity",
        "activity_7d",
        "tenure_days",
        "silence_days",
        "regularity",
        "trend_spend_year",
    } <= ones
    assert all(
        features[name] == 0
        for name in ("orders", "weekdays", "hours", "channels", "discount", "visits_7d")
    )


@by_each_and_the_oracle
@pytest.mark.parametrize(
    ("as_of", "weekday", "month", "year_day"),
    [
        ("2016-12-31", 6, 12, 366),
        ("2017-01-01T00:00:00.000001", 7, 1, 1),
        ("2019-03-01T23:59:59.999999", 5, 3, 60),
        ("2020-02-29", 6, 2, 60),
        ("1969-12-31", 3, 12, 365),
    ],
)
def test_the_calendar_of_the_as_of(
    evaluate: Evaluate, as_of: str, weekday: int, month: int, year_day: int
) -> None:
    features = features_of(evaluate, (Event(utc(as_of) - DAY),), utc(as_of))
    names = ("as_of_on_weekday", "as_of_in_month", "as_of_in_year")
    assert [features[name] for name in names] == [weekday, month, year_day]


@by_each_and_the_oracle
def test_weekdays_and_hours_before_1970(evaluate: Evaluate) -> None:
    # Saturday, Sunday, Wednesday, Thursday; hours 0, 23, 23, 0
    times = (
        "1960-01-02T00:30",
        "1969-12-28T23:59:59.999999",
        "1969-12-31T23:00",
        "1970-01-01T00:00",
    )
    events = tuple(Event(utc(time), "purchase", 1.0) for time in times)
    features = features_of(evaluate, events, utc("1970-01-02"))
    names = ("weekdays", "weekend_orders", "weekend_share", "hours", "first_day", "gap_longest")
    assert [features[name] for name in names] == [4, 2, 0.5, 2, -3652, 3648]
