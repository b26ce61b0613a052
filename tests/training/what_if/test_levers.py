"""Levers: which are worked out, under which names, and within which ranges."""

from __future__ import annotations

import pytest

from stagecast.features.errors import UsageError
from stagecast.training.what_if.levers import TOGETHER, Levers


def test_each_lever_stands_alone_and_several_also_together() -> None:
    levers = Levers(churn=-0.075, second_order_days=-10.0, basket=0.05)
    assert levers.scenarios() == {
        "churn -7.5%": Levers(churn=-0.075),
        "second order -10d": Levers(second_order_days=-10.0),
        "basket +5%": Levers(basket=0.05),
        TOGETHER: levers,
    }


def test_one_lever_has_no_together_and_none_has_no_scenario() -> None:
    assert list(Levers(churn=0.05).scenarios()) == ["churn +5%"]
    assert Levers().scenarios() == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("churn", -0.95),
        ("churn", 1.5),
        ("churn", float("nan")),
        ("basket", -1.0),
        ("basket", float("inf")),
        ("second_order_days", -400.0),
        ("second_order_days", float("nan")),
    ],
)
def test_a_change_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="out of range; choose"):
        Levers(**{name: value})
