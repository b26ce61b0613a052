"""Whole trainings on a shop with a strong season that has come before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stagecast.training.config import TrainConfig
from tests.training.made import START, Row, day, trained

pytestmark = pytest.mark.slow
PRICE, CHRISTMAS, BUSY = 40.0, (11, 12), 3.5


def three_years_and_more(customers: int, days: int, seed: int) -> list[Row]:
    """Return purchases of one price at own rates, ``BUSY`` times as many in two months of a year.

    Purchase times are drawn at the busiest rate and thinned in the other months.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for k in range(customers):
        first, leaves = random.uniform(0, 1100), random.exponential(900)
        rate = random.gamma(1.5, 1 / 100)
        at = first
        while at < min(first + leaves, days):
            when = day(at)
            if at == first or when.month in CHRISTMAS or random.uniform() < 1 / BUSY:
                rows.append((f"c{k:05d}", when, "purchase", PRICE))
            at += random.exponential(1 / rate)
    return rows


def test_three_seasons_that_agree_are_carried_to_the_fourth(tmp_path: Path) -> None:
    # 1 October, with the horizon up to 30 December
    as_of = day((START.replace(year=START.year + 3, month=10, day=1) - START).days)
    rows = three_years_and_more(900, (as_of - START).days + 365, seed=4)
    past = [row for row in rows if row[1] < as_of]
    config = TrainConfig(horizon_days=90, max_dates=4)
    scores = trained(past, tmp_path / "m", as_of, config, evaluated=False).scores().to_pandas()
    known = set(scores["customer_id"])
    later = [(who, (when - as_of).days) for who, when, _, _ in rows if when >= as_of]
    in_season = [who for who, days in later if days < 90 and who in known]
    in_year = [who for who, days in later if days < 365 and who in known]
    assert scores["expected_spend"].sum() == pytest.approx(PRICE * len(in_season), rel=0.15)
    assert scores["p_inactive"].mean() == pytest.approx(
        1 - len(set(in_season)) / len(known), abs=0.03
    )
    # discounted at 10 % a year
    assert scores["clv"].sum() == pytest.approx(0.97 * PRICE * len(in_year), rel=0.12)
    # one price: what an order brings is that
    each = scores["expected_spend"] / scores["expected_orders"]
    assert each.between(0.9 * PRICE, 1.1 * PRICE).mean() > 0.98
