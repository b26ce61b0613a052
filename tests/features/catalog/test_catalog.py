"""Every feature of the standard catalogue is described; invalid features are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import CALENDAR, Feature
from stagecast.features.catalog.standard import standard
from stagecast.features.errors import UsageError

CATALOG = standard(90)


def test_every_feature_has_a_meaning_and_uses_only_earlier_features() -> None:
    known = {*CALENDAR, "shop_gap_days"}
    for feature in CATALOG.features:
        assert feature.unit, feature.name
        assert feature.meaning, feature.name
        if feature.formula is not None:
            assert formula.names(feature.formula) <= known, feature.name
        known.add(feature.name)


def test_predictors_are_features() -> None:
    assert set(CATALOG.predictors) < set(CATALOG.names)
    # models would learn the date from a day number
    assert not {name for name in CATALOG.predictors if CATALOG[name].unit == "day number"}


def test_last_years_days_ahead_need_a_horizon_below_a_year() -> None:
    assert standard(364)["orders_ahead_last_year"].window_days == (1, 365)
    assert standard(90)["orders_ahead_last_year"].window_days == (275, 365)
    assert "orders_ahead_last_year" not in standard(365).names


def test_an_unknown_feature_is_named_with_the_nearest() -> None:
    with pytest.raises(
        UsageError,
        match=r"no feature 'recency_day' in the catalogue. Did you mean 'recency_days'\?",
    ):
        CATALOG["recency_day"]


def test_parameters_are_set_without_changing_the_catalogue() -> None:
    assert CATALOG.with_parameters(shop_gap_days=3.0).parameters == {"shop_gap_days": 3.0}
    assert CATALOG.parameters == {}


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_parameter_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="shop_gap_days"):
        CATALOG.with_parameters(shop_gap_days=value)


@pytest.mark.parametrize("name", ["recency_days", "as_of_day", "customer", "customer_id", "as_of"])
def test_a_name_that_is_already_used_is_refused(name: str) -> None:
    feature = Feature(name, "days", "again", formula="orders + 1")
    with pytest.raises(UsageError, match=f"'{name}'.* stands twice"):
        Catalog((*CATALOG.features, feature), {})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "give a formula, or a relation, a function and a column"),
        ({"formula": "orders", "relation": "days"}, "a formula has no relation"),
        ({"formula": "orders", "window_days": (0, 30)}, "a formula has no relation"),
        (
            {"relation": "days", "function": "sum", "column": "spent"},
            r"'sum\(spent\)' cannot be asked of 'days'",
        ),
        (
            {"relation": "log", "function": "mean", "column": "spend"},
            r"'mean\(spend\)' cannot be asked of 'log'",
        ),
        (
            {"relation": "day", "function": "count", "column": "day"},
            r"no relation 'day'. Did you mean 'days'\?",
        ),
        (
            {"relation": "types", "function": "sum", "column": "events"},
            "name the event types that count",
        ),
        (
            {"relation": "days", "function": "count", "column": "day", "events": ("visit",)},
            "has no event types",
        ),
        (
            {
                "relation": "values",
                "function": "distinct",
                "column": "channel",
                "window_days": (30, 90),
            },
            "begin at 0",
        ),
        ({"formula": "orders % 2"}, "is not allowed"),
        # a row of log is an event in memory and a day in SQL: aggregates that would differ
        ({"relation": "log", "function": "count", "column": "day"}, r"only sum\(purchases\)"),
        ({"relation": "log", "function": "max", "column": "refund"}, "cannot be asked of 'log'"),
        ({"relation": "log", "function": "last", "column": "day"}, "cannot be asked of 'log'"),
        (
            {"relation": "days", "function": "last", "column": "spend", "window_days": (0, 30)},
            "take the window away",
        ),
        (
            {"relation": "days", "function": "sum", "column": "spend", "window_days": (30, 30)},
            "is not .newer, older.",
        ),
        (
            {"relation": "days", "function": "sum", "column": "spend", "window_days": (-1, 30)},
            "is not .newer, older.",
        ),
    ],
)
def test_an_invalid_feature_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        Feature("mine", "days", "something", **keys)
    assert str(error.value).startswith("feature 'mine'")
