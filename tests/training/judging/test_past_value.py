"""Ranges of the value of a year that were learned over a shorter span."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from stagecast.training.config import TrainConfig
from tests.training.made import Row, day, trained

pytestmark = pytest.mark.slow
HISTORY, HORIZON = 400, 60


def few_customers(life_days: float, seed: int) -> tuple[list[Row], dict[str, float]]:
    """Return the orders of 60 customers, and what each spends in the year after.

    Gaps are random with a mean of 20 to 60 days; customers stay for exponential times.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    to_come: dict[str, float] = {}
    for k in range(60):
        name, price, gap = f"c{k:02d}", random.uniform(20, 100), random.uniform(20, 60)
        at = random.uniform(0, 0.7 * HISTORY)
        leaves = at + random.exponential(life_days)
        to_come[name] = 0.0
        while at < min(leaves, HISTORY + 365):
            amount = float(price * random.uniform(0.7, 1.3))
            if at < HISTORY:
                rows.append((name, day(at), "purchase", amount))
            else:
                to_come[name] += amount * 1.1 ** (-(at - HISTORY) / 365)
            at += random.exponential(gap)
    return rows, to_come


def ranges(life_days: float, folder: Path) -> tuple[float, float]:
    """Return the coverage of the ranges of the clv, and their width as a share of it."""
    rows, to_come = few_customers(life_days, seed=5)
    config = TrainConfig(horizon_days=HORIZON, max_dates=4)
    scores = trained(rows, folder, day(0) + timedelta(days=HISTORY), config).scores().to_pandas()
    came = scores["customer_id"].map(to_come)
    inside = (came >= scores["clv_low"] - 0.01) & (came <= scores["clv_high"] + 0.01)
    width = (scores["clv_high"] - scores["clv_low"]).sum() / scores["clv"].sum()
    return float(inside.mean()), float(width)


def test_ranges_of_few_customers_who_stay_are_no_wider_than_orders_vary(tmp_path: Path) -> None:
    coverage, width = ranges(1e6, tmp_path / "stay")
    assert coverage >= 0.85
    assert width < 2.0


def test_ranges_of_few_customers_who_leave_are_wide_enough(tmp_path: Path) -> None:
    coverage, width = ranges(300.0, tmp_path / "leave")
    assert coverage >= 0.85
    assert width < 4.0
