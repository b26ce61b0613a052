"""The usual gap of a price: monthly and yearly payers of one log on the stages of a shop."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from stagecast.features.catalog import formula
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.price_gaps import (
    PriceGap,
    gaps_of_prices,
    usual_of_prices,
    with_price_gaps,
)
from stagecast.features.stages.scheme_files import load_scheme, scheme_from_json, scheme_to_json

DAY, MONTH, YEAR = 86_400_000_000, 30, 365
START = datetime(2020, 1, 1, tzinfo=UTC)


def payers(*plans: tuple[int, int, int, float], seed: int = 1) -> PurchaseDays:
    """Return the payments of plans: customers, payments of each, days of the gap, and price."""
    random = np.random.default_rng(seed)
    rows = []
    for customers, payments, gap, price in plans:
        for _ in range(customers):
            customer = len({row[0] for row in rows}) if rows else 0
            first = int(random.integers(0, gap))
            late = random.integers(0, 2, payments)
            rows += [(customer, first + n * gap + int(late[n]), price) for n in range(payments)]
    customer, day, spend = (np.array(values) for values in zip(*rows, strict=True))
    return PurchaseDays(customer, day, spend.astype(np.float64), day * DAY)


def test_prices_of_another_plan_than_the_usual_one_have_a_gap_of_their_own() -> None:
    days = payers(
        (40, 8, MONTH, 10.0), (20, 3, YEAR, 100.0), (6, 3, YEAR, 11.5), (2, 2, YEAR, 70.0)
    )
    known = gaps_of_prices(days, float(MONTH))
    assert [of.price for of in known] == [11.5, 100.0]
    assert [of.days for of in known] == pytest.approx([365.0, 365.0], abs=1.0)
    # a price that is near to one of another plan is told from it
    assert known[0].width == pytest.approx(1.5 / 4.0)
    assert known[1].width == pytest.approx(10.0)
    price = np.array([10.0, 11.5, 11.6, 100.0, 108.0, 125.0, 40.0, np.nan])
    usual = usual_of_prices(np.full(8, 30.0), price, known)
    assert usual[[0, 5, 6]].tolist() == [30.0, 30.0, 30.0]
    assert usual[[1, 2, 3, 4]].min() > 360.0
    # where most pay each year, those who pay by the month are the others
    (monthly,) = gaps_of_prices(days, float(YEAR))
    assert (monthly.price, monthly.days) == (10.0, pytest.approx(30.0, abs=1.0))


def test_a_shop_and_payers_of_one_plan_have_none() -> None:
    assert gaps_of_prices(payers((60, 6, MONTH, 10.0), (40, 6, 34, 20.0)), 31.0) == ()
    shop = payers((60, 8, MONTH, 10.0), (60, 3, YEAR, 100.0))
    amounts = np.random.default_rng(3).lognormal(3.0, 0.5, len(shop.day)).round(2)
    assert gaps_of_prices(replace(shop, spend=amounts), 30.0) == ()
    assert gaps_of_prices(replace(shop, spend=np.zeros(len(shop.day))), 30.0) == ()
    assert gaps_of_prices(payers((3, 3, MONTH, 10.0)), 30.0) == ()
    # gaps after a price that are of any length are no plan
    random = np.random.default_rng(4)
    day = np.sort(random.integers(0, 2_000, (60, 5)), axis=1)
    any_gap = PurchaseDays(
        np.repeat(np.arange(60), 5) + 1_000, day.ravel(), np.full(300, 100.0), day.ravel() * DAY
    )
    both = PurchaseDays(
        *(
            np.r_[getattr(shop, name), getattr(any_gap, name)]
            for name in ("customer", "day", "spend", "first_purchase")
        )
    )
    monthly = replace(both, spend=np.where(both.customer < 60, 10.0, 100.0))
    assert gaps_of_prices(monthly, 30.0) == ()


KNOWN = (PriceGap(5.0, 0.5, 7.0), PriceGap(290.0, 29.0, 365.0), PriceGap(90.0, 2.25, 366.0))


def test_the_formula_is_the_function() -> None:
    catalog = with_price_gaps(standard(90).with_parameters(shop_gap_days=31.0), KNOWN)
    catalog.check_filled()
    random = np.random.default_rng(2)
    values = {
        "spend_last": np.r_[random.uniform(0.0, 400.0, 500), 90.0, 99.0, 290.0, 5.2, np.nan],
        "frequency": random.integers(1, 9, 505).astype(np.float64),
        "t_x_days": random.uniform(8.0, 900.0, 505),
        "gap_last": random.uniform(1.0, 8.0, 505),
        "shop_gap_days": 31.0,
    }
    x, t_x = values["frequency"], values["t_x_days"]
    usual = (3 * 31.0 + t_x) / (3 + x)
    rhythm = formula.evaluate(catalog["rhythm_days"].formula or "", values)
    np.testing.assert_allclose(rhythm, usual_of_prices(usual, values["spend_last"], KNOWN))
    before = (3 * 31.0 + t_x - values["gap_last"]) / (3 + x - 1)
    ratio = formula.evaluate(catalog["return_ratio"].formula or "", values)
    expected = values["gap_last"] / usual_of_prices(before, values["spend_last"], KNOWN)
    np.testing.assert_allclose(ratio, expected)
    same = standard(90)
    assert with_price_gaps(same, ()) is same


def frame_of(days: PurchaseDays) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": [f"c{k:04d}" for k in days.customer],
            "timestamp": [START + timedelta(days=int(at)) for at in days.day],
            "event": "purchase",
            "amount": days.spend,
        }
    )


def test_who_has_paid_for_a_year_is_not_overdue_before_it_is_over() -> None:
    days = payers((90, 26, MONTH, 10.0), (40, 3, YEAR, 100.0), (30, 2, YEAR, 100.0))
    as_of = START + timedelta(days=3 * YEAR - 150)
    early = days.of(np.flatnonzero(days.day < 3 * YEAR - 150))
    with from_frame(frame_of(early), ReadOptions()) as log:
        life = fit_lifecycle(DailyTable(log.con, as_of), load_scheme("retail"), 90)
    assert [of.days for of in life.scheme.price_gaps] == pytest.approx([365.0], abs=1.0)
    assert scheme_from_json(json.loads(json.dumps(scheme_to_json(life.scheme)))) == life.scheme
    stages = np.array(life.scheme.ids)[life.standing(as_of).stage]
    last = np.r_[early.customer[1:] != early.customer[:-1], True]
    silent, price = 3 * YEAR - 150 - early.day[last], early.spend[last]
    paid_for = (price == 100.0) & (silent < 350)
    assert paid_for.sum() > 40
    assert set(stages[paid_for]) <= {"new", "repeat", "loyal"}
    by_the_month = (price == 10.0) & (silent > 100)
    assert by_the_month.sum() > 20
    assert set(stages[by_the_month]) <= {"sleeping", "lost", "at_risk"}


def test_prices_stand_beside_amounts_that_are_another_each_time() -> None:
    yearly = payers((20, 3, YEAR, 100.0))
    usage = payers((60, 10, MONTH, 1.0), seed=2)
    amounts = np.random.default_rng(3).lognormal(3.5, 0.6, len(usage.day))
    both = PurchaseDays(
        np.r_[yearly.customer, usage.customer + 20],
        np.r_[yearly.day, usage.day],
        np.r_[yearly.spend, amounts],
        np.r_[yearly.first_purchase, usage.first_purchase],
    )
    (known,) = gaps_of_prices(both, float(MONTH))
    assert (known.price, known.width) == (100.0, 1.0)
    assert known.days == pytest.approx(YEAR, abs=1.0)
    # amounts that nobody pays twice are no prices, however regular they come
    rare = PurchaseDays(
        both.customer, both.day, np.where(both.customer < 20, 90.0 + both.day % 3, both.spend),
        both.first_purchase,
    )  # fmt: skip
    assert gaps_of_prices(rare, float(MONTH)) == ()
