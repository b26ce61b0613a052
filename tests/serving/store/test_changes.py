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
        one["sentence"]
        for one in changes({**BEFORE, **now}, BEFORE, {"repeat": "Repeat", "at_risk": "At risk"})
    ]


def test_nothing_is_said_of_a_first_score_or_of_small_moves() -> None:
    assert changes(BEFORE, None) == []
    assert told() == []
    assert told(churn_probability=0.315, clv=104.0, value_at_risk=None) == []


def test_a_silence_that_grew_moves_stage_risk_and_value() -> None:
    found = told(
        stage="at_risk", recency_days=95.0, churn_probability=0.62, clv=70.0, value_at_risk=43.4
    )
    assert found == [
        "moved from Repeat to At risk",
        "no order since: 95 days of silence, 20 days then",
        "the chance to leave rose from 30% to 62%",
        "the value in a year fell from 100 to 70",
        "the value at risk rose from 30 to 43",
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
    (one,) = changes({**BEFORE, "churn_probability": 0.5}, BEFORE)
    assert (one["field"], one["before"], one["now"]) == ("churn_probability", 0.3, 0.5)


def test_stages_without_a_title_go_by_their_id() -> None:
    assert (
        changes({**BEFORE, "stage": "loyal"}, BEFORE)[0]["sentence"] == "moved from repeat to loyal"
    )


def test_chances_of_another_churn_are_not_compared() -> None:
    found = told(churn="cancellation", churn_probability=0.9, value_at_risk=90.0)
    assert found == ["churn is cancellation now, and was inactivity"]
    old = {name: value for name, value in BEFORE.items() if name != "churn"}
    assert changes(BEFORE, old) == []
