"""What changed between two scores: facts before figures, small moves are no news, another model
is said.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stagecast.serving.store.changes import changes
from tests.serving import published

BEFORE: dict[str, Any] = {
    **published.a_score("a", np.random.default_rng(1), stage="repeat"),
    "churn_probability": 0.30,
    "p_return": None,
    "p_convert": None,
    "clv": 100.0,
    "value_at_risk": 30.0,
    "orders": 4,
    "spend": 80.0,
    "recency_days": 20.0,
    "model_version": "m",
}


def told(**now: Any) -> list[str]:
    return [
        item["sentence"]
        for item in changes({**BEFORE, **now}, BEFORE, {"repeat": "Repeat", "at_risk": "At risk"})
    ]


def test_nothing_is_said_of_a_first_score_or_of_small_moves() -> None:
    assert changes(BEFORE, None) == []
    assert told() == []
    assert told(churn_probability=0.315, clv=104.0, value_at_risk=None) == []


def test_a_silence_that_grew_moves_stage_risk_and_value() -> None:
    actual = told(
        stage="at_risk", recency_days=95.0, churn_probability=0.62, clv=70.0, value_at_risk=43.4
    )
    assert actual == [
        "moved from Repeat to At risk",
        "the churn risk rose from 30% to 62%: no order for 95 days (20 before)",
        "the value in a year fell from 100 to 70",
        "the value at risk rose from 30 to 43",
    ]


def test_a_silence_that_moved_no_probability_is_no_news() -> None:
    assert told(recency_days=27.0) == []
    assert told(recency_days=27.0, churn_probability=0.31) == []
    # the risk fell although the silence grew: the silence is not why
    assert told(recency_days=27.0, churn_probability=0.2) == ["the churn risk fell from 30% to 20%"]


def a_reason(feature: str, value: float, effect: float) -> dict[str, Any]:
    return {"feature": feature, "code": f"{feature}.stage", "value": value, "effect": effect}


def test_what_moved_the_probability_is_told_and_nothing_else() -> None:
    before = {
        **BEFORE,
        "reasons": [a_reason("orders_90d", 5.0, -0.9), a_reason("spend_mean", 30.0, 0.2)],
    }
    now = {
        **before,
        "churn_probability": 0.5,
        "recency_days": 95.0,
        "reasons": [a_reason("orders_90d", 1.0, 0.4), a_reason("spend_mean", 44.0, 0.15)],
    }
    assert [change["sentence"] for change in changes(now, before)] == [
        "the churn risk rose from 30% to 50%: 1 order in the last 90 days (5 before)"
    ]
    fell = {**now, "churn_probability": 0.1}
    (change,) = changes(fell, {**before, "churn_probability": 0.3})
    assert change["sentence"] == "the churn risk fell from 30% to 10%"


def test_a_chance_to_return_falls_as_the_risk_rises() -> None:
    before = {**BEFORE, "churn_probability": None, "p_return": 0.5}
    now = {**before, "p_return": 0.3, "recency_days": 95.0}
    assert [change["sentence"] for change in changes(now, before)] == [
        "the chance to return fell from 50% to 30%: no order for 95 days (20 before)"
    ]


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        ({"orders": 6, "spend": 131.5, "recency_days": 2.0}, "ordered on 2 days since, 52"),
        ({"orders": 5, "spend": None, "recency_days": 2.0}, "ordered on 1 day since"),
        ({"orders": 3}, "orders of 1 day were given back"),
        ({"model_version": "n"}, "scored by another model, so part of this may be the model's"),
    ],
)
def test_what_happened_is_said(now: dict[str, Any], sentence: str) -> None:
    assert told(**now) == [sentence]


def test_values_stand_beside_the_sentence() -> None:
    (item,) = changes({**BEFORE, "churn_probability": 0.5}, BEFORE)
    assert (item["field"], item["before"], item["now"]) == ("churn_probability", 0.3, 0.5)


def test_stages_without_a_title_go_by_their_id() -> None:
    assert (
        changes({**BEFORE, "stage": "loyal"}, BEFORE)[0]["sentence"] == "moved from repeat to loyal"
    )


def test_chances_of_another_churn_are_not_compared() -> None:
    actual = told(churn="cancellation", churn_probability=0.9, value_at_risk=90.0)
    assert actual == ["churn is cancellation now, and was inactivity"]
    old = {name: value for name, value in BEFORE.items() if name != "churn"}
    assert changes(BEFORE, old) == []
