"""Profit as the amount is refused with the right advice; differences of other kinds are read."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import EventMapping, ReadOptions, from_frame


def sales(losses: int, count: int = 300) -> pd.DataFrame:
    """Return sales with a cost, so many of them above the revenue."""
    random = np.random.default_rng(4)
    revenue = np.round(random.gamma(3, 15, count) + 1, 2)
    cost = np.round(revenue * 0.6, 2)
    cost[:losses] = revenue[:losses] + 5
    days = pd.date_range("2024-01-01", periods=count)
    return pd.DataFrame(
        {
            "customer_id": [f"c{k % 40}" for k in range(count)],
            "timestamp": days,
            "revenue": revenue,
            "cost": cost,
            "profit": np.round(revenue - cost, 2),
        }
    )


@pytest.mark.parametrize("amount", ["revenue - cost", "(revenue - cost - 0)", "profit"])
@pytest.mark.parametrize("negative", ["refuse", "refund"])
def test_a_log_of_profits_is_refused_with_count_example_and_advice(
    amount: str, negative: Literal["refuse", "refund"]
) -> None:
    options = ReadOptions(mapping=EventMapping(amount=amount), negative_amounts=negative)
    for frame in (sales(30), sales(30).astype(str)):
        with pytest.raises(DataRefusedError) as error_info:
            from_frame(frame, options)
        text = str(error_info.value)
        assert "30 of 300 orders were made at a loss" in text
        assert f"{amount} is -5" in text
        assert "--margin" in text
        assert "refund" not in text


@pytest.mark.parametrize("negative", ["refuse", "refund"])
def test_a_single_loss_is_one_row(negative: Literal["refuse", "refund"]) -> None:
    mapping = EventMapping(amount="revenue - cost")
    with from_frame(sales(1), ReadOptions(mapping=mapping, negative_amounts=negative)) as log:
        assert log.report.rejected_by_reason == {"order_at_a_loss": 1}
        assert log.report.event_types == {"purchase": 299}


def test_a_difference_of_a_refund_is_a_refund() -> None:
    frame = sales(0).rename(columns={"cost": "tax"})
    frame.loc[10:40, ["revenue", "tax"]] *= -1
    options = ReadOptions(mapping=EventMapping(amount="revenue - tax"), negative_amounts="refund")
    with from_frame(frame, options) as log:
        assert log.report.event_types == {"purchase": 269, "refund": 31}


def test_the_hint_on_negative_amounts_names_profit_too() -> None:
    frame = sales(0).assign(amount=-1.0)
    with pytest.raises(DataRefusedError, match="give the revenue and --margin instead"):
        from_frame(frame)
