"""A shop whose Christmas comes every year: probabilities, orders and money of the season ahead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from tests.training.made import trained

START, AS_OF, HORIZON = pd.Timestamp("2017-09-01"), pd.Timestamp("2020-10-15"), 90
SOLD = 850.0
"""Days after the start in which customers join."""


@dataclass(frozen=True)
class Shop:
    """Customers who buy three times as often from the middle of November to the end of the year."""

    log: pd.DataFrame
    is_customer: Array
    orders: Array
    spend: Array


def pace(days: Array) -> Array:
    """Return the pace at days after the start."""
    at = pd.DatetimeIndex(START + pd.to_timedelta(np.floor(days), unit="D"))
    number = at.month * 100 + at.day
    return np.where(number >= 1116, 3.0, 0.7)


def shop(customers: int, seed: int) -> Shop:
    """Draw the log up to the as_of, and what customers bring on average in the horizon."""
    random = np.random.default_rng(seed)
    end = float((AS_OF - START).days)
    begin = random.uniform(0.0, SOLD, customers)
    rate, leaves = random.gamma(1.2, 1 / 48, customers), random.gamma(2.0, 1 / 600, customers)
    until = begin + random.exponential(1 / leaves)
    each = 30.0 * random.gamma(4.0, 0.25, customers)
    rows = []
    for k in range(customers):
        last = min(until[k], end)
        at = random.uniform(begin[k], last, random.poisson(3.0 * rate[k] * (last - begin[k])))
        at = np.r_[begin[k], at[random.random(len(at)) < pace(at) / 3.0]]
        amount = np.round(each[k] * random.gamma(3.0, 1 / 3, len(at)), 2)
        rows.append(pd.DataFrame({"customer_id": f"c{k:04d}", "at": at, "amount": amount}))
    log = pd.concat(rows)
    log["timestamp"] = (START + pd.to_timedelta(log.pop("at"), unit="D")).dt.floor("s")
    ahead = np.arange(HORIZON) + 0.5
    stays = np.exp(-np.outer(leaves, ahead)) * (until > end)[:, None]
    bought = np.outer(rate, pace(end + ahead))
    orders = (stays * -np.expm1(-bought)).sum(axis=1)  # days on which they buy
    spend = (stays * bought).sum(axis=1) * each
    log = log.sort_values("timestamp").assign(event="purchase")
    return Shop(log, until > end, orders, spend)


def test_a_third_christmas_is_expected_as_the_first_two_were(tmp_path: Path) -> None:
    ours = shop(1_500, 2)
    as_of = AS_OF.to_pydatetime().replace(tzinfo=UTC)
    config = TrainConfig(horizon_days=HORIZON)
    scores = trained(ours.log, tmp_path / "bundle", as_of, config, evaluated=False).scores()
    rows = scores.to_pandas().set_index("customer_id").sort_index()
    assert len(rows) == len(ours.orders)
    # customers differ in what they are seen to do: the mean over them is judged, not each
    bought = np.where(ours.is_customer, -np.expm1(-ours.orders), 0.0)
    assert (1.0 - rows["p_inactive"]).sum() == pytest.approx(bought.sum(), rel=0.10)
    assert rows["expected_orders"].sum() == pytest.approx(ours.orders.sum(), rel=0.12)
    assert rows["expected_spend"].sum() == pytest.approx(ours.spend.sum(), rel=0.15)
