"""Reasons in words: the right numbers in the right words, joined by because and but."""

from __future__ import annotations

from typing import Any

import pytest

from stagecast.training.reasons.sentences import (
    because_but,
    clause,
    clause_of,
    direction_of,
    main_reason,
    sentence_of,
)
from stagecast.training.reasons.wordings import languages, wording


@pytest.mark.parametrize(
    ("code", "value", "usual", "text"),
    [
        ("recency_days.own", 1, 30.4, "no order for 1 day (their usual gap is 30)"),
        ("recency_days.own", 1234, 5.55, "no order for 1,234 days (their usual gap is 5.5)"),
        ("recency_days.stage", 90, 40, "no order for 90 days (40 is usual on this stage)"),
        ("recency_days.active", 90, 40, "no order for 90 days (40 is usual)"),
        ("recency_days.plain", 90, None, "no order for 90 days"),
        ("orders.active", 1, 2, "1 order so far (2 is usual)"),
        ("orders.stage", 3, 1, "3 orders so far (1 is usual on this stage)"),
        ("orders_90d.own", 0, 2, "0 orders in the last 90 days (2 in the 90 before)"),
        ("orders_90d.own", 1, 0, "1 order in the last 90 days (0 in the 90 before)"),
        ("orders_90d.stage", 0, 2, "0 orders in the last 90 days (2 is usual on this stage)"),
        ("spend_mean.active", 9.25, 1000.4, "spends 9.25 an order (1,000 is usual)"),
        ("spend_mean.active", 9.99, 49.99, "spends 9.99 an order (50 is usual)"),
        ("recency_days.own", 2.0, 3.02, "no order for 2 days (their usual gap is 3)"),
        ("gap_mean.active", 1.04, 9.97, "1 day between orders on average (10 is usual)"),
        ("activity_30d.active", 1, 4, "1 visit or other events in the last 30 days (4 is usual)"),
        ("activity_30d.active", 2, 4, "2 visits or other events in the last 30 days (4 is usual)"),
        ("gap_mean.active", 12, 30, "12 days between orders on average (30 is usual)"),
        ("T_days.active", 1, 90, "first order 1 day ago (90 is usual)"),
        ("refund_share.active", 0.25, 0.02, "25% of the spend was given back (2% is usual)"),
        (
            "contract_days.stage",
            20,
            400,
            "the contract is 20 days old (400 is usual on this stage)",
        ),
        ("earlier_contracts.active", 1, 0, "1 contract cancelled before (0 is usual)"),
        ("season.plain", 5, None, "the time of the year"),
        (
            "average.plain",
            0.96,
            None,
            "the average active customer of this log has a risk of 96%",
        ),
    ],
)
def test_a_clause_says_the_numbers(code: str, value: float, usual: float | None, text: str) -> None:
    assert clause(code, value, usual) == text


def test_labels_belong_to_the_value() -> None:
    assert clause("calls.stage", 3.0, 1.0, "calls in 60 days") == (
        "calls in 60 days: 3 (1 is usual on this stage)"
    )
    assert clause("contract_end.plain", 9.0, None, "2024-05-01") == (
        "cancelled already; ends on 2024-05-01"
    )
    assert clause("stage.active", 0.93, 0.31, "Sleeping") == (
        "on the stage Sleeping the risk is 93% (31% of the active)"
    )


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "ordering nothing"), ("ru", "ничего не заказать"), ("fa", "سفارش")],
)
def test_where_churn_is_a_cancellation_the_risk_of_a_buyer_has_its_name(
    language: str, words: str
) -> None:
    for feature, plain, usual in (("average", "plain", None), ("stage", "active", 0.31)):
        named = clause(f"{feature}.no_order", 0.93, usual, "X", language)
        unnamed = clause(f"{feature}.{plain}", 0.93, usual, "X", language)
        assert words in named
        assert words not in unnamed
        assert wording(language).share(0.93) in named
        assert usual is None or wording(language).share(usual) in named


RAISING: dict[str, Any] = {
    "feature": "orders",
    "code": "orders.stage",
    "value": 1.0,
    "usual": 4.0,
    "effect": 0.7,
    "direction": "raises",
    "label": None,
}
LOWERING: dict[str, Any] = {
    "feature": "T_days",
    "code": "T_days.active",
    "value": 9.0,
    "usual": 90.0,
    "effect": -0.2,
    "direction": "lowers",
    "label": None,
}


def test_reasons_are_joined_by_because_and_but() -> None:
    both = because_but([RAISING, LOWERING, RAISING])
    assert both == (
        "because 1 order so far (4 is usual on this stage); 1 order so far (4 is usual on this "
        "stage), but first order 9 days ago (90 is usual)"
    )
    lower = because_but([{**RAISING, "effect": 0.1}, LOWERING])
    assert lower.startswith("lower because first order 9 days ago (90 is usual), but 1 order")
    assert because_but([RAISING]) == "because 1 order so far (4 is usual on this stage)"
    assert because_but([LOWERING]) == "lower because first order 9 days ago (90 is usual)"
    assert because_but([]) == ""


def test_of_a_customer_with_a_low_risk_what_lowers_it_comes_first() -> None:
    reasons = [RAISING, LOWERING]
    assert because_but(reasons).startswith("because 1 order")
    assert because_but(reasons, band="low").startswith("lower because first order 9 days ago")
    assert because_but([{**RAISING, "effect": 0.1}, LOWERING], band="high").startswith("because 1")
    assert main_reason(reasons, "low") == [LOWERING]
    assert main_reason(reasons, "medium") == main_reason([RAISING], "low") == [RAISING]


def test_a_sentence_alone_says_if_it_lowers_the_risk() -> None:
    assert sentence_of(LOWERING) == "first order 9 days ago (90 is usual); this lowers the risk"
    assert sentence_of(RAISING) == "1 order so far (4 is usual on this stage)"


def test_a_rhythm_is_told_with_why_it_raises_or_lowers() -> None:
    often = {**RAISING, "feature": "gap_mean", "code": "gap_mean.stage", "value": 6, "usual": 22}
    text = "6 days between orders on average (22 is usual on this stage)"
    assert clause_of(often) == f"{text}, so that a silence says more"
    assert clause_of({**often, "direction": "lowers"}) == text
    seldom = {**often, "value": 22, "usual": 6}
    text = "22 days between orders on average (6 is usual on this stage)"
    assert clause_of(seldom) == text
    assert clause_of({**seldom, "direction": "lowers"}) == f"{text}, so that a silence says less"


def test_what_an_earlier_version_stored_is_read_by_its_sentence_and_effect() -> None:
    old = {
        "feature": "orders",
        "value": 9.0,
        "usual": 4.0,
        "effect": -0.3,
        "sentence": "9 orders so far (4 is usual) (lowers the risk)",
    }
    assert clause_of(old) == "9 orders so far (4 is usual)"
    assert direction_of(old) == "lowers"
    assert because_but([old]) == "lower because 9 orders so far (4 is usual)"
    assert clause_of({**old, "code": None, "sentence": None}) == "orders"


@pytest.mark.parametrize(
    ("code", "language", "today", "tomorrow"),
    [
        ("payment_days.plain", "en", "the next payment is due today", "in 1 day"),
        ("payment_days.plain", "ru", "следующий платёж сегодня", "через 1 день"),
        ("payment_days.plain", "fa", "پرداخت بعدی امروز است", "۱ روز دیگر"),
        ("recency_days.plain", "en", "the last order was today", "no order for 1 day"),
        ("T_days.plain", "en", "first order today", "first order 1 day ago"),
        ("contract_days.plain", "ru", "договор начался сегодня", "договору 1 день"),
    ],
)
def test_no_days_are_today(code: str, language: str, today: str, tomorrow: str) -> None:
    assert clause(code, 0.02, None, None, language) == today
    assert tomorrow in clause(code, 1.0, None, None, language)


@pytest.mark.parametrize("language", languages())
def test_no_fact_of_days_has_none_of_them(language: str) -> None:
    for feature, text in wording(language).facts.items():
        if feature.endswith("_days"):
            assert "{value}" not in wording(language).form(text, 0.0), feature


def test_the_time_of_the_year_says_what_it_does_to_the_risk() -> None:
    season = {"feature": "season", "code": "season.plain", "value": 5.0, "effect": 0.3}
    assert sentence_of(season) == "the time of the year; this raises the risk"
    assert sentence_of({**season, "effect": -0.3}) == "the time of the year; this lowers the risk"
    assert sentence_of(season, "ru") == "такое время года; это повышает риск"
    assert sentence_of(season, "fa").endswith("این بر ریسک می‌افزاید")
