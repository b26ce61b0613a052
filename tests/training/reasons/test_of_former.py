"""The reasons of who has no contract any more."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.training.reasons.explanation import Explanation
from stagecast.training.reasons.of_buyers import days_since, of_former
from stagecast.training.reasons.reason import Reason
from stagecast.training.reasons.sentences import because_but, clause


def reason(code: str, effect: float, value: float = 20.0) -> Reason:
    direction = "lowers" if effect < 0 else "raises"
    return Reason(code, code.partition(".")[0], value, 30.0, effect, direction)


def test_the_end_of_the_contract_comes_first_with_the_effect_that_nothing_else_has() -> None:
    told = (reason("orders.active", 0.4), reason("T_days.active", -0.2))
    before = Explanation(told, base=-1.0, rest=4.0)
    after = of_former(before, 27.0)
    assert [r.code for r in after.reasons] == [
        "contract_over.plain",
        "orders.active",
        "T_days.active",
    ]
    assert after.reasons[0].effect == 4.0
    assert after.base + after.rest + sum(r.effect for r in after.reasons) == pytest.approx(3.2)
    assert clause("contract_over.plain", 27.0) == "the contract ended 27 days ago"
    assert clause("contract_over.plain", 1.0) == "the contract ended 1 day ago"
    spoken = because_but([asdict(told) for told in after.reasons])
    assert spoken.startswith("because the contract ended 27 days ago; 20 orders so far")


@pytest.mark.parametrize(
    ("code", "effect", "is_kept"),
    [
        ("recency_days.due", -3.0, False),  # nothing falls due any more
        ("recency_days.not_due_of_all", 3.0, False),
        ("recency_days.own", -3.0, False),
        ("recency_days.own", 3.0, True),
    ],
)
def test_nothing_is_due_of_who_has_no_contract(code: str, effect: float, *, is_kept: bool) -> None:
    before = Explanation((reason(code, effect),), base=-1.0, rest=0.5)
    after = of_former(before, 27.0)
    assert (code in [r.code for r in after.reasons]) == is_kept
    effects = sum(r.effect for r in after.reasons if not math.isnan(r.effect))
    assert after.base + after.rest + effects == pytest.approx(-0.5 + effect)


def test_days_are_those_between_dates() -> None:
    as_of = 20_000 * DAY_MICROSECONDS
    ages = np.array([0.4, 1.0, 14.6, np.nan])
    assert days_since(ages, as_of).tolist()[:3] == [1.0, 1.0, 15.0]
    noon = as_of + DAY_MICROSECONDS // 2
    assert days_since(np.array([0.4, 0.6]), noon).tolist() == [0.0, 1.0]
