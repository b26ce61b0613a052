"""Ranges of a value horizon that is many times the history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stagecast.training.config import TrainConfig
from tests.training.made import Row, day, trained

DAYS, STAYS, GAP = 26, 80.0, 3.0


def deliveries(customers: int, seed: int) -> tuple[list[Row], float]:
    """Return the orders of customers who leave after 80 days, and what those of today bring."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    ahead = 0.0
    for k in range(customers):
        at, rate = float(random.uniform(0, DAYS - 6)), random.gamma(2.0, 0.5 / GAP)
        end = at + float(random.exponential(STAYS))
        price = float(random.gamma(8.0, 3.0))
        while at < min(end, DAYS):
            rows.append((f"d{k:04d}", day(at), "purchase", round(price, 2)))
            at += float(random.exponential(1.0 / rate))
        if end > DAYS:
            ahead += rate * price * STAYS * -np.expm1(-365.0 / STAYS)
    return rows, ahead


@pytest.mark.parametrize("seed", [1, 2])
def test_the_year_of_a_month_of_orders_may_be_a_third_of_what_is_expected(
    tmp_path: Path, seed: int
) -> None:
    rows, truth = deliveries(700, seed)
    done = trained(rows, tmp_path / "m", day(DAYS), TrainConfig(horizon_days=7), evaluated=False)
    assert done.training.models.value_is_far
    scores = done.scores().to_pandas().nlargest(100, "clv")
    assert (scores["clv_low"] < 0.5 * scores["clv"]).mean() > 0.9
    assert (scores["clv_high"] > 1.5 * scores["clv"]).mean() > 0.9
    # the log has seen few leave: the mean is too high, and the ranges say so
    total = done.scores().to_pandas()["clv"].sum()
    assert 0.6 < total / truth < 4.5
