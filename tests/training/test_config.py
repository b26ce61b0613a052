"""Settings of a training: every bound holds, and the message names field, value and bound."""

from __future__ import annotations

import math

import pytest

from stagecast.features.errors import UsageError
from stagecast.training.config import TrainConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon_days", 0),
        ("horizon_days", 3651),
        ("value_horizon_days", 0),
        ("value_horizon_days", 3651),
        ("annual_discount", -0.01),
        ("annual_discount", 10.01),
        ("annual_discount", math.nan),
        ("margin", 0.0),
        ("margin", 1.01),
        ("max_dates", 0),
        ("max_dates", 53),
        ("medium_risk", 0.0),
        ("medium_risk", 0.7),
        ("medium_risk", math.nan),
        ("high_risk", 1.0),
    ],
)
def test_a_setting_out_of_bounds_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"{name} = {value} must be"):
        TrainConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon_days", 1),
        ("horizon_days", 3650),
        ("value_horizon_days", 1),
        ("value_horizon_days", 3650),
        ("annual_discount", 0.0),
        ("annual_discount", 10.0),
        ("margin", 1.0),
        ("max_dates", 1),
        ("max_dates", 52),
        ("medium_risk", 0.01),
        ("high_risk", 0.99),
    ],
)
def test_a_setting_on_its_bound_is_taken(name: str, value: float) -> None:
    assert getattr(TrainConfig(**{name: value}), name) == value  # type: ignore[arg-type]


def test_a_scheme_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"scheme = 'retial' is no scheme .* mean 'retail'\?"):
        TrainConfig(scheme="retial")
    with pytest.raises(UsageError, match=r"pins: 'loyal_order' is no threshold .*'loyal_orders'\?"):
        TrainConfig(pins={"loyal_order": 3})


def test_settings_of_a_bundle_are_read_where_the_file_of_its_scheme_is_not() -> None:
    stored = TrainConfig(scheme="elsewhere/shop.toml").to_json()
    assert TrainConfig.from_json(stored).scheme == "elsewhere/shop.toml"
