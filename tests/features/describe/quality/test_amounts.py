"""Amounts are told, and slips, huge orders and purchases taken back are named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stagecast.features.describe.quality import Quality, describe
from stagecast.features.events import ReadOptions, from_frame

pytestmark = pytest.mark.slow

START = pd.Timestamp("2024-01-01")


def orders(count: int = 400, seed: int = 1) -> pd.DataFrame:
    """Return orders of fifty customers in 300 days, around 25 each."""
    random = np.random.default_rng(seed)
    minutes = random.integers(0, 300 * 24 * 60, count)
    return pd.DataFrame(
        {
            "customer_id": [f"c{k % 50}" for k in range(count)],
            "timestamp": START + pd.to_timedelta(minutes, unit="m"),
            "amount": np.round(random.gamma(2, 15, count) + 1, 2),
        }
    )


def with_row(frame: pd.DataFrame, customer: str, time: str, amount: float) -> pd.DataFrame:
    row = {"customer_id": [customer], "timestamp": [pd.Timestamp(time)], "amount": [amount]}
    return pd.concat([frame, pd.DataFrame(row)], ignore_index=True)


def quality_of(frame: pd.DataFrame, options: ReadOptions | None = None) -> Quality:
    with from_frame(frame, options) as log:
        return describe(log.con)


def test_sum_median_and_largest_are_those_of_the_purchases() -> None:
    frame = orders(401)
    amounts = quality_of(frame).amounts
    assert amounts is not None
    assert amounts.total == pytest.approx(frame["amount"].sum(), abs=1e-6)
    assert amounts.median == frame["amount"].sort_values().iloc[200]
    assert (amounts.low, amounts.high) == tuple(frame["amount"].sort_values().iloc[[20, 380]])
    assert amounts.largest == frame["amount"].max()
    spend = frame.groupby("customer_id")["amount"].sum().nlargest(3)
    assert [buyer.customer_id for buyer in amounts.customers] == list(spend.index)
    assert [event.amount for event in amounts.events] == list(frame["amount"].nlargest(3))
    assert amounts.customers[0].share == pytest.approx(spend.iloc[0] / frame["amount"].sum())
    assert f"{amounts.median:,.2f}" in amounts.lines()[0]


def test_refunds_are_taken_from_those_who_weigh_most() -> None:
    frame = with_row(orders(), "c7", "2024-12-30", -100.0)
    amounts = quality_of(frame, ReadOptions(negative_amounts="refund")).amounts
    before = quality_of(orders()).amounts
    assert amounts is not None
    assert before is not None
    assert amounts.refunded == 100
    assert amounts.total == before.total
    assert sum(buyer.customer_id == "c7" for buyer in amounts.customers) <= sum(
        buyer.customer_id == "c7" for buyer in before.customers
    )


def test_a_log_without_amounts_or_of_gifts_has_nothing_to_tell() -> None:
    assert quality_of(orders().drop(columns="amount")).amounts is None
    gifts = quality_of(orders().assign(amount=0.0))
    assert gifts.amounts is not None
    assert gifts.amounts.customers == ()
    assert gifts.warnings == ()
    assert gifts.to_json()["amounts"]["events"] == []


def test_sound_amounts_have_no_warning() -> None:
    for seed in range(5):
        assert quality_of(orders(seed=seed)).warnings == ()


def test_a_thousandfold_amount_is_asked_for_as_a_slip() -> None:
    frame = orders()
    frame.loc[5, "amount"] = 30_120.0
    (warning,) = quality_of(frame).warnings
    assert "30,120.00 of customer c5" in warning
    assert "a slip of the decimal sign" in warning


def test_an_order_of_hundreds_of_times_the_median_is_named() -> None:
    (warning,) = quality_of(with_row(orders(), "c1", "2024-03-01", 9_000_000.0)).warnings
    assert "a wholesaler, or a mistyped amount?" in warning


def test_a_shop_in_which_large_orders_are_usual_has_no_warning() -> None:
    frame = orders(2_000)
    frame.loc[::50, "amount"] *= 300
    assert quality_of(frame).warnings == ()


def test_a_month_from_which_all_amounts_are_a_thousandfold_is_named() -> None:
    frame = orders()
    frame.loc[frame["timestamp"] >= "2024-06-01", "amount"] *= 1_000
    assert any("with 2024-06: another unit" in warning for warning in quality_of(frame).warnings)


@pytest.mark.parametrize(("delay", "words"), [("3min", "3 minutes"), ("5D", "5 days")])
def test_a_large_purchase_taken_back_is_named_with_what_to_try(delay: str, words: str) -> None:
    time = pd.Timestamp("2024-05-01 10:00")
    frame = with_row(orders(), "c3", str(time), 59_030.0)
    frame = with_row(frame, "c3", str(time + pd.Timedelta(delay)), -59_030.0)
    refused = quality_of(frame)
    (warning,) = refused.warnings
    assert f"taken back {words} later" in warning
    assert "--negative-amounts refund" in warning
    assert refused.amounts is not None
    assert refused.amounts.customers[0].customer_id == "c3"
    read = quality_of(frame, ReadOptions(negative_amounts="refund"))
    assert read.amounts is not None
    assert read.amounts.customers[0].customer_id != "c3"
    (warning,) = read.warnings
    assert warning.startswith("customer c3: the purchase of 59,030.00 on 2024-05-01")
    assert "--negative-amounts" not in warning
    assert read.to_json()["notes"][0]["customer_id"] == "c3"


def test_a_refund_of_another_customer_amount_or_month_takes_nothing_back() -> None:
    frame = with_row(orders(), "c3", "2024-05-01 10:00", 1_000.0)
    for customer, time, amount in (
        ("c4", "2024-05-01 10:03", -1_000.0),
        ("c3", "2024-05-01 10:03", -100.0),
        ("c3", "2024-06-01 10:03", -1_000.0),
        ("c3", "2024-05-01 09:00", -1_000.0),
    ):
        altered = with_row(frame, customer, time, amount)
        assert quality_of(altered, ReadOptions(negative_amounts="refund")).notes == ()
