"""Features of one's own in Python: functions traced to formulas, and what cannot be traced."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import stagecast as sc
from stagecast.features.catalog import formula
from stagecast.features.catalog.feature import Feature
from stagecast.features.catalog.own import OwnFeatures, own_from_toml
from stagecast.features.catalog.python_feature import own_features
from stagecast.features.catalog.tracing import trace
from stagecast.features.errors import UsageError

VALUES = {
    "a": np.array([3.0, 0.1, 7.0, -2.5]),
    "b": np.array([2.0, 0.7, 1e-7, 4.0]),
    "c": np.array([0.3, 9.0, -5.0, 1.0]),
}


@pytest.mark.parametrize(
    "function",
    [
        lambda f: f.a / f.b,
        lambda f: f.a - (f.b - f.c),
        lambda f: f.a / (f.b / f.c),
        lambda f: (f.a + f.b) * f.c - f.a * (f.b * f.c),
        lambda f: f.a + (f.b + f.c),
        lambda f: -f.a - -f.b,
        lambda f: 1 - 2 / f.b - (-3),
        lambda f: np.float64(0.1) * f.a + np.int64(2),
        lambda f: 1e-05 * f.a + 1e22,
        lambda f: abs(f.c) + np.abs(-f.a),
        lambda f: np.sqrt(f.b) + np.log(f.b) + np.fmax(f.a, f.c) - np.fmin(f.a, 1),
        lambda f: f.a if math.pi > 3 else f.b,
    ],
)
def test_a_formula_is_what_the_function_computes(function: Callable[[Any], Any]) -> None:
    expected = function(SimpleNamespace(**VALUES))
    assert formula.evaluate(trace(function, "x"), VALUES).tolist() == expected.tolist()


def test_functions_of_formulas_are_methods() -> None:
    def function(f: Any) -> Any:
        return f.coalesce(f.a / f.nullif(f.b, 0), 0).fillna(1) + f.greatest(f["c"], 2, f.a)

    text = "coalesce(coalesce(a / nullif(b, 0), 0), 1) + greatest(c, 2, a)"
    assert trace(function, "x") == text


ROLLS = iter(range(10))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda f: f.a > 1, "'a' is compared"),
        (lambda f: f.a if f.b else 0, "'b' is asked whether it is true"),
        (lambda f: max(f.a, f.b), "'b' is compared"),
        (lambda f: math.sqrt(f.a + 1), r"'a \+ 1' is turned into a number"),
        (lambda f: f.a**2, r"raised to a power; write x \* x"),
        (lambda f: f.a // 2, "no counterpart"),
        (lambda f: np.exp(f.a), "np.exp has no counterpart"),
        (lambda f: f.a.rolling(3), "'a' has no .rolling"),
        (lambda f: sum(f.a), "cannot be iterated over"),
        (lambda f: f.a * "2", "'2' .str. is neither a feature nor a number"),
        (lambda f: f.a * float("inf"), "inf is no finite number"),
        (lambda f: f.a * True, "neither a feature nor a number"),
        (lambda f: f.nullif(f.a), "nullif takes two arguments, not 1"),
        (lambda f: 3.0, "it returned 3.0"),
        (lambda f: None, "it returned None"),
        (lambda f: f.a * next(ROLLS), "must not depend on the time or on chance"),
        (lambda: 1, "it raised TypeError"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_the_reason(
    function: Callable[[Any], Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason) as raised:
        trace(function, "mine")
    assert "feature 'mine' cannot be traced" in str(raised.value)


def test_a_feature_in_python_is_the_same_data_as_in_a_file() -> None:
    @sc.feature(unit="ratio")
    def basket_trend(f: Any) -> Any:
        """Spend of 90 days over that of the 90 before.

        More of it is better.
        """
        return f.spend_90d / f.spend_prev_90d

    big_days = sc.Feature(
        name="big_days",
        unit="money",
        meaning="most spent on one day",
        relation="days",
        function="max",
        column="spend",
        window="180d",
    )
    entries = {
        "basket_trend": {
            "meaning": "Spend of 90 days over that of the 90 before",
            "unit": "ratio",
            "formula": "spend_90d / spend_prev_90d",
            "predictor": True,
        },
        "big_days": {
            "meaning": "most spent on one day",
            "unit": "money",
            "from": "days",
            "function": "max",
            "column": "spend",
            "window": "180d",
        },
    }
    in_file = own_from_toml(entries, "stagecast.toml")
    assert own_features([basket_trend, big_days], OwnFeatures()) == in_file
    for own in (basket_trend, big_days):
        assert sc.Feature.of_catalog(own.in_catalog()).in_catalog() == own.in_catalog()
    assert own_features([basket_trend], in_file) == in_file  # counts once
    assert repr(big_days) == "Feature(big_days = max(days.spend), age <= 180, money)"


def test_errors_of_features_say_what_to_write() -> None:
    wrong: list[tuple[Any, str]] = [
        ("spend_90d", "must be a list like"),
        ([lambda f: f.a], r"features\[0\] is .* put @sc.feature"),
        ([Feature("x", "days", "x", formula="a")], r"features\[0\] is .*see sc.Feature"),
    ]
    for features, reason in wrong:
        with pytest.raises(UsageError, match=reason):
            own_features(features, OwnFeatures())
    with pytest.raises(UsageError, match="feature 'x': formula 'a >' cannot be read"):
        sc.Feature(name="x", unit="days", formula="a >")
    with pytest.raises(UsageError, match="unit is ''"):
        sc.Feature(name="x", unit="", formula="a")
    misspelt = sc.Feature(name="x", unit="days", formula="recency_dayz / 2")
    with pytest.raises(UsageError, match="Did you mean 'recency_days'"):
        own_features([misspelt], OwnFeatures()).catalog(90)
